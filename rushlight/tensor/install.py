"""Installation: the op table and the function modules become methods of Tensor and names of the
public namespace.

In: the FUNCTIONS / METHODS lists of the modules that are always there, and the catalog of those
that are not. Out: the public functions by name. Invariant: nothing public is written twice: a row
says itself where it is offered; what is not needed to import the package is imported when it is
first used (`lazy.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops import namespace
from ..ops.registry import Op
from . import (
    bits,
    catalog,
    composed_views,
    conversion,
    creation,
    lazy,
    methods,
    outputs,
    values,
    views,
)
from .refusal import refusing
from .tensor import Tensor

# Python's operators: dunder name -> (row, operands swapped)
OPERATORS: dict[str, tuple[str, bool]] = {
    "__add__": ("add", False),
    "__radd__": ("add", True),
    "__sub__": ("sub", False),
    "__rsub__": ("sub", True),
    "__mul__": ("mul", False),
    "__rmul__": ("mul", True),
    "__truediv__": ("div", False),
    "__floordiv__": ("floor_divide", False),
    "__rfloordiv__": ("floor_divide", True),
    "__mod__": ("remainder", False),
    "__rmod__": ("remainder", True),
    "__pow__": ("pow", False),
    "__rpow__": ("pow", True),
    "__matmul__": ("matmul", False),
    "__rmatmul__": ("matmul", True),
    "__lt__": ("lt", False),
    "__le__": ("le", False),
    "__gt__": ("gt", False),
    "__ge__": ("ge", False),
    "__eq__": ("eq", False),
    "__ne__": ("ne", False),
    "__and__": ("bitwise_and", False),
    "__rand__": ("bitwise_and", True),
    "__or__": ("bitwise_or", False),
    "__ror__": ("bitwise_or", True),
    "__xor__": ("bitwise_xor", False),
    "__rxor__": ("bitwise_xor", True),
    "__lshift__": ("bitwise_left_shift", False),
    "__rshift__": ("bitwise_right_shift", False),
}
# operators whose public function chooses among rows; the others go to their row at once
CHOOSING = frozenset({"pow"})
UNARY = {"__neg__": "neg", "__abs__": "abs"}
IN_PLACE = {
    "__iadd__": "add",
    "__isub__": "sub",
    "__imul__": "mul",
    "__itruediv__": "div",
    "__ifloordiv__": "floor_divide",
    "__imod__": "remainder",
    "__ipow__": "pow",
    "__iand__": "bitwise_and",
    "__ior__": "bitwise_or",
    "__ixor__": "bitwise_xor",
    "__ilshift__": "bitwise_left_shift",
    "__irshift__": "bitwise_right_shift",
}


def _resolve(row: str) -> Any:
    """What an operator applies: a row, or the public function where that chooses among rows."""
    return lazy.load(catalog.TORCH[row]) if row in CHOOSING else getattr(namespace, row)


def _operator(name: str, row: str, swapped: bool) -> Callable:
    """An operator method; it becomes the method proper (the row bound in) when it is first used."""

    def first(self: Tensor, other: Any) -> Any:
        method = _bound(_resolve(row), swapped, name)
        setattr(Tensor, name, method)
        return method(self, other)

    first.__name__ = name
    return first


def settle() -> None:
    """Every operator and subscription method in its final form, as its first use would make it."""
    from . import getitem

    for name, (row, swapped) in OPERATORS.items():
        setattr(Tensor, name, _bound(_resolve(row), swapped, name))
    for name, function in getitem.METHODS.items():
        setattr(Tensor, name, function)


def named_operators() -> dict[str, str]:
    """Operator -> the method of Tensor that PyTorch says it is; what PyTorch knows by the
    operator's own name stands for itself.
    """
    own = ("__eq__", "__ne__", "__and__", "__or__", "__xor__", "__lshift__", "__rshift__")
    found = {name: name for name in (*OPERATORS, *IN_PLACE, "__rtruediv__")}
    for name, (row, swapped) in OPERATORS.items():
        if name not in own and (not swapped or row in ("add", "mul")):
            found[name] = row
    found.update({name: f"{row}_" for name, row in IN_PLACE.items()})
    return {**found, **UNARY}


def _bound(function: Callable, swapped: bool, name: str) -> Callable:
    if isinstance(function, Op) and len(function.names) == 2 and not swapped:
        row: Op = function

        def method(self: Tensor, other: Any) -> Any:
            return Op.dispatcher(row, (self, other))  # looked up anew: autocast changes it
    elif swapped:

        def method(self: Tensor, other: Any) -> Any:
            if not isinstance(self, Tensor):  # called on the class, with a number
                raise TypeError(
                    f"descriptor '{name}' for 'Tensor' objects doesn't apply to a "
                    f"'{type(self).__name__}' object"
                )
            return function(other, self)
    else:

        def method(self: Tensor, other: Any) -> Any:
            return function(self, other)

    if name not in ("__eq__", "__ne__"):
        return method

    def compared(self: Tensor, other: Any) -> Any:
        if (
            isinstance(other, (Tensor, int, float, complex))
            or hasattr(other, "__array__")
            or hasattr(other, "__index__")
        ):
            return method(self, other)
        return name == "__ne__"

    return compared


def functions() -> dict[str, Callable]:
    """The top-level functions that are there from the start."""
    found: dict[str, Callable] = {}
    for module in (views, composed_views, conversion, creation, bits):
        found.update({f.__name__: f for f in module.FUNCTIONS})
        found.update(getattr(module, "ALIASES", {}))
    found["clone"] = methods.clone
    makers = outputs.MAKERS.split()
    return {
        name: (outputs.with_out if name in makers else refusing)(f) for name, f in found.items()
    }


def install() -> dict[str, Callable]:
    """Give Tensor its methods; returns the public functions."""
    for name in catalog.METHODS:
        setattr(Tensor, name, lazy.Lazy(name))
    for function in (*views.METHODS, *composed_views.METHODS):
        setattr(Tensor, function.__name__, lazy.offered(function))
    for table in (composed_views.ALIASES, values.METHODS, methods.METHODS, bits.METHODS):
        for name, method in table.items():
            setattr(Tensor, name, method)
    for name in ("expand_as", "reshape_as", "type_as", "view_as"):  # their operand is a Tensor
        setattr(Tensor, name, refusing(Tensor.__dict__[name]))
    for name in (
        "__getitem__",
        "__setitem__",
        "__delitem__",
        "__iter__",
        "__reversed__",
        "__contains__",
    ):
        setattr(Tensor, name, _from_getitem(name))
    for name in ("new_zeros", "new_ones", "new_empty", "new_full", "new_tensor"):
        setattr(Tensor, name, creation.new_like(name))
    Tensor.new_empty_strided = creation.new_empty_strided
    _install_operators()
    namespace.FUNCTIONS.append(lazy.public)
    return functions()


def _from_getitem(name: str) -> Callable:
    """A subscription method, whose module is imported when one is first used."""

    def first(self: Tensor, *args: Any) -> Any:
        from . import getitem

        for each, function in getitem.METHODS.items():
            setattr(Tensor, each, function)
        return getitem.METHODS[name](self, *args)

    first.__name__ = name
    return first


def _transposed(x: Tensor, name: str) -> Tensor:
    """The matrices transposed; a number stays as it is. H is that of one matrix only."""
    if x.ndim == 1 or (x.ndim > 2 and name == "H"):
        raise RuntimeError(
            f"tensor.{name} is only supported on matrices"
            f"{' (2-D tensors)' if name == 'H' else ' or batches of matrices'}. Got {x.ndim}-D "
            "tensor."
        )
    return views.transpose(x, -2, -1) if x.ndim else x


def _adjoint(x: Tensor, name: str) -> Tensor:
    """The conjugate transpose."""
    flipped = _transposed(x, name)
    return namespace.conj(flipped) if x.dtype.is_complex else flipped


def _inverted(self: Tensor) -> Tensor:
    if self.dtype.kind not in ("int", "bool"):
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors, but this "
            f"one is {self.dtype}"
        )
    return namespace.bitwise_not(self)


def _install_operators() -> None:
    for name, (row, swapped) in OPERATORS.items():
        setattr(Tensor, name, _operator(name, row, swapped))
    for name, row in UNARY.items():
        setattr(Tensor, name, lambda self, row=row: getattr(namespace, row)(self))
    Tensor.__invert__ = _inverted
    for name, row in IN_PLACE.items():
        setattr(Tensor, name, methods.inplace_of(row))
    Tensor.__pos__ = lambda self: namespace.positive(self)
    Tensor.__rtruediv__ = lambda self, other: self.reciprocal() * other
    Tensor.__rdiv__ = Tensor.__rtruediv__
    Tensor.T = property(lambda self: views.permute(self, range(self.ndim - 1, -1, -1)))
    Tensor.mT = property(lambda self: _transposed(self, "mT"))
    Tensor.H = property(lambda self: _adjoint(self, "H"))
    Tensor.mH = property(lambda self: _adjoint(self, "mH"))
    Tensor.real = property(
        lambda self: bits.view_as_real(self).select(-1, 0) if self.dtype.is_complex else self
    )
    Tensor.imag = property(lambda self: bits.view_as_real(self).select(-1, 1))
