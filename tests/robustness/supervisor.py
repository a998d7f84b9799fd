"""Runs hostile calls in child processes and says what came of them.

In: `Call`s. Out: `Fault`s: calls that ended their process, did not end, or raised what says nothing
to whoever made the call. Invariant: a dead or hanging child costs one call; the calls behind it are
made by a fresh child.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from robustness.calls import Call

TESTS = Path(__file__).parents[1]
SECONDS = 30.0
# What PyTorch raises for a bad call. The rest is an accident inside of us; but functions that are
# written in Python there and here ask what they are given for its attributes.
PYTHON = ("torch.nn.functional.", "torch.nn.init.")
SENSIBLE = {"RuntimeError", "TypeError", "ValueError", "IndexError", "OverflowError", "MemoryError"}
NEVER = {"InternalError", "RecursionError", "UnboundLocalError", "SystemError"}


@dataclass(frozen=True)
class Fault:
    """A call and what is wrong with how it ended."""

    call: Call
    reason: str

    def __str__(self) -> str:
        return f"{self.call}\n      {self.reason}"


class Child:
    """One process that makes calls."""

    def __init__(self) -> None:
        path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "robustness.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "RUSHLIGHT_NUM_THREADS": "1"},
        )
        self.rest = b""

    def make(self, call: Call) -> str:
        """How a call ended; `crash ...` or `hang` where it took the process with it."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{call}\n".encode())
            self.process.stdin.flush()
        except OSError:
            pass
        line = ""
        until = time.monotonic() + SECONDS
        while not line.startswith("end "):
            found = self._line(until)
            if found is None:
                self.close()
                return "hang"
            if not found:
                return f"crash exit status {self.process.wait()}"
            line = found
        return line.removeprefix("end ").strip()

    def _line(self, until: float) -> str | None:
        """The next line; "" at the end, None when it takes too long."""
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        while b"\n" not in self.rest:
            left = until - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                return None
            more = os.read(descriptor, 65536)
            if not more:
                return ""
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode(errors="replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def wrong(call: Call, ending: str) -> str | None:
    """What is wrong with how a call ended, if anything."""
    if ending == "ok":
        return None
    if ending.startswith(("crash", "hang")):
        return ending
    kinds = set(ending.split(" ", 1)[0].split(","))
    if "RecursionError" in kinds and "deep(2000)" in str(call):
        return None  # Python's own name for a list that is nested too deeply
    allowed = SENSIBLE | {"AttributeError"} if call.target.startswith(PYTHON) else SENSIBLE
    return ending if kinds & NEVER or not kinds & allowed else None


def faults(calls: Iterable[Call]) -> list[Fault]:
    """The calls that end badly; where one does only after others, with how many came before."""
    found: list[Fault] = []
    child, made = Child(), 0
    for call in calls:
        ending = child.make(call)
        made += 1
        reason = wrong(call, ending)
        if reason is None:
            continue
        if reason.startswith(("crash", "hang")):
            child.close()
            child, made = Child(), 0
            again = wrong(call, child.make(call))
            if again is None:
                reason += f" (not by itself: {made} calls came before it)"
            else:
                child.close()
                child = Child()
        found.append(Fault(call, reason))
    child.close()
    return found


def smallest(fault: Fault, usual: Sequence[Call]) -> Fault:
    """The same fault with as many arguments as possible put back to their usual values."""
    call = fault.call
    for other in usual:
        if len(other.positional) != len(call.positional) or other.named != call.named:
            continue
        for place, text in enumerate(other.arguments):
            if call.arguments[place] == text:
                continue
            simpler = call.changed(place, text)
            again = faults([simpler])
            if again:
                call, fault = simpler, again[0]
    return fault
