"""The switches: every environment variable that rushlight reads, in one typed table.

In: the environment, once, when first asked. Out: `SETTINGS`. `rushlight doctor` prints the table.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple


class Switch(NamedTuple):
    """One environment variable: its attribute here, how its text is read, its default, what it
    does.
    """

    attribute: str
    read: Callable[[str], Any]
    default: Any
    meaning: str


def _flag(text: str) -> bool:
    return text.strip().lower() not in ("", "0", "false", "no", "off")


def _topics(text: str) -> frozenset[str]:
    chosen = frozenset(part.strip() for part in text.split(",") if part.strip())
    unknown = chosen - TOPICS
    if unknown:
        raise ValueError(
            f"RUSHLIGHT_LOG={text}: no topic {sorted(unknown)[0]!r}; there are "
            f"{', '.join(sorted(TOPICS))}"
        )
    return chosen


TOPICS = frozenset({"graph", "schedule", "kernel", "llvm", "time", "memory", "cache", "recompile"})

SWITCHES: dict[str, Switch] = {
    "RUSHLIGHT_EAGER": Switch(
        "eager", _flag, False, "compute every operation on its own line (no fusion)"
    ),
    "RUSHLIGHT_INTERPRET": Switch(
        "interpret", _flag, False, "compute graphs by their NumPy meaning, without compiling"
    ),
    "RUSHLIGHT_CHECK": Switch(
        "check", str, "", "interp: run every program in NumPy too and compare"
    ),
    "RUSHLIGHT_VERIFY": Switch(
        "verify", _flag, False, "verify every kernel against the rules of the kernel IR"
    ),
    "RUSHLIGHT_BOUNDS": Switch(
        "bounds", _flag, False, "check every access of a kernel against its buffer (slow)"
    ),
    "RUSHLIGHT_LOG": Switch(
        "log", _topics, frozenset(), f"print to stderr: any of {', '.join(sorted(TOPICS))}"
    ),
    "RUSHLIGHT_LINES": Switch(
        "lines", _flag, True, "remember the user's line of operations that can fail while running"
    ),
    "RUSHLIGHT_NUM_THREADS": Switch(
        "num_threads", str, "", "how many threads compute (else OMP_NUM_THREADS, else all allowed)"
    ),
    "RUSHLIGHT_CACHE_DIR": Switch("cache_dir", str, "", "where compiled kernels are kept"),
}


class Settings:
    """The values of the switches; attributes may be set by tests."""

    eager: bool
    interpret: bool
    check: str
    verify: bool
    bounds: bool
    log: frozenset[str]
    lines: bool
    num_threads: str
    cache_dir: str

    def __init__(self) -> None:
        for variable, switch in SWITCHES.items():
            text = os.environ.get(variable)
            setattr(self, switch.attribute, switch.default if text is None else switch.read(text))


SETTINGS = Settings()
