"""Batch axes: dimensions of a tensor moved out of sight and back, as views.

In: tensors and levels. Out: tensors on the same memory whose layout has (or no longer has) batch
axes. Invariants: hiding and showing are views on the tape, each the other's gradient; every such
entry of the tape holds the levels that it speaks of, so a level's number is not given again while
a value of that level can still be met.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from weakref import WeakValueDictionary

from ..autograd.entries import TAPE_HOOKS, AccumulateGrad, GradFn
from ..autograd.modes import MODE
from ..autograd.names import next_sequence
from ..base.layout import Layout, layout_of, with_batch
from ..ops import core
from .tensor import Tensor
from .views import strided_inverse, window_of


class Level:
    """One vmap: the number under which layouts know it, its extent, and what random functions do
    in it.
    """

    __slots__ = ("__weakref__", "extent", "number", "randomness", "sequence")

    def __init__(self, extent: int, randomness: str = "error") -> None:
        self.extent = extent
        self.randomness = randomness
        self.sequence = next_sequence()  # entries of the tape with a larger one are inside
        with _LOCK:
            self.number = next(n for n in range(1, len(_ALIVE) + 2) if n not in _ALIVE)
            _ALIVE[self.number] = self

    def __enter__(self) -> Level:
        MODE.levels = (*MODE.levels, self)
        return self

    def __exit__(self, *exception: object) -> None:
        MODE.levels = MODE.levels[:-1]


_LOCK = threading.Lock()
_ALIVE: WeakValueDictionary[int, Level] = WeakValueDictionary()


def levels_of(layout: Layout) -> list[Level]:
    """The levels along which the tensors of a layout vary."""
    return [_ALIVE[number] for number, _, _ in layout.batch]


def shown_layout(layout: Layout, levels: Sequence[Level]) -> Layout:
    """The layout with the batch axes of these levels as its first dimensions, in this order; a
    level that it lacks is a repetition.
    """
    strides = {number: stride for number, _, stride in layout.batch}
    numbers = [level.number for level in levels]
    made = layout_of(
        (*(level.extent for level in levels), *layout.shape),
        (*(strides.get(number, 0) for number in numbers), *layout.strides),
        layout.offset,
        layout.dtype,
        layout.device,
    )
    return with_batch(made, [axis for axis in layout.batch if axis[0] not in numbers])


def show(x: Tensor, levels: Sequence[Level]) -> Tensor:
    """The tensor with these levels as its first dimensions."""
    if not levels:
        return x
    layout = shown_layout(x._layout, levels)
    return window_of(x, layout, "Show", lambda g: hide(g, levels))


def hide(x: Tensor, levels: Sequence[Level]) -> Tensor:
    """The tensor with its first dimensions as the batch axes of these levels."""
    if not levels:
        return x
    layout, count = x._layout, len(levels)
    axes = [
        (level.number, level.extent, stride)
        for level, stride in zip(levels, layout.strides[:count])
    ]
    example = layout_of(
        layout.shape[count:], layout.strides[count:], layout.offset, layout.dtype, layout.device
    )
    made = with_batch(example, [*layout.batch, *axes])
    return window_of(x, made, "Hide", lambda g: show(g, levels))


def whole_values(x: Tensor, like: Layout) -> Tensor:
    """The values for every example of `like`, in the shape of its whole.

    RuntimeError where they vary along a level that `like` does not have.
    """
    have = {number for number, _, _ in like.batch}
    if any(number not in have for number, _, _ in x._layout.batch):
        raise RuntimeError(
            "vmap: inplace arithmetic(self, *extra_args) is not possible because the value that is "
            "to be stored holds one tensor for each example, and the tensor that is to be "
            f"overwritten (of shape {list(like.shape)}) is one for all of them: use the "
            "out-of-place operation, or make the tensor inside the function."
        )
    return show(x, levels_of(like))


def shared_inverse(base: Layout, view: Layout) -> Callable[[Tensor], Tensor]:
    """The gradient of a view that vmap makes a view of each example, back in the base's shape."""
    levels = levels_of(view)
    plain = strided_inverse(base, view.whole)
    return lambda g: plain(show(g, levels))


def spread(x: Tensor, model: Layout) -> Tensor:
    """A copy of a tensor for each example of a layout's levels."""
    levels = levels_of(model)
    return core.clone(hide(show(x, levels), levels))


def _left(grad: Tensor, function: GradFn) -> Tensor:
    """A gradient that goes to a function, the vmaps that it leaves on the way as dimensions (which
    are then summed over).

    A vmap is left where it is over and the function was made before it began: it stands for one
    tensor that all examples used. What was made inside belongs to each example, be it the same for
    all; and while the vmap runs, so does every gradient: `vmap(grad(f))` wants them apart.
    """
    # what ends at a leaf is made when it is first needed, but the leaf was there before
    born = -1 if isinstance(function, AccumulateGrad) else function.sequence
    active = MODE.levels
    return show(
        grad,
        [
            level
            for level in levels_of(grad._layout)
            if level not in active and born < level.sequence
        ],
    )


TAPE_HOOKS.leave = staticmethod(_left)  # type: ignore[assignment]
