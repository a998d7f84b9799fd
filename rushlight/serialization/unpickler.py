"""Reading pickles without executing anything they name.

In: the bytes of a pickle, and a function that finds the storages it refers to. Out: plain data:
numbers, text, containers, tensors, dtypes, devices.
Invariant: the only code that runs for a file is in this package, or vouched for. A name in a pickle
is looked up in one table, and among the classes that the program has vouched for (`trusted.py`; by
rule none); what the table holds are values, or functions of ours that check their arguments.
Otherwise objects are only ever built, never given control: items go into exact lists, dictionaries
and sets, keys are plain values, and attributes are set on two harmless classes.
"""

from __future__ import annotations

import struct
from argparse import Namespace
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import rushlight

from .names import REFUSED, is_foreign_dtype
from .rebuild import GLOBALS, Buildable, Constructor, StorageKind, StorageView, build, check_key
from .trusted import TRUSTED, Trusted, is_trusted_object, set_state
from .values import Factory, Word

# More than any real checkpoint needs; a pickle of a few bytes must not take all the memory, nor one
# of many bytes all the time: an instruction of one byte can make an object of two hundred. Honest
# pickles with many instructions describe many tensors, so their files are large.
MAX_BYTES = 1 << 28
MAX_STEPS = 1 << 22
FEWEST_STEPS = 1 << 20
_BYTES_PER_STEP = 16
MAX_INTEGER = 1 << 12  # bytes of one integer
MAX_DEPTH = 100
# A call copies what it is given, and what it is given may be one value of the memo, named again and
# again by two bytes each. What honest pickles copy stands in them: twice at most, plus little.
_COPIES_PER_BYTE = 2
_COPIES = 1 << 20
_REFERENCE_COST = 16
_COPIED = (str, bytes, bytearray, list, tuple, dict)
_MARK = object()
_STOP = ord(".")
_DICTIONARIES = (dict, OrderedDict, Counter, defaultdict)
_SETS = (set, frozenset)
_CONTAINERS: frozenset[type] = frozenset((list, tuple, *_SETS, *_DICTIONARIES, Namespace))
_PLAIN = frozenset((str, int, float, bool, bytes, type(None)))
_INTERNAL = frozenset((Constructor, StorageKind, StorageView, Trusted, Factory, Word))

Step = Callable[["Interpreter"], None]
_STEPS: dict[int, Step] = {}


def _opcode(*codes: bytes) -> Callable[[Step], Step]:
    def register(step: Step) -> Step:
        for code in codes:
            _STEPS[code[0]] = step
        return step

    return register


