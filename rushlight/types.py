"""`torch.types`: names for what PyTorch's functions take, for annotations.

In: nothing. Out: types. Invariant: every name here is usable where Python evaluates annotations.
"""

from __future__ import annotations

import os
from builtins import bool as _bool
from builtins import float as _float
from builtins import int as _int
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TypeAlias, Union

import rushlight
from rushlight import Size, Tensor

__all__ = ["Device", "FileLike", "Number", "Storage", "SymInt"]

Number: TypeAlias = Union[_int, _float, _bool]  # noqa: UP007
_Number = (_int, _float, _bool)
Device: TypeAlias = Union[rushlight.device, str, _int, None]  # noqa: UP007
FileLike: TypeAlias = Union[str, os.PathLike[str], IO[bytes]]  # noqa: UP007
PathLike = (str, os.PathLike, Path)
SymInt = _int  # sizes are numbers: the engine makes no symbolic ones
_size: TypeAlias = Union[Size, list[_int], tuple[_int, ...]]  # noqa: UP007
_TensorOrTensors: TypeAlias = Union[Tensor, Sequence[Tensor]]  # noqa: UP007
Storage = rushlight.UntypedStorage
