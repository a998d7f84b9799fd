"""The exceptions of rushlight that Python and PyTorch do not already have a type for."""

from __future__ import annotations


class RushlightError(RuntimeError):
    """An error of rushlight's own; a RuntimeError, as most of PyTorch's errors are."""


class OutOfMemoryError(RushlightError, MemoryError):
    """An allocation cannot succeed (`torch.OutOfMemoryError`); everything stays usable."""


class InternalError(RushlightError):
    """A broken invariant of ours: always a bug of rushlight."""


class LinAlgError(RushlightError):
    """A matrix has no inverse, factorization or the like (`torch.linalg.LinAlgError`)."""
