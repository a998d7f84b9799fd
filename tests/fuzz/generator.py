"""Random programs: lines are drawn, tried on the oracle, and kept where their values stay tame.

In: a seed, the oracle, and the rows (`fuzz/rows_*.py`) of what may be written. Out: a Program.
Invariants: the same seed and rows give the same program; values stay below a bound; what is
discontinuous (a comparison, a rounding, the derivative at a kink) is asked only of values that are
exact or clear of the jump.

Exactness belongs to memory, since views share it: `noise` of a storage is 0.0 as long as only
operations that every correct library rounds alike have written to it.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from fuzz.program import Outcome, Program, Statement, environment, execute, numpy_of

# how far two correct libraries may be apart after some inexact operations, relative to the largest
# value
NOISE = {
    "float64": 1e-9,
    "complex128": 1e-9,
    "float32": 2e-4,
    "complex64": 2e-4,
    "float16": 4e-2,
    "bfloat16": 2e-1,
}
LARGEST = 60.0
MOST_ELEMENTS = 1500
ERROR_CHANCE = 0.3


@dataclass(frozen=True)
class Row:
    """Something that may be written: the public names that it exercises and how a line of it is
    drawn.

    `draw` returns the line's draft, or None where no variable will do. `needs` are names that the
    library under test must have (paths such as "Tensor.flip" or "nn.functional.gelu"): rows that
    lack one are left out.
    """

    names: tuple[str, ...]
    draw: Callable[[Generator], Draft | None]
    needs: tuple[str, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Draft:
    """A line that might be taken.

    `exact`: rounds alike everywhere. `writes`: variables whose memory it changes. `freezes`: the
    memory of its operands is left alone from then on. PyTorch forbids to write to views that a
    function with several results made, and which operands a layer's gradient will want is nobody's
    promise.
    """

    text: str
    uses: tuple[str, ...]
    defines: tuple[str, ...] = ()
    exact: bool = True
    writes: tuple[str, ...] = ()
    freezes: bool = False


def has(library: ModuleType, path: str) -> bool:
    """Whether a library offers a public name."""
    found: Any = library
    for part in path.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


def kind_of(tensor: Any) -> str:
    """ "bool", "int", "float" or "complex"."""
    name = str(tensor.dtype).removeprefix("torch.")
    if name == "bool":
        return "bool"
    return "float" if "float" in name else "complex" if "complex" in name else "int"


def _accepted(accept: Callable[[Any], bool], tensor: Any) -> bool:
    """PyTorch raises even where a view that lost its history is only looked at: no row wants it."""
    try:
        return accept(tensor)
    except RuntimeError:
        return False


class Generator:
    """Draws one program."""

    def __init__(self, seed: int, oracle: ModuleType, rows: Sequence[Row]) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.oracle = oracle
        self.rows = rows
        self.weights = [row.weight for row in rows]
        self.outcome = Outcome()
        self.names = environment(oracle, self.outcome)
        self.statements: list[Statement] = []
        self.tensors: list[str] = []
        self.noise: dict[int, float] = {}
        self.frozen: set[int] = set()
        self.count = 0
        self.gradient_noise = NOISE["float64"]

    # --- choosing ---------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def fresh(self) -> str:
        """A new variable's name."""
        self.count += 1
        return f"v{self.count}"

    def __getitem__(self, name: str) -> Any:
        return self.names[name]

    def pick(
        self,
        accept: Callable[[Any], bool] = lambda x: True,
        kinds: str = "float",
        certain: bool = False,
    ) -> str | None:
        """A variable whose tensor is of one of the kinds and accepted; later ones more often."""
        allowed = kinds.split()
        found = [
            name
            for name in self.tensors
            if kind_of(self[name]) in allowed
            and _accepted(accept, self[name])
            and not (certain and self.noise_of(name))
        ]
        if not found:
            return None
        return self.random.choice(found[-6:] if self.chance(0.7) else found)

    def noise_of(self, name: str) -> float:
        return self.noise.get(self[name].untyped_storage()._cdata, 0.0)

    def entangled(self, x: str, y: str) -> bool:
        """Whether writing `x` changes `y` while it is read: then PyTorch's result depends on the
        order of its loops, where it does not refuse.
        """
        a, b = self[x], self[y]
        if a.untyped_storage()._cdata != b.untyped_storage()._cdata:
            return False
        same = (a.shape, a.stride(), a.storage_offset())
        return same != (b.shape, b.stride(), b.storage_offset())

    def writable(self, name: str) -> bool:
        """Whether writing to a variable means the same everywhere: no forbidden view, no element
        met twice.
        """
        x = self[name]
        if x.untyped_storage()._cdata in self.frozen:
            return False
        reached = np.zeros((1,), np.int64)
        for extent, stride in zip(x.shape, x.stride(), strict=True):
            reached = (reached[:, None] + np.arange(extent) * stride).reshape(-1)
        return len(np.unique(reached)) == len(reached)

    def clear(self, name: str, *kinks: float) -> bool:
        """Whether an operation may jump at the kinks: the values are exact, or far from them."""
        noise = self.noise_of(name)
        if not noise:
            return True
        values = numpy_of(self[name])
        return all(bool(np.all(np.abs(values - kink) > 5 * noise)) for kink in kinks)

    def distinct(self, name: str) -> bool:
        """Whether all values of a variable differ, by more than its noise."""
        values = np.sort(numpy_of(self[name]).reshape(-1))
        return bool(np.all(np.diff(values) > max(5 * self.noise_of(name), 1e-3)))

    def within(self, name: str, low: float, high: float) -> bool:
        values = numpy_of(self[name])
        return values.size == 0 or (values.min() >= low and values.max() <= high)

    def operand(self, low: float, high: float) -> tuple[str, str] | None:
        """(variable, expression) of float values between two bounds: a variable as it is, or mapped
        there smoothly.
        """
        name = self.pick()
        if name is None:
            return None
        if self.within(name, low, high):
            return name, name
        half, middle = (high - low) / 2.1, (high + low) / 2
        return name, f"({name}.tanh() * {half:.4g} + {middle:.4g})"

    def partner(self, name: str, kinds: str = "float", certain: bool = False) -> str | None:
        """A variable that broadcasts with another."""
        shape = tuple(self[name].shape)
        return self.pick(lambda x: _broadcasts(shape, tuple(x.shape)), kinds, certain)

    def axis(self, x: Any, negative: bool = True) -> int:
        """A dimension of a tensor, counted from either end."""
        axis = self.random.randrange(x.ndim)
        return axis - x.ndim if negative and self.chance(0.4) else axis

    def axes(self, x: Any) -> tuple[int, ...]:
        return tuple(sorted(self.random.sample(range(x.ndim), self.random.randint(1, x.ndim))))

    def shape(self, most: int = 4) -> tuple[int, ...]:
        """A small shape; now and then an empty one."""
        if self.chance(0.03):
            return (self.random.randint(0, 2), 0)
        return tuple(
            self.random.choice((1, 2, 3, 3, 4, 5, 8)) for _ in range(self.random.randint(0, most))
        )

    def call(self, name: str, x: str, *arguments: str) -> str:
        """`m.name(x, ...)` or `x.name(...)`."""
        if self.chance(0.5) and has(self.oracle, name):
            return f"m.{name}({', '.join((x, *arguments))})"
        return f"{x}.{name}({', '.join(arguments)})"

    # --- writing ----------------------------------------------------------------------------------

    def leaf(self, dtype: str | None = None, shape: tuple[int, ...] | None = None) -> str:
        """Write a line that makes a new leaf; its name."""
        name = self.fresh()
        dtype = dtype or self.random.choice(
            ("float32",) * 8
            + (
                "float64",
                "float16",
                "bfloat16",
                "int64",
                "int32",
                "int16",
                "int8",
                "uint8",
                "bool",
                "complex64",
            )
        )
        shape = self.shape() if shape is None else shape
        kind = self.random.choice(("normal", "grid", "distinct"))
        floating = "float" in dtype or "complex" in dtype
        flag = ", True" if floating and self.chance(0.5) else ""
        maker = (
            "outside"
            if dtype in ("float32", "int64") and not flag and self.chance(0.06)
            else "leaf"
        )
        text = (
            f"{name} = {maker}({self.random.randrange(10**6)}, {shape}, {dtype!r}, {kind!r}{flag})"
        )
        self.take(Draft(text, (), (name,)))
        return name

    def take(self, draft: Draft) -> bool:
        """Try a line on the oracle and keep it.

        False where it fails (mostly) or its values run wild.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                execute(draft.text, self.names)
        except Exception:
            for name in draft.defines:
                self.names.pop(name, None)
            if self.chance(ERROR_CHANCE) or draft.writes:
                self.statements.append(Statement(draft.text, draft.defines, draft.uses))
            return False
        if not draft.writes and not all(self._tame(self[name]) for name in draft.defines):
            for name in draft.defines:
                del self.names[name]
            return False
        self.statements.append(Statement(draft.text, draft.defines, draft.uses))
        self._account(draft)
        self.tensors.extend(draft.defines)
        return True

    def _tame(self, x: Any) -> bool:
        if x.numel() > MOST_ELEMENTS or str(x.dtype) == "torch.complex32":  # NumPy has no such
            return False
        if kind_of(x) not in ("float", "complex") or not x.numel():
            return True
        values = np.abs(numpy_of(x))
        return bool(np.all(np.isfinite(values))) and float(values.max()) <= LARGEST

    def _account(self, draft: Draft) -> None:
        """The noise of the memory that a line wrote."""
        level = max((self.noise_of(name) for name in draft.uses), default=0.0)
        if not draft.exact:
            touched = [self[n] for n in (*draft.uses, *draft.defines)]
            level = max(
                [level, *(NOISE.get(str(x.dtype).removeprefix("torch."), 0.0) for x in touched)]
            )
        if draft.freezes:
            self.frozen.add(self[draft.uses[0]].untyped_storage()._cdata)
        for name in (*draft.defines, *draft.writes):
            storage = self[name].untyped_storage()._cdata
            if kind_of(self[name]) in ("float", "complex"):
                self.noise[storage] = max(level, self.noise.get(storage, 0.0))
                dtype = str(self[name].dtype).removeprefix("torch.")
                self.gradient_noise = max(self.gradient_noise, NOISE[dtype], level)

    def program(self, length: int) -> Program:
        """A program of about `length` lines."""
        for _ in range(self.random.randint(2, 4)):
            self.leaf()
        attempts = 0
        while len(self.statements) < length and attempts < 8 * length:
            attempts += 1
            if self.chance(0.04):
                self.leaf()
                continue
            row = self.random.choices(self.rows, self.weights)[0]
            draft = row.draw(self)
            if draft is not None:
                self.take(draft)
        return Program(
            self.seed,
            tuple(self.statements),
            {n: self.noise_of(n) for n in self.tensors},
            self.gradient_noise,
        )


def _broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    pairs = zip(reversed(a), reversed(b), strict=False)
    return all(m == n or 1 in (m, n) for m, n in pairs)
