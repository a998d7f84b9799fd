"""What PyTorch calls the tape entries of rows whose name there depends on the operands.

In: the operands that a function names, as the row got them (tensors or nodes, Python values). Out:
`type(y.grad_fn).__name__`. Invariant: where PyTorch runs several operations, the name is that of
the last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _given(value: Any) -> bool:
    """Whether an operand is a tensor and no number."""
    return hasattr(value, "shape")


def numbered(name: str, *, by: str, tensor: int, number: int) -> Callable[..., str]:
    """Two overloads told apart by an operand: a tensor, or a number (or nothing)."""
    choose: dict[str, Callable[..., str]] = {
        "other": lambda other: f"{name}Backward{tensor if _given(other) else number}",
        "value": lambda value: f"{name}Backward{tensor if _given(value) else number}",
        "weight": lambda weight: f"{name}Backward{tensor if _given(weight) else number}",
    }
    return choose[by]


def reduced(name: str) -> Callable[[Any], str]:
    """A reduction of everything (0) or over named dimensions (1)."""
    return lambda dim: f"{name}Backward{0 if dim is None else 1}"


def unbatched(name: str, rank: int) -> Callable[[Any], str]:
    """An op whose unbatched input gets a batch dimension for the time of the call."""
    return lambda input: "SqueezeBackward1" if input.ndim == rank + 1 else name


def subtracted(input: Any) -> str:
    """A number less a tensor is PyTorch's `rsub`."""
    return "SubBackward0" if _given(input) else "RsubBackward1"


def powered(input: Any, exponent: Any) -> str:
    """The overload of `pow` by which operand is a number."""
    return f"PowBackward{2 if not _given(input) else 1 if _given(exponent) else 0}"


def clamped(min: Any, max: Any) -> str:
    """Bounds that are tensors, or numbers."""
    return f"ClampBackward{0 if _given(min) or _given(max) else 1}"


def product(input: Any, other: Any) -> str:
    """The operation that PyTorch's `matmul` ends in."""
    ranks = (input.ndim, other.ndim)
    if max(ranks) <= 2:
        return {
            (1, 1): "DotBackward0",
            (2, 1): "MvBackward0",
            (1, 2): "SqueezeBackward4",
        }.get(ranks, "MmBackward0")
    return "UnsafeViewBackward0"


def affine(input: Any, weight: Any, bias: Any) -> str:
    """The operation that PyTorch's `linear` ends in."""
    if bias is None:
        if weight.ndim == 2 and input.ndim == 1:
            return "SqueezeBackward4"
        return product(input, weight)
    if input.ndim == 2:
        return "AddmmBackward0"
    contiguous = input.is_contiguous() or input.ndim == 1
    return "ViewBackward0" if contiguous else "AddBackward0"


def _likelihood(ndim: int, reduction: str) -> str:
    """The entry of `nll_loss` by the rank of its input."""
    if ndim <= 2:
        return "NllLossBackward0"
    return "ViewBackward0" if reduction == "none" and ndim != 4 else "NllLoss2DBackward0"


def likelihood(input: Any, reduction: str) -> str:
    """The entry of `nll_loss`: planes are a kernel of their own, other shapes become planes."""
    return _likelihood(input.ndim, reduction)


def entropy(input: Any, target: Any, reduction: str, label_smoothing: float) -> str:
    """The entry that PyTorch's `cross_entropy` ends in."""
    if target.dtype.is_floating_point:
        return "DivBackward1" if reduction == "mean" else "NegBackward0"
    return "AddBackward0" if label_smoothing else _likelihood(input.ndim, reduction)


def averaged(each: str) -> Callable[[str], str]:
    """A loss that is `each` by element, then its mean or sum."""
    return lambda reduction: {"mean": "MeanBackward0", "sum": "SumBackward0"}.get(reduction, each)


def divergence(reduction: str, log_target: bool) -> str:
    """The entry that PyTorch's `kl_div` ends in."""
    return averaged("MulBackward0" if log_target else "SubBackward0")(reduction)


def smooth_distance(reduction: str, beta: float) -> str:
    """smooth_l1_loss, which without a quadratic part is l1_loss."""
    return "SmoothL1LossBackward0" if beta else averaged("AbsBackward0")(reduction)


def fuses_attention(query: Any, key: Any, value: Any, attn_mask: Any, kept: Any) -> bool:
    """Whether PyTorch has one kernel for it on the CPU: equal batches of heads of equal width, in
    rows, without dropout and without a gradient of the mask.
    """
    leading = query.shape[:-2]
    return (
        query.ndim == 4
        and kept is None
        and key.shape[:-2] == leading == value.shape[:-2]
        and query.shape[-1] == value.shape[-1]
        and all(x.stride()[-1] == 1 for x in (query, key, value))
        and not (attn_mask is not None and attn_mask.requires_grad)
    )


def attention(query: Any, key: Any, value: Any, attn_mask: Any, kept: Any) -> str:
    """One kernel, or a product, whose result is converted from float32."""
    if fuses_attention(query, key, value, attn_mask, kept):
        return "ScaledDotProductFlashAttentionForCpuBackward0"
    return "ToCopyBackward0" if query.dtype.itemsize == 2 else "UnsafeViewBackward0"


def adaptive_mean(rank: int) -> Callable[..., str]:
    """Averages over everything are a `mean`."""

    def name(input: Any, output_size: Any) -> str:
        if rank == 1:
            return "SqueezeBackward1"
        sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size,)
        everything = all(n == 1 for n in sizes)
        return "MeanBackward1" if everything else f"AdaptiveAvgPool{rank}DBackward0"

    return name
