"""What the names in a file stand for.

In: the arguments that a pickle gives to a name. Out: a tensor, a container, or a plain value.
Invariant: every function here checks the type of everything it is given, and only builds.
"""

from __future__ import annotations

import argparse
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import rushlight

from .names import DTYPE_NAMES, STORAGE_DTYPES, dtype_name, dtype_of
from .storages import LoadedStorage, check_places
from .values import READERS, WORDS, Factory, set_state_of

_PLAIN_KEYS = (str, int, float, bool, bytes, type(None))
_MAX_KEY_PARTS = 16


class Constructor(NamedTuple):
    """One of our functions, standing for a name that a pickle may call.

    `cost` is how many bytes an honest pickle spends on a call, half of them at least; `steps`, how
    many instructions take as long.
    """

    call: Callable[..., Any]
    cost: int = 2
    steps: int = 0


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


def _finish(memory: LoadedStorage, tensor: Any, requires_grad: Any, metadata: Any) -> Any:
    """Apply what was only noted when the tensor was saved."""
    for name, value in (metadata or {}).items():
        if name not in ("conj", "neg") or type(value) is not bool:
            raise ValueError("an unknown note on a tensor")
        if value:
            memory.note(tensor.numel() * tensor.dtype.itemsize)
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
    tensor = _rebuild_tensor(view, offset, size, stride)
    return _finish(view.memory, tensor, requires_grad, metadata)


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
    return _finish(view.memory, tensor, requires_grad, metadata)


def _rebuild_parameter(tensor: Any, requires_grad: Any, hooks: Any) -> Any:
    _expect(tensor, rushlight.Tensor, "the value of a parameter")
    return rushlight.nn.Parameter(tensor, _expect(requires_grad, bool, "requires_grad"))


def _rebuild_parameter_with_state(tensor: Any, requires_grad: Any, hooks: Any, state: Any) -> Any:
    return _with_attributes(_rebuild_parameter(tensor, requires_grad, hooks), state)


def _rebuild_meta(dtype: Any, size: Any, stride: Any, requires_grad: Any) -> Any:
    _expect(dtype, rushlight.dtype, "the dtype of a tensor")
    check_places(0, _expect(size, tuple, "a size"), _expect(stride, tuple, "a stride"))
    tensor = rushlight.empty_strided(size, stride, dtype=dtype, device="meta")
    return tensor.requires_grad_(_expect(requires_grad, bool, "requires_grad"))


def _rebuild_from_type(function: Any, kind: Any, arguments: Any, state: Any) -> Any:
    """A tensor with attributes; `nn.Buffer` is one with certain attributes."""
    if kind is not _TENSOR_CLASS or not isinstance(function, Constructor):
        raise TypeError("a tensor of another class than torch.Tensor")
    if function not in _TENSOR_MAKERS.values() or type(arguments) is not tuple:
        raise TypeError("a tensor is made by one of PyTorch's functions for that")
    tensor = function.call(*arguments)
    if type(state) is dict and state.get("_is_buffer") is True:
        state = {name: value for name, value in state.items() if name != "_is_buffer"}
        tensor = rushlight.nn.Buffer(tensor, persistent=state.pop("persistent", True) is True)
    return _with_attributes(tensor, state)


def _with_attributes(tensor: Any, state: Any) -> Any:
    """Set attributes that the program gave a tensor, never one that tensors have by themselves."""
    for name in _expect(state, dict, "the state of a tensor"):
        if type(name) is not str or name.startswith("__") or hasattr(type(tensor), name):
            raise TypeError(f"the attribute {name!r} of a tensor")
    tensor.__dict__.update(state)
    return tensor


def _layout(name: Any) -> Any:
    if name != "torch.strided":
        raise ValueError(f"the layout {name!r:.40} does not exist here; there is torch.strided")
    return rushlight.strided


def _default_dict(factory: Any = None) -> Any:
    if factory is _SET:
        return defaultdict(set)
    if factory is not None and type(factory) is not Factory:
        raise TypeError(f"a defaultdict of a {type(factory).__name__}")
    return defaultdict(None if factory is None else factory.make)


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
    """Set attributes where a file may: on an OrderedDict (a state_dict has some) those that it does
    not have by itself, on a Namespace all; and the contents of a NumPy array.
    """
    if set_state_of(target, state):
        return
    _expect(state, dict, "the state of an object")
    own = type(target) is OrderedDict and not any(map(_is_method, state))
    fields = type(target) is argparse.Namespace
    if not (own or fields) or not all(type(name) is str for name in state):
        names = sorted(map(str, state))[:8]
        raise TypeError(f"attributes {names} of a {type(target).__name__}")
    target.__dict__.update(state)


def _is_method(name: Any) -> bool:
    return type(name) is not str or hasattr(OrderedDict, name)


# A tensor takes as long as forty instructions, and forty bytes of a pickle.
_TENSOR_MAKERS: dict[str, Constructor] = {
    name: Constructor(cast(Callable[..., Any], make), 64, 40)
    for name, make in {
        "_rebuild_tensor": _rebuild_tensor,
        "_rebuild_tensor_v2": _rebuild_tensor_v2,
        "_rebuild_tensor_v3": _rebuild_tensor_v3,
        "_rebuild_parameter": _rebuild_parameter,
        "_rebuild_meta_tensor_no_storage": _rebuild_meta,
    }.items()
}
_SET = Constructor(_set)
_TENSOR_CLASS = StorageKind("torch.Tensor")


GLOBALS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): Constructor(_ordered_dict),
    ("collections", "Counter"): Constructor(_counter),
    ("argparse", "Namespace"): Constructor(_namespace),
    ("_codecs", "encode"): Constructor(_encode),
    ("builtins", "set"): _SET,
    ("builtins", "frozenset"): Constructor(_frozen_set),
    ("builtins", "bytes"): Constructor(_bytes),
    ("builtins", "bytearray"): Constructor(_byte_array),
    ("builtins", "complex"): Constructor(_complex),
    ("torch", "Size"): Constructor(_size),
    ("torch", "device"): Constructor(_device),
    ("torch.serialization", "_get_layout"): Constructor(_layout),
    ("torch._utils", "_rebuild_parameter_with_state"): Constructor(
        _rebuild_parameter_with_state, 64, 40
    ),
    ("torch._tensor", "_rebuild_from_type_v2"): Constructor(_rebuild_from_type, 64, 40),
    ("torch", "Tensor"): _TENSOR_CLASS,
    ("collections", "defaultdict"): Constructor(_default_dict),
    **{("torch._utils", name): maker for name, maker in _TENSOR_MAKERS.items()},
    **{name: Constructor(make) for name, make in READERS.items()},
    **WORDS,
    ("torch.storage", "UntypedStorage"): StorageKind(None),
    **{
        (module, name): StorageKind(dtype)
        for module in ("torch", "torch.cuda")
        for name, dtype in STORAGE_DTYPES.items()
    },
    **{("torch", name): dtype_of(name) for name in DTYPE_NAMES},
}
