"""Instruction sets as data: what a kernel emitter may count on.

In: the names of the CPU features that the host (or a requested target) has.
Out: one `Isa` row of the table below.
Invariant: a row is chosen by features alone, never by vendor or by timing, so that two machines
with the same instruction set run the same code. This file knows nothing of the compiler.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Isa:
    """What the emitters need to know about a vector unit.

    `vector_bytes` is the width of a register, `registers` how many there are. Without `fma` a
    multiplication and an addition round separately. `masked` says that loads and stores under
    a lane mask cost no more than whole ones. The cache sizes are per core and on the cautious
    side: they steer blocking and are never needed for correctness.
    """

    name: str
    vector_bytes: int
    registers: int
    fma: bool
    masked: bool = False
    bf16_dot: bool = False
    l1_bytes: int = 32 * 1024
    l2_bytes: int = 512 * 1024

    def lanes(self, item_bytes: int) -> int:
        """How many elements of `item_bytes` one register holds."""
        return max(1, self.vector_bytes // item_bytes)


AVX512 = Isa("avx512", 64, 32, fma=True, masked=True, l2_bytes=1024 * 1024)
AVX2 = Isa("avx2", 32, 16, fma=True, masked=True)
NEON = Isa("neon", 16, 32, fma=True)
GENERIC128 = Isa("generic128", 16, 16, fma=False)

# The first row whose features are all present is the one used.
TABLE: tuple[tuple[frozenset[str], Isa], ...] = (
    (frozenset({"avx512f", "avx512vl", "avx512bw", "avx512dq"}), AVX512),
    (frozenset({"avx2", "fma"}), AVX2),
    (frozenset({"neon"}), NEON),
    (frozenset(), GENERIC128),
)


def detect(features: Set[str]) -> Isa:
    """The row for a set of LLVM feature names, such as `{"avx2", "fma", "sse4.2"}`.

    >>> detect({"avx2", "fma"}).name
    'avx2'
    """
    isa = next(row for needed, row in TABLE if needed <= features)
    return replace(isa, bf16_dot=isa is AVX512 and "avx512bf16" in features)
