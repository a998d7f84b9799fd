"""Installation: the op table and the function modules become methods of Tensor and names of the public namespace.

In: `TABLE` and the FUNCTIONS / METHODS lists. Out: `namespace()`, name -> function. Invariant: nothing public is
written twice: a row says itself where it is offered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops.registry import TABLE, Op
from . import bits, creation, getitem, methods, values, views
from .functions import MODULES
from .tensor import Tensor

# Python's operators: dunder name -> (row, operands swapped)
OPERATORS: dict[str, tuple[str, bool]] = {
    "__add__": ("add", False), "__radd__": ("add", True), "__sub__": ("sub", False), "__rsub__": ("sub", True),
    "__mul__": ("mul", False), "__rmul__": ("mul", True), "__truediv__": ("div", False), "__rtruediv__": ("div", True),
    "__floordiv__": ("floor_divide", False), "__rfloordiv__": ("floor_divide", True),
    "__mod__": ("remainder", False), "__rmod__": ("remainder", True), "__pow__": ("pow", False), "__rpow__": ("pow", True),
    "__matmul__": ("matmul", False), "__rmatmul__": ("matmul", True),
    "__lt__": ("lt", False), "__le__": ("le", False), "__gt__": ("gt", False), "__ge__": ("ge", False),
    "__eq__": ("eq", False), "__ne__": ("ne", False),
    "__and__": ("bitwise_and", False), "__rand__": ("bitwise_and", True), "__or__": ("bitwise_or", False),
    "__ror__": ("bitwise_or", True), "__xor__": ("bitwise_xor", False), "__rxor__": ("bitwise_xor", True),
    "__lshift__": ("bitwise_left_shift", False), "__rshift__": ("bitwise_right_shift", False),
}  # fmt: skip
CHOOSING = frozenset({"pow"})  # operators whose public function chooses among rows; the others go to their row at once
UNARY = {"__neg__": "neg", "__invert__": "bitwise_not", "__abs__": "abs"}
IN_PLACE = {"__iadd__": "add", "__isub__": "sub", "__imul__": "mul", "__itruediv__": "div", "__ifloordiv__": "floor_divide",
            "__imod__": "remainder", "__ipow__": "pow", "__iand__": "bitwise_and", "__ior__": "bitwise_or",
            "__ixor__": "bitwise_xor", "__ilshift__": "bitwise_left_shift", "__irshift__": "bitwise_right_shift"}  # fmt: skip


def _operator(name: str, function: Callable, swapped: bool) -> Callable:
    dispatch = Op.dispatcher
    if isinstance(function, Op) and len(function.names) == 2:
        if swapped:

            def method(self: Tensor, other: Any) -> Any:
                return dispatch(function, (other, self))
        else:

            def method(self: Tensor, other: Any) -> Any:
                return dispatch(function, (self, other))
    elif swapped:

        def method(self: Tensor, other: Any) -> Any:
            return function(other, self)
    else:

        def method(self: Tensor, other: Any) -> Any:
            return function(self, other)

    def guarded(self: Tensor, other: Any) -> Any:
        if isinstance(other, (Tensor, int, float, complex)) or hasattr(other, "__array__") or hasattr(other, "__index__"):
            return method(self, other)
        return False if name == "__eq__" else True if name == "__ne__" else NotImplemented

    result = method if name not in ("__eq__", "__ne__") else guarded
    result.__name__ = name
    return result


def _method(function: Any) -> Any:
    """A row or function as an attribute of a class (rows are objects, which Python does not bind by itself)."""
    if not isinstance(function, Op):
        return function

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = function.__name__
    method.__doc__ = function.__doc__
    return method


def functions() -> dict[str, Callable]:
    """Every public top-level function by name."""
    found: dict[str, Callable] = {row.__name__: row for row in TABLE.values() if "torch" in row.surface.split()}
    for module in (views, creation, bits, *MODULES):
        found.update({f.__name__: f for f in module.FUNCTIONS})
        found.update(getattr(module, "ALIASES", {}))
    found["clone"] = methods.clone
    return found


def install() -> dict[str, Callable]:
    """Give Tensor its methods; returns the public functions."""
    public = functions()
    for row in TABLE.values():
        if "Tensor" in row.surface.split():
            setattr(Tensor, row.__name__, _method(row))
    for module in (views, *MODULES):
        for function in getattr(module, "METHODS", ()):
            setattr(Tensor, function.__name__, function)
        for name, function in getattr(module, "ALIASES", {}).items():
            setattr(Tensor, name, _method(function))
    for table in (values.METHODS, methods.METHODS, bits.METHODS, getitem.METHODS):
        for name, function in table.items():
            setattr(Tensor, name, function)
    for name in ("new_zeros", "new_ones", "new_empty", "new_full", "new_tensor"):
        setattr(Tensor, name, creation.new_like(name))
    Tensor.new_empty_strided = creation.new_empty_strided  # type: ignore[attr-defined]
    _install_in_place(public)
    _install_operators(public)
    return public


def _install_in_place(public: dict[str, Callable]) -> None:
    for row in TABLE.values():
        if row.inplace:
            name = row.__name__
            if name in public:
                methods.INPLACE_SOURCES[name] = public[name]
            method = methods.inplace_of(name)
            setattr(Tensor, f"{name}_", method)
            if "torch" in row.surface.split():
                public.setdefault(f"{name}_", method)
    for module in MODULES:
        for name in getattr(module, "IN_PLACE", ()):
            methods.INPLACE_SOURCES[name] = public[name]
            setattr(Tensor, f"{name}_", methods.inplace_of(name))


def _install_operators(public: dict[str, Callable]) -> None:
    for name, (row, swapped) in OPERATORS.items():
        function = public.get(row) if row in CHOOSING else TABLE.get(row) or public.get(row)
        if function is not None:
            setattr(Tensor, name, _operator(name, function, swapped))
    for name, row in UNARY.items():
        if row in TABLE:
            setattr(Tensor, name, _method(TABLE[row]))
    for name, row in IN_PLACE.items():
        if f"{row}_" in vars(Tensor):
            setattr(Tensor, name, vars(Tensor)[f"{row}_"])
    Tensor.__pos__ = lambda self: self  # type: ignore[attr-defined]
    Tensor.T = property(lambda self: views.permute(self, range(self.ndim - 1, -1, -1)))  # type: ignore[attr-defined]
    Tensor.mT = property(lambda self: views.transpose(self, -2, -1))  # type: ignore[attr-defined]
    Tensor.real = property(lambda self: bits.view_as_real(self).select(-1, 0) if self.dtype.is_complex else self)  # type: ignore[attr-defined]
    Tensor.imag = property(lambda self: bits.view_as_real(self).select(-1, 1))  # type: ignore[attr-defined]



