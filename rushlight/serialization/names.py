"""The names that PyTorch's files use for dtypes and storages.

In: a dtype, or a name from a file. Out: the other of the two.
Invariant: both directions come from one table.
"""

from __future__ import annotations

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


def dtype_name(dtype: Any) -> str:
    """`float32` for rushlight.float32."""
    return str(dtype).removeprefix("torch.")


def dtype_of(name: str) -> Any:
    """rushlight.float32 for `float32`."""
    return getattr(rushlight, name)
