"""`x[...]` and `x[...] = v`: indices become views, then rows for what integers and masks select.

In: a tensor, an index expression, a value. Out: a tensor, or the tensor overwritten. Invariants:
ints, slices, None and `...` make views only and never look at values; a mask that is assigned a
value which does not depend on how many elements it selects is a `where`; any other mask is read (a
synchronisation point) to find its positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.dtype import TYPE_NAMES
from ..base.layout import Layout, contiguous_strides, layout_of
from ..ops import core, masking
from ..ops import indexing as rows
from ..ops import namespace as ops
from ..ops.signature import elementwise_strides
from . import views
from .conversion import from_array
from .indexing import (
    Advanced,
    ParsedIndex,
    Select,
    Slice,
    broadcast_index_shapes,
    check_bounds,
    parse_index,
)
from .inplace import check_overlap, check_writable, overwrite
from .methods import filled
from .tensor import Tensor
from .values import window

# positions are checked at the call where that costs no more than a few microseconds; always when
# the program runs
_CHECKED_AT_CALL = 1 << 16


def is_tensor(value: object) -> bool:
    return isinstance(value, Tensor)


def simple_view(x: Tensor, items: tuple) -> Tensor | None:
    """The view that ints, slices, None and one `...` select, x itself if that is all of it; None
    where anything else, or an error, is found.
    """
    axis = 0
    result = x
    for number, item in enumerate(items):
        kind = item.__class__
        layout = result._layout
        if kind is int:
            if axis >= layout.ndim or not -layout.shape[axis] <= item < layout.shape[axis]:
                return None
            result = views.select(result, axis, item)
        elif kind is slice:
            if axis >= layout.ndim or (
                item.step is not None and (item.step.__class__ is not int or item.step <= 0)
            ):
                return None
            if not _is_whole(item, layout.shape[axis]):
                result = views.slice_view(result, axis, item.start, item.stop, item.step)
            axis += 1
        elif item is None:
            result = views.unsqueeze(result, axis)
            axis += 1
        elif item is Ellipsis:
            rest = items[number + 1 :]
            if any(
                other.__class__ is not int and other.__class__ is not slice and other is not None
                for other in rest
            ):
                return None
            axis = layout.ndim - sum(other is not None for other in rest)
            if axis < 0:
                return None
        else:
            return None
    return result


def _is_whole(item: slice, size: int) -> bool:
    """If a slice takes every element of a dimension and says so in plain numbers."""
    start, stop, step = item.start, item.stop, item.step
    return (
        (start is None or (start.__class__ is int and start == 0))
        and (stop is None or (stop.__class__ is int and stop >= size))
        and (step is None or (step.__class__ is int and step == 1))
    )


def alias(x: Tensor) -> Tensor:
    """The whole tensor as a view of itself."""
    return views.view_of(x, x._layout, "Alias", lambda g: g)


def stepped(x: Tensor, parsed: ParsedIndex) -> Tensor:
    """The view that the steps of a parsed index lead to."""
    for step in parsed.steps:
        if isinstance(step, Select):
            x = views.select(x, step.dim, step.at)
        elif isinstance(step, Slice):
            if (step.start, step.stop, step.step) != (0, x._layout.shape[step.dim], 1):
                x = views.slice_view(x, step.dim, step.start, step.stop, step.step)
        else:
            x = views.unsqueeze(x, step.dim)
    return x


def __getitem__(self: Tensor, index: Any) -> Tensor:
    items = index if index.__class__ is tuple else (index,)
    found = simple_view(self, items)
    if found is not None:
        if found is not self:
            return found
        return views.slice_view(self, 0, None, None) if index.__class__ is slice else alias(self)
    parsed = parse_index(index, self._layout.shape, is_tensor)
    x = stepped(self, parsed)
    if not parsed.advanced:
        return alias(x) if x is self else x
    x, advanced = merged(x, parsed.advanced)
    positions, dims = resolved(x, advanced)
    made = rows.index(x, positions, dims, parsed.position)
    if all(t._layout.strides == contiguous_strides(t._layout.shape) for t in (x, *positions)):
        return made
    strides = gathered_strides(
        x._layout, [p._layout for p in positions], dims, parsed.position, made._layout.shape
    )
    return made if strides == made._layout.strides else core.restride(made, strides)


def gathered_strides(
    x: Layout, positions: list[Layout], dims: tuple[int, ...], place: int, shape: Sequence[int]
) -> tuple[int, ...]:
    """The strides PyTorch gives x at advanced positions: the order of dimensions that x and the
    positions agree on.
    """
    rest = [x.strides[d] for d in range(x.ndim) if d not in dims]
    among = len(shape) - len(rest)
    operands = [(*rest[:place], *(0,) * among, *rest[place:])]
    for p in positions:
        lead, trail = place + among - p.ndim, len(rest) - place
        sizes = (*(1,) * lead, *p.shape, *(1,) * trail)
        # A dimension of length one takes part in the order only where the result's has length one.
        operands.append(
            tuple(
                0 if size == 1 != full else st
                for size, full, st in zip(sizes, shape, _spread(p, lead, trail))
            )
        )
    return elementwise_strides(
        tuple(shape), [layout_of(shape, strides, 0, x.dtype) for strides in operands]
    )


def _spread(p: Layout, lead: int, trail: int) -> tuple[int, ...]:
    """The strides of p seen with that many dimensions of length one before and after its own, each
    of length one as far apart as what lies within it is long.
    """
    step = p.strides[-1] if p.ndim else 1
    strides = [step] * trail
    for size, stride in zip(reversed(p.shape), reversed(p.strides)):
        strides.append(step if size == 1 else stride)
        step = step if size == 1 else size * stride
    return (*(step,) * lead, *reversed(strides))


def merged(x: Tensor, advanced: tuple[Advanced, ...]) -> tuple[Tensor, tuple[Advanced, ...]]:
    """A mask over several dimensions as one over these seen as one: one vector of positions
    instead of several.
    """
    entry = advanced[0]
    if len(advanced) > 1 or not entry.is_mask or entry.span < 2 or not x._layout.contiguous:
        return x, advanced
    flat = x.flatten(entry.dim, entry.dim + entry.span - 1)
    return flat, (Advanced(entry.dim, entry.values.reshape(-1), True),)


def resolved(x: Tensor, advanced: tuple[Advanced, ...]) -> tuple[list[Tensor], tuple[int, ...]]:
    """Integer tensors and their dimensions for advanced indices; masks are read here."""
    positions: list[Tensor] = []
    dims: list[int] = []
    for entry in advanced:
        found = mask_positions(entry.values) if entry.is_mask else [as_positions(entry.values, x)]
        for at, position in enumerate(found):
            dim = entry.dim + at
            positions.append(position)
            dims.append(dim)
    if all(position._layout.numel for position in positions):  # else nothing is read
        for position, dim in zip(positions, dims):
            check_known(position, x._layout.shape[dim], dim)
    return positions, tuple(dims)


def as_positions(values: Any, x: Tensor) -> Tensor:
    """An array of positions as a tensor beside x."""
    return values if isinstance(values, Tensor) else from_array(values, dtypes.int64, x.device)


def mask_positions(mask: Any) -> list[Tensor]:
    """Where a mask holds, one int64 tensor for each of its dimensions (reads the mask)."""
    found = window(mask) if isinstance(mask, Tensor) else mask
    return [from_array(at, dtypes.int64) for at in np.nonzero(found)]


def known(x: Tensor) -> bool:
    """Whether the values can be looked at without computing anything, and cheaply."""
    storage = x._storage
    return not x._layout.batch and (
        storage.buffer is not None and not storage.pending() and x._layout.numel <= _CHECKED_AT_CALL
    )


def check_known(position: Tensor, size: int, dim: int) -> None:
    """IndexError now, on the user's line, for positions whose values are there already."""
    if known(position):
        check_bounds(window(position), size, dim)


