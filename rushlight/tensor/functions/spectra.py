"""Short-time Fourier transforms and their inverse: `stft`, `istft`.

In: signals (batch, time) and a window. Out: spectra of overlapping frames (batch, frequency,
frame), or the signal again. Invariant: frames are strided views, their sums strided writes, so the
gradients are those of views and of the transforms' rows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...base import dtype as dtypes
from ...ops import core, fourier, gathering, padding
from ..bits import view_as_real
from ..conversion import from_array
from ..creation import ones
from ..tensor import Tensor
from ..values import window as values_of

# padding mode -> NumPy's name of it
_PADDINGS = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _refuse(name: str, input: Tensor, problem: str) -> RuntimeError:
    return RuntimeError(f"{name}({input.dtype.name}{list(input.shape)}): {problem}")


def _frame_sizes(
    name: str,
    input: Tensor,
    n_fft: int,
    hop_length: int | None,
    win_length: int | None,
    window: Tensor | None,
) -> tuple[int, int]:
    """The hop and the length of the window (defaults: a quarter of a frame, a frame), checked."""
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    if hop <= 0 or (name == "istft" and hop > length):
        wanted = "0 < hop_length <= win_length" if name == "istft" else "hop_length > 0"
        raise _refuse(name, input, f"expected {wanted}, but got hop_length={hop}")
    if not 0 < length <= n_fft:
        raise _refuse(
            name, input, f"expected 0 < win_length <= n_fft = {n_fft}, but got win_length={length}"
        )
    if window is not None and tuple(window.shape) != (length,):
        raise _refuse(
            name,
            input,
            f"expected a 1D window tensor of size equal to win_length={length}, but got a window "
            f"of shape {list(window.shape)}",
        )
    return hop, length


def _whole_window(window: Tensor | None, length: int, n_fft: int, dtype: dtypes.dtype) -> Any:
    """The window in the middle of a frame of zeros; None where it is all ones."""
    if window is None and length == n_fft:
        return None
    made = ones(length, dtype=dtype) if window is None else window
    left = (n_fft - length) // 2
    return padding.constant_pad_nd(made, (left, n_fft - length - left)) if length < n_fft else made


def _extended(signal: Tensor, width: int, mode: str) -> Tensor:
    """(batch, time) with `width` more elements at both ends."""
    if mode == "constant":
        return padding.constant_pad_nd(signal, (width, width))
    if mode not in _PADDINGS:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    length = signal.shape[-1]
    if width >= length + (mode == "circular") and mode != "replicate":
        raise RuntimeError(
            "Argument #4: Padding size should be less than the corresponding input dimension, but "
            f"got: padding ({width}, {width}) at dimension 1 of input {list(signal.shape)}"
        )
    places: Any = np.pad(np.arange(length), width, mode=_PADDINGS[mode])  # type: ignore[call-overload]
    return gathering.index_select(signal, 1, from_array(places, dtypes.int64))


def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """X[f, t] = sum_k window[k] input[t hop + k] exp(-2 pi i f k / n_fft), as `torch.stft`.

    input: (time) or (batch, time), real or complex. Out: (batch, n_fft // 2 + 1 frequencies, or
    n_fft if not onesided, frames), complex, or with return_complex=False a last dimension of real
    and imaginary parts. `center` pads the signal by half a frame at both ends; `normalized`
    divides by sqrt(n_fft). RuntimeError for sizes that do not fit, for one-sided spectra of complex
    operands, and where `return_complex` is needed and absent.

    >>> import rushlight as rl
    >>> rl.stft(rl.ones(8), 4, center=False, return_complex=True).shape
    torch.Size([3, 5])
    """
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    if input.dtype.kind not in ("float", "complex"):
        raise _refuse("stft", input, "expected a tensor of floating point or complex values")
    if input.ndim not in (1, 2):
        raise _refuse("stft", input, "expected a 1D or 2D tensor")
    is_complex = input.dtype.is_complex or (window is not None and window.dtype.is_complex)
    if return_complex is None and not is_complex:
        raise RuntimeError(
            "stft requires the return_complex parameter be given for real inputs: pass "
            "return_complex=True, and view_as_real of the result for real pairs."
        )
    if onesided and is_complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    signal = input.reshape(-1, input.shape[-1])
    if center:
        signal = _extended(signal, n_fft // 2, pad_mode)
    if not 0 < n_fft <= signal.shape[-1]:
        raise _refuse(
            "stft", input, f"expected 0 < n_fft <= {signal.shape[-1]}, but got n_fft={n_fft}"
        )
    hop, length = _frame_sizes("stft", input, n_fft, hop_length, win_length, window)
    if align_to_window:
        left = (n_fft - length) // 2
        signal = padding.constant_pad_nd(signal, (left, n_fft - length - left))
    frames = signal.unfold(-1, n_fft, hop)
    shape = _whole_window(window, length, n_fft, input.dtype)
    if shape is not None:
        frames = core.mul(frames, shape)
    made = _spectrum(frames, n_fft, normalized, not is_complex if onesided is None else onesided)
    made = made.transpose(1, 2)
    made = made if input.ndim == 2 else made.squeeze(0)
    return view_as_real(made) if return_complex is False else made


def _spectrum(frames: Tensor, n_fft: int, normalized: bool, onesided: bool) -> Tensor:
    """The transforms of frames along the last dimension."""
    factor = 1.0 / math.sqrt(n_fft) if normalized else 1.0
    if onesided:
        return fourier.fft_r2c(frames, (2,), factor)
    wide = frames if frames.dtype.is_complex else core.cast(frames, frames.dtype.to_complex())
    return fourier.fft_c2c(wide, (2,), False, factor)


def _require_spectrum(input: Tensor, n_fft: int, onesided: bool) -> None:
    """PyTorch's errors for what is no result of `stft`."""
    if not input.dtype.is_complex:
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with "
            f"return_complex=True, but got {input.dtype.name}{list(input.shape)}."
        )
    if not input.numel():
        raise _refuse("istft", input, "input tensor cannot be empty.")
    if input.ndim not in (2, 3):
        raise (IndexError if input.ndim < 2 else RuntimeError)(
            f"istft: expected a tensor with 2 dimensions or 3 dimensions, but got {input.ndim}: "
            f"{list(input.shape)}"
        )
    count = n_fft // 2 + 1 if onesided else n_fft
    if input.shape[-2] != count:
        raise _refuse(
            "istft",
            input,
            "expected the frequency dimension (the last but one) of the input tensor to match "
            f"{'n_fft / 2 + 1' if onesided else 'n_fft'} when onesided={onesided}, that is "
            f"{count}, but got {input.shape[-2]}",
        )


