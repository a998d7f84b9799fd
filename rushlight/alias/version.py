"""`torch.version` and `torch.torch_version`: which PyTorch this is like, and what it was built for.

In: nothing. Out: constants. Invariant: `__version__` starts with the version of PyTorch whose API
and semantics are followed; what rushlight's own version is comes after the plus sign.
"""

from __future__ import annotations

import re
from typing import Any

from rushlight.version import __version__ as OURS

__all__ = ["TorchVersion", "cuda", "debug", "git_version", "hip", "mps", "xpu"]

API = "2.13.0"
VISION_API = "0.28.0"
_RELEASE = re.compile(r"\s*v?(\d+(?:\.\d+)*)")


def release(version: Any) -> tuple[int, ...]:
    """The numbers of a version: `2.13.0+cpu` or `(2, 13)` -> (2, 13), without zeros at the end."""
    if isinstance(version, (tuple, list)):
        numbers = [int(part) for part in version if str(part).isdigit()]
    else:
        match = _RELEASE.match(str(version))
        if match is None:
            raise ValueError(f"{version!r} is not a version: expected numbers such as 2.13.0")
        numbers = [int(part) for part in match[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


class TorchVersion(str):
    """A version that is text and compares as numbers, as `torch.torch_version.TorchVersion`.

    It compares with text and with tuples; what follows the numbers (`+cpu`, `rc1`) does not count.

    >>> from rushlight.alias.version import TorchVersion
    >>> TorchVersion("2.13.0") >= "2.6", TorchVersion("2.13.0") < (2, 2)
    (True, False)
    """

    __slots__ = ()

    def __lt__(self, other: Any) -> bool:
        return release(self) < release(other)

    def __le__(self, other: Any) -> bool:
        return release(self) <= release(other)

    def __gt__(self, other: Any) -> bool:
        return release(self) > release(other)

    def __ge__(self, other: Any) -> bool:
        return release(self) >= release(other)

    def __eq__(self, other: object) -> bool:
        try:
            return release(self) == release(other)
        except ValueError:
            return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


__version__ = TorchVersion(f"{API}+rushlight.{OURS}")
vision_version = f"{VISION_API}+rushlight.{OURS}"
# What PyTorch says when it is built without an accelerator.
cuda: str | None = None
hip: str | None = None
xpu: str | None = None
mps: str | None = None
debug = False
git_version = "Unknown"
