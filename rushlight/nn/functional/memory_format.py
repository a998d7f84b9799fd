"""Memory formats: results laid out as the picture or volume that they are made of.

In: a result and the input it was computed from. Out: the result, channels-last where the input is.
Invariant: values never change, only the order of the dimensions in memory.
"""

from __future__ import annotations

import rushlight
from rushlight import Tensor


def laid_out_as(result: Tensor, input: Tensor) -> Tensor:
    """The result in channels-last (4-D) or channels-last-3d (5-D) order where the input has that
    (gaps do not matter), else row-major; as it is where it has another number of dimensions.

    >>> import rushlight as rl
    >>> from rushlight.nn.functional.memory_format import laid_out_as
    >>> picture = rl.zeros(1, 3, 2, 2).to(memory_format=rl.channels_last)
    >>> laid_out_as(rl.zeros(1, 3, 4, 4), picture).stride()
    (48, 1, 12, 3)
    """
    if input.dim() not in (4, 5) or result.dim() != input.dim():
        return result
    return result.contiguous(memory_format=rushlight._format_of(input))
