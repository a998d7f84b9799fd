"""The exceptions of rushlight that Python and PyTorch do not already have a type for."""

from __future__ import annotations

from collections.abc import Callable, Iterable


class RushlightError(RuntimeError):
    """An error of rushlight's own; a RuntimeError, as most of PyTorch's errors are."""


class OutOfMemoryError(RushlightError, MemoryError):
    """An allocation cannot succeed (`torch.OutOfMemoryError`); everything stays usable."""


class MissingDeviceError(RushlightError, AssertionError):
    """A device that this machine does not offer: PyTorch raises AssertionError for a tensor and
    RuntimeError for a generator.
    """


class InternalError(RushlightError):
    """A broken invariant of ours: always a bug of rushlight."""


class LinAlgError(RushlightError):
    """A matrix has no inverse, factorization or the like (`torch.linalg.LinAlgError`)."""


class MissingNameError(AttributeError):
    """A name that is not there, and the nearest one that is.

    Programs ask with `hasattr` for names that only some versions have; the nearest name is looked
    for when somebody reads the message, which takes a hundred times longer than the question.
    """

    def __init__(self, owner: str, name: str, names: Callable[[], Iterable[str]]) -> None:
        super().__init__(owner, name, name=name)
        self.owner = owner
        self.wanted = name
        self.names = names

    def __str__(self) -> str:
        from difflib import get_close_matches

        near = get_close_matches(self.wanted, self.names(), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{self.owner} has no attribute {self.wanted!r}{hint}"

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return AttributeError, (str(self),)
