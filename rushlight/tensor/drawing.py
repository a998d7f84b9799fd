"""From drawn numbers to tensors: which element gets which number, and how a draw overwrites a
tensor.

In: a layout (or a tensor to fill) and a function that draws. Out: the tensor. Invariants: numbers
are drawn at the call, in program order, under the generator's lock; they follow the memory of the
tensor that they fill, as PyTorch's do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.modes import MODE
from ..base import dtype as dtypes
from ..base.layout import Layout, contiguous_layout, contiguous_strides, with_batch
from ..graph.trace import LOCK
from ..ops import core
from ..runtime.buffer import Buffer
from .creation import require_memory
from .generator import Generator, default_generator
from .inplace import check_writable, count_write, overwrite
from .storage import Storage
from .tensor import Tensor, make_tensor

if TYPE_CHECKING:
    from ..runtime.random import Mt19937

    # draw(engine, count, dtype, contiguous) -> that many numbers, in the dtype as stored
    Draw = Callable[[Mt19937, int, dtypes.dtype, bool], np.ndarray]


def streams() -> ModuleType:
    """The random streams, loaded when they are first drawn from (a program that draws nothing need
    not wait).
    """
    from ..runtime import random

    return random


def draw_numbers(draw: Draw, layout: Layout, generator: Generator | None) -> np.ndarray:
    """The numbers for a tensor of this layout, in the order in which its memory is visited.

    A complex tensor takes two real numbers for each element.
    """
    source = default_generator if generator is None else generator
    if not isinstance(source, Generator):
        raise TypeError(
            f"argument 'generator' must be a rushlight.Generator, not {type(source).__name__}"
        )
    pair = layout.dtype.is_complex
    with source.lock:
        values = draw(
            source.engine, layout.numel * (1 + pair), layout.dtype.real, layout.contiguous
        )
    values = np.asarray(values)
    if values.dtype.kind == "b" or (values.dtype.kind == "i" and layout.dtype.kind != "int"):
        values = streams().arithmetic.to_storage(values, layout.dtype.real)
    return values.reshape(-1).view(layout.dtype.numpy) if pair else values.reshape(-1)


def buffer_of(values: np.ndarray) -> Buffer:
    """Memory of its own with the numbers in it."""
    buffer = Buffer(values.nbytes)
    if values.size:
        buffer.numpy(values.dtype)[: values.size] = values
    return buffer


def drawn(
    layout: Layout, draw: Draw, generator: Generator | None, requires_grad: bool = False
) -> Tensor:
    """A new tensor of a dense layout, filled with drawn numbers (inside vmap with
    randomness="different", with numbers for each example).
    """
    if MODE.levels:
        layout = for_examples(layout)
    if layout.device.type == "meta":
        made = make_tensor(Storage(-1, 0, layout.whole.numel, layout.dtype), layout)
    else:
        require_memory(layout.whole)
        values = draw_numbers(draw, layout.whole, generator)
        made = make_tensor(Storage.of(buffer_of(values), layout.whole.numel, layout.dtype), layout)
    return made.requires_grad_() if requires_grad else made


def for_examples(layout: Layout) -> Layout:
    """The layout of what is drawn inside the vmaps that are being run: with an axis for each whose
    randomness is "different".

    RuntimeError in a vmap whose randomness is "error".
    """
    if any(level.randomness == "error" for level in MODE.levels):
        raise RuntimeError(
            "vmap: called random operation while in randomness error mode. Please either use the "
            "'same' or 'different' randomness flags on vmap or perform the randomness operation "
            "out of vmap"
        )
    apart = [level for level in MODE.levels if level.randomness == "different"]
    numbers = {axis[0] for axis in layout.batch}
    extents = [level.extent for level in apart]
    steps = contiguous_strides((*extents, layout.numel))
    axes = [
        (level.number, level.extent, step)
        for level, step in zip(apart, steps)
        if level.number not in numbers
    ]
    return with_batch(layout, [*layout.batch, *axes]) if axes else layout


def of_parameters(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function that draws from tensors of parameters, made fit for vmap: it draws for all
    examples at once, in those levels that are "different" or that the parameters vary along.
    """

    @wraps(function)
    def drawing(*args: Any, **kwargs: Any) -> Tensor:
        tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)]
        if not MODE.levels or not tensors:
            return function(*args, **kwargs)
        from .batching import hide, show

        drawn_for = for_examples(contiguous_layout((), dtypes.bool_))
        numbers = {axis[0] for layout in (drawn_for, *(x._layout for x in tensors))
                   for axis in layout.batch}  # fmt: skip
        levels = [level for level in MODE.levels if level.number in numbers]
        rank = max((x.ndim for x in tensors), default=0)

        def shown(x: Any) -> Any:
            if not isinstance(x, Tensor):
                return x
            return show(x.reshape((*(1,) * (rank - x.ndim), *x.shape)), levels)

        outer, MODE.levels = MODE.levels, ()
        try:
            made = function(*map(shown, args), **{k: shown(x) for k, x in kwargs.items()})
        finally:
            MODE.levels = outer
        return hide(made, levels)

    return drawing


def draw_into(target: Tensor, draw: Draw, generator: Generator | None) -> Tensor:
    """Overwrite a tensor with drawn numbers; returns it."""
    check_writable(target)
    layout = target._layout
    if layout.device.type == "meta":
        return target
    if MODE.levels:
        plain = contiguous_layout(layout.shape, layout.dtype)
        return overwrite(target, drawn(plain, draw, generator), check=False)
    values = draw_numbers(draw, layout, generator)
    storage = target._storage
    covers = layout.numel == storage.numel and layout.dtype is storage.dtype and layout.dense()
    if not covers or storage.outside() or (MODE.grad and target.requires_grad):
        return overwrite(target, core.copy(target, placed(values, layout)), check=False)
    buffer = buffer_of(values)
    with LOCK:  # what was recorded with the old value holds its buffer already
        storage.buffer, storage.epoch, storage.index, storage.error = buffer, -1, 0, None
        count_write(target)
    return target


def placed(values: np.ndarray, layout: Layout) -> Tensor:
    """The numbers, drawn in the order of a layout's memory, as a tensor of its shape."""
    logical = np.ascontiguousarray(streams().arrange(values, layout.shape, layout.strides)).reshape(
        -1
    )
    return make_tensor(
        Storage.of(buffer_of(logical), layout.numel, layout.dtype),
        contiguous_layout(layout.shape, layout.dtype),
    )


def detached_result(input: Tensor, values: Tensor) -> Tensor:
    """Drawn values as a function of what they were drawn from: its gradient is zero."""
    return core.copy(input, values) if input.requires_grad and MODE.grad else values


def number(value: Any) -> Any:
    """A Python number of what may be a tensor."""
    return value.item() if isinstance(value, Tensor) else value
