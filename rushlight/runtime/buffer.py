"""Memory that values live in: aligned, uninitialised, recycled.

Comes in: a number of bytes, or an array of somebody else. Goes out: a Buffer with an address, and
NumPy arrays over it.
Invariants: a block belongs to exactly one living Buffer or lies on a free list; memory stays as
long as its Buffer or any array made from it lives; `exported` counts the exports that the outside
can still reach, through any view of them.

Why a cache of free blocks: memory fresh from the system costs a page fault and zeroing at first
touch (64 MB: 36 ms in small pages, 10 ms in huge ones, 3 ms when it is reused).
"""

from __future__ import annotations

import ctypes
import mmap
from contextlib import suppress
from typing import Any

import numpy as np

from rushlight.base.errors import OutOfMemoryError
from rushlight.runtime.limits import available_memory

ALIGNMENT = 64
# Up to here size classes are the multiples of the alignment; above, eight to each power of two, so
# that a block is at most an eighth too large.
SMALL = 1024
# From here on blocks are mappings of their own that ask for huge pages.
HUGE_PAGE = 2 * 1024 * 1024
# From here on the system is asked whether it has that much, before it is too late to say no: Linux
# grants memory that it does not have, and ends the process that uses it.
ASK_FIRST = 64 * 1024 * 1024
# What zero bytes have for an address: never read, aligned, not null.
EMPTY_ADDRESS = ALIGNMENT

_MAPPING_FLAGS = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)


class MemoryStatistics:
    """Bytes held by living Buffers, the most there ever were, and bytes on the free lists."""

    __slots__ = ("cached", "current", "peak")

    def __init__(self) -> None:
        self.current = 0
        self.peak = 0
        self.cached = 0


def _default_cache_limit() -> int:
    """Half of the memory that is free at the start, so that a step's buffers all come back."""
    return (available_memory() or 2 << 30) // 2


