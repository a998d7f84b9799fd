"""Views: tensors that are another window on the same memory, and how gradients flow through them.

In: a tensor and a new geometry. Out: a tensor sharing its storage. Invariants: a view costs no
trace entry; `_base` is the root of all views on a storage that has one; when the memory was
overwritten on the tape, a view's `grad_fn` is made anew from its base on next use (`reattach`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from operator import index as as_index
from typing import Any

from ..autograd.entries import Edge, GradFn, gradient_edge
from ..autograd.modes import MODE, no_grad
from ..autograd.names import class_named
from ..base.dtype import dtype
from ..base.layout import (
    Layout,
    Size,
    batch_seen_as,
    contiguous_strides,
    layout_of,
    normalize_axis,
    view_strides,
    with_batch,
)
from ..ops import core
from .inplace import refuse_piece
from .tensor import Tensor, make_tensor

# A size that a tensor spells out has no more entries than this.
MOST_DIMENSIONS = 64


class ViewGradFn(GradFn):
    """The tape entry of a view: `inverse` maps the gradient back to the shape that was looked
    at.
    """

    __slots__ = ("inverse", "title")

    def __init__(self, title: str, edge: Edge, layout: Layout, inverse: Callable) -> None:
        super().__init__([edge], (layout,))
        self.entitle(title)
        self.inverse = inverse

    def entitle(self, title: str) -> None:
        """Name the entry for the view it is of: Split, or SqueezeBackward1 with its number."""
        self.title = title
        name = title if "Backward" in title else title + "Backward0"
        self.__class__ = class_named(ViewGradFn, name)

    def apply(self, grads: list) -> Sequence:
        return (self.inverse(grads[0]),)


class PiecesGradFn(GradFn):
    """The tape entry of views that share out a tensor: their gradients are joined once, not padded
    and added one by one.
    """

    __slots__ = ("join", "title")

    def __init__(self, title: str, edge: Edge, layouts: tuple[Layout, ...], join: Callable) -> None:
        super().__init__([edge], layouts)
        self.title = title
        self.join = join
        self.__class__ = class_named(PiecesGradFn, title + "Backward0")

    def apply(self, grads: list) -> Sequence:
        whole = [
            core.full(tuple(layout.shape), 0, layout.dtype) if g is None else g
            for g, layout in zip(grads, self.layouts)
        ]
        return (self.join(whole),)


class CopySlices(GradFn):
    """The tape entry of memory after an in-place write through a view of it."""

    __slots__ = ("base_layout", "levels", "view_layout")

    def __init__(self, base: Tensor, view: Layout, value: Tensor) -> None:
        edges: list[Edge | None] = [
            gradient_edge(base) if base._requires_grad else None,
            gradient_edge(value) if value.requires_grad else None,
        ]
        super().__init__(edges, (base._layout,))
        self.base_layout = base._layout
        self.levels: Sequence = ()
        if view.batch and not base._layout.batch:  # vmap made it a view of each example
            from .batching import levels_of

            self.levels, view = levels_of(view), view.whole
        self.view_layout = view

    def apply(self, grads: list) -> Sequence:
        base, view = self.base_layout, self.view_layout
        flat = core.restride(grads[0], base.strides).as_strided((base.numel,), (1,), 0)
        flat = read_as(flat, view.dtype)
        offset = offset_within(base, view)
        old = new = None
        if self.edges[1] is not None:
            new = flat.as_strided(view.shape, view.strides, offset)
            if self.edges[0] is not None:
                new = core.clone(new)
            if self.levels:
                from .batching import hide

                new = hide(new, self.levels)
        if self.edges[0] is not None:
            zero = core.full(tuple(view.shape), 0, view.dtype)
            wiped = read_as(core.write_slice(flat, zero, view.strides, offset), base.dtype)
            old = wiped.as_strided(base.shape, base.strides, 0)
        return old, new


def read_as(flat: Tensor, type_: dtype) -> Tensor:
    """Dense one-dimensional memory of complex numbers as real ones, or the other way round."""
    if flat.dtype is type_:
        return flat
    from .bits import view_as_complex, view_as_real

    return (
        view_as_real(flat).reshape(-1)
        if flat.dtype.is_complex
        else view_as_complex(flat.reshape(-1, 2))
    )


def offset_within(base: Layout, view: Layout) -> int:
    """Where a view begins behind its base, in elements of the view."""
    return view.offset - base.offset * base.dtype.itemsize // view.dtype.itemsize


def view_of(x: Tensor, layout: Layout, title: str, inverse: Callable) -> Tensor:
    """The window `layout` on x's memory (and on that of every example that vmap hides)."""
    if x._layout.batch and not layout.batch:
        layout = with_batch(layout, batch_seen_as(x._layout, layout.dtype))
    return window_of(x, layout, title, inverse)