def _overlapped(frames: Tensor, hop: int) -> Tensor:
    """Frames (batch, count, n_fft) summed where each begins `hop` after the one before it."""
    batch, count, n_fft = frames.shape
    length = n_fft + hop * (count - 1)
    total = core.strided_backward(frames, batch * length, (length, hop, 1), 0)
    return total.reshape(batch, length)


def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """The signal whose `stft` is closest to input in the least squares' sense, as `torch.istft`.

    The windowed inverse transforms of the frames are added where they overlap and divided by the
    overlapping squares of the window (Griffin and Lim, 1984). input: (batch, frequency, frame),
    complex. `length` cuts, or pads with zeros. RuntimeError for sizes that do not fit, and where
    the squares of the window add up to zero somewhere.

    >>> import rushlight as rl
    >>> x = rl.arange(8.0)
    >>> rl.istft(rl.stft(x, 4, return_complex=True), 4)
    tensor([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    one_side = input.ndim > 1 and input.shape[-2] != n_fft if onesided is None else onesided
    _require_spectrum(input, n_fft, one_side)
    hop, width = _frame_sizes("istft", input, n_fft, hop_length, win_length, window)
    if window is not None and window.dtype.is_complex and not return_complex:
        raise RuntimeError("Complex windows are incompatible with return_complex=False")
    if return_complex and one_side:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    spectra = input.reshape(-1, *input.shape[-2:]).transpose(1, 2)
    frames = _inverse(spectra, n_fft, normalized, one_side, return_complex)
    shape = _whole_window(window, width, n_fft, input.dtype.real)
    if shape is None:
        shape = ones(n_fft, dtype=input.dtype.real)
    count = frames.shape[1]
    signal = _overlapped(core.mul(frames, shape), hop)
    squares = _overlapped(core.mul(shape, shape).reshape(1, 1, n_fft).expand(1, count, n_fft), hop)
    made = _cut(signal, squares, n_fft // 2 if center else 0, length)
    return made if input.ndim == 3 else made.squeeze(0)


def _inverse(
    spectra: Tensor, n_fft: int, normalized: bool, onesided: bool, return_complex: bool
) -> Tensor:
    """The frames (batch, count, n_fft) whose spectra these are."""
    factor = 1.0 / math.sqrt(n_fft) if normalized else 1.0 / n_fft
    if return_complex:
        return fourier.fft_c2c(spectra, (2,), True, factor)
    half = spectra if onesided else spectra.narrow(2, 0, n_fft // 2 + 1)
    return fourier.fft_c2r(half, (2,), n_fft, factor)


def _cut(signal: Tensor, squares: Tensor, margin: int, length: int | None) -> Tensor:
    """The signal over the squares of the window, without the margins, in the wanted length."""
    full = signal.shape[1]
    stop = full - margin if length is None else margin + length
    kept = max(min(stop, full) - margin, 0)
    signal, squares = signal.narrow(1, margin, kept), squares.narrow(1, margin, kept)
    least = np.abs(values_of(squares.detach())).min() if kept else 0.0
    if least <= 1e-11:
        raise RuntimeError(
            f"istft: window overlap add min: {least:.3g}: the squares of the window must not add "
            "up to zero anywhere in the signal"
        )
    made = core.div(signal, squares)
    if stop > full:
        from warnings import warn

        warn(
            "The length of signal is shorter than the length parameter. Result is being padded "
            "with zeros in the tail. Please check your center and hop_length settings.",
            stacklevel=3,
        )
        made = padding.constant_pad_nd(made, (0, stop - full))
    return made


FUNCTIONS = (stft, istft)
METHODS = FUNCTIONS