class _System:
    """Where blocks come from: the C library's aligned allocator, or huge-page mappings."""

    __slots__ = ("_aligned_allocate", "_free", "mappings")

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._aligned_allocate = library.posix_memalign
        self._aligned_allocate.argtypes = [
            ctypes.POINTER(ctypes.c_void_p),
            ctypes.c_size_t,
            ctypes.c_size_t,
        ]
        self._free = library.free
        self._free.argtypes = [ctypes.c_void_p]
        self._free.restype = None
        self.mappings: dict[int, mmap.mmap] = {}

    def take(self, capacity: int) -> int:
        """Address of a fresh block; MemoryError if the system refuses."""
        if capacity >= HUGE_PAGE:
            return self._take_mapping(capacity)
        pointer = ctypes.c_void_p()
        if self._aligned_allocate(ctypes.byref(pointer), ALIGNMENT, capacity):
            raise MemoryError
        return pointer.value or 0

    def _take_mapping(self, capacity: int) -> int:
        try:
            mapping = mmap.mmap(-1, capacity + HUGE_PAGE, flags=_MAPPING_FLAGS)
        except (OSError, ValueError, OverflowError) as error:
            raise MemoryError from error
        if hasattr(mmap, "MADV_HUGEPAGE"):
            # A kernel without huge pages says so; small ones do, more slowly.
            with suppress(OSError):
                mapping.madvise(mmap.MADV_HUGEPAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
        address = start + (-start) % HUGE_PAGE
        self.mappings[address] = mapping
        return address

    def give(self, address: int, capacity: int) -> None:
        """Return a block to the system."""
        if capacity >= HUGE_PAGE:
            del self.mappings[address]
        else:
            self._free(address)


class _Cache:
    """Free blocks by capacity. List operations are atomic, so no lock is needed or held at fork."""

    __slots__ = ("blocks", "limit", "statistics", "system")

    def __init__(self) -> None:
        self.blocks: dict[int, list[int]] = {}
        self.limit: int | None = None
        self.statistics = MemoryStatistics()
        self.system: _System | None = None

    def take_fresh(self, capacity: int, nbytes: int) -> int:
        """A block from the system, giving back what is cached if that is what it takes."""
        system = self.system
        if system is None:
            system = self.system = _System()
            self.limit = _default_cache_limit() if self.limit is None else self.limit
        if capacity >= ASK_FIRST:
            self._require(capacity, nbytes)
        try:
            return system.take(capacity)
        except MemoryError:
            self.empty()
        try:
            return system.take(capacity)
        except MemoryError:
            raise _out_of_memory(nbytes, available_memory()) from None

    def _require(self, capacity: int, nbytes: int) -> None:
        """Raise OutOfMemoryError if the machine does not have `capacity` bytes."""
        room = available_memory()
        if room is None or capacity <= room:
            return
        self.empty()
        room = available_memory()
        if room is not None and capacity > room:
            raise _out_of_memory(nbytes, room) from None

    def give_back(self, address: int, capacity: int) -> None:
        """Return a block to the system because the cache is full."""
        assert self.system is not None
        self.system.give(address, capacity)

    def empty(self) -> None:
        """Return every cached block to the system."""
        system, statistics = self.system, self.statistics
        for capacity, blocks in list(self.blocks.items()):
            while blocks:
                try:
                    address = blocks.pop()
                except IndexError:  # Another thread took the last one.
                    break
                statistics.cached -= capacity
                assert system is not None
                system.give(address, capacity)


_cache = _Cache()
_statistics = _cache.statistics
_blocks = _cache.blocks


def _out_of_memory(nbytes: int, room: int | None) -> OutOfMemoryError:
    known = "" if room is None else f" {room:,} bytes are available."
    return OutOfMemoryError(
        f"cannot allocate {nbytes:,} bytes.{known} rushlight holds {_statistics.current:,} bytes "
        f"now and held {_statistics.peak:,} at most; use smaller batches, or drop tensors that are "
        "no longer needed."
    )


def size_class(nbytes: int) -> int:
    """Capacity of the block that holds `nbytes`.

    >>> size_class(1), size_class(1025), size_class(5000)
    (64, 1152, 5120)
    """
    if nbytes <= SMALL:
        return (nbytes + ALIGNMENT - 1) & -ALIGNMENT
    shift = (nbytes - 1).bit_length() - 4
    return (((nbytes - 1) >> shift) + 1) << shift


def empty_cache() -> None:
    """Give all cached memory back to the system; living Buffers are not touched."""
    _cache.empty()


def memory_statistics() -> dict[str, int]:
    """Bytes: `current` in living Buffers, `peak` of that, `cached` on the free lists."""
    return {
        "current": _statistics.current,
        "peak": _statistics.peak,
        "cached": _statistics.cached,
    }


def reset_peak() -> None:
    """Let the peak be counted from what lives now."""
    _statistics.peak = _statistics.current


def set_cache_limit(nbytes: int) -> None:
    """Keep at most `nbytes` on the free lists from now on."""
    if nbytes < 0:
        raise ValueError(f"the cache limit must not be negative, but is {nbytes}")
    _cache.limit = nbytes
    if _statistics.cached > nbytes:
        _cache.empty()


class Buffer:
    """`nbytes` bytes at `address`, aligned to 64 (2 MiB from 2 MiB on), not initialised.

    `foreign` memory belongs to somebody outside and is only kept alive; `exported` is the number
    of living exports. `layouts` are copies of the content in other layouts, made by programs that
    read it again and again (engine/kept.py); whoever hands out the bytes to be written forgets
    them.

    Raises:
        ValueError: `nbytes` is negative.
        OutOfMemoryError: the machine does not have the memory.
    """

    __slots__ = (
        "__weakref__",
        "_capacity",
        "_owner",
        "address",
        "exported",
        "foreign",
        "layouts",
        "nbytes",
    )

    def __init__(self, nbytes: int) -> None:
        # Written out rather than composed: this runs for every value of every step.
        self._capacity = 0
        self.nbytes = nbytes
        self.exported = 0
        self.foreign = False
        self.layouts: dict[Any, Buffer | None] | None = None
        self._owner: np.ndarray | None = None
        if nbytes <= 0:
            if nbytes < 0:
                raise ValueError(f"a buffer cannot have {nbytes} bytes")
            self.address = EMPTY_ADDRESS
            return
        capacity = (nbytes + 63) & -64 if nbytes <= SMALL else size_class(nbytes)
        try:
            self.address = _blocks[capacity].pop()
            _statistics.cached -= capacity
        except (KeyError, IndexError):
            self.address = _cache.take_fresh(capacity, nbytes)
        self._capacity = capacity
        _statistics.current = current = _statistics.current + capacity
        if current > _statistics.peak:
            _statistics.peak = current

    def __del__(self) -> None:
        capacity = self._capacity
        if not capacity or _statistics is None:  # None: the interpreter is going down
            return
        _statistics.current -= capacity
        if _statistics.cached + capacity > _cache.limit:  # type: ignore[operator]
            _cache.give_back(self.address, capacity)
            return
        _statistics.cached += capacity
        try:
            _blocks[capacity].append(self.address)
        except KeyError:
            _blocks.setdefault(capacity, []).append(self.address)

    @classmethod
    def from_array(cls, array: np.ndarray) -> Buffer:
        """The memory of an array, shared, not copied: from its lowest to its highest byte.

        For an array of positive strides `address` is that of its first element.
        """
        low, high = _byte_bounds(array)
        buffer = cls(0)
        if high > low:
            buffer.address = low
        buffer.nbytes = high - low
        buffer.foreign = True
        buffer._owner = array
        return buffer

    @property
    def owner(self) -> np.ndarray | None:
        """The foreign array whose memory this is."""
        return self._owner

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return _interface(self.address, np.dtype(np.uint8), (self.nbytes,), None)

    def numpy(self, dtype: Any = np.uint8) -> np.ndarray:
        """A flat view for our own use (not counted as an export); it keeps the Buffer alive."""
        dtype = np.dtype(dtype)
        whole = self.nbytes // dtype.itemsize * dtype.itemsize
        return np.asarray(self)[:whole].view(dtype)

    def copy(self) -> Buffer:
        """A buffer of its own with the same bytes."""
        made = Buffer(self.nbytes)
        made.numpy()[:] = self.numpy()
        return made

    def export(
        self,
        dtype: Any,
        shape: tuple[int, ...],
        strides: tuple[int, ...] | None = None,
        offset: int = 0,
    ) -> np.ndarray:
        """An array for the outside: `strides` and `offset` in bytes, row-major if not given.

        While the array or any view of it lives, `exported` counts it.

        Raises:
            ValueError: the array would reach outside the buffer.
        """
        dtype = np.dtype(dtype)
        self._check_extent(dtype.itemsize, shape, strides, offset)
        return np.asarray(_Export(self, _interface(self.address + offset, dtype, shape, strides)))

    def _check_extent(
        self, itemsize: int, shape: tuple[int, ...], strides: tuple[int, ...] | None, offset: int
    ) -> None:
        low = high = offset
        if 0 not in shape:
            high += itemsize
            for size, stride in zip(shape, strides or _row_major(shape, itemsize), strict=True):
                reach = (size - 1) * stride
                low, high = (low + reach, high) if reach < 0 else (low, high + reach)
        if low < 0 or high > self.nbytes:
            raise ValueError(
                f"an array of shape {shape}, strides {strides} at byte {offset} takes bytes {low} "
                f"to {high} of a buffer of {self.nbytes}"
            )

    def __repr__(self) -> str:
        kind = "foreign " if self.foreign else ""
        return f"<{kind}Buffer of {self.nbytes} bytes at {self.address:#x}>"


class _Export:
    """The base of an exported array: its end is the end of the last array that reaches it."""

    __slots__ = ("__array_interface__", "_buffer")

    def __init__(self, buffer: Buffer, interface: dict[str, Any]) -> None:
        self.__array_interface__ = interface
        self._buffer = buffer
        buffer.exported += 1
        buffer.layouts = None

    def __del__(self) -> None:
        self._buffer.exported -= 1


def _interface(
    address: int, dtype: np.dtype[Any], shape: tuple[int, ...], strides: tuple[int, ...] | None
) -> dict[str, Any]:
    """NumPy's description of an array in memory that it does not own."""
    return {
        "version": 3,
        "data": (address, False),
        "typestr": dtype.str,
        "shape": shape,
        "strides": strides,
    }


def _row_major(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    strides = []
    for size in reversed(shape):
        strides.append(itemsize)
        itemsize *= size
    return tuple(reversed(strides))


def _byte_bounds(array: np.ndarray) -> tuple[int, int]:
    """First byte of an array's elements and the one after their last."""
    low = array.__array_interface__["data"][0]
    high = low
    if array.size:
        high += array.itemsize
        for size, stride in zip(array.shape, array.strides, strict=True):
            reach = (size - 1) * stride
            low, high = (low + reach, high) if reach < 0 else (low, high + reach)
    return low, high
