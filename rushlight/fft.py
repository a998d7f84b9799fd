"""Discrete Fourier transforms, as `torch.fft`.

In: real or complex tensors (integers become the default float). Out: spectra, or what they are
spectra of. Invariants: for every function `n` or `s` pads with zeros or cuts before transforming,
and `norm` says where 1 / N stands: "backward" (default, in the inverse), "ortho" (half in each),
"forward" (in the forward transform).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .autograd.names import titled
from .base.dtype import get_default_dtype
from .ops import fourier as rows
from .ops.common import TYPE_NAMES, conjugate
from .ops.padding import constant_pad_nd
from .tensor import creation
from .tensor.casting import around
from .tensor.outputs import with_out
from .tensor.tensor import Tensor

Dims = int | Sequence[int] | None


def _factor(norm: str | None, count: int, inverse: bool) -> float:
    if norm in (None, "backward"):
        return 1.0 / count if inverse else 1.0
    if norm == "ortho":
        return 1.0 / math.sqrt(count)
    if norm == "forward":
        return 1.0 if inverse else 1.0 / count
    raise RuntimeError(f'Invalid normalization mode: "{norm}"')


def _floating(x: Tensor) -> Tensor:
    if x.dtype.kind == "float" and x.dtype.itemsize < 4:
        raise RuntimeError(
            f"Unsupported dtype {TYPE_NAMES[x.dtype.name]}: convert the tensor to float32 first"
        )
    return x if x.dtype.kind in ("float", "complex") else x.to(get_default_dtype())


def _complex(x: Tensor) -> Tensor:
    x = _floating(x)
    return x if x.dtype.is_complex else x.to(x.dtype.to_complex())


def _real(name: str, x: Tensor) -> Tensor:
    if x.dtype.is_complex:
        raise RuntimeError(f"{name} expects a real input tensor, but got {x.dtype}")
    return _floating(x)


def _axis(x: Tensor, dim: int) -> int:
    _require_tensor(x)
    if x.ndim == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if not -x.ndim <= dim < x.ndim:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-x.ndim}, {x.ndim - 1}], but "
            f"got {dim})"
        )
    return dim % x.ndim


def _require_tensor(x: Any) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"fft: argument 'input' must be Tensor, not {type(x).__name__}")


def _axes(x: Tensor, s: Any, dim: Any) -> tuple[list[int], list[int]]:
    """Lengths and dimensions of a transform over several; -1 in `s` keeps a length."""
    _require_tensor(x)
    s = [s] if isinstance(s, int) else s
    if dim is not None:
        axes = [_axis(x, d) for d in ([dim] if isinstance(dim, int) else dim)]
    elif s is not None:
        if len(s) > x.ndim:
            raise RuntimeError(
                f"Got shape with {len(s)} values but input tensor only has {x.ndim} dimensions."
            )
        axes = list(range(x.ndim - len(s), x.ndim))
    else:
        axes = list(range(x.ndim))
    if len(set(axes)) != len(axes):
        raise RuntimeError("FFT dims must be unique")
    if s is not None and len(s) != len(axes):
        raise RuntimeError("When given, dim and shape arguments must have the same length")
    lengths = [x.shape[d] if s is None or s[k] == -1 else s[k] for k, d in enumerate(axes)]
    return lengths, axes


def _sized(x: Tensor, lengths: Sequence[int], axes: Sequence[int]) -> Tensor:
    """x padded with zeros or cut along the axes."""
    changes = [0] * x.ndim
    for n, d in zip(lengths, axes):
        if not hasattr(n, "__index__"):
            raise TypeError(f"fft: argument 'n' must be int, not {type(n).__name__}")
        if n < 1:
            raise RuntimeError(f"Invalid number of data points ({n}) specified")
        changes[d] = n - x.shape[d]
    if not any(changes):
        return x
    return constant_pad_nd(x, tuple(width for change in reversed(changes) for width in (0, change)))


def _c2c(
    x: Tensor, lengths: Sequence[int], axes: Sequence[int], norm: str | None, inverse: bool
) -> Tensor:
    factor = _factor(norm, math.prod(lengths), inverse)
    if not axes:
        return _complex(x)
    return rows.fft_c2c(_sized(_complex(x), lengths, axes), tuple(axes), inverse, factor)


def _r2c(
    name: str,
    x: Tensor,
    lengths: Sequence[int],
    axes: Sequence[int],
    norm: str | None,
    inverse: bool,
) -> Tensor:
    """The spectrum of which the last axis is halved; for inverse its conjugate."""
    if not axes:
        raise RuntimeError(f"{name} must transform at least one axis")
    x = _sized(_real(name, x), lengths, axes)
    factor = _factor(norm, math.prod(lengths), inverse)
    if not inverse:
        return rows.fft_r2c(x, tuple(axes), factor)
    half = conjugate(rows.fft_r2c(x, (axes[-1],), factor))
    return rows.fft_c2c(half, tuple(axes[:-1]), True, 1.0) if len(axes) > 1 else half


def _c2r(
    name: str,
    x: Tensor,
    lengths: list[int],
    axes: list[int],
    norm: str | None,
    inverse: bool,
    last: int | None,
) -> Tensor:
    """The inverse of `_r2c`: `last` is the real length along the last axis."""
    if not axes:
        raise RuntimeError(f"{name} must transform at least one axis")
    x = _complex(x)
    length = 2 * (x.shape[axes[-1]] - 1) if last is None else last
    if length < 1:
        raise RuntimeError(f"Invalid number of data points ({length}) specified")
    x = _sized(x, [*lengths[:-1], length // 2 + 1], axes)
    x = x if inverse else conjugate(x)
    if len(axes) > 1:
        x = rows.fft_c2c(x, tuple(axes[:-1]), True, 1.0)
    return rows.fft_c2r(
        x, (axes[-1],), length, _factor(norm, math.prod(lengths[:-1]) * length, inverse)
    )


@titled(lambda made, input, *_, **__: f"Fft{'C' if input.is_complex() else 'R'}2CBackward0")
def fft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """X[k] = sum_n x[n] exp(-2 pi i k n / N) along one dimension. Follows `torch.fft.fft`.

    >>> import rushlight as rl
    >>> rl.fft.fft(rl.tensor([1., 0., 0., 0.])).real
    tensor([1., 1., 1., 1.])
    """
    axis = _axis(input, dim)
    return _c2c(input, [input.shape[axis] if n is None else n], [axis], norm, False)


def ifft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `fft`. Follows `torch.fft.ifft`."""
    axis = _axis(input, dim)
    return _c2c(input, [input.shape[axis] if n is None else n], [axis], norm, True)


