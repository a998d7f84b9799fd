"""A graph compiled as a function of arrays, apart from what is being recorded.

In: a function of nodes. Out: a callable on NumPy arrays. Invariant: a call neither reads nor
flushes the trace, so numbers may be drawn in the middle of a step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..base.dtype import dtype
from ..base.layout import contiguous_layout
from ..graph import build as b
from ..graph.node import Node
from ..runtime.buffer import Buffer
from .program import Program


class Compiled:
    """`body(x, *numbers)` for arrays x of `count` elements of `type`.

    >>> from rushlight.base.dtype import float32
    >>> import numpy
    >>> Compiled(lambda x, k: x * k, 3, float32, 1)(numpy.ones(3, "float32"), 2.0)
    array([2., 2., 2.], dtype=float32)
    """

    def __init__(self, body: Callable[..., Node], count: int, type: dtype, numbers: int) -> None:
        layout = contiguous_layout((count,), type)
        x = Node("input", (), (count,), type, (0, layout))
        made = body(x, *[b.scalar(k, float) for k in range(numbers)])
        self.count = count
        self.program = Program.of([(made, layout)], 0)

    def __call__(self, array: np.ndarray, *numbers: float) -> np.ndarray:
        (made,) = self.program.run([Buffer.from_array(array)], list(numbers))
        return made.numpy(array.dtype)[: self.count]