def window_of(x: Tensor, layout: Layout, title: str, inverse: Callable) -> Tensor:
    """The window `layout` on x's memory, batch axes as the layout says."""
    result = make_tensor(x._storage, layout)
    own = x._base is None or (x._requires_grad and x._grad_fn is None)  # a leaf is a root too
    result._base = x if own else x._base
    result._cell = x._cell
    result._attached = x._storage.rebased
    if x.requires_grad and MODE.grad and layout.dtype.kind in ("float", "complex"):
        result._grad_fn = ViewGradFn(title, gradient_edge(x), layout, inverse)
        result._requires_grad = True
    return result


def pieces_of(
    x: Tensor, cut: Callable[[], list[Tensor]], title: str, join: Callable
) -> tuple[Tensor, ...]:
    """The views that `cut` makes of x, under one tape entry; `join` puts their gradients
    together.
    """
    taped = MODE.grad and x.requires_grad
    with no_grad():
        pieces = cut()
    if taped and pieces:
        layouts = tuple(piece._layout for piece in pieces)
        function = PiecesGradFn(title, gradient_edge(x), layouts, join)
        for number, piece in enumerate(pieces):
            piece._grad_fn, piece._output_nr, piece._requires_grad = function, number, True
    return tuple(pieces)


def reattach(view: Tensor) -> None:
    """Give a view whose memory was overwritten on the tape an entry that leads to its base's."""
    base = view._base
    view._attached = view._storage.rebased
    if base is None or not base._requires_grad:
        return
    refuse_piece(view, "is a view and its base or another view of its base was modified inplace")
    view._grad_fn = ViewGradFn(
        "AsStrided", gradient_edge(base), view._layout, strided_inverse(base._layout, view._layout)
    )
    view._output_nr = 0
    view._requires_grad = True


def strided_inverse(base: Layout, view: Layout) -> Callable:
    """The gradient of any strided view of dense memory, back in the base's shape."""

    if view.batch and not base.batch:  # the base is one tensor for all examples
        from .batching import shared_inverse

        return shared_inverse(base, view)

    def inverse(g: Tensor) -> Tensor:
        numel = base.numel * base.dtype.itemsize // view.dtype.itemsize
        flat = core.strided_backward(g, numel, view.strides, offset_within(base, view))
        return read_as(flat, base.dtype).as_strided(base.shape, base.strides, 0)

    return inverse


def _with(
    x: Tensor, shape: Sequence[int], strides: Sequence[int], offset: int | None = None
) -> Layout:
    layout = x._layout
    return layout_of(
        shape, strides, layout.offset if offset is None else offset, layout.dtype, layout.device
    )


def sizes(args: tuple) -> tuple[int, ...]:
    """A shape given as several ints or as one sequence of them."""
    if len(args) == 1 and not isinstance(args[0], int) and hasattr(args[0], "__iter__"):
        if isinstance(args[0], Tensor) and args[0].numel() > MOST_DIMENSIONS:
            raise TypeError(f"a size must be a tuple of ints, not a tensor of {args[0].shape}")
        args = tuple(args[0])
    return tuple(a if a.__class__ is int else as_index(a) for a in args)


