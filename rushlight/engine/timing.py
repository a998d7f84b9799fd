"""Where the time of a program goes: its steps, each run alone and timed.

In: a program and what it is run with. Out: (step, seconds) in order. Used by the benchmarks'
roofline table and `RUSHLIGHT_LOG=time`; running steps one by one costs a microsecond each, and
gives the same results.
"""

from __future__ import annotations

import time
from typing import Any

from ..runtime.buffer import Buffer
from ..schedule.plan import Step
from .program import Program, _Native


def time_steps(
    program: Program, leaves: list[Buffer], scalars: list[Any], repeats: int = 3
) -> list[tuple[Step, float]]:
    """The best time of each step over several runs of the whole program."""
    best: dict[int, float] = {}
    pieces = [
        _Native(program.plan, program.pointers, number, [step], program.slots)
        if step.kind != "numpy"
        else None
        for number, step in enumerate(program.plan.steps)
    ]
    for _ in range(repeats):
        holders, addresses, environment = program.environment(leaves)
        by_number = {segment.base: segment for segment in program.segments}
        for number, piece in enumerate(pieces):
            runner = piece if piece is not None else by_number[number]
            begin = time.perf_counter()
            runner.run(addresses, scalars, environment)
            best[number] = min(best.get(number, 1e9), time.perf_counter() - begin)
        del holders
    return [(step, best[number]) for number, step in enumerate(program.plan.steps)]
