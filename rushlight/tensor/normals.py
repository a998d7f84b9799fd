"""Normal numbers by compiled blocks.

In: uniform numbers, as runtime/random draws them. Out: the normals that its reference makes of
them, fifteen times sooner. Invariant: the same bits, whichever computes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..base.dtype import float32
from ..base.settings import SETTINGS

if TYPE_CHECKING:
    from ..engine.eager import Compiled

SIZES = (1 << 18, 1 << 14, 1 << 10)  # pieces that uniforms are cut into, the last one padded
WORTH = 1 << 12  # numbers for which compiling is worth it; once compiled, all are made so
_compiled: dict[int, Compiled] = {}


def box_muller(uniforms: np.ndarray, mean: float, std: float) -> np.ndarray | None:
    """float32 uniforms, a multiple of 16, as normals; None where the reference is to do it."""
    if SETTINGS.interpret or (len(uniforms) < WORTH and not _compiled):
        return None
    values = np.empty_like(uniforms)
    start = 0
    while start < len(uniforms):
        left = len(uniforms) - start
        size = next((n for n in SIZES if n <= left), SIZES[-1])
        part = uniforms[start : start + size]
        if left < size:
            part = np.concatenate([part, np.zeros(size - left, np.float32)])
        values[start : start + size] = _piece(size)(part, mean, std)[:left]
        start += size
    return values


def _piece(size: int) -> Compiled:
    found = _compiled.get(size)
    if found is None:
        from ..engine.box_muller import normals
        from ..engine.eager import Compiled

        found = _compiled[size] = Compiled(normals, size, float32, 2)
    return found
