"""Windows under PyTorch's names, `torch.signal.windows`.

In: the number of points M, whether the window is symmetric (for filters; otherwise it is periodic,
for spectra), and the shape's own numbers. Out: a 1-d tensor of M weights whose largest is 1 at a
point in the middle. Invariant: the formulas are those of `tensor/functions/windows.py`; what is
said here is which window is which, and what PyTorch refuses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..base.dtype import dtype
from ..ops import arithmetic, elementary
from ..tensor.functions import windows as shapes
from ..tensor.tensor import Tensor

_NUTTALL = (0.3635819, 0.4891775, 0.1365995, 0.0106411)


def _made(
    name: str,
    shape: shapes.Shape,
    count: int,
    sym: bool,
    options: dict[str, Any],
    lone: float = 1.0,
) -> Tensor:
    """The window of M points; ValueError for a negative length, another dtype than float32 and
    float64, another layout than strided.
    """
    type_, layout = options["dtype"], options["layout"]
    if not hasattr(count, "__index__"):
        raise TypeError(f"{name}(): argument 'M' must be int, not {type(count).__name__}")
    if count < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={count}")
    if layout is not None and str(layout) != "torch.strided":
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if type_ is not None and (type_.kind, type_.itemsize >= 4) != ("float", True):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {type_}")
    where, grad = options["device"], options["requires_grad"]
    return shapes.weights(shape, count, not sym, type_, where, grad, lone)


def bartlett(
    M: int,
    *,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The triangle 1 - |2 n / N - 1|, N = M - 1, or M where not `sym`.

    Follows `torch.signal.windows.bartlett`. ValueError for M < 0 and for a dtype other than
    float32 and float64.

    >>> import rushlight as rl
    >>> rl.signal.windows.bartlett(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    options = {"dtype": dtype, "layout": layout, "device": device, "requires_grad": requires_grad}
    return _made("bartlett", shapes.triangle, M, sym, options)


def blackman(
    M: int,
    *,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N), N = M - 1, or M where not `sym`.

    Follows `torch.signal.windows.blackman`; errors as in `bartlett`.

    >>> import rushlight as rl
    >>> rl.signal.windows.blackman(5)[2]
    tensor(1.)
    """
    options = {"dtype": dtype, "layout": layout, "device": device, "requires_grad": requires_grad}
    return _made("blackman", shapes.cosines((0.42, 0.5, 0.08)), M, sym, options)


