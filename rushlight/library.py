"""`torch.library`: operators that a program defines itself, under a name `namespace::name`.

In: a Python function of tensors, and optionally its gradient. Out: a callable that autograd knows,
also found as `torch.ops.namespace.name`. Invariants: a name is defined once; the gradient is the
one that was registered, and without one the result is cut off from the tape, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rushlight
from rushlight import Tensor

__all__ = [
    "CustomOpDef",
    "custom_op",
    "impl",
    "register_autograd",
    "register_fake",
    "register_kernel",
]

# namespace::name -> operator
OPERATORS: dict[str, CustomOpDef] = {}
# What is known about operators that nobody has defined here: packages describe those of their
# compiled extensions, whether or not these could be loaded.
_DESCRIBED: dict[str, Callable[..., Any]] = {}


class CustomOpDef:
    """An operator that a program has defined, as `torch.library.CustomOpDef`."""

    def __init__(self, name: str, function: Callable[..., Any], mutates_args: Any) -> None:
        self._qualname = name
        self._function = function
        self.mutates_args = mutates_args
        self._backward: Callable[..., Any] | None = None
        self._setup: Callable[..., Any] | None = None
        self._fake: Callable[..., Any] | None = None
        self._kernels: dict[str, Callable[..., Any]] = {}
        self.__name__ = name.rpartition("::")[2]
        self.__doc__ = function.__doc__

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        run = self._kernels.get("cpu", self._function)
        tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)]
        if any(t.device.type == "meta" for t in tensors):
            run = self._fake or run
        if not (rushlight.is_grad_enabled() and any(t.requires_grad for t in tensors)):
            return run(*args, **kwargs)
        return _recorded(self, run, args, kwargs)

    default = property(lambda self: self)

    def register_fake(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """What shapes come out, for tensors on the device `meta`."""
        self._fake = fn
        return fn

    def register_kernel(self, device_types: Any, func: Callable[..., Any] | None = None) -> Any:
        """A function for one kind of device; a decorator without `func`."""

        def keep(function: Callable[..., Any]) -> Callable[..., Any]:
            kinds = [device_types] if isinstance(device_types, str) else device_types or ["cpu"]
            self._kernels.update({kind.lower(): function for kind in kinds})
            return function

        return keep if func is None else keep(func)

    def register_autograd(
        self, backward: Callable[..., Any], *, setup_context: Callable[..., Any] | None = None
    ) -> None:
        """The gradient: `setup_context(ctx, inputs, output)` keeps what
        `backward(ctx, *grads)` needs.
        """
        self._backward, self._setup = backward, setup_context


def _recorded(op: CustomOpDef, run: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
    """Call the operator as a node of the tape."""

    class Call(rushlight.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            output = run(*inputs, **kwargs)
            if op._setup is not None:
                op._setup(ctx, inputs, output)
            return output

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            if op._backward is None:
                raise RuntimeError(
                    f"Trying to backward through {op._qualname} but no autograd formula was "
                    "registered. Please use register_autograd to add one."
                )
            return op._backward(ctx, *grads)

    Call.__name__ = op.__name__
    return Call.apply(*args)


def custom_op(
    name: str, fn: Callable[..., Any] | None = None, /, *, mutates_args: Any = (), **ignored: Any
) -> Any:
    """Define an operator `namespace::name`; a decorator without `fn`.

    Errors: ValueError for a name without a namespace, RuntimeError for one that is defined.

    >>> import rushlight as rl
    >>> @rl.library.custom_op("mine::twice", mutates_args=())
    ... def twice(x):
    ...     return x * 2
    >>> twice(rl.ones(2))
    tensor([2., 2.])
    """
    if "::" not in name:
        raise ValueError(f"custom_op: {name!r} must be of the form 'namespace::name'")

    def define(function: Callable[..., Any]) -> CustomOpDef:
        if name in OPERATORS:
            raise RuntimeError(f"custom_op: {name} is already defined")
        OPERATORS[name] = CustomOpDef(name, function, mutates_args)
        return OPERATORS[name]

    return define if fn is None else define(fn)


triton_op = custom_op


def _named(op: Any) -> CustomOpDef | None:
    return op if isinstance(op, CustomOpDef) else OPERATORS.get(str(op))


def _missing(op: Any) -> RuntimeError:
    return RuntimeError(f"operator {op} does not exist; define it with torch.library.custom_op")


def register_fake(op: Any, func: Callable[..., Any] | None = None, /, **ignored: Any) -> Any:
    """What shapes an operator gives; kept also for operators that nobody has defined here."""

    def keep(function: Callable[..., Any]) -> Callable[..., Any]:
        known = _named(op)
        if known is not None:
            known.register_fake(function)
        else:
            _DESCRIBED[str(op)] = function
        return function

    return keep if func is None else keep(func)


impl_abstract = register_fake


def register_kernel(
    op: Any, device_types: Any, func: Callable[..., Any] | None = None, /, **ignored: Any
) -> Any:
    """A function for one kind of device. Errors: RuntimeError for an operator that is not there."""
    known = _named(op)
    if known is None:
        raise _missing(op)
    return known.register_kernel(device_types, func)


def register_autograd(
    op: Any,
    backward: Callable[..., Any],
    /,
    *,
    setup_context: Callable[..., Any] | None = None,
    **ignored: Any,
) -> None:
    """The gradient of an operator. Errors: RuntimeError for an operator that is not there."""
    known = _named(op)
    if known is None:
        raise _missing(op)
    known.register_autograd(backward, setup_context=setup_context)


def impl(qualname: str, types: Any, func: Callable[..., Any] | None = None, **ignored: Any) -> Any:
    """A function for one kind of device, by the older name."""
    return register_kernel(qualname, types, func)
