"""Memory of tensors that a file is read into.

In: how many elements of which dtype; later, the bytes. Out: tensors on that memory.
Invariant: tensors of one storage share its memory, as they did when they were saved, and never
reach beyond it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy

import rushlight

from .names import dtype_name, dtype_of

_MAX_DIMENSIONS = 64
# How often the bytes of a storage may be computed anew.
_NOTED = 4


def raw_bytes(tensor: Any) -> memoryview:
    """The memory of a dense tensor as bytes that can be written; let go of it soon."""
    plain = tensor.view(rushlight.int16) if tensor.dtype == rushlight.bfloat16 else tensor
    return memoryview(plain.numpy().reshape(-1).view(numpy.uint8))


def check_places(offset: Any, size: Any, stride: Any) -> None:
    """Refuse what no tensor has. Errors: ValueError."""
    if len(size) != len(stride) or len(size) > _MAX_DIMENSIONS:
        raise ValueError(
            f"size and stride differ in length ({len(size)} and {len(stride)}), or are longer "
            f"than {_MAX_DIMENSIONS}"
        )
    if any(type(n) is not int or not 0 <= n < 2**63 for n in (offset, *size, *stride)):
        raise ValueError("offset, size and stride of a tensor must be natural numbers below 2^63")
    if math.prod(size) >= 2**62:
        raise ValueError(f"a tensor of size {size} has too many elements")


class LoadedStorage:
    """One storage of a file, in memory of the engine once a tensor wants it.

    `fill` writes the storage's bytes into memory of that many bytes.
    """

    def __init__(self, nbytes: int, fill: Callable[[memoryview], None]) -> None:
        self.nbytes, self.fill = nbytes, fill
        self.flat: Any = None
        self.mapped: numpy.ndarray | None = None
        self.device = "cpu"
        self._noted = 0

    @classmethod
    def in_place(cls, mapped: numpy.ndarray) -> LoadedStorage:
        """A storage in a mapped stretch of a file."""
        made = cls(mapped.nbytes, lambda memory: None)
        made.mapped = mapped
        return made

    def refill(self, fill: Callable[[memoryview], None]) -> None:
        """Begin anew, with bytes from elsewhere."""
        self.fill, self.flat, self._noted = fill, None, 0

    def note(self, nbytes: int) -> None:
        """Count bytes that are computed anew from this storage, as conjugated views are.

        Errors: ValueError for more than a few storages full.
        """
        self._noted += nbytes
        if self._noted > _NOTED * self.nbytes:
            raise ValueError("notes on tensors that are larger than their storage")

    def elements(self, dtype: Any) -> Any:
        """The whole storage as a flat tensor of a dtype."""
        if self.nbytes % dtype.itemsize:
            raise ValueError(f"{self.nbytes} bytes do not hold whole elements of {dtype}")
        if self.flat is None and self.device != "cpu":
            self.flat = rushlight.empty(
                self.nbytes // dtype.itemsize, dtype=dtype, device=self.device
            )
        elif self.flat is None and self.mapped is not None:
            bits = "int16" if dtype == rushlight.bfloat16 else dtype_name(dtype)
            self.flat = rushlight.from_numpy(self.mapped.view(bits)).view(dtype)
        elif self.flat is None:
            self.flat = rushlight.empty(self.nbytes // dtype.itemsize, dtype=dtype)
            self.fill(raw_bytes(self.flat))
        return self.flat if self.flat.dtype == dtype else self.flat.view(dtype)

    def tensor(self, dtype: str, offset: int, size: Any, stride: Any) -> Any:
        """A tensor on this memory. Errors: ValueError where it would reach beyond it."""
        check_places(offset, size, stride)
        wanted = dtype_of(dtype)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        capacity = self.nbytes // wanted.itemsize
        if (0 not in size and last >= capacity) or offset > capacity:
            raise ValueError(
                f"a tensor of size {size}, stride {stride} and offset {offset} reaches beyond its "
                f"storage of {capacity} elements"
            )
        flat = self.elements(wanted)
        return rushlight.empty(0, dtype=wanted).set_(flat, offset, tuple(size), tuple(stride))
