"""The names that PyTorch's files use for dtypes and storages.

In: a dtype, or a name from a file. Out: the other of the two.
Invariant: both directions come from one table.
"""

from __future__ import annotations

import re
from typing import Any

import rushlight

# Storage classes of torch and the dtype of their elements. Dtypes without such a class are written
# as untyped storages, the dtype beside them.
STORAGE_DTYPES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}
STORAGE_OF_DTYPE = {dtype: storage for storage, dtype in STORAGE_DTYPES.items()}
UNTYPED_DTYPES = ("uint16", "uint32", "uint64")
DTYPE_NAMES = (*STORAGE_OF_DTYPE, *UNTYPED_DTYPES)

# Kinds of tensors that PyTorch's files may hold and that do not exist here, and what to do.
_KINDS = {
    "_rebuild_sparse_tensor": "a sparse tensor, which is not read here: save x.to_dense()",
    "_rebuild_nested_tensor": "a nested tensor, which does not exist here: save x.unbind()",
    "_rebuild_qtensor": "a quantised tensor, which does not exist here: save x.dequantize()",
    "_rebuild_wrapper_subclass": "a tensor subclass without memory of its own: save its parts",
}
REFUSED = {("torch._utils", name): f"it holds {text}" for name, text in _KINDS.items()}
_FOREIGN = re.compile(
    r"(float[48]_\w+|u?int[1-7]|qu?int\w+|bits\w+|complex32)"
    r"|(QInt8|QInt32|QUInt8|QUInt4x2|QUInt2x4|ComplexHalf)Storage"
)


def is_foreign_dtype(name: str) -> bool:
    """Whether `torch` has a dtype (or storage class) of that name, and rushlight has not."""
    return _FOREIGN.fullmatch(name) is not None


def dtype_name(dtype: Any) -> str:
    """`float32` for rushlight.float32."""
    return str(dtype).removeprefix("torch.")


def dtype_of(name: str) -> Any:
    """rushlight.float32 for `float32`."""
    return getattr(rushlight, name)
