"""The default generator's public functions, as `torch.random`.

In: seeds and states. Out: the same. Invariant: everything here acts on `default_generator` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .tensor.generator import (
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True, **ignored: Any) -> Iterator[None]:
    """Draws inside do not change the default generator outside, as `torch.random.fork_rng`.

    >>> import rushlight as rl
    >>> before = rl.get_rng_state()
    >>> with rl.random.fork_rng():
    ...     _ = rl.rand(3)
    >>> rl.equal(before, rl.get_rng_state())
    True
    """
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


__all__ = [
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]
