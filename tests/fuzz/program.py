"""Programs of the fuzzer: straight lines of Python that run under either library.

In: statements, each one line of source text over the names `m` (the library), the helpers of
`environment` and the variables that earlier lines define. Out: what happened: for each line the
facts of the tensors it defined or the type of the error it raised, and at the end the values and
gradients of everything that is left. Invariant: running reads no value except where a line says so,
so that a lazy library stays lazy.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CodeType, ModuleType
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Statement:
    """One line: its text, the variables it defines and those it uses."""

    text: str
    defines: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Program:
    """Statements in order.

    `noise` tells for each variable how far two correct libraries may differ (0.0: not at all).
    """

    seed: int
    statements: tuple[Statement, ...]
    noise: dict[str, float]
    gradient_noise: float = 1e-4

    def source(self) -> str:
        """The program as text that people can run."""
        return "\n".join(statement.text for statement in self.statements)

    def without(self, dropped: Sequence[int]) -> Program:
        """The program that is left when statements, and all that need what they define, are
        dropped.
        """
        kept: list[Statement] = []
        known: set[str] = set()
        for number, statement in enumerate(self.statements):
            if number in dropped or not known.issuperset(statement.uses):
                continue
            kept.append(statement)
            known.update(statement.defines)
        return Program(self.seed, tuple(kept), self.noise, self.gradient_noise)


@dataclass(frozen=True)
class Facts:
    """What can be known of a tensor without its values."""

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    requires_grad: bool
    is_leaf: bool


@dataclass
class Outcome:
    """What a run of a program did."""

    lines: list[tuple[Facts | None, ...] | str] = field(default_factory=list)
    messages: dict[str, str] = field(default_factory=dict)
    observed: list[np.ndarray] = field(default_factory=list)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    gradients: dict[str, np.ndarray | None] = field(default_factory=dict)


def leaf_array(seed: int, shape: Sequence[int], dtype: str, kind: str) -> np.ndarray:
    """Seeded numbers: "normal", "grid" (multiples of 1/4, with ties) or "distinct" (no two
    alike).
    """
    random = np.random.default_rng([seed, *shape])
    count = int(np.prod(shape))
    if dtype == "bool":
        return random.random(tuple(shape)) < 0.5
    if "int" in dtype:
        low = 0 if dtype.startswith("u") else -5
        return random.integers(low, 6, tuple(shape)).astype(dtype)
    if kind == "grid":
        flat = random.integers(-8, 9, count) / 4
    elif kind == "distinct":
        flat = (random.permutation(count) - count / 2 + 0.375) / max(count, 1) * 4
    else:
        flat = random.standard_normal(count)
    if dtype.startswith("complex"):
        flat = flat + 1j * random.integers(-8, 9, count) / 4
    stored = "float32" if dtype == "bfloat16" else dtype
    return flat.reshape(tuple(shape)).astype(stored)


def numpy_of(tensor: Any) -> np.ndarray:
    """The values of a tensor of either library; bfloat16 widened."""
    tensor = tensor.detach()
    if getattr(tensor, "_is_zerotensor", bool)():
        # PyTorch's zeros without memory, which some gradients are: numpy() of their views crashes.
        tensor = tensor.clone()
    if str(tensor.dtype) == "torch.bfloat16":
        tensor = tensor.float()
    return np.array(tensor.numpy(force=True))


def environment(library: ModuleType, outcome: Outcome) -> dict[str, Any]:
    """The names that a program's lines may use."""

    def leaf(
        seed: int, shape: Sequence[int], dtype: str, kind: str, requires_grad: bool = False
    ) -> Any:
        made = library.tensor(leaf_array(seed, shape, dtype, kind)).to(getattr(library, dtype))
        return made.requires_grad_() if requires_grad else made

    def outside(seed: int, shape: Sequence[int], dtype: str, kind: str) -> Any:
        return library.from_numpy(leaf_array(seed, shape, dtype, kind))

    def observe(tensor: Any) -> None:
        outcome.observed.append(numpy_of(tensor))

    return {"m": library, "leaf": leaf, "outside": outside, "observe": observe}


def facts(value: Any) -> Facts | None:
    """The facts of a tensor; None for anything else."""
    if not hasattr(value, "stride"):
        return None
    shape = tuple(value.shape)
    strides = (
        tuple(s if n > 1 else 0 for n, s in zip(shape, value.stride(), strict=True))
        if value.numel()
        else ()
    )
    return Facts(str(value.dtype), shape, strides, value.requires_grad, value.is_leaf)


_COMPILED: dict[str, CodeType] = {}


def execute(text: str, names: dict[str, Any]) -> None:
    """Run one line."""
    code = _COMPILED.get(text)
    if code is None:
        code = _COMPILED[text] = compile(text, "<fuzz>", "exec")
        if len(_COMPILED) > 100_000:
            _COMPILED.clear()
    exec(code, names)
    if "_(" in text or "=" in text:
        for value in names.values():
            # PyTorch learns that the memory of a view went on the tape when it is asked about it
            getattr(value, "is_leaf", None)


def run(
    program: Program, library: ModuleType, before_line: Callable[[int], None] | None = None
) -> Outcome:
    """Run a program under a library; lines that need what a failed line should have defined are
    skipped.
    """
    outcome = Outcome()
    names = environment(library, outcome)
    reserved = set(names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, statement in enumerate(program.statements):
            if before_line is not None:
                before_line(number)
            outcome.lines.append(_run_line(statement, names, outcome))
        names.pop("__builtins__", None)
        for name, value in names.items():
            if name in reserved or not hasattr(value, "stride"):
                continue
            outcome.values[name] = numpy_of(value)
            if value.is_leaf:
                gradient = value.grad
                outcome.gradients[name] = None if gradient is None else numpy_of(gradient)
    return outcome


def _run_line(
    statement: Statement, names: dict[str, Any], outcome: Outcome
) -> tuple[Facts | None, ...] | str:
    if any(name not in names for name in statement.uses):
        return "skipped"
    try:
        execute(statement.text, names)
    except Exception as error:
        for name in statement.defines:
            names.pop(name, None)
        outcome.messages[statement.text] = str(error)
        return type(error).__name__
    return tuple(facts(names[name]) for name in statement.defines)
