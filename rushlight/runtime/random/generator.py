"""The Mersenne Twister that all CPU random numbers come from.

In: a seed, or a state in PyTorch's byte layout. Out: the twister's 32-bit words and the 64-bit
integers made of two of them (first word high), as NumPy arrays. Invariant: after any sequence of
draws `get_state()` equals `torch.get_rng_state()` after the same draws, byte for byte.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

WORD_COUNT = 624
DEFAULT_SEED = 67280421310721
_SEED_LIMIT = 1 << 64

# The C structure behind a state: the names are its fields'. `left` counts the words until the next
# twist, plus one.
_STATE_LAYOUT = np.dtype(
    [
        ("initial_seed", "<u8"),
        ("left", "<i4"),
        ("seeded", "<i4"),
        ("next", "<u8"),
        ("words", "<u8", (WORD_COUNT,)),
        ("unused_x", "<f8"),
        ("normal_double", "<f8"),
        ("unused_rho", "<f8"),
        ("normal_double_valid", "<i4"),
        ("padding", "<i4"),
        ("normal_float", "<f4"),
        ("normal_float_valid", "?"),
        ("tail", "V3"),
    ]
)
STATE_BYTES = _STATE_LAYOUT.itemsize


def checked_seed(seed: int) -> int:
    """The 64-bit seed that `seed` stands for: negative ones count back from 2**64, others must be
    below it.

    Raises RuntimeError for what is not an int and ValueError for what does not fit, as PyTorch
    does.
    """
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)):
        raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
    if not -(1 << 63) <= seed < _SEED_LIMIT:
        raise ValueError(
            f"Overflow when unpacking long long: manual_seed takes -2**63 to 2**64 - 1, not {seed}"
        )
    return int(seed) % _SEED_LIMIT


class Mt19937:
    """A Mersenne Twister with PyTorch's seeding, state layout and the normal value kept for the
    next call.

    `next_normal` is the second value of the last Box-Muller pair that nobody has asked for yet, or
    None.
    """

    __slots__ = (
        "_end_position",
        "_engine",
        "_generator",
        "_initial_seed",
        "_next_float_normal",
        "next_normal",
    )

    def __init__(self, seed: int = DEFAULT_SEED) -> None:
        self._engine = np.random.MT19937(0)
        self._generator = np.random.Generator(self._engine)
        self._next_float_normal: float | None = None
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Mt19937:
        """Start the stream of `seed` and forget any kept normal value; returns self."""
        self._initial_seed = checked_seed(seed)
        # this is Matsumoto and Nishimura's init_genrand of the low 32 bits, as in PyTorch
        self._engine._legacy_seeding(self._initial_seed & 0xFFFFFFFF)
        self._end_position = 0
        self.next_normal: float | None = None
        self._next_float_normal = None
        return self

    def seed(self) -> int:
        """Seed from the operating system's entropy (53 bits, as PyTorch) and return the seed."""
        chosen = int.from_bytes(os.urandom(8), "little") & ((1 << 53) - 1)
        self.manual_seed(chosen)
        return chosen

    def initial_seed(self) -> int:
        """The seed that the current stream was started from."""
        return self._initial_seed

    def words(self, count: int) -> NDArray[np.uint32]:
        """The next `count` words of 32 bits."""
        self._mark_used(count)
        return self._generator.integers(0, 1 << 32, count, dtype=np.uint32)

    def long_words(self, count: int) -> NDArray[np.uint64]:
        """The next `count` integers of 64 bits, each of two words, the first one high."""
        self._mark_used(count)
        return self._generator.integers(0, 1 << 64, count, dtype=np.uint64)

    def doubles(self, count: int) -> NDArray[np.float64]:
        """The next `count` float64 values uniform on [0, 1): the low 53 bits of a 64-bit integer
        over 2**53.
        """
        low_bits = self.long_words(count)
        low_bits &= np.uint64((1 << 53) - 1)
        values = low_bits.astype(np.float64)
        values *= 2.0**-53
        return values

    def skip(self, word_count: int) -> None:
        """Move on by `word_count` words without keeping them."""
        self._mark_used(word_count)
        self._engine.random_raw(word_count, output=False)

    def get_state(self) -> NDArray[np.uint8]:
        """The state as 5056 bytes, laid out as `torch.get_rng_state()` returns it."""
        engine_state = self._engine.state["state"]
        position = int(engine_state["pos"])
        state = np.zeros((), _STATE_LAYOUT)
        state["initial_seed"] = self._initial_seed
        state["seeded"] = 1
        state["left"] = WORD_COUNT + 1 - position
        state["next"] = position if position < WORD_COUNT else self._end_position
        state["words"] = engine_state["key"]
        if self.next_normal is not None:
            state["normal_double"], state["normal_double_valid"] = self.next_normal, 1
        if self._next_float_normal is not None:
            state["normal_float"], state["normal_float_valid"] = self._next_float_normal, True
        return np.frombuffer(state.tobytes(), np.uint8).copy()

    def set_state(self, state: NDArray[np.uint8]) -> None:
        """Continue from a state of `get_state` or `torch.get_rng_state`.

        Raises TypeError unless it holds bytes, RuntimeError for a wrong size or a state no twister
        can be in.
        """
        if state.dtype != np.uint8:
            raise TypeError(f"RNG state must be a torch.ByteTensor, not an array of {state.dtype}")
        if state.size != STATE_BYTES:
            raise RuntimeError(
                f"Expected a CPUGeneratorImplState of size {STATE_BYTES} but found the input RNG "
                f"state size to be {state.size}"
            )
        fields = np.frombuffer(np.ascontiguousarray(state).tobytes(), _STATE_LAYOUT)[0]
        left, position = int(fields["left"]), int(fields["next"])
        position_after_twist = WORD_COUNT + 1 - left
        consistent = left == 1 or position == position_after_twist
        if not (
            fields["seeded"] == 1
            and 0 < left <= WORD_COUNT
            and position <= WORD_COUNT
            and consistent
        ):
            raise RuntimeError(
                f"Invalid mt19937 state: seeded={fields['seeded']}, left={left}, next={position}"
            )
        self._initial_seed = int(fields["initial_seed"])
        self._restore(fields["words"].astype(np.uint32), position_after_twist)
        self._end_position = position if left == 1 else WORD_COUNT
        self.next_normal = float(fields["normal_double"]) if fields["normal_double_valid"] else None
        self._next_float_normal = (
            float(fields["normal_float"]) if fields["normal_float_valid"] else None
        )

    def clone(self) -> Mt19937:
        """A generator of its own that continues as this one would."""
        copy = Mt19937()
        copy.set_state(self.get_state())
        return copy

    def position(self) -> tuple[Any, int]:
        """The place in the stream, to go back to with `rewind`; the kept normal value is no part of
        it.
        """
        return self._engine.state, self._end_position

    def rewind(self, position: tuple[Any, int]) -> None:
        """Go back to a place that `position` named."""
        self._engine.state, self._end_position = position

    def _mark_used(self, count: int) -> None:
        """Remember that words were drawn: with none left a used state reads `next` = 624, a fresh
        one 0.
        """
        if count:
            self._end_position = WORD_COUNT

    def _restore(self, words: NDArray[np.uint32], position: int) -> None:
        self._engine.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": position}}
