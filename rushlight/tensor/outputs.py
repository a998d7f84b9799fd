"""`out=`: the result of a public function stored in a tensor that the caller brings.

In: a function, its call, the tensor (or tuple of tensors) given as `out`. Out: that tensor, resized
to the result's shape where it must be. Invariant: one mechanism for all functions; the dtype stays
the one of `out`, and nothing of it goes on the tape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from ..autograd.modes import MODE
from ..base.dtype import TYPE_NAMES
from ..base.promotion import can_cast
from ..ops import core
from ..ops.registry import Op
from .inplace import check_overlap, check_writable, overwrite
from .methods import resize_
from .tensor import Tensor

# what is made without operands takes its dtype from `out`
MAKERS = frozenset(
    {"empty", "zeros", "ones", "full", "arange", "range", "linspace", "logspace", "eye"}
)


def call_into(function: Callable, args: tuple, kwargs: dict) -> Any:
    """function(*args, **kwargs), `out` among the keywords: the results stored in it.

    RuntimeError: an operand or an output that requires grad, a result that cannot be converted to
    the dtype of its output, another device.
    """
    call = dict(kwargs)
    out = call.pop("out")
    if out is None:
        return function(*args, **call)
    name = function.__name__
    outputs = tuple(out) if isinstance(out, (tuple, list)) else (out,)
    for each in outputs:
        if not isinstance(each, Tensor):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(each).__name__}")
    operands = _tensors((*args, *call.values()))
    if MODE.grad and any(x.requires_grad for x in (*operands, *outputs)):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad."
        )
    for each in outputs:
        check_writable(each)
        check_overlap(each, operands)
    if name in MAKERS:
        call.setdefault("dtype", outputs[0].dtype)
    made = function(*args, **call)
    results = (made,) if isinstance(made, Tensor) else tuple(made)
    if len(results) != len(outputs):
        raise TypeError(f"{name}(): out has {len(outputs)} tensors, the result {len(results)}")
    for target, value in zip(outputs, results):
        _check(name, target, value)
    for target, value in zip(outputs, results):
        _deposit(target, value)
    if isinstance(made, Tensor):
        return outputs[0]
    return outputs if type(made) is tuple else type(made)(outputs)


def _tensors(values: Sequence) -> tuple[Tensor, ...]:
    """The tensors among the arguments of a call, also those in sequences."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found.extend(_tensors(value))
    return tuple(found)


def _check(name: str, target: Tensor, value: Tensor) -> None:
    if not can_cast(value.dtype, target.dtype):
        raise RuntimeError(
            f"{name}(): result type {TYPE_NAMES[value.dtype.name]} can't be cast to the desired "
            f"output type {TYPE_NAMES[target.dtype.name]}: bring an out of dtype {value.dtype}"
        )
    if value.device != target.device:
        raise RuntimeError(
            f"{name}(): expected out on device {value.device}, but it is on {target.device}"
        )


def _deposit(target: Tensor, value: Tensor) -> None:
    if target.shape != value.shape:
        if target.numel():
            from warnings import warn

            warn(
                f"An output of shape {list(target.shape)} was resized to the shape "
                f"{list(value.shape)} of the result. Give an output of that shape, or empty it "
                "first with resize_(0).",
                stacklevel=4,
            )
        resize_(target, *value.shape)
    if value.dtype is not target.dtype:
        value = core.cast(value, target.dtype)
    overwrite(target, value.detach(), check=False)


def with_out(function: Any) -> Any:
    """A public function that also takes `out`; rows, and what has a use of its own for that name,
    as they are.
    """
    code = getattr(function, "__code__", None)
    if isinstance(function, Op) or code is None:
        return function
    if "out" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        return function

    @wraps(function)
    def accepting(*args: Any, **kwargs: Any) -> Any:
        if "out" in kwargs:
            return call_into(function, args, kwargs)
        return function(*args, **kwargs)

    return accepting


Op.into = staticmethod(call_into)  # type: ignore[assignment]
