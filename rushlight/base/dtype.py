"""Data types: the values `rushlight.float32` and its siblings, and what follows from them.

In: nothing. Out: one immutable `dtype` object per type, compared by identity. Invariant: `str` of a
dtype is PyTorch's (`torch.float32`), `.numpy` is the NumPy dtype that its bytes are stored as
(bfloat16 is stored as uint16 bit patterns, since NumPy has no such type).
"""

from __future__ import annotations

import numpy as np

from .errors import RushlightError


class dtype:
    """The type of a tensor's elements, as `torch.dtype`.

    `itemsize` is in bytes, `kind` one of "bool", "int", "float", "complex"; `rank` orders types of
    one kind.
    """

    __slots__ = (
        "_numpy",
        "bits",
        "is_complex",
        "is_floating_point",
        "is_signed",
        "itemsize",
        "kind",
        "name",
        "rank",
    )

    def __init__(self, name: str, numpy_name: str, kind: str, rank: int) -> None:
        self.name = name
        self._numpy = np.dtype(numpy_name)
        self.kind = kind
        self.rank = rank
        self.itemsize = self._numpy.itemsize
        self.bits = 8 * self.itemsize
        self.is_floating_point = kind == "float"
        self.is_complex = kind == "complex"
        self.is_signed = not (name.startswith("uint") or name == "bool")

    @property
    def numpy(self) -> np.dtype:
        """The NumPy dtype of the stored bytes (uint16 for bfloat16)."""
        return self._numpy

    @property
    def real(self) -> dtype:
        """The type of the real part."""
        return {"complex64": float32, "complex128": float64}.get(self.name, self)

    def to_real(self) -> dtype:
        """The real type of this type's precision, as `torch.dtype.to_real`."""
        return self.real

    def to_complex(self) -> dtype:
        """The complex type of this type's precision, as `torch.dtype.to_complex`."""
        if self.is_complex:
            return self
        return complex128 if self is float64 else complex64

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


float64 = dtype("float64", "float64", "float", 3)
float32 = dtype("float32", "float32", "float", 2)
bfloat16 = dtype("bfloat16", "uint16", "float", 1)
float16 = dtype("float16", "float16", "float", 1)
complex64 = dtype("complex64", "complex64", "complex", 2)
complex128 = dtype("complex128", "complex128", "complex", 3)
uint8 = dtype("uint8", "uint8", "int", 0)
int8 = dtype("int8", "int8", "int", 0)
int16 = dtype("int16", "int16", "int", 1)
uint16 = dtype("uint16", "uint16", "int", 1)
int32 = dtype("int32", "int32", "int", 2)
uint32 = dtype("uint32", "uint32", "int", 2)
int64 = dtype("int64", "int64", "int", 3)
uint64 = dtype("uint64", "uint64", "int", 3)
bool_ = dtype("bool", "bool", "bool", 0)

DTYPES: dict[str, dtype] = {
    t.name: t
    for t in (
        bool_,
        uint8,
        int8,
        int16,
        uint16,
        int32,
        uint32,
        int64,
        uint64,
        float16,
        bfloat16,
        float32,
        float64,
        complex64,
        complex128,
    )
}

ALIASES: dict[str, dtype] = {
    "double": float64,
    "float": float32,
    "half": float16,
    "short": int16,
    "int": int32,
    "long": int64,
    "cfloat": complex64,
    "cdouble": complex128,
}

# PyTorch's C++ names of the dtypes, as its messages have them
TYPE_NAMES = {
    "float64": "Double",
    "float32": "Float",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "int64": "Long",
    "int32": "Int",
    "int16": "Short",
    "int8": "Char",
    "uint8": "Byte",
    "bool": "Bool",
    "complex64": "ComplexFloat",
    "complex128": "ComplexDouble",
    "uint16": "UInt16",
    "uint32": "UInt32",
    "uint64": "UInt64",
}

_FROM_NUMPY = {t.numpy: t for t in DTYPES.values() if t is not bfloat16}


def from_numpy_dtype(numpy_dtype: np.dtype) -> dtype:
    """The dtype of a NumPy array's elements.

    TypeError where there is none (strings, objects, dates).
    """
    found = _FROM_NUMPY.get(np.dtype(numpy_dtype).newbyteorder("="))
    if found is None:
        raise TypeError(
            f"can't convert np.ndarray of type numpy.{np.dtype(numpy_dtype).name}. The only "
            "supported types are: "
            + ", ".join(t.name for t in DTYPES.values() if t is not bfloat16)
        )
    return found


class iinfo:
    """Limits of an integer dtype, as `torch.iinfo`: bits, min, max, dtype."""

    def __init__(self, type: dtype) -> None:
        if type.kind == "bool":
            raise TypeError("torch.bool is not supported by torch.iinfo")
        if type.kind != "int":
            raise TypeError(
                f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{type}'"
            )
        info = np.iinfo(type.numpy)
        self.bits, self.min, self.max, self.dtype = (
            info.bits,
            int(info.min),
            int(info.max),
            type.name,
        )

    def __repr__(self) -> str:
        return f"iinfo(min={float(self.min):g}, max={float(self.max):g}, dtype={self.dtype})"


# bits of the mantissa and exponent: all other limits follow
_FLOAT_FORMAT = {"float16": (10, 5), "bfloat16": (7, 8), "float32": (23, 8), "float64": (52, 11)}


class finfo:
    """Limits of a floating dtype, as `torch.finfo`: bits, eps, max, min, tiny, smallest_normal,
    resolution, dtype.
    """

    def __init__(self, type: dtype | None = None) -> None:
        type = type or get_default_dtype()
        if type.kind not in ("float", "complex"):
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle "
                f"'{type}'"
            )
        real = type.real
        mantissa, exponent = _FLOAT_FORMAT[real.name]
        largest_exponent = 2 ** (exponent - 1) - 1
        self.bits = real.bits
        self.eps = 2.0**-mantissa
        self.max = (2.0 - self.eps) * 2.0**largest_exponent
        self.min = -self.max
        self.tiny = self.smallest_normal = 2.0 ** (1 - largest_exponent)
        self.resolution = 10.0 ** -int(
            (mantissa if real is not bfloat16 else mantissa - 0.001) * 0.30103
        )
        self.dtype = real.name

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


_default = [float32]


def get_default_dtype() -> dtype:
    """The floating dtype of new tensors made from Python floats (float32 unless set)."""
    return _default[0]


def set_default_dtype(type: dtype) -> None:
    """Set the floating dtype of new tensors; TypeError unless it is floating."""
    if not isinstance(type, dtype) or not type.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    _default[0] = type


def named(name: str) -> dtype:
    """The dtype of a name such as "float32"; RushlightError for an unknown one."""
    try:
        return DTYPES[name]
    except KeyError:
        raise RushlightError(f"no dtype is named {name!r}: one of {', '.join(DTYPES)}") from None
