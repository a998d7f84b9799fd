"""Writing the pickle of a checkpoint, with the names that PyTorch reads.

In: nested plain data with tensors. Out: the bytes of the pickle, and the storages it refers to.
Invariant: what can be written is exactly what can be loaded again; anything else is an error that
says where in the data it stands. Values that occur twice are written once.
"""

from __future__ import annotations

import builtins
import copyreg
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import rushlight

from .names import STORAGE_OF_DTYPE, dtype_name
from .storages import raw_bytes
from .trusted import is_trusted_object, name_of_trusted
from .unpickler import MAX_DEPTH
from .values import Call, Word, call_of


class Pickler:
    """Writes one value; afterwards `output` is the pickle and `storages` what it refers to by
    number.
    """

    def __init__(self, views: bool = False) -> None:
        """`views`: refer to storages as the old format does, with a word for views of storages."""
        self._views = views
        self.output = bytearray(b"\x80\x02")
        self.storages: list[Any] = []
        self._storage_numbers: dict[int, tuple[int, str]] = {}
        self._memo: dict[Any, int] = {}
        self._open: set[int] = set()
        self._path: list[str] = []
        # Keeps what the memo knows by its address from being replaced by another object.
        self._alive: list[Any] = []

    def dump(self, value: Any) -> None:
        """Write `value` as the whole pickle."""
        self.write(value)
        self.output += b"."

    def write(self, value: Any, step: str = "") -> None:
        """Write a value; `step` is how to get to it from the one around it."""
        kind = type(value)
        write = _WRITERS.get(kind) or self._writer_of(value)
        if write is None:
            raise TypeError(self._refusal(value, step))
        if id(value) in self._open or len(self._path) >= MAX_DEPTH:
            raise ValueError(f"save: {self._where(step)} holds itself or is nested too deeply")
        if id(value) in self._memo:
            self._get(id(value))
            return
        self._path.append(step)
        self._open.add(id(value))
        write(self, value)
        self._open.discard(id(value))
        self._path.pop()

    @staticmethod
    def _writer_of(value: Any) -> Callable[..., None] | None:
        """For values that are told by more than their exact type; None for what cannot be saved."""
        if isinstance(value, rushlight.Tensor):
            if value.layout is not rushlight.strided:
                raise TypeError("save: a sparse tensor is not written; save x.to_dense()")
            parameter = isinstance(value, rushlight.nn.Parameter)
            return Pickler._parameter if parameter else Pickler._tensor
        if is_trusted_object(value):
            return Pickler._trusted
        call = call_of(value)
        return None if call is None else partial(Pickler._described, call=call)

    def _where(self, step: str) -> str:
        return "the object to save" + "".join([*self._path, step])

    def _refusal(self, value: Any, step: str) -> str:
        kind = type(value)
        hint = ""
        if hasattr(value, "state_dict"):
            hint = "; save its state_dict() instead"
        elif isinstance(value, type) or hasattr(value, "__dict__"):
            hint = "; rushlight.serialization.add_safe_globals vouches for a class"
        return (
            f"save: {self._where(step)} is a {kind.__module__}.{kind.__qualname__}, which load "
            f"would refuse{hint}"
        )

    def contents(self) -> Iterator[tuple[memoryview, int]]:
        """The bytes of each storage in the order of their numbers, and how many elements they
        are.
        """
        for tensor in self.storages:
            count = tensor.untyped_storage().nbytes() // tensor.dtype.itemsize
            yield raw_bytes(rushlight.as_strided(tensor, (count,), (1,), 0)), count

    # ---- memo

    def _put(self, key: Any) -> None:
        number = self._memo[key] = len(self._memo)
        self.output += b"q" + bytes([number]) if number < 256 else b"r" + struct.pack("<I", number)

    def _get(self, key: Any) -> None:
        number = self._memo[key]
        self.output += b"h" + bytes([number]) if number < 256 else b"j" + struct.pack("<I", number)

    def _remember(self, value: Any) -> None:
        self._alive.append(value)
        self._put(id(value))

    # ---- plain values

    def _none(self, value: None) -> None:
        self.output += b"N"

    def _bool(self, value: bool) -> None:
        self.output += b"\x88" if value else b"\x89"

    def _int(self, value: int) -> None:
        if 0 <= value < 256:
            self.output += b"K" + bytes([value])
        elif -(2**31) <= value < 2**31:
            self.output += b"J" + struct.pack("<i", value)
        else:
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            long = len(raw) > 255
            self.output += b"\x8b" + struct.pack("<i", len(raw)) if long else b"\x8a"
            self.output += raw if long else bytes([len(raw)]) + raw

    def _float(self, value: float) -> None:
        self.output += b"G" + struct.pack(">d", value)

    def _complex(self, value: complex) -> None:
        self._call("__builtin__", "complex", value.real, value.imag)

    def _str(self, value: str) -> None:
        if ("text", value) in self._memo:
            self._get(("text", value))
            return
        raw = value.encode("utf-8", "surrogatepass")
        self.output += b"X" + struct.pack("<I", len(raw)) + raw
        self._put(("text", value))

    def _bytes(self, value: bytes) -> None:
        self._call("_codecs", "encode", value.decode("latin1"), "latin1")

    def _bytearray(self, value: bytearray) -> None:
        self._call("__builtin__", "bytearray", bytes(value))
        self._remember(value)

    def _dtype(self, value: Any) -> None:
        self._global("torch", dtype_name(value))

    def _device(self, value: Any) -> None:
        index = () if value.index is None else (value.index,)
        self._call("torch", "device", value.type, *index)

    def _layout(self, value: Any) -> None:
        self._call("torch.serialization", "_get_layout", str(value))

    def _word(self, value: Any) -> None:
        """`numpy.ndarray`, the one word that is written by itself."""
        self._global("numpy", "ndarray")

    def _class(self, value: type) -> None:
        """One of the classes that files may name: what makes the items of a defaultdict."""
        if getattr(builtins, value.__name__, None) is not value:
            raise TypeError(self._refusal(value, ""))
        self._global("__builtin__", value.__name__)

    def _described(self, value: Any, call: Call) -> None:
        """A value of Python's or NumPy's libraries: a call, its items, its state."""
        self._call(call.module, call.name, *call.arguments)
        self._remember(value)
        if isinstance(value, dict):
            self._pairs(value)
        if call.state is not None:
            self._alive.append(call.state)
            self.write(call.state, ".state")
            self.output += b"b"

    def _trusted(self, value: Any) -> None:
        """An object of a class that the program vouches for, as pickle takes it apart."""
        made, arguments, *rest = value.__reduce_ex__(2)
        state, *items = (*rest, None, None, None)[:3]
        new = made is copyreg.__newobj__  # type: ignore[attr-defined]
        made, arguments = (arguments[0], arguments[1:]) if new else (made, arguments)
        name = name_of_trusted(made)
        if name is None or any(part is not None for part in items):
            raise TypeError(self._refusal(value, ""))
        self._global(*name)
        self._alive.append(arguments)
        self.write(arguments)
        self.output += b"\x81" if new else b"R"
        self._remember(value)
        if state is not None:
            self._alive.append(state)
            self.write(state, ".state")
            self.output += b"b"

    def _size(self, value: Any) -> None:
        self._call("torch", "Size", tuple(value))

    # ---- containers

    def _list(self, value: list[Any]) -> None:
        self.output += b"]"
        self._remember(value)
        self._items(value, b"e")

    def _set(self, value: set[Any] | frozenset[Any]) -> None:
        self._call("__builtin__", type(value).__name__, list(value))
        self._remember(value)

    def _tuple(self, value: tuple[Any, ...]) -> None:
        self.output += b"("
        for index, item in enumerate(value):
            self.write(item, f"[{index}]")
        self.output += b"t"
        self._remember(value)

    def _items(self, items: Iterable[Any], end: bytes) -> None:
        self.output += b"("
        for index, item in enumerate(items):
            self.write(item, f"[{index}]")
        self.output += end

    def _dict(self, value: dict[Any, Any]) -> None:
        self.output += b"}"
        self._remember(value)
        self._pairs(value)

    def _pairs(self, value: dict[Any, Any]) -> None:
        self.output += b"("
        for key, item in value.items():
            self.write(key, f" (its key {key!r})")
            self.write(item, f"[{key!r}]")
        self.output += b"u"

    def _ordered_dict(self, value: OrderedDict[Any, Any]) -> None:
        self._call("collections", "OrderedDict")
        self._remember(value)
        self._pairs(value)
        metadata = getattr(value, "_metadata", None)
        if metadata is not None:
            self.write({"_metadata": metadata}, "._metadata")
            self.output += b"b"

    def _counter(self, value: Counter[Any]) -> None:
        self._call("collections", "Counter", dict(value))
        self._remember(value)

    # ---- names and calls

    def _global(self, module: str, name: str) -> None:
        if (module, name) in self._memo:
            self._get((module, name))
            return
        self.output += f"c{module}\n{name}\n".encode()
        self._put((module, name))

    def _call(self, module: str, name: str, *arguments: Any) -> None:
        self._global(module, name)
        self.output += b"("
        for argument in arguments:
            self._alive.append(argument)
            self.write(argument)
        self.output += b"tR"

    # ---- tensors

    def _tensor(self, value: Any) -> None:
        """A call of PyTorch's rebuilding function on a numbered storage; where the tensor has
        attributes, a call of another one on the first one's function and arguments.
        """
        requires_grad = bool(value.requires_grad and value.is_leaf)
        state = dict(vars(value))
        if isinstance(value, rushlight.nn.Buffer):
            state["_is_buffer"] = True
        if not state:
            self._storage_tensor(value, requires_grad, b"")
            self.output += b"R"
        else:
            self._global("torch._tensor", "_rebuild_from_type_v2")
            self.output += b"("
            self._storage_tensor(value, requires_grad, b"ctorch\nTensor\n")
            self._attributes(state)
            self.output += b"tR"
        self._remember(value)

    def _parameter(self, value: Any) -> None:
        state = dict(vars(value))
        name = "_rebuild_parameter_with_state" if state else "_rebuild_parameter"
        self._global("torch._utils", name)
        self.output += b"("
        self._storage_tensor(value, False, b"")
        self.output += b"R"
        self._bool(value.requires_grad)
        self._call("collections", "OrderedDict")
        if state:
            self._attributes(state)
        self.output += b"tR"
        self._remember(value)

    def _attributes(self, state: dict[str, Any]) -> None:
        self._alive.append(state)
        self.write(state, ".__dict__")

    def _storage_tensor(self, value: Any, requires_grad: bool, between: bytes) -> None:
        """A rebuilding function, what is to stand behind it, and its arguments."""
        dtype = dtype_name(value.dtype)
        if value.device.type == "meta":
            self._meta_tensor(value, dtype, requires_grad, between)
            return
        typed = dtype in STORAGE_OF_DTYPE
        self._global("torch._utils", "_rebuild_tensor_v2" if typed else "_rebuild_tensor_v3")
        self.output += between + b"("
        self._storage(value, dtype)
        self._int(value.storage_offset())
        for numbers in (tuple(value.shape), tuple(value.stride())):
            self._items(numbers, b"t")
        self._bool(requires_grad)
        self._call("collections", "OrderedDict")
        if not typed:
            self._global("torch", dtype)
        self.output += b"t"

    def _meta_tensor(self, value: Any, dtype: str, requires_grad: bool, between: bytes) -> None:
        """A tensor without values: its dtype, size and strides."""
        self._global("torch._utils", "_rebuild_meta_tensor_no_storage")
        self.output += between + b"("
        self._global("torch", dtype)
        for numbers in (tuple(value.shape), tuple(value.stride())):
            self._items(numbers, b"t")
        self._bool(requires_grad)
        self.output += b"t"

    def _storage(self, value: Any, dtype: str) -> None:
        """A reference to the tensor's storage; the first one gives it a number."""
        storage = value.untyped_storage()
        known = self._storage_numbers.get(storage._cdata)
        if known is None:
            known = self._storage_numbers[storage._cdata] = (len(self.storages), dtype)
            self._alive.append(storage)
            self.storages.append(value.detach())
        number, written = known
        if written != dtype:
            raise RuntimeError(
                f"save: {self._where('')} reads memory as {dtype} that another tensor reads as "
                f"{written}; clone one of them first"
            )
        self.output += b"("
        self._str("storage")
        if dtype in STORAGE_OF_DTYPE:
            self._global("torch", STORAGE_OF_DTYPE[dtype])
        else:
            self._global("torch.storage", "UntypedStorage")
        self._str(str(number))
        self._str("cpu")
        itemsize = value.dtype.itemsize if dtype in STORAGE_OF_DTYPE else 1
        self._int(storage.nbytes() // itemsize)
        self.output += b"NtQ" if self._views else b"tQ"


_WRITERS: dict[type, Callable[..., None]] = {
    type(None): Pickler._none,
    bool: Pickler._bool,
    int: Pickler._int,
    float: Pickler._float,
    complex: Pickler._complex,
    str: Pickler._str,
    bytes: Pickler._bytes,
    bytearray: Pickler._bytearray,
    list: Pickler._list,
    tuple: Pickler._tuple,
    set: Pickler._set,
    frozenset: Pickler._set,
    dict: Pickler._dict,
    OrderedDict: Pickler._ordered_dict,
    Counter: Pickler._counter,
    rushlight.dtype: Pickler._dtype,
    rushlight.device: Pickler._device,
    rushlight.Size: Pickler._size,
    rushlight.layout: Pickler._layout,
    type: Pickler._class,
    Word: Pickler._word,
}
