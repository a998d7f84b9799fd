"""Sparse tensors: coordinates and values, as `torch.sparse_coo_tensor` and `sparse_csr_tensor`.

In: indices (sparse dimensions, entries) and values (entries, dense dimensions). Out: tensors whose
other elements are zero. Invariants: every function of one is made of functions on its values, so
that gradients reach the values; a function that would need all elements is refused by a sentence
that names `to_dense()`; calls arrive by `__torch_function__`, so dense tensors pay nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, cast

from ...base.dtype import bool_, get_default_dtype, int64
from ...base.layout import Size, normalize_axis
from ...ops import namespace as ops
from ..conversion import as_tensor
from ..creation import arange, zeros
from ..overriding import arm
from ..tensor import Tensor, make_tensor, sparse_coo, sparse_csr, strided
from ..tensor import layout as Layout

NAMES = {sparse_coo: "Sparse", sparse_csr: "SparseCsr", strided: "Strided"}


@dataclass(frozen=True)
class Parts:
    """What a sparse tensor is made of; `ordered`: indices are sorted and occur once."""

    indices: Tensor
    values: Tensor
    size: tuple[int, ...]
    ordered: bool
    layout: Layout

    @property
    def depth(self) -> int:
        """How many dimensions are sparse."""
        return self.indices.size(0)


class SparseTensor(Tensor, arms=False):  # type: ignore[call-arg]
    """A tensor of which only some elements are kept; made by `sparse_coo_tensor` and `to_sparse`.

    >>> import rushlight as rl
    >>> s = rl.sparse_coo_tensor(rl.tensor([[0, 1], [2, 0]]), rl.tensor([3.0, 4.0]), (2, 3))
    >>> (s @ rl.ones(3, 1)).tolist()
    [[3.0], [4.0]]
    """

    _parts: Parts

    @classmethod
    def __torch_function__(
        cls, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.__name__
        if name in _ON_VALUES:
            tensor = args[0] if name in _LINEAR else coalesce(args[0])
            return _with(tensor, values=getattr(tensor._parts.values, name)())  # type: ignore[arg-type]
        found = _FUNCTIONS.get(name)
        if found is None:
            raise NotImplementedError(
                f"{name}(): is not there for sparse tensors; call it on x.to_dense() (there are: "
                f"{', '.join(sorted({*_FUNCTIONS, *_ON_VALUES} - _PRIVATE))})"
            )
        return found(*args, **(kwargs or {}))

    shape = property(lambda self: Size(self._parts.size))  # type: ignore[assignment]
    ndim = property(lambda self: len(self._parts.size))  # type: ignore[assignment]
    layout = property(lambda self: self._parts.layout)
    is_sparse = property(lambda self: self._parts.layout is sparse_coo)  # type: ignore[assignment]
    is_sparse_csr = property(lambda self: self._parts.layout is sparse_csr)
    requires_grad = property(  # type: ignore[assignment]
        lambda self: self._parts.values.requires_grad
    )
    grad_fn = property(lambda self: self._parts.values.grad_fn)  # type: ignore[assignment]
    is_leaf = property(lambda self: self._parts.values.is_leaf)  # type: ignore[assignment]
    T = property(lambda self: _transpose(self, 0, 1))


def _made(parts: Parts) -> SparseTensor:
    arm()
    tensor = make_tensor(parts.values._storage, parts.values._layout, SparseTensor)
    tensor._parts = parts  # type: ignore[attr-defined]
    return tensor  # type: ignore[return-value]


def _with(tensor: SparseTensor, **changes: Any) -> SparseTensor:
    return _made(replace(tensor._parts, **changes))


def _of(tensor: Tensor, name: str) -> Parts:
    """The parts of a sparse tensor; RuntimeError for a dense one."""
    if not isinstance(tensor, SparseTensor):
        raise RuntimeError(f"{name} expected sparse coordinate tensor layout but got Strided")
    return tensor._parts


def _as_tensor(value: Any, dtype: Any = None, device: Any = None) -> Tensor:
    return as_tensor(value, dtype=dtype, device=device)


def sparse_coo_tensor(
    indices: Any,
    values: Any = None,
    size: Sequence[int] | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> Tensor:
    """A tensor of `size` that is zero but for values[k] at indices[:, k]; values at equal indices
    add up.

    Shapes: indices (S, n) of integers, values (n, *dense); size has S + dense dimensions, by
    default the smallest that fits. `sparse_coo_tensor(size)` has no entries. Errors: RuntimeError
    where they do not fit. Follows `torch.sparse_coo_tensor`.

    >>> import rushlight as rl
    >>> rl.sparse_coo_tensor([[0, 1, 1], [2, 0, 2]], [3.0, 4.0, 5.0], (2, 3)).to_dense().tolist()
    [[0.0, 0.0, 3.0], [4.0, 0.0, 5.0]]
    """
    if values is None:
        size = tuple(indices)
        indices, values = zeros((len(size), 0), dtype=int64), zeros(0, dtype=dtype)
    places, kept = _as_tensor(indices, device=device), _as_tensor(values, dtype, device)
    if places.is_floating_point() or places.is_complex() or places.dim() != 2:
        raise RuntimeError(
            "sparse_coo_tensor(): indices must be an integer matrix (sparse dimensions, entries), "
            f"got {places.dtype} of shape {tuple(places.shape)}"
        )
    if places.size(1) != kept.size(0):
        raise RuntimeError(
            "indices and values must have same nnz, but got nnz from indices: "
            f"{places.size(1)}, nnz from values: {kept.size(0)}"
        )
    places = places.long()
    shape = _checked_size(places, kept, size)
    if requires_grad:
        kept = kept.detach().requires_grad_()
    return _made(Parts(places, kept, shape, bool(is_coalesced), sparse_coo))


def _checked_size(places: Tensor, kept: Tensor, size: Sequence[int] | None) -> tuple[int, ...]:
    """The size of a tensor; RuntimeError where an index lies outside or dimensions do not fit."""
    highest = (places.amax(1) + 1).tolist() if places.size(1) else [0] * places.size(0)
    dense = tuple(kept.shape[1:])
    shape = (*highest, *dense) if size is None else tuple(size)
    if len(shape) != places.size(0) + len(dense) or shape[places.size(0) :] != dense:
        raise RuntimeError(
            f"sparse_coo_tensor(): indices of {places.size(0)} dimensions and values of shape "
            f"{tuple(kept.shape)} do not fit the size {list(shape)}"
        )
    lowest = int(places.min()) if places.numel() else 0
    for axis, (found, extent) in enumerate(zip(highest, shape)):
        if found > extent or lowest < 0:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {axis}, size is {extent} but found "
                f"index {found - 1 if found > extent else lowest}"
            )
    return shape


def sparse_csr_tensor(
    crow_indices: Any,
    col_indices: Any,
    values: Any,
    size: Sequence[int] | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Tensor:
    """A matrix by rows: entries crow_indices[i] to crow_indices[i + 1] are in row i, at columns
    col_indices.

    Shapes: crow_indices (rows + 1), col_indices (n), values (n). Follows
    `torch.sparse_csr_tensor`.

    >>> import rushlight as rl
    >>> rl.sparse_csr_tensor([0, 1, 2], [1, 0], [3.0, 4.0], (2, 2)).to_dense().tolist()
    [[0.0, 3.0], [4.0, 0.0]]
    """
    starts, columns = _as_tensor(crow_indices).long(), _as_tensor(col_indices).long()
    if starts.numel() < 1 or int(starts[-1]) != columns.numel():
        raise RuntimeError(
            f"sparse_csr_tensor(): the last of crow_indices must be the number of col_indices, "
            f"{columns.numel()}, but is {starts[-1:].tolist()}"
        )
    counts = starts[1:] - starts[:-1]
    rows = arange(counts.numel()).repeat_interleave(counts)
    if size is None:
        size = (counts.numel(), int(columns.max()) + 1 if columns.numel() else 0)
    options = {"dtype": dtype, "device": device, "requires_grad": requires_grad}
    made = sparse_coo_tensor(ops.stack([rows, columns]), values, size, **options)
    return _with(made, layout=sparse_csr, ordered=True)  # type: ignore[arg-type]


# ---- conversions


def to_sparse(self: Tensor, sparse_dim: int | None = None, *, layout: Any = None) -> Tensor:
    """The elements that are not zero, with their coordinates, as `torch.Tensor.to_sparse`.

    The last dimensions stay dense where `sparse_dim` is smaller than all.
    """
    if isinstance(self, SparseTensor):
        return _with(self, layout=layout or sparse_coo)
    depth = self.dim() if sparse_dim is None else sparse_dim
    some = self != 0
    for _ in range(self.dim() - depth):
        some = some.any(-1)
    places = some.nonzero().t()
    values = self[tuple(places.unbind(0))]
    return _made(Parts(places, values, tuple(self.shape), True, layout or sparse_coo))


def to_sparse_coo(self: Tensor) -> Tensor:
    """As `to_sparse`."""
    return to_sparse(self)


def to_sparse_csr(self: Tensor, dense_dim: int | None = None) -> Tensor:
    """A matrix by rows, as `torch.Tensor.to_sparse_csr`; RuntimeError for what is no matrix."""
    if self.dim() != 2:
        raise RuntimeError(f"to_sparse_csr(): a matrix is needed, got {self.dim()} dimensions")
    return _with(coalesce(to_sparse(self)), layout=sparse_csr)  # type: ignore[arg-type]


def _flat(parts: Parts, axes: Sequence[int] | None = None) -> Tensor:
    """The row-major number of each entry over some sparse dimensions."""
    chosen = range(parts.depth) if axes is None else axes
    flat = zeros(parts.indices.size(1), dtype=int64)
    for axis in chosen:
        flat = flat * parts.size[axis] + parts.indices[axis]
    return flat


def _added(values: Tensor, places: Tensor, count: int) -> Tensor:
    """Rows of values summed by their places."""
    start = zeros((count, *values.shape[1:]), dtype=values.dtype, device=values.device)
    return start.index_add(0, places, values)


def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
    """All elements; a dense tensor comes back as it is. Follows `torch.Tensor.to_dense`."""
    if not isinstance(self, SparseTensor):
        return self if dtype is None else self.to(dtype)
    parts = self._parts
    made = _added(parts.values, _flat(parts), prod(parts.size[: parts.depth])).view(parts.size)
    return made if dtype is None else made.to(dtype)


def coalesce(self: Tensor) -> Tensor:
    """Entries in order, those at equal indices added up, as `torch.Tensor.coalesce`."""
    parts = _of(self, "coalesce")
    if parts.ordered:
        return self
    numbers, inverse = ops.unique(_flat(parts), return_inverse=True)
    values, rows = _added(parts.values, inverse, numbers.numel()), []
    for extent in reversed(parts.size[: parts.depth]):
        rows.append(numbers % extent)
        numbers = numbers // extent
    indices = ops.stack(rows[::-1]) if rows else parts.indices
    return _with(self, indices=indices, values=values, ordered=True)  # type: ignore[arg-type]


def _part(self: Tensor, name: str) -> Any:
    parts = _of(self, name)
    if not parts.ordered:
        raise RuntimeError(
            f"Cannot get {name} on an uncoalesced tensor, please call .coalesce() first"
        )
    return getattr(parts, name)


def indices(self: Tensor) -> Tensor:
    """The coordinates (sparse dimensions, entries) of a coalesced tensor."""
    return _part(self, "indices")


def values(self: Tensor) -> Tensor:
    """The entries of a coalesced tensor."""
    return _part(self, "values")


def _indices(self: Tensor) -> Tensor:
    """The coordinates as they are, equal ones perhaps more than once."""
    return _of(self, "indices").indices


def _values(self: Tensor) -> Tensor:
    """The entries as they are."""
    return _of(self, "values").values


def _nnz(self: Tensor) -> int:
    """How many entries there are."""
    return _of(self, "_nnz").indices.size(1)


def is_coalesced(self: Tensor) -> bool:
    """Whether entries are in order and occur once."""
    return _of(self, "is_coalesced").ordered


def sparse_dim(self: Tensor) -> int:
    """How many dimensions are sparse."""
    return _of(self, "sparse_dim").depth


def dense_dim(self: Tensor) -> int:
    """How many dimensions the entries have."""
    return _of(self, "dense_dim").values.dim() - 1


def col_indices(self: Tensor) -> Tensor:
    """The columns of the entries of a matrix kept by rows."""
    return _rows_of(self, "col_indices").indices[1]


def crow_indices(self: Tensor) -> Tensor:
    """Where each row of a matrix kept by rows starts among the entries."""
    parts = _rows_of(self, "crow_indices")
    counts = ops.bincount(parts.indices[0], minlength=parts.size[0])
    return ops.cat([zeros(1, dtype=int64), counts.cumsum(0)])


def _rows_of(self: Tensor, name: str) -> Parts:
    if self.layout is not sparse_csr:
        raise RuntimeError(
            f"{name} expected sparse row compressed tensor layout but got {NAMES[self.layout]}"
        )
    return self._parts  # type: ignore[attr-defined]


# ---- functions of sparse tensors


def _add(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """sparse + sparse, dense + sparse."""
    if not isinstance(input, Tensor) or not isinstance(other, SparseTensor):
        raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
    if not isinstance(input, SparseTensor):
        return input + to_dense(other) * alpha
    a, b = input._parts, other._parts
    if a.size != b.size:
        raise RuntimeError(
            f"add: expected 'self' and 'other' to have same size, but self has size {list(a.size)} "
            f"while other has size {list(b.size)} (FYI: op2-op1 sparse addition needs equal sizes)"
        )
    joined = _with(
        input,
        indices=ops.cat([a.indices, b.indices], 1),
        values=ops.cat([a.values, b.values * alpha]),
        ordered=False,
    )
    return coalesce(joined) if a.ordered and b.ordered else joined


def _sub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    return _add(input, other, alpha=-alpha)


def _at(parts: Parts, dense: Tensor) -> Tensor:
    """The elements of a dense tensor where a sparse one has entries."""
    full = dense.expand(parts.size)
    return full[tuple(parts.indices.unbind(0))]


def _mul(input: Any, other: Any) -> Any:
    """Elementwise, with a number, a dense tensor or a sparse one."""
    if not isinstance(input, SparseTensor):
        input, other = other, input
    parts = input._parts
    if not isinstance(other, Tensor) or (other.dim() == 0 and other.layout is strided):
        return _with(input, values=parts.values * other)
    if not isinstance(other, SparseTensor):
        return _with(input, values=parts.values * _at(parts, other))
    a, b = coalesce(input)._parts, coalesce(other)._parts  # type: ignore[attr-defined]
    ours, theirs = _flat(a), _flat(b)
    if not ours.numel() or not theirs.numel():
        return _with(input, indices=a.indices[:, :0], values=a.values[:0], ordered=True)
    place = ops.searchsorted(theirs, ours).clamp(max=theirs.numel() - 1)
    kept = (theirs[place] == ours).nonzero().squeeze(1)
    values = a.values[kept] * b.values[place[kept]]
    return _with(input, indices=a.indices[:, kept], values=values, ordered=True)


def _div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    if not isinstance(input, SparseTensor) or isinstance(other, SparseTensor):
        raise RuntimeError("div(): a sparse tensor is divided by a number only")
    return _with(input, values=input._parts.values.div(other, rounding_mode=rounding_mode))


def _matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix products where one operand or both are sparse matrices."""
    for operand, allowed in ((input, (1, 2)), (other, (1, 2))):
        if operand.dim() not in allowed or (
            isinstance(operand, SparseTensor) and operand.dim() < 2
        ):
            raise RuntimeError("mm: Expected sparse and dense operands to be matrices")
    if input.shape[-1] != other.shape[0]:
        raise RuntimeError(
            f"mm: mat1 and mat2 shapes cannot be multiplied ({tuple(input.shape)} and "
            f"{tuple(other.shape)}): {input.shape[-1]} columns meet {other.shape[0]} rows"
        )
    if not isinstance(input, SparseTensor):
        turned = _matmul(
            _transpose(cast(SparseTensor, other), 0, 1), input.t() if input.dim() == 2 else input
        )
        return turned.t() if input.dim() == 2 else turned
    if isinstance(other, SparseTensor):
        return _sparse_product(input._parts, coalesce(other))
    parts = input._parts
    rows, columns = parts.indices.unbind(0)
    weights = parts.values if other.dim() == 1 else parts.values.unsqueeze(1)
    return _added(weights * other[columns], rows, parts.size[0])


