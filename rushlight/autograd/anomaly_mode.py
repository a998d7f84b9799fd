"""Anomaly mode: which line of the forward pass a failing backward function stems from, as
`torch.autograd.anomaly_mode`.

In: a switch, for the whole process. Out: a warning with the forward call, beside the error.
Invariant: switched off it costs nothing but one look at a flag where the tape is written.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Sequence
from typing import Any

from .entries import Anomaly, GradFn

_PACKAGE = __name__.split(".", 1)[0]


def _user_stack() -> str:
    """The stack of the call that is being recorded, without the frames of this package."""
    frames = [
        (frame, line)
        for frame, line in traceback.walk_stack(None)
        if frame.f_globals.get("__name__", "").split(".", 1)[0] != _PACKAGE
    ]
    return "".join(traceback.StackSummary.extract(iter(frames[::-1])).format())


Anomaly.trace = staticmethod(_user_stack)  # type: ignore[assignment]


class detect_anomaly:
    """Within the block, a backward function that raises or (with check_nan) makes NaN is reported
    with the forward call that recorded it. As `torch.autograd.detect_anomaly`.

    RuntimeError for NaN. Forward calls must be inside the block for their lines to be known.

    >>> import rushlight as rl
    >>> x = rl.tensor(0.0, requires_grad=True)
    >>> with rl.autograd.detect_anomaly():  # doctest: +SKIP
    ...     (x.sqrt() * 0).backward()
    RuntimeError: Function 'SqrtBackward0' returned nan values in its 0th output.
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.wanted = (True, check_nan)
        self.before = (Anomaly.on, Anomaly.check_nan)
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should "
            "only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        self.before = (Anomaly.on, Anomaly.check_nan)
        Anomaly.on, Anomaly.check_nan = self.wanted

    def __exit__(self, *exception: object) -> None:
        Anomaly.on, Anomaly.check_nan = self.before


class set_detect_anomaly:
    """Switch anomaly mode, at once and for a `with` block, as
    `torch.autograd.set_detect_anomaly`.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.before = (Anomaly.on, Anomaly.check_nan)
        Anomaly.on, Anomaly.check_nan = bool(mode), check_nan

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        Anomaly.on, Anomaly.check_nan = self.before


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on, as `torch.is_anomaly_enabled`."""
    return Anomaly.on


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly mode looks for NaN, as `torch.is_anomaly_check_nan_enabled`."""
    return Anomaly.on and Anomaly.check_nan


def watched(function: GradFn, grads: list) -> Sequence:
    """function.apply(grads); where it fails or makes NaN, a warning tells the forward call."""
    try:
        results = function.apply(grads)
    except Exception:
        _tell(function)
        raise
    if Anomaly.check_nan:
        for number, g in enumerate(results):
            if g is not None and _has_nan(g):
                _tell(function)
                raise RuntimeError(
                    f"Function '{function.name()}' returned nan values in its {number}th output."
                )
    return results


def _has_nan(g: Any) -> bool:
    if g.dtype.kind not in ("float", "complex"):
        return False
    plain = g.detach()
    return bool(plain.ne(plain).any())


def _tell(function: GradFn) -> None:
    """The warning: which function, and where its forward call stands."""
    stack = (function._metadata or {}).get("traceback_")
    if stack is None:
        text = (
            f"Error detected in {function.name()}. No forward pass information available. Enable "
            "detect anomaly during forward pass for more information."
        )
    else:
        text = (
            f"Error detected in {function.name()}. Traceback of forward call that caused the "
            f"error:\n{stack}"
        )
    warnings.warn(text, stacklevel=4)
