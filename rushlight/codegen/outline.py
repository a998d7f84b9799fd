"""Functions beside a kernel: helpers that a module holds once, and calls of the C library.

In: `Number`s. Out: the `Number` that the call returns, of the first argument's type. Invariant: a
helper gives each lane what it gives a scalar; what masked-off lanes hold (zeros or anything else)
harms nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .builder import Builder, Number, type_text
from .convert import cast


def outlined(name: str, arguments: Sequence[Number], body: Callable[..., Number]) -> Number:
    """Call a helper function of the module, written once by `body` from its parameters.

    For what is long or loops: it costs its text and its compile time once, and a call leaves no
    room for registers that live across it.
    """
    caller = arguments[0].builder
    module = caller.module
    full = f"rl.{name}.{arguments[0].dtype}.{arguments[0].lanes}"
    if full not in module.helpers:
        builder = Builder(module)
        parameters = [builder.number(f"%a{i}", a.dtype, a.lanes) for i, a in enumerate(arguments)]
        module.helpers[full] = ""  # reserves its place
        result = body(*parameters)
        lines = [f"ret {result.typed}", "}"]
        head = f"define internal {result.type} @{full}({', '.join(p.typed for p in parameters)}) {{"
        module.helpers[full] = "\n".join([head, "entry:", *builder.entry, *builder.lines, *lines])
    result_type = arguments[0].type
    text = caller.call(full, result_type, [a.typed for a in arguments])
    return caller.number(text, arguments[0].dtype, arguments[0].lanes)


def libm(name: str, *arguments: Number) -> Number:
    """A function of the C library, lane by lane.

    Float32 goes through the double function, rounded once.
    """
    first = arguments[0]
    if not first.lanes:
        return _libm_scalar(name, arguments)
    return outlined(name, arguments, lambda *a: _libm_lanes(name, a))


def _libm_scalar(name: str, arguments: Sequence[Number]) -> Number:
    builder, dtype = arguments[0].builder, arguments[0].dtype
    builder.declare(name, "double", ["double"] * len(arguments))
    wide = [cast(a, dtype, "float64") for a in arguments]
    result = builder.number(builder.call(name, "double", [w.typed for w in wide]), "float64")
    return cast(result, "float64", dtype)


def _libm_lanes(name: str, arguments: Sequence[Number]) -> Number:
    """A loop over the lanes, which pass through the stack."""
    first = arguments[0]
    builder, lanes = first.builder, first.lanes
    scalar = type_text(first.dtype, 0)
    slots = [builder.slot(a.type, a.text) for a in arguments]
    label = builder.fresh_label("lane")
    builder.effect(f"br label %{label}")
    builder.start_block(label)
    index, following = builder.name(), builder.name()
    builder.effect(f"{index} = phi i64 [ 0, %entry ], [ {following}, %{label} ]")
    places = [builder.line(f"getelementptr {scalar}, ptr {slot}, i64 {index}") for slot in slots]
    values = [builder.number(builder.line(f"load {scalar}, ptr {p}"), first.dtype) for p in places]
    result = _libm_scalar(name, values)
    builder.effect(f"store {result.typed}, ptr {places[0]}")
    builder.effect(f"{following} = add i64 {index}, 1")
    done = builder.line(f"icmp eq i64 {following}, {lanes}")
    builder.effect(f"br i1 {done}, label %done, label %{label}")
    builder.start_block("done")
    return builder.number(builder.line(f"load {first.type}, ptr {slots[0]}"), first.dtype, lanes)