def _sparse_product(a: Parts, other: Tensor) -> Tensor:
    """(i, k) of `a` meets every (k, j) of `other`; what lands on one (i, j) adds up."""
    b: Parts = other._parts  # type: ignore[attr-defined]
    in_row = ops.bincount(b.indices[0], minlength=b.size[0])
    starts = in_row.cumsum(0) - in_row
    counts = in_row[a.indices[1]]
    ours = arange(counts.numel()).repeat_interleave(counts)
    within = arange(ours.numel()) - (counts.cumsum(0) - counts)[ours]
    theirs = starts[a.indices[1]][ours] + within
    places = ops.stack([a.indices[0][ours], b.indices[1][theirs]])
    values = a.values[ours] * b.values[theirs]
    return coalesce(_made(Parts(places, values, (a.size[0], b.size[1]), False, a.layout)))


def _addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    return input * beta + _matmul(mat1, mat2) * alpha


def _transpose(input: SparseTensor, dim0: int, dim1: int) -> SparseTensor:
    parts = input._parts
    order = list(range(len(parts.size)))
    first, second = (normalize_axis(dim, len(order)) for dim in (dim0, dim1))
    order[first], order[second] = order[second], order[first]
    if max(first, second) >= parts.depth:
        raise RuntimeError("transpose(): only sparse dimensions of a sparse tensor change places")
    size = tuple(parts.size[axis] for axis in order)
    indices = parts.indices[order[: parts.depth]]
    made = _with(input, indices=indices, size=size, ordered=False, layout=sparse_coo)
    return made if parts.layout is sparse_coo else coalesce(made)  # type: ignore[return-value]


