"""What the names in a file stand for.

In: the arguments that a pickle gives to a name. Out: a tensor, a container, or a plain value.
Invariant: every function here checks the type of everything it is given, and only builds.
"""

from __future__ import annotations

import argparse
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import rushlight

from .names import DTYPE_NAMES, STORAGE_DTYPES, dtype_name, dtype_of
from .storages import LoadedStorage

_PLAIN_KEYS = (str, int, float, bool, bytes, type(None))
_MAX_KEY_PARTS = 16


class Constructor(NamedTuple):
    """One of our functions, standing for a name that a pickle may call."""

    call: Callable[..., Any]


class Buildable:
    """An object of ours that a pickle may give a state; `build` checks it."""

    def build(self, state: Any) -> None:
        """Take the state. Errors: TypeError or ValueError where it is not what was expected."""
        raise NotImplementedError


class StorageKind(NamedTuple):
    """A storage class of torch; `dtype` is None for untyped bytes."""

    dtype: str | None


class StorageView(NamedTuple):
    """What a pickle gets for a reference to a storage: its memory, and the dtype it is read as."""

    memory: LoadedStorage
    dtype: str | None


def check_key(key: Any) -> Any:
    """A dictionary key or set element: a plain value, or a short flat tuple of plain values.

    Hashing anything else could run for ever, or deeper than the machine's stack. Integers have 64
    bits, and 32 in tuples, where floats may not be: keys that all have the same hash would make
    a dictionary take quadratic time (text and bytes have secret hashes).
    """
    if type(key) is not tuple:
        allowed = type(key) in _PLAIN_KEYS and (type(key) is not int or -_WORD <= key < _WORD)
    else:
        allowed = len(key) <= _MAX_KEY_PARTS and all(map(_small, key))
    if not allowed:
        raise TypeError(f"a {type(key).__name__} of other than plain values may not be a key")
    return key


_WORD = 1 << 63


def _small(part: Any) -> bool:
    if type(part) is int:
        return -(1 << 31) <= part < 1 << 31
    return type(part) in _PLAIN_KEYS and type(part) is not float


def _expect(value: Any, kind: Any, what: str) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{what} is a {type(value).__name__}")
    return value


def _tensor(view: Any, offset: Any, size: Any, stride: Any, dtype: str | None) -> Any:
    _expect(view, StorageView, "the storage of a tensor")
    _expect(size, tuple, "the size of a tensor")
    _expect(stride, tuple, "the stride of a tensor")
    if dtype is None:
        raise TypeError("a tensor on an untyped storage needs a dtype")
    return view.memory.tensor(dtype, offset, size, stride)


def _finish(tensor: Any, requires_grad: Any, metadata: Any) -> Any:
    """Apply what was only noted when the tensor was saved."""
    for name, value in (metadata or {}).items():
        if name not in ("conj", "neg") or type(value) is not bool:
            raise ValueError("an unknown note on a tensor")
        if value:
            if tensor.numel() > tensor.untyped_storage().nbytes() // tensor.dtype.itemsize:
                raise ValueError("a note on a tensor that is larger than its storage")
            tensor = tensor.conj() if name == "conj" else -tensor
    if _expect(requires_grad, bool, "requires_grad"):
        tensor.requires_grad_(True)
    return tensor


def _rebuild_tensor(view: Any, offset: Any, size: Any, stride: Any) -> Any:
    _expect(view, StorageView, "the storage of a tensor")
    return _tensor(view, offset, size, stride, view.dtype)


def _rebuild_tensor_v2(
    view: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    metadata: Any = None,
) -> Any:
    return _finish(_rebuild_tensor(view, offset, size, stride), requires_grad, metadata)


