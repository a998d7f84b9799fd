"""Child processes that compare, so that a crash or a hang costs one record.

In: the name of a function `module:function` and its arguments, JSON values. Out: a future of what
it returned, or of `{"crash": ...}`. Invariant: a child that died or hung is replaced.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]


class Pool:
    """As many children as threads; work is done in the order it was given."""

    def __init__(self, children: int, seconds: float, environment: dict[str, str]) -> None:
        self.seconds = seconds
        self.environment = {**os.environ, **environment, "OMP_NUM_THREADS": "1"}
        self.environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, (str(TESTS), os.environ.get("PYTHONPATH")))
        )
        self.threads = ThreadPoolExecutor(children)
        self.own = threading.local()
        self.all: list[subprocess.Popen[str]] = []

    def submit(self, function: str, *arguments: Any) -> Future[Any]:
        """The future of function(*arguments), computed in a child."""
        return self.threads.submit(self._ask, json.dumps([function, *arguments]))

    def close(self) -> None:
        """End the children; work not begun is dropped."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        for child in self.all:
            child.kill()

    def _ask(self, request: str) -> Any:
        child = getattr(self.own, "child", None)
        if child is None or child.poll() is not None:
            child = self.own.child = self._start()
        try:
            child.stdin.write(request + "\n")
            child.stdin.flush()
            ready = select.select([child.stdout], [], [], self.seconds)[0]
            answer = child.stdout.readline() if ready else ""
        except OSError:
            ready, answer = [child], ""
        if answer:
            return json.loads(answer)
        child.kill()
        code = child.wait()
        return {"crash": f"exit status {code}" if ready else f"no answer in {self.seconds} s"}

    def _start(self) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-m", "conformance.pool"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self.environment,
        )
        self.all.append(child)
        return child


def serve() -> None:
    """Answer requests from stdin on stdout until it closes; other prints go to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        module, function = name.split(":")
        try:
            result = getattr(importlib.import_module(module), function)(*arguments)
        except Exception as error:
            result = {"crash": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(result) + "\n")
        answers.flush()


def processors() -> int:
    """How many children are worth having here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def outcomes(futures: Sequence[Future[Any]]) -> list[Any]:
    """All results, in order."""
    return [future.result() for future in futures]


if __name__ == "__main__":
    serve()
