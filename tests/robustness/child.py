"""A child process that makes hostile calls under a limit of memory.

In: one expression a line on stdin. Out: on stdout `begin`, then `end <kind> <message>` for each,
where kind is the type of the exception that it raised, or `ok`. The results are computed: a call
that only records an operation has not been made.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import warnings
from typing import Any

import numpy as np

import rushlight

MEMORY = 4 << 30
WHOLE = 1 << 16


def a(*shape: int, dtype: str = "float32", requires_grad: bool = False) -> Any:
    """A tensor of small numbers: indices are in range for dimensions of more than one element."""
    count = int(np.prod(shape))
    values = (np.arange(count) % 2).reshape(shape)
    if "float" in dtype or "complex" in dtype:
        values = values + 0.25
    kind = getattr(rushlight, dtype.removesuffix("_"))
    return rushlight.tensor(values.tolist(), dtype=kind, requires_grad=requires_grad)


def deep(levels: int) -> list[Any]:
    """A list in a list in a list..."""
    found: list[Any] = [1.0]
    for _ in range(levels):
        found = [found]
    return found


NAMES = {
    "torch": rushlight,
    "np": np,
    "nan": float("nan"),
    "inf": float("inf"),
    "a": a,
    "array": np.array,
    "deep": deep,
}


def settle(value: Any, depth: int = 0) -> None:
    """Compute every tensor in a result; its text too, where it is short."""
    if isinstance(value, rushlight.Tensor):
        if value.device.type != "meta":
            value.data_ptr()
        repr(value.detach())
    elif isinstance(value, (list, tuple)) and depth < 4:
        for part in value[:100]:
            settle(part, depth + 1)


def outcome(text: str) -> str:
    """`ok`, or the exception that an expression raised, as one line."""
    try:
        settle(eval(text, dict(NAMES)))
    except Exception as error:
        kinds = ",".join(kind.__name__ for kind in type(error).__mro__[:-2])
        return f"{kinds} {str(error)[:150]!r}"
    return "ok"


def serve() -> None:
    """Answer until stdin closes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        print("begin", file=answers, flush=True)
        print("end", outcome(line), file=answers, flush=True)
        gc.collect(0)


if __name__ == "__main__":
    serve()
