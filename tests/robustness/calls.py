"""Hostile calls of public functions, as text.

In: what rushlight offers: its functions, their parameters and the sample inputs of their rows; and
the tables below of values that no function should be given. Out: `Call`s. Invariant: a call is an
expression that a child process evaluates and a person can paste into one (see child.py for the
names it may use); the same seed gives the same calls.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import rushlight
from rushlight.tensor import catalog, install

HOMES = {
    "torch": rushlight,
    "torch.Tensor": rushlight.Tensor,
    "torch.nn.functional": rushlight.nn.functional,
    "torch.linalg": rushlight.linalg,
    "torch.fft": rushlight.fft,
    "torch.special": rushlight.special,
    "torch.nn.init": rushlight.nn.init,
}
# These change the process, or have a meaning outside of it: files, devices, other processes.
LEFT_OUT = """_assert_async save load compile fork wait seed from_file share_memory_ pin_memory
    import_ir_module set_num_threads set_num_interop_threads register_hook map_ map2_ apply_
    backward retain_grad pow_fixed pow_fixed_""".split()  # noqa: SIM905 - a table of names

TENSORS = [
    "a(0)",
    "a(3,0,2)",
    "a()",
    "a(1)",
    "a(2,3)",
    "a(3,2).t()",
    "a(2,3,4,5)",
    "a(1,2,3,4,5,6)",
    "a(1).expand(3,4)",
    "a(4).as_strided((3,3),(0,1))",
    "a(3,4,dtype='int64')",
    "a(3,4,dtype='bool')",
    "a(3,4,dtype='uint8')",
    "a(3,4,dtype='complex64')",
    "a(3,4,dtype='float16')",
    "a(3,4,dtype='bfloat16')",
    "a(3,4,dtype='float64')",
    "torch.full((3,4),nan)",
    "torch.full((3,4),inf)",
    "torch.tensor([-9,9,0])",
    "torch.tensor([2**62,-2**63])",
    "torch.tensor([0,1,2**31])",
    "torch.tensor([0,-1])",
    "torch.empty(3,4,device='meta')",
    "a(3,4,requires_grad=True)",
]
# Two billion elements of one number: as an operand only, for as a size it would be iterated.
ENDLESS = ["a(1).expand(2**31)"]
NUMBERS = [
    "0",
    "1",
    "-1",
    "-7",
    "65",
    "2**31-1",
    "2**31",
    "2**62",
    "2**63-1",
    "2**63",
    "-2**63",
    "2**64",
    "-2**70",
    "1.5",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "1j",
    "True",
]
SIZES = [
    "()",
    "(0,)",
    "(-1,)",
    "(-2,3)",
    "(0,2**63-1)",
    "(2**31,)",
    "(2**31,2**31)",
    "(2**63-1,)",
    "(2**62,4)",
    "(2**63,)",
    "(-1,-1)",
    "(1,)*70",
    "(1.5,)",
    "('a',)",
    "(None,)",
    "(True,)",
    "[1,[2]]",
    "(1,2,3,4,5,6,7)",
    "(nan,)",
    "range(3)",
]
OTHERS = [
    "None",
    "'a'",
    "'ab,bc->ac'",
    "''",
    "b'x'",
    "object()",
    "[]",
    "{}",
    "[[1,2],[3]]",
    "[a(2),a(3)]",
    "[a(2,3),None]",
    "(a(2),)",
    "[a(2,2),a(2,2,dtype='int64')]",
    "torch.int64",
    "torch.float16",
    "torch.complex64",
    "torch.device('meta')",
    "'cuda'",
    "'cpu'",
    "deep(50)",
    "deep(2000)",
    "lambda*x:x",
    "...",
    "slice(None)",
    "slice(9,-9,-1)",
    "int",
    "type",
    "np.zeros(3)",
    "np.float32(2)",
    "torch.strided",
    "torch.Generator()",
    "'sum'",
    "'none'",
    "'reflect'",
    "'nearest'",
    "'fro'",
    "'nuc'",
]
EQUATIONS = [
    "'->'",
    "','",
    "'ij'",
    "'ii->i'",
    "'ij,jk'",
    "'...'",
    "'i...->...'",
    "'ij->ik'",
    "'ij->ii'",
    "'i.j'",
    "'....'",
    "'ij->->'",
    "'é'",
    "'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'",
    "'ij,,jk'",
    "'1'",
    "'\\t'",
    "'-'",
    "'>'",
    "None",
    "3",
    "[0,1]",
]
# What a parameter of a name is given so that the call has a meaning, where no row says it.
USUAL = {
    **dict.fromkeys(("dim", "dim0", "axis", "axis0", "start_dim", "n", "k", "diagonal"), "0"),
    **dict.fromkeys(("dim1", "axis1", "end_dim", "source", "destination"), "1"),
    **dict.fromkeys(("size", "shape", "sizes", "dims", "normalized_shape"), "(3,4)"),
    **dict.fromkeys(("kernel_size", "output_size", "chunks", "steps", "num_classes"), "2"),
    **dict.fromkeys(("value", "fill_value", "p", "exponent", "end", "num_samples"), "1"),
    **dict.fromkeys(("tensors", "arrays"), "[a(3,4),a(3,4)]"),
    **dict.fromkeys(("index", "indices", "target"), "a(3,4,dtype='int64')"),
    **dict.fromkeys(("mask", "condition"), "a(3,4,dtype='bool')"),
    "equation": "'ij->ji'",
    "stride": "(1,1)",
    "dtype": "torch.float32",
    "start": "0",
    "split_size_or_sections": "2",
    "padding": "1",
    "pad": "(1,1)",
    "repeats": "2",
    "step": "1",
}
SURPRISES = TENSORS + NUMBERS + SIZES + OTHERS


@dataclass(frozen=True)
class Call:
    """target(*positional, **named), every argument as text."""

    target: str
    positional: tuple[str, ...]
    named: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        given = [*self.positional, *(f"{name}={text}" for name, text in self.named)]
        return f"{self.target}({', '.join(given)})"

    def changed(self, place: int, text: str) -> Call:
        """Another value for one argument; named ones are counted on behind the positional ones."""
        if place < len(self.positional):
            before, after = self.positional[:place], self.positional[place + 1 :]
            return replace(self, positional=(*before, text, *after))
        at = place - len(self.positional)
        named = [*self.named]
        named[at] = (named[at][0], text)
        return replace(self, named=tuple(named))

    @property
    def arguments(self) -> tuple[str, ...]:
        return (*self.positional, *(text for _, text in self.named))


def names(home: str, owner: Any) -> list[str]:
    """What a namespace offers; of the top level the functions only, not its modules."""
    if home == "torch":
        return sorted({*catalog.TORCH, *install.functions()})
    return sorted(getattr(owner, "__all__", dir(owner)))


def targets() -> dict[str, Any]:
    """Every public function by the name a script would write."""
    found: dict[str, Any] = {}
    seen: set[int] = set()
    for home, owner in HOMES.items():
        for name in names(home, owner):
            private = name.startswith(("_", "set_", "is_", "get_")) or name in LEFT_OUT
            function = None if private else getattr(owner, name, None)
            if not callable(function) or inspect.isclass(function) or id(function) in seen:
                continue
            # What is both a function and a method is called as a function.
            if home == "torch.Tensor" and f"torch.{name}" in found:
                continue
            seen.add(id(function))
            found[f"{home}.{name}"] = function
    return found


def usual_calls(target: str, function: Any) -> list[Call]:
    """Calls with a meaning to start from: the samples of the function's row, else one guess."""
    samples = getattr(function, "samples", None)
    if samples is not None:
        try:
            return [_sampled(target, *sample) for sample in list(samples(_make))[:3]]
        except Exception:  # its samples need the fixture of their own test
            pass
    return [_guessed(target, function)]