def _sum(input: SparseTensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Over all elements, or over some dimensions as a sparse tensor (dense if none is left)."""
    parts = input._parts
    values = parts.values if dtype is None else parts.values.to(dtype)
    if dim is None:
        return values.sum()
    axes = {
        normalize_axis(d, len(parts.size))
        for d in (dim if isinstance(dim, (list, tuple)) else [dim])
    }
    dense = [axis - parts.depth + 1 for axis in axes if axis >= parts.depth]
    values = values.sum(dense) if dense else values
    left = [axis for axis in range(parts.depth) if axis not in axes]
    if not left:
        return values.sum(0)
    size = tuple(extent for axis, extent in enumerate(parts.size) if axis not in axes)
    made = _with(input, indices=parts.indices[left], values=values, size=size, ordered=False)
    return coalesce(made)


def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """exp(x) / sum(exp(x)) along a dimension, over the entries that are there."""
    made = coalesce(input)
    parts: Parts = made._parts  # type: ignore[attr-defined]
    values = parts.values if dtype is None else parts.values.to(dtype)
    axis = normalize_axis(dim, len(parts.size))
    groups = _flat(parts, [other for other in range(parts.depth) if other != axis])
    names, inverse = ops.unique(groups, return_inverse=True)
    lowest = zeros(names.numel(), dtype=values.dtype)
    highest = lowest.scatter_reduce(0, inverse, values.detach(), "amax", include_self=False)
    powers = (values - highest[inverse]).exp()
    return _with(made, values=powers / _added(powers, inverse, names.numel())[inverse])  # type: ignore[arg-type]


def _to(input: SparseTensor, *args: Any, **kwargs: Any) -> SparseTensor:
    return _with(input, values=input._parts.values.to(*args, **kwargs))


def _getitem(input: SparseTensor, index: Any) -> Any:
    """The slice at a number along the first dimension."""
    parts = input._parts
    if not isinstance(index, int):
        raise NotImplementedError(
            "__getitem__(): a sparse tensor takes one number; call it on x.to_dense()"
        )
    extent = parts.size[0]
    if not -extent <= index < extent:
        raise IndexError(f"index {index} is out of bounds for dimension 0 with size {extent}")
    kept = (parts.indices[0] == index % extent).nonzero().squeeze(1)
    if parts.depth == 1:
        return parts.values[kept].sum(0)
    changes = {"indices": parts.indices[1:, kept], "values": parts.values[kept]}
    return _with(input, size=parts.size[1:], layout=sparse_coo, **changes)


def _cat(tensors: Sequence[SparseTensor], dim: int = 0) -> SparseTensor:
    """Joined along a sparse dimension."""
    all_parts = [_of(tensor, "cat") for tensor in tensors]
    axis, reached, moved = normalize_axis(dim, len(all_parts[0].size)), 0, []
    for parts in all_parts:
        shift = zeros(parts.depth, 1, dtype=int64)
        shift[axis] = reached
        moved.append(parts.indices + shift)
        reached += parts.size[axis]
    size = (*all_parts[0].size[:axis], reached, *all_parts[0].size[axis + 1 :])
    joined = {"indices": ops.cat(moved, 1), "values": ops.cat([p.values for p in all_parts])}
    return _with(tensors[0], size=size, ordered=False, **joined)


def _printed(tensor: Tensor, indent: int) -> str:
    """A part of a sparse tensor as it is printed: without its dtype, which stands behind."""
    if not tensor.numel():
        return f"tensor([], size={tuple(tensor.shape)})"
    text = repr(tensor.detach()).replace(f", dtype={tensor.dtype}", "")
    return text.replace("\n", "\n" + " " * indent)


def _repr(self: SparseTensor, **_: Any) -> str:
    parts = self._parts
    named = {"indices": parts.indices}
    if parts.layout is sparse_csr:
        named = {"crow_indices": crow_indices(self), "col_indices": parts.indices[1]}
    named["values"] = parts.values
    text = "tensor(" + ",\n       ".join(
        f"{name}={_printed(tensor, len(name) + 8)}" for name, tensor in named.items()
    )
    facts = [f"size={tuple(parts.size)}", f"nnz={parts.indices.size(1)}"]
    if parts.values.dtype not in (get_default_dtype(), int64, bool_):
        facts.append(f"dtype={parts.values.dtype}")
    facts.append(f"layout={parts.layout}")
    if parts.values.requires_grad:
        source = parts.values.grad_fn
        facts.append(f"grad_fn=<{type(source).__name__}>" if source else "requires_grad=True")
    if parts.layout is sparse_coo:
        return f"{text},\n       {', '.join(facts)})"
    return f"{text}, {', '.join(facts[:-1])},\n       {facts[-1]})"


def _numpy(self: SparseTensor, **_: Any) -> Any:
    raise TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.")


def _requires_grad_(self: SparseTensor, requires_grad: bool = True) -> Any:
    raise RuntimeError(
        "requires_grad_(): gradients of a sparse tensor are those of its values; call it on the "
        "values before sparse_coo_tensor(indices, values)"
    )


_PRIVATE = {"__repr__", "__getitem__", "__len__", "numpy", "requires_grad_"}
# What is done to each entry for itself, and to sums of entries alike.
# fmt: off
_LINEAR = frozenset((
    "bfloat16", "clone", "contiguous", "cpu", "deg2rad", "detach", "double", "float", "half",
    "int", "long", "neg", "rad2deg",
))
# What maps zero to zero, but a sum not to the sum: entries at equal indices are added up before.
_ON_VALUES = _LINEAR.union((
    "abs", "asin", "asinh", "atan", "ceil", "erf", "expm1", "floor", "frac", "log1p", "relu",
    "round", "sgn", "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc",
))
# fmt: on
_FUNCTIONS: dict[str, Callable] = {
    "add": _add,
    "addmm": _addmm,
    "cat": _cat,
    "div": _div,
    "matmul": _matmul,
    "mm": _matmul,
    "mul": _mul,
    "mv": _matmul,
    "sub": _sub,
    "sum": _sum,
    "t": lambda input: _transpose(input, 0, 1),
    "to": _to,
    "transpose": _transpose,
    "softmax": softmax,
    "norm": lambda input, p=2: coalesce(input)._parts.values.norm(p),  # type: ignore[attr-defined]
    "size": lambda input, dim=None: input.shape if dim is None else input.shape[dim],
    "dim": lambda input: input.ndim,
    "numel": lambda input: prod(input.shape),
    "is_floating_point": lambda input: input.dtype.is_floating_point,
    "is_complex": lambda input: input.dtype.is_complex,
    "is_tensor": lambda obj: True,
    "__len__": lambda input: input.shape[0],
    "__getitem__": _getitem,
    "__repr__": _repr,
    "numpy": _numpy,
    "requires_grad_": _requires_grad_,
}

FUNCTIONS = (sparse_coo_tensor, sparse_csr_tensor)
METHODS = (
    to_sparse,
    to_sparse_coo,
    to_sparse_csr,
    to_dense,
    coalesce,
    indices,
    values,
    _indices,
    _values,
    _nnz,
    is_coalesced,
    sparse_dim,
    dense_dim,
    col_indices,
    crow_indices,
)
_FUNCTIONS |= {method.__name__: method for method in METHODS}
