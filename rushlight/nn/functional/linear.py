"""Affine maps, distances and small vector functions.

In: tensors whose last dimension (or `dim`) holds the vectors. Out: as each formula says.
Invariant: leading dimensions are batch dimensions and broadcast.
"""

from __future__ import annotations

import rushlight
from rushlight import Tensor
from rushlight.ops import namespace as _ops

linear = _ops.linear


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y_o = x1^T W_o x2 + b_o.

    Shapes: input1 (*, I), input2 (*, J), weight (O, I, J), bias (O), result (*, O).
    Follows `torch.nn.functional.bilinear`.

    >>> import rushlight as rl
    >>> weight = rl.ones(3, 2, 4)
    >>> rl.nn.functional.bilinear(rl.ones(5, 2), rl.ones(5, 4), weight).shape
    torch.Size([5, 3])
    """
    if input1.shape[:-1] != input2.shape[:-1]:
        raise RuntimeError(
            "bilinear(): input batch dimensions do not match: "
            f"got {tuple(input1.shape)} and {tuple(input2.shape)}"
        )
    for place, given in ((1, input1), (2, input2)):
        if given.size(-1) != weight.size(place):
            raise RuntimeError(
                f"bilinear(): input{place} size does not match weight size: "
                f"got {given.size(-1)} but expected {weight.size(place)}"
            )
    result = rushlight.einsum("...i,oij,...j->...o", input1, weight, input2)
    return result if bias is None else result + bias


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along `dim`.

    Follows `torch.nn.functional.cosine_similarity`.

    >>> import rushlight as rl
    >>> rl.nn.functional.cosine_similarity(rl.ones(1, 2), rl.tensor([[0.0, 3.0]]))
    tensor([0.7071])
    """
    kind = rushlight.promote_types(x1.dtype, x2.dtype)
    if not kind.is_floating_point:
        raise RuntimeError(
            "expected common dtype to be floating point, yet common dtype is " + str(kind)
        )
    x1, x2 = rushlight.broadcast_tensors(x1.to(kind), x2.to(kind))
    first = x1 / x1.norm(dim=dim, keepdim=True).clamp(min=eps)
    second = x2 / x2.norm(dim=dim, keepdim=True).clamp(min=eps)
    return (first * second).sum(dim)


@rushlight._titled("NormBackward1")
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """|x1 - x2 + eps|_p along the last dimension.

    Follows `torch.nn.functional.pairwise_distance`.

    >>> import rushlight as rl
    >>> rl.nn.functional.pairwise_distance(rl.zeros(1, 2), rl.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """
    return (x1 - x2 + eps).norm(p, dim=-1, keepdim=keepdim)


@rushlight._titled("PdistBackward0", guarded=(0,))
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """|x_i - x_j|_p of every pair of rows i < j.

    Shapes: input (N, M), result (N (N - 1) / 2). Follows `torch.nn.functional.pdist`.

    >>> import rushlight as rl
    >>> rl.nn.functional.pdist(rl.tensor([[0.0, 0.0], [3.0, 4.0]]))
    tensor([5.])
    """
    if input.dim() != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.dim()}D")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    rows = input.size(0)
    first, second = rushlight.triu_indices(rows, rows, offset=1, device=input.device)
    return (input[first] - input[second]).norm(p, dim=-1)


def normalize(
    input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """x / max(|x|_p, eps) along `dim`. Follows `torch.nn.functional.normalize`.

    >>> import rushlight as rl
    >>> rl.nn.functional.normalize(rl.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    norm = input.norm(p, dim, keepdim=True).clamp_min(eps)
    if out is None:
        return input / norm.expand_as(input)
    return rushlight.div(input, norm.expand_as(input), out=out)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """1 at the class of each entry, 0 elsewhere, in a new last dimension.

    Shapes: int64 tensor (*), result (*, num_classes); -1 means one more than the largest class.
    Errors: RuntimeError for a negative class or one >= num_classes.
    Follows `torch.nn.functional.one_hot`.

    >>> import rushlight as rl
    >>> rl.nn.functional.one_hot(rl.tensor([1, 0]), 3)
    tensor([[0, 1, 0],
            [1, 0, 0]])
    """
    if tensor.dtype != rushlight.int64:
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type LongTensor, got {tensor.dtype}"
        )
    if tensor.numel() == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        shape = (*tensor.shape, num_classes)
        return rushlight.empty(shape, dtype=rushlight.int64, device=tensor.device)
    smallest, largest = int(tensor.min()), int(tensor.max())
    if smallest < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = largest + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif largest >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    classes = rushlight.arange(num_classes, device=tensor.device)
    return (tensor.contiguous().unsqueeze(-1) == classes).to(rushlight.int64)