def cosine(
    M: int,
    *,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Half a wave, sin(pi (n + 1/2) / M), with M + 1 for M where not `sym`.

    Follows `torch.signal.windows.cosine`; errors as in `bartlett`.

    >>> import rushlight as rl
    >>> rl.signal.windows.cosine(3)
    tensor([0.5000, 1.0000, 0.5000])
    """
    options = {"dtype": dtype, "layout": layout, "device": device, "requires_grad": requires_grad}
    return _made(
        "cosine",
        lambda n, period: elementary.sin((n + 0.5) * (math.pi / (period + 1))),
        M,
        sym,
        options,
    )


def exponential(
    M: int,
    *,
    center: float | None = None,
    tau: float = 1.0,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """exp(-|n - center| / tau); the center is the middle, or stated where not `sym`.

    Follows `torch.signal.windows.exponential`. ValueError for tau <= 0, for a center of a
    symmetric window, and as in `bartlett`.

    >>> import rushlight as rl
    >>> rl.signal.windows.exponential(3)
    tensor([0.3679, 1.0000, 0.3679])
    """
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError(f"Center must be None for symmetric windows, got: {center}")

    def shape(n: Tensor, period: float) -> Tensor:
        middle = period / 2 if center is None else center
        return elementary.exp(arithmetic.abs(n - middle) * (-1 / tau))

    options = {"dtype": dtype, "layout": layout, "device": device, "requires_grad": requires_grad}
    return _made("exponential", shape, M, sym, options, math.exp(-abs(center or 0.0) / tau))


def gaussian(
    M: int,
    *,
    std: float = 1.0,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """exp(-((n - N / 2) / std)^2 / 2), N = M - 1, or M where not `sym`.

    Follows `torch.signal.windows.gaussian`. ValueError for std <= 0, and as in `bartlett`.

    >>> import rushlight as rl
    >>> rl.signal.windows.gaussian(3)
    tensor([0.6065, 1.0000, 0.6065])
    """
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")

    def shape(n: Tensor, period: float) -> Tensor:
        place = (n - period / 2) * (1 / std)
        return elementary.exp(place * place * -0.5)

    options = {"dtype": dtype, "layout": layout, "device": device, "requires_grad": requires_grad}
    return _made("gaussian", shape, M, sym, options)


def general_cosine(
    M: int,
    *,
    a: Sequence[float],
    sym: bool = True,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """sum_k (-1)^k a[k] cos(2 pi k n / N), N = M - 1, or M where not `sym`.

    Follows `torch.signal.windows.general_cosine`. TypeError unless `a` is a list or tuple,
    ValueError where it is empty, and as in `bartlett`.

    >>> import rushlight as rl
    >>> rl.signal.windows.general_cosine(3, a=[0.5, 0.5])
    tensor([0., 1., 0.])
    """
    if not isinstance(a, (list, tuple)):
        raise TypeError(f"Coefficients must be a list/tuple, not {type(a).__name__}")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    options = {"dtype": dtype, "layout": layout, "device": device, "requires_grad": requires_grad}
    return _made("general_cosine", shapes.cosines(a), M, sym, options)


def general_hamming(
    M: int,
    *,
    alpha: float = 0.54,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """alpha - (1 - alpha) cos(2 pi n / N), N = M - 1, or M where not `sym`.

    Follows `torch.signal.windows.general_hamming`; errors as in `bartlett`.

    >>> import rushlight as rl
    >>> rl.signal.windows.general_hamming(3, alpha=0.6)
    tensor([0.2000, 1.0000, 0.2000])
    """
    options = {"dtype": dtype, "layout": layout, "device": device, "requires_grad": requires_grad}
    return _made("general_hamming", shapes.cosines((alpha, 1.0 - alpha)), M, sym, options)


def hamming(
    M: int,
    *,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """0.54 - 0.46 cos(2 pi n / N), N = M - 1, or M where not `sym`.

    Follows `torch.signal.windows.hamming`; errors as in `bartlett`.

    >>> import rushlight as rl
    >>> rl.signal.windows.hamming(3)
    tensor([0.0800, 1.0000, 0.0800])
    """
    options = {"dtype": dtype, "layout": layout, "device": device, "requires_grad": requires_grad}
    return _made("hamming", shapes.cosines((0.54, 0.46)), M, sym, options)


def hann(
    M: int,
    *,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """(1 - cos(2 pi n / N)) / 2, N = M - 1, or M where not `sym`.

    Follows `torch.signal.windows.hann`; errors as in `bartlett`.

    >>> import rushlight as rl
    >>> rl.signal.windows.hann(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    options = {"dtype": dtype, "layout": layout, "device": device, "requires_grad": requires_grad}
    return _made("hann", shapes.cosines((0.5, 0.5)), M, sym, options)


def kaiser(
    M: int,
    *,
    beta: float = 12.0,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """I_0(beta sqrt(1 - (2 n / N - 1)^2)) / I_0(beta), N = M - 1, or M where not `sym`.

    Follows `torch.signal.windows.kaiser`. ValueError for beta < 0, and as in `bartlett`.

    >>> import rushlight as rl
    >>> rl.signal.windows.kaiser(4, beta=2.0)
    tensor([0.4387, 0.9243, 0.9243, 0.4387])
    """
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    options = {"dtype": dtype, "layout": layout, "device": device, "requires_grad": requires_grad}
    return _made("kaiser", shapes.kaiser(beta), M, sym, options)


def nuttall(
    M: int,
    *,
    sym: bool = True,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Nuttall's sum of four cosines with low side lobes (IEEE Transactions ASSP 29, 1981).

    N = M - 1, or M where not `sym`.

    Follows `torch.signal.windows.nuttall`; errors as in `bartlett`.

    >>> import rushlight as rl
    >>> rl.signal.windows.nuttall(3)[1]
    tensor(1.)
    """
    options = {"dtype": dtype, "layout": layout, "device": device, "requires_grad": requires_grad}
    return _made("nuttall", shapes.cosines(_NUTTALL), M, sym, options)


__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]
