"""From an op and the layouts of its operands to a Signature: runs the body once on placeholders.

In: a row, its arguments with tensors replaced by layouts. Out: a Signature. Invariant: whatever is
wrong with shapes, dtypes, devices or static arguments raises here, that is at the user's call,
before anything is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..base.device import CPU, device
from ..base.layout import (
    Layout,
    channels_last_strides,
    contiguous_strides,
    is_dense,
    layout_of,
    ordered_strides,
    suggests_channels_last,
    with_batch,
)
from ..graph.build import scalar
from ..graph.node import Node
from .registry import VALUE, VALUES, Op, Signature

# Beyond this the bytes of a tensor cannot be counted in 64 bits.
MOST_ELEMENTS = 2**60


def make_signature(row: Op, args: tuple) -> Signature:
    """`args`: the call's arguments with a Layout for each tensor and a type object for each runtime
    number.
    """
    inputs: list[Node] = []
    scalars: list[Node] = []
    layouts: list[Layout] = []

    def placeholder(value: Any) -> Any:
        if isinstance(value, Layout):
            node = Node("input", (), value.shape, value.dtype, (len(inputs), value))
            inputs.append(node)
            layouts.append(value)
            return node
        node = scalar(len(scalars), value)
        scalars.append(node)
        return node

    bound = []
    refuse_numbers(row, args)
    for kind, value in zip(row.kinds, args):
        if kind == VALUES and value is not None:
            bound.append([placeholder(v) for v in value])
        elif kind and value is not None:
            bound.append(placeholder(value))
        else:
            bound.append(value)
    where = common_device(row.__name__, layouts)
    try:
        made = call_body(row, bound)
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        raise explained(error, row, args) from None
    outputs = made if isinstance(made, tuple) else (made,)
    for out in outputs:
        if out.numel >= MOST_ELEMENTS:
            raise RuntimeError(
                f"{row.__name__}(): Storage size calculation overflowed with "
                f"sizes={list(out.shape)}"
            )
    results = tuple(
        output_layout(row, out, stride_rule(row, k, bound), layouts, where)
        for k, out in enumerate(outputs)
    )
    if any(layout.batch for layout in layouts):
        inputs, outputs, results = _of_batch(inputs, layouts, outputs, results)
    return Signature(row, inputs, scalars, outputs, results, args)


def _of_batch(
    inputs: list[Node], layouts: list[Layout], outputs: tuple[Node, ...], results: tuple
) -> tuple[list[Node], tuple[Node, ...], tuple[Layout, ...]]:
    """Operands and results of one example made those of the batch that the operands' layouts
    name.
    """
    from ..graph.batch import Lifted, over_batches  # here: only vmap needs it

    extents = {level: extent for x in layouts for level, extent, _ in x.batch}
    lifted = [
        Lifted(
            Node("input", (), x.whole.shape, x.dtype, (k, x.whole)),
            tuple(level for level, _, _ in x.batch),
        )
        for k, x in enumerate(layouts)
    ]
    stand_in = {id(old): new for old, new in zip(inputs, lifted)}
    made = over_batches(outputs, stand_in, extents)
    batched = []
    for out, layout in zip(made, results):
        steps = contiguous_strides((*(extents[level] for level in out.levels), layout.numel))
        axes = [(level, extents[level], step) for level, step in zip(out.levels, steps)]
        batched.append(with_batch(layout, axes))
    return [x.node for x in lifted], tuple(out.node for out in made), tuple(batched)


def refuse_numbers(row: Op, args: tuple) -> None:
    """TypeError for a Python number where the op takes tensors only, and for None where it takes
    one or the other.
    """
    annotations = row.body.__annotations__
    for value, name in zip(args, row.names):
        if value is None and annotations.get(name) in ("Value", "TensorValue"):
            raise TypeError(f"{row.__name__}(): argument '{name}' must be Tensor, not NoneType")
    for place, (numberless, value) in enumerate(zip(row.numberless, args)):
        if numberless and isinstance(value, type):
            raise TypeError(
                f"{row.__name__}(): argument '{row.names[place]}' (position {place + 1}) must be "
                f"Tensor, not {value.__name__}: make one with tensor()"
            )
    public = not {"torch", "special"}.isdisjoint(row.surface.split())
    if public and row.kinds[0] == VALUE and not any(isinstance(a, (Layout, list)) for a in args):
        kinds = ", ".join(a.__name__ for a in args if isinstance(a, type))
        raise TypeError(f"{row.__name__}() takes at least one Tensor, but got ({kinds})")


def explained(error: Exception, row: Op, args: tuple) -> Exception:
    """The same error with the op and every operand at the end of its message."""
    if type(error).__init__ not in (
        RuntimeError.__init__,
        IndexError.__init__,
        ValueError.__init__,
        TypeError.__init__,
    ):
        return error  # a class of its own, with a message of its own
    operands = ", ".join(
        f"{name}: {value!r}" for name, value in zip(row.names, args) if isinstance(value, Layout)
    )
    return type(error)(f"{error} [in {row.__name__}({operands})]" if operands else str(error))


def call_body(row: Op, bound: list) -> Any:
    """The body with positional and keyword-only parameters told apart."""
    positional = row.body.__code__.co_argcount
    return row.body(*bound[:positional], **dict(zip(row.names[positional:], bound[positional:])))


def common_device(name: str, layouts: list[Layout]) -> device:
    """The device of all operands; a zero-dimensional CPU tensor may meet any.

    RuntimeError names both devices.
    """
    found: Layout | None = None
    for layout in layouts:
        if found is None or (found.device == CPU and found.ndim == 0):
            found = layout
        elif layout.device != found.device and not (layout.device == CPU and layout.ndim == 0):
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but {name} got {found.device} "
                f"({found}) and {layout.device} ({layout}): move one with .to()"
            )
    return found.device if found else CPU


def stride_rule(row: Op, number: int, bound: list) -> Callable | None:
    """What the row says of the strides of one of its outputs, for bound arguments."""
    rule: Any = row.strides[number] if isinstance(row.strides, tuple) else row.strides
    if not hasattr(rule, "reads"):
        return rule
    return partial(rule, **{name: bound[row._by_name[name]] for name in rule.reads})


def reading(*names: str) -> Callable[[Callable], Callable]:
    """Marks a rule of strides that needs static arguments of the op, given by their names."""

    def mark(rule: Callable) -> Callable:
        rule.reads = names  # type: ignore[attr-defined]
        return rule

    return mark


def output_layout(
    row: Op, out: Node, rule: Callable | None, operands: list[Layout], where: device
) -> Layout:
    """The strides that PyTorch gives a result."""
    if row.elementwise:
        strides = elementwise_strides(out.shape, operands)
    elif rule is not None:
        strides = rule(out.shape, operands)
    else:
        strides = contiguous_strides(out.shape)
    return layout_of(out.shape, strides, 0, out.dtype, where)


def strides_of_first(shape: tuple[int, ...], operands: list[Layout]) -> tuple[int, ...]:
    """The strides of a clone of the first operand, for results that start as one: its own where it
    is dense.
    """
    first = operands[0]
    if first.shape == shape and (first.contiguous or is_dense(shape, first.strides)):
        return first.strides
    return elementwise_strides(shape, operands[:1])


def strides_as_suggested(shape: tuple[int, ...], operands: list[Layout]) -> tuple[int, ...]:
    """Channels last where the first operand is, else row-major."""
    first = operands[0]
    if len(shape) == first.ndim and suggests_channels_last(first.shape, first.strides):
        return channels_last_strides(shape)
    return contiguous_strides(shape)


def strides_of_all(shape: tuple[int, ...], operands: list[Layout]) -> tuple[int, ...]:
    """Channels last where all operands are, else row-major."""
    if all(suggests_channels_last(x.shape, x.strides) for x in operands):
        return channels_last_strides(shape)
    return contiguous_strides(shape)


def strides_of_columns(shape: tuple[int, ...], operands: list[Layout]) -> tuple[int, ...]:
    """Matrices with their columns contiguous, as LAPACK leaves them."""
    rank = len(shape)
    order = (*range(rank - 2), rank - 1, rank - 2) if rank > 1 else tuple(range(rank))
    return ordered_strides(shape, order)


def elementwise_strides(shape: tuple[int, ...], operands: list[Layout]) -> tuple[int, ...]:
    """Dense strides in the order of dimensions that the operands agree on (PyTorch's
    TensorIterator).

    Two dimensions are compared operand by operand; the first operand in which both strides are
    non-zero and differ decides, equal strides being decided by the extents.
    """
    same = [x for x in operands if x.shape == shape]
    if len(same) == len(operands) and same and all(x.strides == same[0].strides for x in same):
        first = same[0]
        if first.contiguous or is_dense(first.shape, first.strides):
            return contiguous_strides(shape) if first.contiguous else first.strides
    if all(x.contiguous for x in same) and len(same) == len(operands):
        return contiguous_strides(shape)
    rank = len(shape)
    spread = []
    for x in operands:
        if x.ndim == 0 and rank:
            continue
        strides = (0,) * (rank - x.ndim) + tuple(
            0 if n == 1 and m != 1 else st
            for n, m, st in zip(x.shape, shape[rank - x.ndim :], x.strides)
        )
        spread.append(strides)

    def compare(a: int, b: int) -> int:  # a, b: dimensions; 1 when a belongs outside b
        for strides in spread:
            if strides[a] == 0 or strides[b] == 0:
                continue
            if strides[a] != strides[b]:
                return 1 if strides[a] > strides[b] else -1
            if shape[a] > shape[b]:
                return 1
        return 0

    # innermost first; insertion sort, since comparisons can be undecided
    order = list(range(rank - 1, -1, -1))
    for i in range(1, rank):
        at = i
        for j in range(i - 1, -1, -1):
            verdict = compare(order[j], order[at])
            if verdict > 0:
                order[j], order[at] = order[at], order[j]
                at = j
            elif verdict < 0:
                break
    return ordered_strides(shape, order[::-1])
