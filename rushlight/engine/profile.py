"""Counts of what the engine did: flushes, programs built, seconds spent building."""

from __future__ import annotations


class Counters:
    """Counters of this process, for `explain`, tests and benchmarks."""

    __slots__ = (
        "build_seconds",
        "builds",
        "compile_seconds",
        "flushes",
        "generic",
        "kernels",
        "recorded",
    )

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.build_seconds = 0.0
        self.builds = 0
        self.flushes = 0
        self.kernels = 0
        self.generic = 0  # of these, kernels for any size
        self.compile_seconds = 0.0
        self.recorded = 0

    def compiled(self, kernels: int, seconds: float, generic: int = 0) -> None:
        self.kernels += kernels
        self.generic += generic
        self.compile_seconds += seconds

    def built(self, seconds: float, recorded: int) -> None:
        self.builds += 1
        self.build_seconds += seconds
        self.recorded += recorded


COUNTERS = Counters()
