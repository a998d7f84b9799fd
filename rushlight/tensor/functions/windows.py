"""Windows: weights that fade a stretch of signal in and out.

In: the number of points, whether the window is periodic (one period of an even sequence: the last
point of the symmetric one is left out), and the shape's own numbers. Out: a 1-d tensor. Invariant:
computed in float64 from the point's number and rounded once to the dtype asked for. The names here
are `torch.hann_window` and its siblings; `rushlight/signal/windows.py` has the others over the same
formulas.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ...base import dtype as dtypes
from ...base.dtype import dtype, get_default_dtype
from ...ops import arithmetic, core, elementary, special
from ..creation import arange, full
from ..tensor import Tensor

Shape = Callable[[Tensor, float], Tensor]  # (numbers of the points, length of a period) -> weights


def cosines(coefficients: Sequence[float]) -> Shape:
    """sum_k (-1)^k a_k cos(2 pi k n / N): most windows are such a sum."""

    def shape(n: Tensor, period: float) -> Tensor:
        total: Any = n * 0.0 + coefficients[0]
        for k, a in enumerate(coefficients[1:], 1):
            total = total + elementary.cos(n * (2 * math.pi * k / period)) * ((-1) ** k * a)
        return total

    return shape


def triangle(n: Tensor, period: float) -> Tensor:
    """1 - |2 n / N - 1|"""
    return 1.0 - arithmetic.abs(n * (2 / period) - 1)


def kaiser(beta: float) -> Shape:
    """I_0(beta sqrt(1 - (2 n / N - 1)^2)) / I_0(beta): Kaiser's, its energy near 0 Hz."""

    def shape(n: Tensor, period: float) -> Tensor:
        place = n * (2 / period) - 1
        arch: Any = special.i0(elementary.sqrt(1.0 - place * place) * beta)
        return arch / special.i0(n * 0.0 + beta)

    return shape


def weights(
    shape: Shape,
    count: int,
    periodic: bool,
    type_: dtype | None,
    device: Any,
    requires_grad: bool,
    lone: float = 1.0,
) -> Tensor:
    """The window of `count` points; of one point it is `lone`, whatever the shape."""
    type_ = type_ or get_default_dtype()
    if count < 2:
        made = full((count,), lone, dtype=type_, device=device)
    else:
        n = arange(count, dtype=dtypes.float64, device=device)
        made = core.cast(shape(n, float(count if periodic else count - 1)), type_)
    return made.requires_grad_() if requires_grad else made


def _checked(name: str, count: Any, type_: dtype | None, layout: Any) -> int:
    """The number of points as an int; PyTorch's errors for what makes no window."""
    if not hasattr(count, "__index__"):
        raise TypeError(
            f"{name}(): argument 'window_length' (position 1) must be int, not "
            f"{type(count).__name__}"
        )
    if count < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={count}")
    if type_ is not None and type_.kind == "complex":
        raise NotImplementedError(f"{name} is not implemented for {type_}: take a float dtype")
    if type_ is not None and type_.kind != "float":
        raise RuntimeError(f"{name} expects floating point dtypes, got: {type_}")
    if layout is not None and str(layout) != "torch.strided":
        raise RuntimeError(f"{name} is not implemented for sparse types, got: {layout}")
    return count.__index__()


def bartlett_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """The triangle 1 - |2 n / N - 1|, N the length (periodic) or one less. RuntimeError for a
    negative length or a dtype that is not floating.

    Follows `torch.bartlett_window`.

    >>> import rushlight as rl
    >>> rl.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    count = _checked("bartlett_window", window_length, dtype, layout)
    return weights(triangle, count, periodic, dtype, device, requires_grad)


def blackman_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N), N the length (periodic) or one less.

    Follows `torch.blackman_window`; errors as in `bartlett_window`.

    >>> import rushlight as rl
    >>> rl.blackman_window(5, periodic=False)[2]
    tensor(1.)
    """
    count = _checked("blackman_window", window_length, dtype, layout)
    return weights(cosines((0.42, 0.5, 0.08)), count, periodic, dtype, device, requires_grad)


def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """alpha - beta cos(2 pi n / N), N the length (periodic) or one less.

    Follows `torch.hamming_window`; errors as in `bartlett_window`.

    >>> import rushlight as rl
    >>> rl.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    count = _checked("hamming_window", window_length, dtype, layout)
    return weights(cosines((alpha, beta)), count, periodic, dtype, device, requires_grad)


def hann_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """(1 - cos(2 pi n / N)) / 2, N the length (periodic) or one less.

    Follows `torch.hann_window`; errors as in `bartlett_window`.

    >>> import rushlight as rl
    >>> rl.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    count = _checked("hann_window", window_length, dtype, layout)
    return weights(cosines((0.5, 0.5)), count, periodic, dtype, device, requires_grad)


def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """I_0(beta sqrt(1 - (2 n / N - 1)^2)) / I_0(beta), N the length (periodic) or one less.

    Follows `torch.kaiser_window`; errors as in `bartlett_window`.

    >>> import rushlight as rl
    >>> rl.kaiser_window(4, periodic=False, beta=2.0)
    tensor([0.4387, 0.9243, 0.9243, 0.4387])
    """
    count = _checked("kaiser_window", window_length, dtype, layout)
    return weights(kaiser(beta), count, periodic, dtype, device, requires_grad)


FUNCTIONS = (bartlett_window, blackman_window, hamming_window, hann_window, kaiser_window)