# --- assignment -----------------------------------------------------------------------------------


def __setitem__(self: Tensor, index: Any, value: Any) -> None:
    value = checked_value(self, value)
    items = index if index.__class__ is tuple else (index,)
    view = simple_view(self, items)
    if view is not None:
        store(view, value)
        return
    parsed = parse_index(index, self._layout.shape, is_tensor)
    view = stepped(self, parsed)
    if not parsed.advanced:
        store(view, value)
    elif (
        len(parsed.advanced) == 1
        and parsed.advanced[0].is_mask
        and fits_every(view, parsed.advanced[0], value)
    ):
        check_writable(view)
        overwrite(view, masked(view, parsed.advanced[0], value), check=False)
    else:
        put(view, parsed, value)


def checked_value(x: Tensor, value: Any) -> Any:
    """A tensor or a Python number; TypeError for anything else."""
    if isinstance(value, (Tensor, bool, int, float, complex)):
        return value
    if isinstance(value, np.generic) or (getattr(value, "ndim", 1) == 0 and hasattr(value, "item")):
        return value.item()
    raise TypeError(
        f"can't assign a {type(value).__name__} to a torch.{TYPE_NAMES[x.dtype.name]}Tensor"
    )


def without_leading_ones(value: Tensor, ndim: int) -> Tensor:
    """Leading dimensions of length one dropped, as assignment allows them."""
    while value._layout.ndim > ndim and value._layout.shape[0] == 1:
        value = value.select(0, 0)
    return value


