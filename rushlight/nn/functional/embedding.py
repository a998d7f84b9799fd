"""Looking up rows of a table by index, singly or summed over bags.

In: integer indices and a (rows, dimension) table. Out: the rows, or one reduced row per bag.
Invariant: `padding_idx` names a row that gets no gradient and, in bags, counts for nothing.
"""

from __future__ import annotations

from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.ops import namespace as _ops


def _row_number(padding_idx: int | None, rows: int) -> int:
    """`padding_idx` counted from the front, -1 for None."""
    if padding_idx is None:
        return -1
    if not -rows <= padding_idx < rows:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return padding_idx % rows


def _renormalize(weight: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale, in place, the rows that are looked up and longer than `max_norm`."""
    with rushlight.no_grad():
        used = indices.flatten()
        rows = weight[used]
        length = rows.norm(norm_type, dim=1, keepdim=True)
        shortened = rows * (max_norm / (length + 1e-7))
        # A row that is used twice is written twice with the same value.
        weight[used] = rushlight.where(length > max_norm, shortened, rows)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """weight[input]: shapes (*), (V, D) -> (*, D).

    Args:
        padding_idx: a row that receives no gradient.
        max_norm: rows longer than this (in the `norm_type` norm) are shortened in place first.
        scale_grad_by_freq: divide each row's gradient by how often the row was looked up.
        sparse: accepted; gradients are dense.

    Follows `torch.nn.functional.embedding`.

    >>> import rushlight as rl
    >>> rl.nn.functional.embedding(rl.tensor([1, 0]), rl.tensor([[1.0], [2.0]]))
    tensor([[2.],
            [1.]])
    """
    if weight.dim() != 2:
        raise RuntimeError(f"embedding(): 'weight' must be 2-D, got {list(weight.shape)}")
    row = _row_number(padding_idx, weight.size(0))
    if max_norm is not None:
        _renormalize(weight, input, max_norm, norm_type)
    return _ops.embedding(weight, input, row, scale_grad_by_freq, sparse)


def _warn_of_old_order() -> None:
    import warnings

    warnings.warn(
        "Argument order of nn.functional.embedding_bag was changed. Usage "
        "`embedding_bag(weight, input, ...)` is deprecated, and should now be "
        "`embedding_bag(input, weight, ...)`.",
        stacklevel=3,
    )


@rushlight._titled("EmbeddingBagBackward0")
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of the rows of each bag; an empty bag gives zeros.

    Args:
        input: (B, L), every row a bag; or (N) with `offsets` (B), where each bag begins.
        mode: "sum", "mean" or "max".
        per_sample_weights: factors of the rows, shaped like `input` (mode "sum" only).
        include_last_offset: the last offset is the end of the last bag.
        padding_idx: a row that counts for nothing.

    Follows `torch.nn.functional.embedding_bag`.

    >>> import rushlight as rl
    >>> table = rl.tensor([[1.0], [2.0], [4.0]])
    >>> rl.nn.functional.embedding_bag(rl.tensor([[0, 1], [1, 2]]), table, mode="sum")
    tensor([[3.],
            [6.]])
    """
    if weight.dtype == rushlight.int64 and input.is_floating_point():
        _warn_of_old_order()
        input, weight = weight, input
    indices, bags, count = _bags(input, offsets, include_last_offset)
    if per_sample_weights is not None:
        _check_factors(input, per_sample_weights, mode)
        per_sample_weights = per_sample_weights.reshape(-1)
    row = _row_number(padding_idx, weight.size(0))
    if max_norm is not None:
        _renormalize(weight, indices, max_norm, norm_type)
    rows = _ops.embedding(weight, indices, row, scale_grad_by_freq, sparse)
    counted = indices != row
    if mode == "max":
        return _bag_maximum(rows, bags, counted, count)
    if mode not in ("sum", "mean"):
        raise ValueError("mode has to be one of sum, mean or max")
    narrow = rows.dtype in (rushlight.float16, rushlight.bfloat16)
    wide = rows.to(rushlight.float32) if narrow else rows  # summed wide, rounded once
    factor = counted.to(wide.dtype)
    if per_sample_weights is not None:
        factor = factor * per_sample_weights
    total = rushlight.zeros((count, weight.size(1)), dtype=wide.dtype, device=rows.device)
    total = total.index_add(0, bags, wide * factor.unsqueeze(1))
    if mode == "sum":
        return total.to(rows.dtype)
    sizes = rushlight.zeros(count, dtype=wide.dtype, device=rows.device)
    sizes = sizes.index_add(0, bags, counted.to(wide.dtype))
    return (total / sizes.clamp(min=1).unsqueeze(1)).to(rows.dtype)


def _bags(
    input: Tensor, offsets: Tensor | None, include_last_offset: bool
) -> tuple[Tensor, Tensor, int]:
    """(all indices in one line, the bag of each, number of bags)."""
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch "
                "of fixed length sequences. However, found offsets of type "
                f"{rushlight.typename(offsets)}"
            )
        numbers = rushlight.arange(input.size(0), device=input.device)
        return input.reshape(-1), numbers.repeat_interleave(input.size(1)), input.size(0)
    if input.dim() != 1:
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}"
        )
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if offsets.dim() != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    if offsets.numel() and int(offsets[0]) != 0:
        raise ValueError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from "
            f"position 0. However, got {int(offsets[0])}"
        )
    starts = offsets[:-1] if include_last_offset else offsets
    # An index belongs to the last bag that has begun; an empty bag begins where the next one does.
    begun = rushlight.zeros(input.numel() + 1, dtype=rushlight.int64, device=input.device)
    begun = begun.index_add(0, starts.to(rushlight.int64), rushlight.ones_like(starts).long())
    bags = begun.cumsum(0)[:-1] - 1
    return input, bags, starts.numel()


def _check_factors(input: Tensor, factors: Tensor, mode: str) -> None:
    if factors.shape != input.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({factors.shape}) is not None, then it must "
            f"have the same shape as the input ({input.shape})"
        )
    if mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            f"for mode='sum' (got mode='{mode}'). Please open a feature request on GitHub."
        )


def _bag_maximum(rows: Tensor, bags: Tensor, counted: Tensor, count: int) -> Tensor:
    """The maximum of each bag and column; the first of equal rows takes the gradient."""
    place = rushlight.arange(bags.numel(), device=bags.device)
    member = bags.unsqueeze(0) == rushlight.arange(count, device=bags.device).unsqueeze(1)
    member = (member & counted).unsqueeze(2)
    lowest: Any = float("-inf")
    values = rushlight.where(member, rows.detach().unsqueeze(0), lowest)
    if place.numel() == 0:
        return rushlight.zeros((count, rows.size(1)), dtype=rows.dtype, device=rows.device)
    chosen = values.argmax(1)
    return rows.gather(0, chosen) * member.any(1)
