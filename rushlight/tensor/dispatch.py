"""Recording: applying an op row to tensors.

The hottest path of the project (a few microseconds an op).

In: a row and its arguments. Out: tensors whose values are pending. Invariant: everything that
depends only on the row, the layouts and the static arguments was worked out when this combination
was first met (its Signature); what remains is to look that up, append to the trace, and put
differentiable operations on the tape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

from ..autograd.entries import TAPE_HOOKS
from ..autograd.modes import MODE
from ..autograd.saved import SavedTensor
from ..autograd.tape import guard_outputs, record_op
from ..base.layout import Layout, with_batch
from ..base.settings import SETTINGS
from ..engine.flush import flush
from ..graph.node import Node
from ..graph.trace import CURRENT, LIMIT_BYTES, LIMIT_OUTPUTS, LOCK
from ..ops.registry import STATIC, VALUES, Op, Signature
from ..ops.signature import call_body, make_signature
from .inplace import user_frame
from .overriding import NOT_HANDED, met
from .storage import Storage
from .tensor import Tensor, make_tensor

MOST = 2**63  # numbers travel to kernels as int64
LIMIT_SIGNATURES = 1 << 16
SIGNATURES: dict[tuple, Signature] = {}
_NUMBERS = {int: int, float: float, bool: bool, complex: complex}


def dispatch(row: Op, args: tuple) -> Any:
    """Apply a row to its bound arguments: tensors are recorded, nodes (inside a body) expanded on
    the spot.
    """
    key: list = [row]
    tensors: list[Tensor] = []
    scalars: list = []
    needs = False
    for kind, value in zip(row.kinds, args):
        if kind == STATIC:
            if value.__class__ is list:
                value = _frozen(value)
            elif value.__class__ is float:  # -0.0 equals 0.0, 1.0 equals 1, and NaN not even itself
                value = (repr(value),)
            key.append(value)
        elif isinstance(value, Tensor):
            tensors.append(value)
            key.append(value._layout)
            if value._requires_grad or (value._base is not None and value.requires_grad):
                needs = True
        elif value.__class__ in _NUMBERS:
            if value.__class__ is int and not -MOST <= value < MOST:
                raise RuntimeError(
                    f"Overflow when unpacking long long: {row.__name__} got the number {value}"
                )
            scalars.append(value)
            key.append(value.__class__)
        elif kind == VALUES and value is not None:
            if value.__class__ is not list and not isinstance(value, (tuple, list)):
                _no_sequence(row, value)
            if any(isinstance(v, Node) for v in value):
                return call_body(row, list(args))
            value = [v if isinstance(v, Tensor) else _no_tensor(row, v) for v in value]
            tensors.extend(value)
            key.append(tuple([v._layout for v in value]))
            needs = needs or any(v.requires_grad for v in value)
        elif value is None:
            key.append(None)
        elif isinstance(value, Node):
            return call_body(row, list(args))
        else:
            result = met(row, args)
            return dispatch(row, _coerced(row, args)) if result is NOT_HANDED else result
    try:
        signature = SIGNATURES.get(tuple(key))
    except TypeError:  # an unhashable static argument
        key = [_frozen(k) for k in key]
        signature = SIGNATURES.get(tuple(key))
    if signature is None:
        if any(kind == STATIC and _holds_tensor(a) for kind, a in zip(row.kinds, args)):
            # by its number: a tensor in the key would stand for whatever it held the first time
            return dispatch(
                row, tuple(_frozen(a) if k == STATIC else a for k, a in zip(row.kinds, args))
            )
        signature = make_signature(row, _described(row, args))
        if len(SIGNATURES) >= LIMIT_SIGNATURES:  # ever-new shapes must not grow without bound
            SIGNATURES.clear()
        SIGNATURES[tuple(key)] = signature
    if needs and MODE.grad:
        return _taped(row, args, signature, tensors, scalars)
    return record(signature, tensors, scalars)


def record(signature: Signature, tensors: list[Tensor], scalars: list) -> Any:
    """Append to the trace; the outputs as a Tensor, or a tuple of them."""
    if signature.layouts[0].device.type == "meta":
        outs = [make_tensor(Storage(-1, 0, x.whole.numel, x.dtype), x) for x in signature.layouts]
        return outs[0] if signature.count == 1 else tuple(outs)
    shared = False
    with LOCK:
        trace = CURRENT.trace
        epoch = trace.epoch
        entries = trace.entries
        places = []
        for tensor in tensors:
            storage = tensor._storage
            if storage.epoch != epoch:
                trace.adopt(storage)
            places.append(storage.index)
            if storage.shared or (storage.buffer is not None and storage.buffer.exported):
                shared = True
        if signature.fallible and SETTINGS.lines:
            frame = user_frame()
            if frame is not None:
                trace.lines.append((len(entries), frame.f_code, frame.f_lasti))
        entries.append(signature)
        entries.extend(places)
        if scalars:
            trace.scalars.extend(scalars)
        owners = trace.owners
        if signature.count == 1:
            layout = signature.layouts[0]
            storage = Storage(epoch, len(owners), layout.whole.numel, layout.dtype)
            owners.append(ref(storage))
            result: Any = make_tensor(storage, layout)
        else:
            result = []
            for layout in signature.layouts:
                storage = Storage(epoch, len(owners), layout.whole.numel, layout.dtype)
                owners.append(ref(storage))
                result.append(make_tensor(storage, layout))
            result = tuple(result)
        trace.bytes += signature.bytes
        full = len(owners) > LIMIT_OUTPUTS or trace.bytes > LIMIT_BYTES
        if (shared or SETTINGS.eager or full) and not trace.held:
            flush()
    return result


def _taped(row: Op, args: tuple, signature: Signature, tensors: list[Tensor], scalars: list) -> Any:
    """Record, and put the operation on the tape where its result can be differentiated."""
    result = record(signature, tensors, scalars)
    if not signature.differentiable:
        return result
    outs = result if signature.count > 1 else (result,)
    function = record_op(row, args, signature.layouts)
    for number in signature.differentiable:
        out = outs[number]
        out._grad_fn = function
        out._output_nr = number
        out._requires_grad = True
    if function.plan.keep_outputs:
        function.outputs = [SavedTensor(out, function, number) for number, out in enumerate(outs)]
    if function.plan.guards:
        guard_outputs(function, outs)
    return result


def _described(row: Op, args: tuple) -> tuple:
    """The arguments with layouts for tensors and types for runtime numbers."""
    described: list = []
    for kind, value in zip(row.kinds, args):
        if kind == STATIC:
            described.append(_frozen(value))
        elif kind == VALUES and value is not None:
            if isinstance(value, Tensor):
                _no_sequence(row, value)
            described.append([v._layout for v in value])
        elif isinstance(value, Tensor):
            described.append(value._layout)
        else:
            described.append(value if value is None else value.__class__)
    return tuple(described)


def _coerced(row: Op, args: tuple) -> tuple:
    """NumPy numbers and symbolic numbers as Python's; TypeError for what is no tensor."""
    return tuple(
        a
        if k in (STATIC, VALUES)
        or a is None
        or isinstance(a, (Tensor, Node))
        or a.__class__ in _NUMBERS
        else _number(row, a)
        for k, a in zip(row.kinds, args)
    )