def _rebuild_tensor_v3(
    view: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Any:
    _expect(dtype, rushlight.dtype, "the dtype of a tensor")
    tensor = _tensor(view, offset, size, stride, dtype_name(dtype))
    return _finish(tensor, requires_grad, metadata)


def _rebuild_parameter(tensor: Any, requires_grad: Any, hooks: Any) -> Any:
    _expect(tensor, rushlight.Tensor, "the value of a parameter")
    return rushlight.nn.Parameter(tensor, _expect(requires_grad, bool, "requires_grad"))


def _ordered_dict(pairs: Any = ()) -> Any:
    if type(pairs) not in (tuple, list) or len(pairs):
        raise TypeError("an OrderedDict is made empty and filled afterwards")
    return OrderedDict()


def _counter(counts: Any = None) -> Any:
    counts = {} if counts is None else counts
    if type(counts) is not dict or not all(type(count) is int for count in counts.values()):
        raise TypeError("a Counter is made from a dictionary of integers")
    return Counter(counts)


def _set(items: Any = ()) -> Any:
    if type(items) not in (list, tuple):
        raise TypeError("a set is made from a list")
    return {check_key(item) for item in items}


def _frozen_set(items: Any = ()) -> Any:
    return frozenset(_set(items))


def _encode(text: Any, encoding: Any) -> bytes:
    if type(text) is not str or encoding != "latin1":
        raise TypeError("bytes are written as latin1 text")
    return text.encode("latin1")


def _bytes(content: Any = b"") -> bytes:
    return bytes(_expect(content, bytes, "the content of bytes"))


def _byte_array(content: Any = b"") -> bytearray:
    return bytearray(_expect(content, bytes, "the content of a bytearray"))


def _complex(real: Any, imaginary: Any) -> complex:
    return complex(_expect(real, float, "a real part"), _expect(imaginary, float, "a part"))


def _size(sizes: Any = ()) -> Any:
    if type(sizes) not in (tuple, list) or not all(type(n) is int for n in sizes):
        raise TypeError("a Size is made from integers")
    return rushlight.Size(sizes)


def _device(kind: Any, index: Any = None) -> Any:
    _expect(kind, str, "the type of a device")
    return rushlight.device(kind) if index is None else rushlight.device(kind, index)


def _namespace() -> argparse.Namespace:
    return argparse.Namespace()


def build(target: Any, state: Any) -> None:
    """Set attributes where a file may: the metadata of a state_dict, the fields of a Namespace."""
    _expect(state, dict, "the state of an object")
    metadata = type(target) is OrderedDict and set(state) <= {"_metadata"}
    fields = type(target) is argparse.Namespace and all(type(name) is str for name in state)
    if metadata or fields:
        target.__dict__.update(state)
    else:
        raise TypeError(f"attributes {sorted(map(str, state))} of a {type(target).__name__}")


GLOBALS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): Constructor(_ordered_dict),
    ("collections", "Counter"): Constructor(_counter),
    ("argparse", "Namespace"): Constructor(_namespace),
    ("_codecs", "encode"): Constructor(_encode),
    ("builtins", "set"): Constructor(_set),
    ("builtins", "frozenset"): Constructor(_frozen_set),
    ("builtins", "bytes"): Constructor(_bytes),
    ("builtins", "bytearray"): Constructor(_byte_array),
    ("builtins", "complex"): Constructor(_complex),
    ("torch", "Size"): Constructor(_size),
    ("torch", "device"): Constructor(_device),
    ("torch._utils", "_rebuild_tensor"): Constructor(_rebuild_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): Constructor(_rebuild_tensor_v2),
    ("torch._utils", "_rebuild_tensor_v3"): Constructor(_rebuild_tensor_v3),
    ("torch._utils", "_rebuild_parameter"): Constructor(_rebuild_parameter),
    ("torch.storage", "UntypedStorage"): StorageKind(None),
    **{
        (module, name): StorageKind(dtype)
        for module in ("torch", "torch.cuda")
        for name, dtype in STORAGE_DTYPES.items()
    },
    **{("torch", name): dtype_of(name) for name in DTYPE_NAMES},
}