def infer_size(shape: tuple[int, ...], numel: int) -> tuple[int, ...]:
    """The shape with its one -1 worked out; RuntimeError where it does not fit."""
    if -1 in shape:
        if shape.count(-1) > 1:
            raise RuntimeError("only one dimension can be inferred")
        known = prod(n for n in shape if n != -1)
        if known == 0 and numel == 0:
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {list(shape)} because the "
                "unspecified dimension size -1 can be any value and is ambiguous"
            )
        if known <= 0 or numel % known:
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")
        return tuple(numel // known if n == -1 else n for n in shape)
    if any(n < 0 for n in shape):
        raise RuntimeError(f"invalid shape dimension {min(shape)}")
    if prod(shape) != numel:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")
    return shape


def view(self: Tensor, *shape: Any, dtype: Any = None) -> Tensor:
    """The same memory under another shape (or, given a dtype, its bytes read as that), as
    `torch.Tensor.view`.
    """
    if dtype is not None or (len(shape) == 1 and type(shape[0]).__name__ == "dtype"):
        from .bits import view_dtype

        return view_dtype(self, dtype or shape[0])
    wanted = infer_size(sizes(shape), self._layout.numel)
    strides = view_strides(self._layout.shape, self._layout.strides, wanted)
    if strides is None:
        raise RuntimeError(
            f"view size is not compatible with input tensor's size and stride: {list(self.shape)} "
            f"with strides {list(self.stride())} cannot be seen as {list(wanted)} (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    old = self._layout.shape
    return view_of(self, _with(self, wanted, strides), "View", lambda g: g.reshape(old))


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """A view where one can have the shape, else a copy, as `torch.reshape`."""
    wanted = infer_size(sizes(shape), input._layout.numel)
    strides = view_strides(input._layout.shape, input._layout.strides, wanted)
    if strides is None:
        return core.reshape_copy(input, wanted)
    old = input._layout.shape
    return view_of(input, _with(input, wanted, strides), "View", lambda g: g.reshape(old))


def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """Any window on the storage.

    RuntimeError where it would reach outside, as `torch.as_strided`.
    """
    size, stride = sizes((size,)), sizes((stride,))
    offset = input._layout.offset if storage_offset is None else storage_offset
    if len(size) != len(stride):
        raise RuntimeError(
            f"mismatch in length of strides and shape: {len(size)} sizes, {len(stride)} strides"
        )
    if any(s < 0 for s in stride):
        raise RuntimeError(
            "as_strided: Negative strides are not supported at the moment, got strides: "
            f"{list(stride)}"
        )
    if any(n < 0 for n in size) or offset < 0:
        raise RuntimeError(
            f"as_strided: sizes and offset must not be negative, got {list(size)} and {offset}"
        )
    layout = _with(input, size, stride, offset)
    item = layout.dtype.itemsize
    if layout.reach() * item > input._storage.nbytes() and layout.device.type != "meta":
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset}, and "
            f"itemsize {item} requiring a storage size of {layout.reach() * item} are out of "
            f"bounds for storage of size {input._storage.nbytes()}"
        )
    own = input._layout
    if own.dense():
        return view_of(input, layout, "AsStrided", strided_inverse(own, layout))
    return view_of(input, layout, "AsStrided", _gather_inverse(own, layout))


def _gather_inverse(own: Layout, view: Layout) -> Callable:
    """As strided_inverse for an operand with gaps: through flat memory that spans both."""

    def inverse(g: Tensor) -> Tensor:
        numel = max(own.reach(), view.reach())
        flat = core.strided_backward(g, numel, view.strides, view.offset)
        return core.clone(flat.as_strided(own.shape, own.strides, own.offset))

    return inverse