class Interpreter:
    """The stack machine that a pickle is a program for, limited to harmless instructions.

    `end` is where the pickle ended, for files that hold several.
    Errors: ValueError, TypeError, KeyError, IndexError or struct.error for whatever is wrong.
    """

    def __init__(
        self,
        data: Any,
        find_storage: Callable[[Any], Any],
        position: int = 0,
        names: Mapping[tuple[str, str], Any] = GLOBALS,
        binary: bool = False,
        size: int = 0,
    ) -> None:
        """`names` is what the pickle may refer to; with `binary` the strings of Python 2 are
        bytes. `size` is that of the file around it, if there is one.
        """
        # What follows the longest pickle may be storages, of any size.
        self.data = memoryview(data)[: position + MAX_BYTES]
        self.end = position
        self.find_storage = find_storage
        self.names, self.binary = names, binary
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.allowance = _COPIES + _COPIES_PER_BYTE * (len(self.data) - position)
        self.most_steps = FEWEST_STEPS + max(size, len(data)) // _BYTES_PER_STEP
        self.most_steps = min(self.most_steps, MAX_STEPS)
        self.steps_of_calls = 0

    def run(self) -> Any:
        """Execute up to STOP; return the one value that is left."""
        for _ in range(self.most_steps):
            code = self.data[self.end]
            self.end += 1
            if code == _STOP:
                break
            step = _STEPS.get(code)
            if step is None:
                raise ValueError(f"instruction {code:#04x} at byte {self.end - 1} is not allowed")
            step(self)
        else:
            raise ValueError(f"a pickle of more than {self.most_steps} instructions")
        if len(self.stack) != 1:
            raise ValueError(f"the pickle leaves {len(self.stack)} values instead of one")
        value = self.pop()
        check_nesting(value)
        return value

    # ---- the program

    def take(self, count: int) -> memoryview:
        """The next `count` bytes."""
        start, self.end = self.end, self.end + count
        if count < 0 or self.end > len(self.data):
            raise ValueError("the pickle ends in the middle of an instruction")
        return self.data[start : self.end]

    def unpack(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        start = self.end
        limit = min(len(self.data), start + 1000)
        raw = bytes(self.data[start:limit])
        length = raw.find(b"\n")
        if length < 0:
            raise ValueError("a name in the pickle has no end")
        self.end = start + length + 1
        return raw[:length].decode("utf-8")

    def charge(self, cost: int, steps: int = 0) -> None:
        """Count what a call copies, and how long it takes in instructions."""
        self.allowance -= cost
        self.steps_of_calls += steps
        if self.allowance < 0 or self.steps_of_calls > self.most_steps:
            raise ValueError("the pickle makes more than a file of its size can hold")

    # ---- the stack

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value was expected")
        return value

    def top(self, kind: type | tuple[type, ...]) -> Any:
        """The value on top, which must be exactly of a kind: a subclass could react."""
        kinds = kind if isinstance(kind, tuple) else (kind,)
        value = self.stack[-1]
        if type(value) not in kinds:
            names = " or ".join(each.__name__ for each in kinds)
            raise TypeError(f"expected a {names} to fill, found a {type(value).__name__}")
        return value

    def pop_to_mark(self) -> list[Any]:
        position = len(self.stack) - 1
        while self.stack[position] is not _MARK:
            position -= 1
            if position < 0:
                raise ValueError("a mark is missing")
        values = self.stack[position + 1 :]
        del self.stack[position:]
        return values


def _items(value: Any) -> Iterable[Any]:
    """What a container holds, apart from keys, which are plain."""
    kind = type(value)
    if kind in _SETS:
        return ()
    if kind in _DICTIONARIES:
        attributes = getattr(value, "__dict__", None)
        return [*value.values(), *attributes.values()] if attributes else value.values()
    return value if kind in (list, tuple) else value.__dict__.values()


def _parts(value: Any) -> list[Any]:
    """The containers directly inside a container. Errors: TypeError for what is no data."""
    found = []
    for part in _items(value):
        kind = type(part)
        if kind in _PLAIN:
            continue
        if kind in _CONTAINERS or (isinstance(part, rushlight.Tensor) and part.__dict__):
            found.append(part)
        elif kind in _INTERNAL:
            raise TypeError("the pickle holds a class or a bare storage where data was expected")
    return found


def check_nesting(root: Any) -> None:
    """Refuse values nested deeper than MAX_DEPTH, or inside themselves; linear and iterative."""
    heights: dict[int, int] = {}  # by address; 0 while it is being looked through
    path: list[tuple[int, Iterator[Any]]] = [(0, iter(_parts([root])))]
    tops = [0]  # the height of the highest part of each value on the path
    while path:
        for part in path[-1][1]:
            known = heights.get(id(part))
            if known is None:
                inner = _parts(part)
                heights[id(part)] = 0 if inner else 1
                tops[-1] = tops[-1] or 1
                if inner:
                    path.append((id(part), iter(inner)))
                    tops.append(0)
                    break
            elif known == 0 or len(path) > MAX_DEPTH:
                raise ValueError(f"a container holds itself, or is deeper than {MAX_DEPTH} levels")
            else:
                tops[-1] = max(tops[-1], known)
        else:
            address, _ = path.pop()
            heights[address] = height = tops.pop() + 1
            if height > MAX_DEPTH + 1 or len(path) > MAX_DEPTH:
                raise ValueError(f"values are nested deeper than {MAX_DEPTH} levels")
            if tops:
                tops[-1] = max(tops[-1], height)


# ---- instructions, by what they push


def _push_constant(value: Any, machine: Interpreter) -> None:
    machine.push(value)


def _push_empty(kind: type, machine: Interpreter) -> None:
    machine.push(kind())


def _push_number(layout: str, machine: Interpreter) -> None:
    machine.push(machine.unpack(layout))


def _push_text(layout: str, machine: Interpreter) -> None:
    machine.push(str(machine.take(machine.unpack(layout)), "utf-8", "surrogatepass"))


def _push_old_text(layout: str, machine: Interpreter) -> None:
    (_push_bytes if machine.binary else _push_text)(layout, machine)


def _push_bytes(layout: str, machine: Interpreter) -> None:
    machine.push(bytes(machine.take(machine.unpack(layout))))


def _push_long(layout: str, machine: Interpreter) -> None:
    raw = machine.take(machine.unpack(layout))
    if len(raw) > MAX_INTEGER:
        raise ValueError(f"an integer of {len(raw)} bytes is longer than {MAX_INTEGER}")
    machine.push(int.from_bytes(raw, "little", signed=True))


def _push_tuple(size: int, machine: Interpreter) -> None:
    stack = machine.stack
    values = tuple(stack[-size:])
    if len(values) < size or any(value is _MARK for value in values):
        raise ValueError("a tuple wants more values than there are")
    stack[-size:] = [values]


def _put(layout: str, machine: Interpreter) -> None:
    machine.memo[machine.unpack(layout)] = machine.stack[-1]


def _get(layout: str, machine: Interpreter) -> None:
    machine.push(machine.memo[machine.unpack(layout)])


# Instructions that differ only in a constant, or in how the length of their argument is written.
# U and T are the text of Python 2, which PyTorch's oldest files hold.
_FAMILIES: list[tuple[Callable[[Any, Interpreter], None], dict[bytes, Any]]] = [
    (_push_constant, {b"N": None, b"\x88": True, b"\x89": False, b")": (), b"(": _MARK}),
    (_push_empty, {b"]": list, b"}": dict, b"\x8f": set}),
    (_push_number, {b"J": "<i", b"K": "<B", b"M": "<H", b"G": ">d"}),
    (_push_text, {b"X": "<I", b"\x8c": "<B", b"\x8d": "<Q"}),
    (_push_old_text, {b"U": "<B", b"T": "<i"}),
    (_push_bytes, {b"B": "<I", b"C": "<B", b"\x8e": "<Q"}),
    (_push_long, {b"\x8a": "<B", b"\x8b": "<i"}),
    (_push_tuple, {b"\x85": 1, b"\x86": 2, b"\x87": 3}),
    (_put, {b"q": "<B", b"r": "<I"}),
    (_get, {b"h": "<B", b"j": "<I"}),
]
for _family, _members in _FAMILIES:
    _STEPS.update({code[0]: partial(_family, value) for code, value in _members.items()})


@_opcode(b"\x80")
def _protocol(machine: Interpreter) -> None:
    version = machine.unpack("<B")
    if not 2 <= version <= 5:
        raise ValueError(f"pickle protocol {version} is not one of 2 to 5")


@_opcode(b"\x95")
def _frame(machine: Interpreter) -> None:
    machine.unpack("<Q")


@_opcode(b"\x96")
def _byte_array(machine: Interpreter) -> None:
    machine.push(bytearray(machine.take(machine.unpack("<Q"))))


@_opcode(b"t")
def _tuple(machine: Interpreter) -> None:
    machine.push(tuple(machine.pop_to_mark()))


@_opcode(b"\x91")
def _frozen_set(machine: Interpreter) -> None:
    machine.push(frozenset(map(check_key, machine.pop_to_mark())))


@_opcode(b"0")
def _drop(machine: Interpreter) -> None:
    machine.stack.pop()


# ---- memory


@_opcode(b"\x94")
def _memoize(machine: Interpreter) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


# ---- filling containers


@_opcode(b"a")
def _append(machine: Interpreter) -> None:
    value = machine.pop()
    machine.top(list).append(value)


@_opcode(b"e")
def _extend(machine: Interpreter) -> None:
    values = machine.pop_to_mark()
    machine.top(list).extend(values)


@_opcode(b"s")
def _set_item(machine: Interpreter) -> None:
    value, key = machine.pop(), machine.pop()
    machine.top(_DICTIONARIES)[check_key(key)] = value


@_opcode(b"u")
def _set_items(machine: Interpreter) -> None:
    values = machine.pop_to_mark()
    target = machine.top(_DICTIONARIES)
    for key, value in zip(values[::2], values[1::2], strict=True):
        target[check_key(key)] = value


@_opcode(b"\x90")
def _add_items(machine: Interpreter) -> None:
    values = machine.pop_to_mark()
    machine.top(set).update(map(check_key, values))


# ---- names and objects


def _find(machine: Interpreter, module: str, name: str) -> None:
    machine.charge(0, steps=2)
    module = "builtins" if module == "__builtin__" else module
    if (module, name) in TRUSTED:
        machine.push(TRUSTED[module, name])
        return
    if (module, name) not in machine.names:
        raise ValueError(_refusal(module, name))
    machine.push(machine.names[module, name])


def _refusal(module: str, name: str) -> str:
    """Why a name is not one of those that files may hold."""
    if (module, name) in REFUSED:
        return REFUSED[module, name]
    if module == "torch" and is_foreign_dtype(name):
        return f"it holds {name} elements, a dtype that does not exist here: convert before saving"
    return (
        f"it refers to {module}.{name}, which is not allowed: only tensors, plain containers "
        "and numbers are loaded, and nothing in a file is ever executed (of a whole module, "
        "save the state_dict() and load that; rushlight.serialization.add_safe_globals vouches "
        "for a class)"
    )


@_opcode(b"c")
def _global(machine: Interpreter) -> None:
    module = machine.line()
    _find(machine, module, machine.line())


@_opcode(b"\x93")
def _stack_global(machine: Interpreter) -> None:
    name, module = machine.pop(), machine.pop()
    if type(name) is not str or type(module) is not str:
        raise TypeError("a name in the pickle is not text")
    _find(machine, module, name)


@_opcode(b"\x81")
def _new(machine: Interpreter) -> None:
    if type(machine.stack[-2]) is not Trusted:
        _call(machine)
        return
    arguments, made = machine.pop(), machine.pop().target
    if type(arguments) is not tuple or not isinstance(made, type):
        raise TypeError("the pickle makes an object of what is no class")
    machine.push(made.__new__(made, *arguments))


@_opcode(b"R")
def _call(machine: Interpreter) -> None:
    arguments, function = machine.pop(), machine.pop()
    if type(function) is Trusted and type(arguments) is tuple:
        machine.push(function.target(*arguments))
        return
    if type(function) is not Constructor or type(arguments) is not tuple:
        raise TypeError(f"the pickle calls a {type(function).__name__}, which is not allowed")
    copied = sum(len(value) for value in arguments if type(value) in _COPIED)
    machine.charge(function.cost + copied, function.steps)
    machine.push(function.call(*arguments))


@_opcode(b"b")
def _build(machine: Interpreter) -> None:
    state = machine.pop()
    target = machine.stack[-1]
    parts = state if type(state) is tuple else (state,)
    machine.charge(sum(len(part) for part in parts if type(part) in _COPIED))
    if is_trusted_object(target):
        set_state(target, state)
    elif isinstance(target, Buildable):
        target.build(state)
    else:
        build(target, state)


@_opcode(b"Q")
def _persistent(machine: Interpreter) -> None:
    machine.charge(_REFERENCE_COST)
    machine.push(machine.find_storage(machine.pop()))