def _sampled(target: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    named = tuple((name, _text(value)) for name, value in kwargs.items())
    return Call(target, tuple(map(_text, args)), named)


def _guessed(target: str, function: Any) -> Call:
    names = getattr(function, "names", None)
    if names is not None:
        positional = tuple(USUAL.get(name, "a(3,4)") for name in names)
        required = [d.__class__ is object for d in function.defaults]
        return Call(target, tuple(t for t, needed in zip(positional, required) if needed))
    given, named = [], []
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    for position, parameter in enumerate(parameters):
        text = USUAL.get(parameter.name, "a(3,4)" if position < 3 else "1")
        if parameter.kind is parameter.KEYWORD_ONLY:
            if parameter.default is parameter.empty:
                named.append((parameter.name, text))
        elif parameter.kind is parameter.VAR_POSITIONAL:
            given.append("a(3,4)")
        elif parameter.kind is not parameter.VAR_KEYWORD and (
            parameter.default is parameter.empty or parameter.name in USUAL
        ):
            given.append(text)
    return Call(target, tuple(given), tuple(named))


def _make(*shape: int, dtype: str = "float32", **limits: Any) -> np.ndarray:
    return np.zeros(shape, "float32" if dtype == "bfloat16" else str(dtype).split(".")[-1])


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        sizes = "".join(f"{size}," for size in value.shape)
        return f"a({sizes}dtype='{value.dtype}')"
    if isinstance(value, (list, tuple)):
        inner = "".join(_text(part) + "," for part in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if type(value).__name__ == "dtype":
        return str(value)
    return repr(value)


def systematic(target: str, function: Any) -> Iterator[Call]:
    """Every argument of a usual call replaced by every value of the tables."""
    usual = usual_calls(target, function)[0]
    for place in range(len(usual.arguments)):
        for text in surprises(target, place):
            yield usual.changed(place, text)


def surprises(target: str, place: int) -> list[str]:
    """What may stand in a place: a method's own tensor is always one."""
    if place == 0 and target.startswith("torch.Tensor."):
        return [*TENSORS, *ENDLESS]
    if place == 0:
        return EQUATIONS if target == "torch.einsum" else [*SURPRISES, *ENDLESS]
    return SURPRISES


def sampled(seed: int, count: int) -> list[Call]:
    """Usual calls with one to three arguments replaced, functions in turn; and too few or too many
    arguments.
    """
    chance = random.Random(seed)
    functions = sorted(targets().items())
    chance.shuffle(functions)
    calls = []
    for number in range(count):
        target, function = functions[number % len(functions)]
        call = chance.choice(usual_calls(target, function))
        for _ in range(chance.choice((1, 1, 2, 3))):
            if call.arguments:
                place = chance.randrange(len(call.arguments))
                call = call.changed(place, chance.choice(surprises(target, place)))
        turn = chance.random()
        if turn < 0.05:
            call = replace(call, positional=call.positional[:-1])
        elif turn < 0.1:
            call = replace(call, positional=(*call.positional, chance.choice(SURPRISES)))
        calls.append(call)
    return calls


class Written(Call):
    """A whole expression."""

    def __init__(self, text: str) -> None:
        super().__init__(text, ())

    def __str__(self) -> str:
        return self.target