def permute(input: Tensor, *dims: Any) -> Tensor:
    """Dimension i of the result is dimension dims[i], as `torch.permute`."""
    order = sizes(dims)
    layout = input._layout
    if len(order) != layout.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {layout.ndim} is not "
            f"equal to len(dims) = {len(order)}"
        )
    order = tuple(normalize_axis(d, layout.ndim) for d in order)
    if len(set(order)) != len(order):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    back = tuple(order.index(d) for d in range(len(order)))
    made = _with(input, [layout.shape[d] for d in order], [layout.strides[d] for d in order])
    return view_of(input, made, "Permute", lambda g: permute(g, back))


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged, as `torch.transpose`."""
    layout = input._layout
    a, b = normalize_axis(dim0, layout.ndim), normalize_axis(dim1, layout.ndim)
    shape, strides = list(layout.shape), list(layout.strides)
    if layout.ndim:
        shape[a], shape[b], strides[a], strides[b] = shape[b], shape[a], strides[b], strides[a]
    return view_of(input, _with(input, shape, strides), "Transpose", lambda g: transpose(g, a, b))


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; vectors and scalars as they are, as `torch.t`."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    made = (
        transpose(input, 0, 1)
        if input.ndim == 2
        else view_of(input, input._layout, "T", lambda g: g)
    )
    if isinstance(made._grad_fn, ViewGradFn):
        made._grad_fn.entitle("T")
    return made


def expand(self: Tensor, *shape: Any, implicit: bool = False) -> Tensor:
    """Dimensions of length one (and new leading ones) repeated without copying, as
    `torch.Tensor.expand`.
    """
    wanted = list(sizes(shape))
    layout = self._layout
    lead = len(wanted) - layout.ndim
    if lead < 0:
        raise RuntimeError(
            f"expand({layout.dtype.name}{list(layout.shape)}, size={wanted}): the number of sizes "
            f"provided ({len(wanted)}) must be greater or equal to the number of dimensions in the "
            f"tensor ({layout.ndim})"
        )
    strides = [0] * len(wanted)
    for d in range(len(wanted) - 1, -1, -1):
        have = layout.shape[d - lead] if d >= lead else 1
        if wanted[d] == -1:
            if d < lead:
                raise RuntimeError(
                    "expand(): The expanded size of the tensor (-1) isn't allowed in a leading, "
                    f"non-existing dimension {d}"
                )
            wanted[d] = have
        elif wanted[d] < 0 or (have not in (1, wanted[d])):
            raise RuntimeError(
                f"The expanded size of the tensor ({wanted[d]}) must match the existing size "
                f"({have}) at non-singleton dimension {d}.  Target sizes: {wanted}.  Tensor sizes: "
                f"{list(layout.shape)}"
            )
        if d >= lead and have == wanted[d]:
            strides[d] = layout.strides[d - lead]
        elif wanted[d] == 1:
            strides[d] = wanted[d + 1] * strides[d + 1] if d + 1 < len(wanted) else 1
    old = tuple(layout.shape)
    return view_of(self, _with(self, wanted, strides), "Expand", lambda g: core.sum_to(g, old))


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """One element of a dimension, which is dropped, as `torch.select`."""
    layout = input._layout
    if not layout.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = normalize_axis(dim, layout.ndim)
    extent = layout.shape[axis]
    index = index.__index__()
    if not -extent <= index < extent:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(layout.shape)} at "
            f"dimension {axis}"
        )
    index %= extent
    shape, strides = list(layout.shape), list(layout.strides)
    offset = layout.offset + index * strides[axis]
    old = tuple(shape)
    del shape[axis], strides[axis]
    starts = tuple(index if d == axis else 0 for d in range(len(old)))

    def inverse(g: Tensor) -> Tensor:
        return core.slice_backward(unsqueeze(g, axis), old, starts, (1,) * len(old))

    return view_of(input, _with(input, shape, strides, offset), "Select", inverse)


def slice_view(
    input: Tensor, dim: int, start: int | None, stop: int | None, step: int | None = 1
) -> Tensor:
    """Every step-th element of a dimension from start to stop (Python's rules, step positive)."""
    layout = input._layout
    axis = normalize_axis(dim, layout.ndim)
    step = 1 if step is None else step.__index__()
    if step <= 0:
        raise ValueError("step must be greater than zero")
    start, stop, step = slice(start, stop, step).indices(layout.shape[axis])
    length = max(0, (stop - start + step - 1) // step)
    shape, strides = list(layout.shape), list(layout.strides)
    old = tuple(shape)
    offset = layout.offset + start * strides[axis]
    shape[axis] = length
    strides[axis] *= step
    starts = tuple(start if d == axis else 0 for d in range(len(old)))
    steps = tuple(step if d == axis else 1 for d in range(len(old)))
    return view_of(
        input,
        _with(input, shape, strides, offset),
        "Slice",
        lambda g: core.slice_backward(g, old, starts, steps),
    )


def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """`length` elements of a dimension from `start`, as `torch.narrow`."""
    if not input.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if isinstance(start, Tensor) and (start.ndim or start.dtype.kind != "int"):
        raise RuntimeError(f"start must be an 0-dim integral Tensor, but got {start._layout!r}")
    axis = normalize_axis(dim, input.ndim)
    extent = input.shape[axis]
    start = int(start)
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -extent <= start <= extent:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-extent}, {extent}], but got "
            f"{start})"
        )
    start += extent if start < 0 else 0
    if start + length > extent:
        raise RuntimeError(
            f"start ({start}) + length ({length}) exceeds dimension size ({extent})."
        )
    return slice_view(input, axis, start, start + length)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new dimension of length one, as `torch.unsqueeze`."""
    layout = input._layout
    axis = normalize_axis(dim, layout.ndim + 1)
    shape, strides = list(layout.shape), list(layout.strides)
    strides.insert(axis, strides[axis] * shape[axis] if axis < layout.ndim else 1)
    shape.insert(axis, 1)
    return view_of(input, _with(input, shape, strides), "Unsqueeze", lambda g: squeeze(g, axis))


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Dimensions of length one dropped (all, or those named), as `torch.squeeze`."""
    layout = input._layout
    if dim is None:
        named, number = set(range(layout.ndim)), 0
    else:
        number = 1 if isinstance(dim, int) else 2
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        named = {normalize_axis(d, layout.ndim) for d in dims}
    kept = [d for d in range(layout.ndim) if d not in named or layout.shape[d] != 1]
    old = tuple(layout.shape)
    made = _with(input, [layout.shape[d] for d in kept], [layout.strides[d] for d in kept])
    return view_of(input, made, f"SqueezeBackward{number}", lambda g: g.reshape(old))


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two dimensions as a new last one, as `torch.diagonal`."""
    layout = input._layout
    a, b = normalize_axis(dim1, layout.ndim), normalize_axis(dim2, layout.ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    rows, columns = layout.shape[a], layout.shape[b]
    length = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    start = layout.offset + (
        offset * layout.strides[b] if offset >= 0 else -offset * layout.strides[a]
    ) * (length > 0)
    kept = [d for d in range(layout.ndim) if d not in (a, b)]
    made = _with(
        input,
        [layout.shape[d] for d in kept] + [length],
        [layout.strides[d] for d in kept] + [layout.strides[a] + layout.strides[b]],
        start,
    )
    dense = layout_of(
        layout.shape, contiguous_strides(layout.shape), 0, layout.dtype, layout.device
    )

    def inverse(g: Tensor) -> Tensor:
        window = diagonal(make_tensor(input_storage_like(dense), dense), offset, a, b)._layout
        return strided_inverse(dense, window)(g)

    return view_of(input, made, "Diagonal", inverse)


def input_storage_like(layout: Layout) -> Any:
    """A valueless storage, to work out geometry on."""
    from .storage import Storage

    return Storage(-1, 0, layout.numel, layout.dtype)


def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of a dimension, every `step`, as a new last dimension, as `torch.Tensor.unfold`."""
    layout = self._layout
    axis = normalize_axis(dimension, layout.ndim)
    extent = layout.shape[axis] if layout.ndim else 1
    if size > extent:
        raise RuntimeError(
            f"maximum size for tensor at dimension {axis} is {extent} but size is {size}"
        )
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    shape = list(layout.shape) or [1]
    strides = list(layout.strides) or [1]
    inner = strides[axis]
    shape[axis] = (extent - size) // step + 1
    strides[axis] *= step
    if not layout.ndim:
        shape, strides = [], []
    made = _with(self, [*shape, size], [*strides, inner])
    dense = layout_of(
        layout.shape, contiguous_strides(layout.shape), 0, layout.dtype, layout.device
    )

    def inverse(g: Tensor) -> Tensor:
        window = unfold(make_tensor(input_storage_like(dense), dense), axis, size, step)._layout
        return strided_inverse(dense, window)(g)

    return view_of(self, made, "Unfold", inverse)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All slices along a dimension, as `torch.unbind`."""
    if not input.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    axis = normalize_axis(dim, input.ndim)
    return pieces_of(
        input,
        lambda: [select(input, axis, k) for k in range(input.shape[axis])],
        "Unbind",
        lambda grads: core.stack(grads, axis),
    )


FUNCTIONS = (
    reshape,
    as_strided,
    permute,
    transpose,
    t,
    select,
    narrow,
    unsqueeze,
    squeeze,
    diagonal,
    unbind,
)
METHODS = (*FUNCTIONS, view, expand, unfold)

__all__ = ["FUNCTIONS", "METHODS", "Size", "view_of"]