def fftn(input: Tensor, s: Dims = None, dim: Dims = None, norm: str | None = None) -> Tensor:
    """`fft` along several dimensions (all of them by default). Follows `torch.fft.fftn`."""
    return _c2c(input, *_axes(input, s, dim), norm, False)


def ifftn(input: Tensor, s: Dims = None, dim: Dims = None, norm: str | None = None) -> Tensor:
    """The inverse of `fftn`. Follows `torch.fft.ifftn`."""
    return _c2c(input, *_axes(input, s, dim), norm, True)


def fft2(input: Tensor, s: Dims = None, dim: Dims = (-2, -1), norm: str | None = None) -> Tensor:
    """`fftn` along the last two dimensions. Follows `torch.fft.fft2`."""
    return fftn(input, s, dim, norm)


def ifft2(input: Tensor, s: Dims = None, dim: Dims = (-2, -1), norm: str | None = None) -> Tensor:
    """The inverse of `fft2`. Follows `torch.fft.ifft2`."""
    return ifftn(input, s, dim, norm)


def rfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The first N // 2 + 1 values of `fft` of a real tensor: the others are their conjugates.
    Follows `torch.fft.rfft`.

    >>> import rushlight as rl
    >>> rl.fft.rfft(rl.ones(4)).real
    tensor([4., 0., 0.])
    """
    axis = _axis(input, dim)
    return _r2c("rfft", input, [input.shape[axis] if n is None else n], [axis], norm, False)


def irfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `rfft`; n (default 2 (m - 1)) is the length of the real result. Follows
    `torch.fft.irfft`.
    """
    axis = _axis(input, dim)
    return _c2r("irfft", input, [input.shape[axis]], [axis], norm, True, n)


def hfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """`fft` of a Hermitian signal of which the first half is given: real. Follows
    `torch.fft.hfft`.
    """
    axis = _axis(input, dim)
    return _c2r("hfft", input, [input.shape[axis]], [axis], norm, False, n)


