"""Bytes: views of another dtype, real and complex views, and storages as objects.

In: tensors. Out: tensors on the same bytes. Invariant: memory that has been viewed under two dtypes
is `shared` from then on: it is read and written at the call, since the pending value of a storage
has one dtype.
"""

from __future__ import annotations

from typing import Any

from ..base.dtype import DTYPES, dtype
from ..base.layout import contiguous_layout, layout_of
from ..ops import core
from .storage import Storage
from .tensor import Tensor, make_tensor
from .views import view_of


def share(storage: Storage) -> None:
    """From now on the bytes are always there and up to date."""
    storage.settle()
    storage.shared = True


def view_dtype(self: Tensor, target: dtype) -> Tensor:
    """The same bytes read as another dtype, as `torch.Tensor.view(dtype)`."""
    layout = self._layout
    if target is layout.dtype:
        return view_of(self, layout, "View", lambda g: g)
    old, new = layout.dtype.itemsize, target.itemsize
    shape, strides, offset = list(layout.shape), list(layout.strides), layout.offset
    if old != new:
        if not shape:
            raise RuntimeError(
                f"self.dim() cannot be 0 to view {layout.dtype} as {target} (different element "
                "sizes)"
            )
        if strides[-1] != 1:
            raise RuntimeError(
                f"self.stride(-1) must be 1 to view {layout.dtype} as {target} (different element "
                "sizes)"
            )
        bytes_last = shape[-1] * old
        others = [s * old for s in strides[:-1]]
        if bytes_last % new or (offset * old) % new or any(s % new for s in others):
            raise RuntimeError(
                f"self.size(-1) must be divisible by {new // old} to view {layout.dtype} as "
                f"{target} (different element sizes), but got {shape[-1]}"
            )
        shape[-1] = bytes_last // new
        strides = [s // new for s in others] + [1]
        offset = offset * old // new
    share(self._storage)
    return view_of(
        self, layout_of(shape, strides, offset, target, layout.device), "View", lambda g: g
    )


def view_as_real(input: Tensor) -> Tensor:
    """A complex tensor as real pairs in a new last dimension, as `torch.view_as_real`."""
    layout = input._layout
    if not layout.dtype.is_complex:
        raise RuntimeError(
            f"view_as_real is only supported for complex tensors, got {layout.dtype}"
        )
    share(input._storage)
    made = layout_of(
        (*layout.shape, 2),
        (*[2 * s for s in layout.strides], 1),
        2 * layout.offset,
        layout.dtype.real,
        layout.device,
    )
    return view_of(input, made, "ViewAsReal", lambda g: view_as_complex(g.contiguous()))


def view_as_complex(input: Tensor) -> Tensor:
    """Real pairs in the last dimension as complex numbers, as `torch.view_as_complex`."""
    layout = input._layout
    if not layout.shape or layout.shape[-1] != 2:
        raise RuntimeError(f"Tensor must have a last dimension of size 2, got {list(layout.shape)}")
    if layout.strides[-1] != 1 or layout.offset % 2 or any(s % 2 for s in layout.strides[:-1]):
        raise RuntimeError(
            "Tensor must have a last dimension with stride 1 and even strides elsewhere"
        )
    share(input._storage)
    made = layout_of(
        layout.shape[:-1],
        [s // 2 for s in layout.strides[:-1]],
        layout.offset // 2,
        layout.dtype.to_complex(),
        layout.device,
    )
    return view_of(input, made, "ViewAsComplex", lambda g: view_as_real(core.clone(g)))


class UntypedStorage:
    """The bytes under tensors, as `torch.UntypedStorage`: equal for all views of one memory."""

    __slots__ = ("storage",)

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def nbytes(self) -> int:
        return self.storage.nbytes()

    size = nbytes
    __len__ = nbytes

    def data_ptr(self) -> int:
        return self.storage.realize().address

    @property
    def _cdata(self) -> int:
        return id(self.storage)

    def element_size(self) -> int:
        return 1

    def untyped(self) -> UntypedStorage:
        return UntypedStorage(self.storage)

    @staticmethod
    def from_file(filename: Any, shared: bool = False, nbytes: int = 0) -> UntypedStorage:
        """The bytes of a file, mapped into memory; with `shared` writes go to the file.

        `nbytes` is how many there are, 0 meaning all; a shared file is made as long as that.
        """
        import os

        import numpy as np

        from .conversion import from_numpy

        path = os.fspath(filename)
        if shared:
            with open(path, "ab") as file:
                file.truncate(max(nbytes, file.tell()))
        count = nbytes or os.path.getsize(path)
        if count > os.path.getsize(path):
            raise RuntimeError(
                f"{path}: {count} bytes are asked for, it has {os.path.getsize(path)}"
            )
        if count == 0:
            return UntypedStorage(from_numpy(np.empty(0, np.uint8))._storage)
        mapped = np.memmap(path, np.uint8, "r+" if shared else "c", shape=(count,))
        return UntypedStorage(from_numpy(mapped)._storage)

    def __getitem__(self, index: Any) -> Any:
        """A byte, or for a slice a storage on some of the bytes."""
        from .conversion import from_numpy

        chosen = tensor_on(self, DTYPES["uint8"]).numpy()[index]
        return UntypedStorage(from_numpy(chosen)._storage) if chosen.ndim else int(chosen)

    def tolist(self) -> list[int]:
        """The bytes as numbers."""
        return tensor_on(self, DTYPES["uint8"]).tolist()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and other.storage is self.storage

    def __hash__(self) -> int:
        return id(self.storage)


class TypedStorage(UntypedStorage):
    """The elements under tensors, as `torch.TypedStorage`."""

    __slots__ = ("dtype",)

    def __init__(self, storage: Storage, type_: dtype) -> None:
        super().__init__(storage)
        self.dtype = type_

    def size(self) -> int:  # type: ignore[override]
        return self.storage.nbytes() // self.dtype.itemsize

    __len__ = size

    def element_size(self) -> int:
        return self.dtype.itemsize

    def __getitem__(self, index: int) -> Any:
        return tensor_on(self, self.dtype)[index].item()

    def tolist(self) -> list[Any]:
        """The elements as numbers."""
        return tensor_on(self, self.dtype).tolist()


def tensor_on(storage: UntypedStorage, type_: dtype) -> Tensor:
    """All elements of a storage as a one-dimensional tensor."""
    return make_tensor(
        storage.storage, contiguous_layout((storage.nbytes() // type_.itemsize,), type_)
    )


def is_storage(obj: Any) -> bool:
    """Whether an object is a storage, as `torch.is_storage`."""
    return isinstance(obj, UntypedStorage)


METHODS: dict[str, Any] = {
    "untyped_storage": lambda self: UntypedStorage(self._storage),
    "storage": lambda self: TypedStorage(self._storage, self.dtype),
    "_typed_storage": lambda self: TypedStorage(self._storage, self.dtype),
}
FUNCTIONS = (view_as_real, view_as_complex, is_storage)