def _number(row: Op, value: Any) -> Any:
    kinds: tuple[type, ...] = (bool, int, float, complex)
    for kind in kinds:
        if isinstance(value, kind):
            return kind(value)
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return value.item()
    return _no_tensor(row, value)


def _no_tensor(row: Op, value: Any) -> Any:
    names = ", ".join(row.names)
    raise TypeError(
        f"{row.__name__}(): a Tensor was expected, but got {type(value).__name__} (arguments: "
        f"{names})"
    )


def _no_sequence(row: Op, value: Any) -> Any:
    name, place = next((n, p) for p, (n, k) in enumerate(zip(row.names, row.kinds)) if k == VALUES)
    raise TypeError(
        f"{row.__name__}(): argument '{name}' (position {place + 1}) must be tuple of Tensors, not "
        f"{type(value).__name__}"
    )


def _holds_tensor(value: Any) -> bool:
    """Whether a static argument is a tensor, or a sequence with one in it."""
    return isinstance(value, Tensor) or (
        isinstance(value, (list, tuple)) and any(map(_holds_tensor, value))
    )


def _frozen(value: Any) -> Any:
    """A hashable form of a static argument: lists as tuples, integer-like objects as ints."""
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(v) for v in value)
    if isinstance(value, Tensor):
        return value.item()
    if hasattr(value, "__index__") and value.__class__ not in (int, bool):
        return value.__index__()
    return value


def _filled(number: int) -> Callable[[Layout], Tensor]:
    def make(layout: Layout) -> Tensor:
        from ..ops.core import full

        made = full(tuple(layout.shape), number, layout.dtype)
        if not layout.batch:
            return made
        axes = [(level, extent, 0) for level, extent, _ in layout.batch]
        return make_tensor(made._storage, with_batch(made._layout, axes))

    return make


Op.dispatcher = staticmethod(dispatch)  # type: ignore[assignment]


def _vmap(*args: Any, **kwargs: Any) -> Callable:
    from .vmap import vmap

    return vmap(*args, **kwargs)


def _map_function(*args: Any) -> Any:
    from .vmap import map_function

    return map_function(*args)


TAPE_HOOKS.map_function = staticmethod(_map_function)  # type: ignore[assignment]
TAPE_HOOKS.vmap = staticmethod(_vmap)  # type: ignore[assignment]
TAPE_HOOKS.zeros = staticmethod(_filled(0))  # type: ignore[assignment]
TAPE_HOOKS.ones = staticmethod(_filled(1))  # type: ignore[assignment]


def _restored(storage: Storage, layout: Layout, function: Any, number: int) -> Tensor:
    """A saved output, back as a tensor on its place on the tape."""
    tensor = make_tensor(storage, layout)
    if layout.dtype.kind in ("float", "complex"):  # an index has no gradient
        tensor._grad_fn = function
        tensor._output_nr = number
        tensor._requires_grad = True
    return tensor


TAPE_HOOKS.alias = staticmethod(make_tensor)  # type: ignore[assignment]
TAPE_HOOKS.make_tensor = staticmethod(_restored)  # type: ignore[assignment]