@titled("ConjBackward0")
def ihfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `hfft`. Follows `torch.fft.ihfft`."""
    axis = _axis(input, dim)
    return _r2c("ihfft", input, [input.shape[axis] if n is None else n], [axis], norm, True)


def _last(s: Any) -> int | None:
    length = None if s is None else s if isinstance(s, int) else s[-1]
    return None if length == -1 else length


def rfftn(input: Tensor, s: Dims = None, dim: Dims = None, norm: str | None = None) -> Tensor:
    """`rfft` along the last of several dimensions, `fft` along the others. Follows
    `torch.fft.rfftn`.
    """
    return _r2c("rfftn", input, *_axes(input, s, dim), norm, False)


def irfftn(input: Tensor, s: Dims = None, dim: Dims = None, norm: str | None = None) -> Tensor:
    """The inverse of `rfftn`. Follows `torch.fft.irfftn`."""
    return _c2r("irfftn", input, *_axes(input, s, dim), norm, True, _last(s))


def hfftn(input: Tensor, s: Dims = None, dim: Dims = None, norm: str | None = None) -> Tensor:
    """`hfft` along the last of several dimensions, `fft` along the others. Follows
    `torch.fft.hfftn`.
    """
    return _c2r("hfftn", input, *_axes(input, s, dim), norm, False, _last(s))


def ihfftn(input: Tensor, s: Dims = None, dim: Dims = None, norm: str | None = None) -> Tensor:
    """The inverse of `hfftn`. Follows `torch.fft.ihfftn`."""
    return _r2c("ihfftn", input, *_axes(input, s, dim), norm, True)


def rfft2(input: Tensor, s: Dims = None, dim: Dims = (-2, -1), norm: str | None = None) -> Tensor:
    """`rfftn` along the last two dimensions. Follows `torch.fft.rfft2`."""
    return rfftn(input, s, dim, norm)


def irfft2(input: Tensor, s: Dims = None, dim: Dims = (-2, -1), norm: str | None = None) -> Tensor:
    """The inverse of `rfft2`. Follows `torch.fft.irfft2`."""
    return irfftn(input, s, dim, norm)


def hfft2(input: Tensor, s: Dims = None, dim: Dims = (-2, -1), norm: str | None = None) -> Tensor:
    """`hfftn` along the last two dimensions. Follows `torch.fft.hfft2`."""
    return hfftn(input, s, dim, norm)


def ihfft2(input: Tensor, s: Dims = None, dim: Dims = (-2, -1), norm: str | None = None) -> Tensor:
    """The inverse of `hfft2`. Follows `torch.fft.ihfft2`."""
    return ihfftn(input, s, dim, norm)


def fftfreq(n: int, d: float = 1.0, **options: Any) -> Tensor:
    """The frequencies 0, 1, ..., -1 over n d, in the order of `fft`'s result. Follows
    `torch.fft.fftfreq`.
    """
    positive = (n + 1) // 2
    numbers = _whole_numbers(positive - n, positive, options).roll(positive - n)
    return numbers * (1.0 / (n * d) if n else 0.0)


def rfftfreq(n: int, d: float = 1.0, **options: Any) -> Tensor:
    """The frequencies 0, 1, ..., n // 2 over n d, in the order of `rfft`'s result. Follows
    `torch.fft.rfftfreq`.
    """
    return _whole_numbers(0, n // 2 + 1, options) * (1.0 / (n * d))


def _whole_numbers(start: int, stop: int, options: dict[str, Any]) -> Tensor:
    """start, ..., stop - 1 in the dtype asked for, or the default one."""
    dtype = options.get("dtype") or get_default_dtype()
    return creation.arange(start, stop, **{**options, "dtype": dtype})


def _shifted(x: Tensor, dim: Dims, back: bool) -> Tensor:
    axes = (
        range(x.ndim)
        if dim is None
        else [_axis(x, d) for d in ([dim] if isinstance(dim, int) else dim)]
    )
    if not axes:
        return x
    return x.roll([(x.shape[d] + 1) // 2 if back else x.shape[d] // 2 for d in axes], list(axes))


def fftshift(input: Tensor, dim: Dims = None) -> Tensor:
    """The zero frequency moved to the middle. Follows `torch.fft.fftshift`."""
    return _shifted(input, dim, False)


def ifftshift(input: Tensor, dim: Dims = None) -> Tensor:
    """The inverse of `fftshift`. Follows `torch.fft.ifftshift`."""
    return _shifted(input, dim, True)


__all__ = [
    f"{kind}{inverse}fft{count}"
    for kind, inverse in (("", ""), ("", "i"), ("r", ""), ("ir", ""), ("h", ""), ("ih", ""))
    for count in ("", "2", "n")
]
__all__ += ["fftfreq", "fftshift", "ifftshift", "rfftfreq"]
globals().update({name: with_out(around(f"fft_{name}", globals()[name])) for name in __all__})
