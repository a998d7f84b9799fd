"""Generators: the states that random numbers are drawn from, and the default one.

In: seeds and saved states. Out: `Generator` objects. Invariants: the numbers and the bytes of the
state are PyTorch's (runtime/random); a generator is used by one thread at a time, under its `lock`,
so draws take effect one after another.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base import dtype as dtypes
from ..base.device import device as device_type
from .conversion import device_of, from_array
from .tensor import Tensor
from .values import window

if TYPE_CHECKING:
    from ..runtime.random import Mt19937


class Generator:
    """A stream of random numbers, as `torch.Generator`.

    >>> import rushlight as rl
    >>> generator = rl.Generator().manual_seed(0)
    >>> rl.rand(2, generator=generator)
    tensor([0.4963, 0.7682])
    """

    __slots__ = ("__weakref__", "_engine", "device", "lock")

    def __init__(self, device: Any = "cpu") -> None:
        self.device: device_type = device_of(device)
        self.lock = threading.RLock()
        self._engine: Mt19937 | None = None

    @property
    def engine(self) -> Mt19937:
        """The twister, made when it is first needed (NumPy loads its random module only then)."""
        if self._engine is None:
            from ..runtime.random import Mt19937

            self._engine = Mt19937()
        return self._engine

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of a seed; returns the generator."""
        with self.lock:
            self.engine.manual_seed(seed)
        return self

    def seed(self) -> int:
        """Seed from the operating system's entropy and return the seed."""
        with self.lock:
            return self.engine.seed()

    def initial_seed(self) -> int:
        """The seed that the stream was started from."""
        return self.engine.initial_seed()

    def get_state(self) -> Tensor:
        """The state as a tensor of bytes, interchangeable with PyTorch's."""
        with self.lock:
            return from_array(self.engine.get_state(), dtypes.uint8)

    def set_state(self, state: Tensor) -> Generator:
        """Continue from a state of `get_state`; TypeError unless it is a tensor of bytes."""
        if not isinstance(state, Tensor) or state.dtype is not dtypes.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        with self.lock:
            self.engine.set_state(np.ascontiguousarray(window(state)).reshape(-1))
        return self

    def clone_state(self) -> Generator:
        """A generator of its own that goes on as this one would."""
        made = Generator(self.device)
        with self.lock:
            made._engine = self.engine.clone()
        return made

    def __reduce__(self) -> tuple:
        return _restored, (str(self.device), self.get_state())

    def __repr__(self) -> str:
        return f"<rushlight.Generator on {self.device}, seed {self.initial_seed()}>"


def _restored(device: str, state: Tensor) -> Generator:
    return Generator(device).set_state(state)


default_generator = Generator()


def manual_seed(seed: Any) -> Generator:
    """Seed the default generator; returns it. Follows `torch.manual_seed`.

    >>> import rushlight as rl
    >>> _ = rl.manual_seed(0)
    >>> rl.rand(1)
    tensor([0.4963])
    """
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Seed the default generator from entropy and return the seed, as `torch.seed`."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator, as `torch.initial_seed`."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The default generator's state, as `torch.get_rng_state`."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Set the default generator's state, as `torch.set_rng_state`."""
    default_generator.set_state(new_state)
