"""The distributions `torch` and `torchvision`, as `importlib.metadata` sees them in this process.

In: a query of importlib.metadata. Out: a Distribution kept in memory. Invariant: no file is read or
written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, DistributionFinder
from os import PathLike
from pathlib import Path

from .version import __version__, vision_version

VERSIONS = {"torch": str(__version__), "torchvision": vision_version}


class AliasDistribution(Distribution):
    """Name and version of a distribution that rushlight stands in for."""

    def __init__(self, name: str) -> None:
        self._name_and_version = (name, VERSIONS[name])

    def read_text(self, filename: str) -> str | None:
        name, version = self._name_and_version
        files = {
            "METADATA": "Metadata-Version: 2.1\n"
            f"Name: {name}\nVersion: {version}\n"
            f"Summary: rushlight, under the name {name}\n",
            "top_level.txt": f"{name}\n",
            "INSTALLER": "rushlight\n",
        }
        return files.get(filename)

    def locate_file(self, path: str | PathLike[str]) -> Path:
        import rushlight

        return Path(rushlight.__file__).parent / path


def distributions(context: DistributionFinder.Context) -> Iterator[AliasDistribution]:
    """Those that a query is about: one, or both where it names none."""
    if context.name is None:
        yield from map(AliasDistribution, VERSIONS)
        return
    wanted = re.sub(r"[-_.]+", "-", context.name).lower()
    if wanted in VERSIONS:
        yield AliasDistribution(wanted)