def store(view: Tensor, value: Any) -> None:
    """Overwrite a view with a tensor that broadcasts to it, or with a number."""
    check_writable(view)
    if isinstance(value, Tensor):
        check_overlap(view, (value,))
        made = core.copy(view, without_leading_ones(value, view._layout.ndim))
    else:
        made = filled(view, fitting(view, value))
    overwrite(view, made, check=False)


def fitting(x: Tensor, value: Any) -> Any:
    """A Python number that x's dtype can hold; RuntimeError for a complex one in a real tensor."""
    if isinstance(value, complex) and not x.dtype.is_complex:
        raise RuntimeError(
            f"value cannot be converted to type {x.dtype.name} without overflow: {value}"
        )
    return value


def fits_every(view: Tensor, entry: Advanced, value: Any) -> bool:
    """Whether an assigned value is the same for every element that the mask selects."""
    behind = view._layout.ndim - entry.dim - entry.span
    if not isinstance(value, Tensor):
        return True
    return value._layout.ndim <= behind and (value.dtype is view.dtype or value._layout.ndim == 0)


def masked(view: Tensor, entry: Advanced, value: Any) -> Tensor:
    """The view with a value where the mask holds."""
    mask = (
        entry.values
        if isinstance(entry.values, Tensor)
        else from_array(entry.values, dtypes.bool_, view.device)
    )
    behind = view._layout.ndim - entry.dim - entry.span
    mask = core.cast(mask, dtypes.bool_).reshape((*mask.shape, *(1,) * behind))
    if isinstance(value, Tensor):
        selected = view._layout.shape[entry.dim + entry.span :]
        if any(n not in (1, m) for n, m in zip(reversed(value.shape), reversed(selected))):
            raise RuntimeError(
                f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to "
                "indexing result with "
                f"trailing dimensions {list(selected)}"
            )
        if value._layout.ndim:
            return core.where(mask, value, view)
    return masking.masked_fill(view, mask, fitting(view, value))


def put(view: Tensor, parsed: ParsedIndex, value: Any) -> None:
    """Store a value at advanced indices of a view."""
    check_writable(view)
    x, advanced = merged(view, parsed.advanced)
    positions, dims = resolved(x, advanced)
    if isinstance(value, Tensor):
        among = broadcast_index_shapes([tuple(p.shape) for p in positions])
        value = without_leading_ones(value, x._layout.ndim - len(dims) + len(among))
        if value._layout.ndim == 0:
            value = core.cast(value, view.dtype)
    else:
        value = fitting(view, value)
    made = rows.index_write(x, positions, value, dims, parsed.position, False)
    overwrite(view, made if x is view else views.reshape(made, view._layout.shape), check=False)


def __delitem__(self: Tensor, index: Any) -> None:
    raise TypeError("Tensor does not support deleting items")


def __iter__(self: Tensor) -> Iterator[Tensor]:
    if not self._layout.ndim:
        raise TypeError("iteration over a 0-d tensor")
    return iter(views.unbind(self, 0))


def __reversed__(self: Tensor) -> Tensor:
    return ops.flip(self, (0,)) if self._layout.ndim else self


def __contains__(self: Tensor, element: Any) -> bool:
    if not isinstance(element, (Tensor, bool, int, float, complex)):
        raise RuntimeError(
            "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
            f"{type(element)}."
        )
    return bool(ops.any(ops.eq(self, element), None, False))


METHODS = {
    "__getitem__": __getitem__,
    "__setitem__": __setitem__,
    "__delitem__": __delitem__,
    "__iter__": __iter__,
    "__reversed__": __reversed__,
    "__contains__": __contains__,
}
