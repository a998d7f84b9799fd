"""Damaging files, and seeing what reading them does.

In: the bytes of a good file, and a function that reads bytes or a path. Out: how many of the
damaged copies were refused. Invariant: a copy that is read gives a value or the format's own error
that begins with the file's name, within `SECONDS` of processor time and `MORE_MEMORY` bytes more
than before; anything else fails, with the seed that leads there again.
"""

from __future__ import annotations

import random
import resource
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

SECONDS = 2.0
MORE_MEMORY = 300 << 20
_HUGE = (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x00FFFFFF, 0)


def damaged(content: bytes, generator: random.Random) -> bytes:
    """One of the ways in which files go wrong, or are made to."""
    changed = bytearray(content)
    where = generator.randrange(len(changed))
    way = generator.randrange(7)
    if way == 0:
        return bytes(changed[:where])
    if way == 1:
        for _ in range(generator.randint(1, 8)):
            changed[generator.randrange(len(changed))] = generator.randrange(256)
    elif way == 2:
        order = generator.choice("<>")
        changed[where : where + 4] = struct.pack(f"{order}I", generator.choice(_HUGE))
    elif way == 3:
        other = generator.randrange(len(changed))
        changed[where : where + 16] = changed[other : other + 16]
    elif way == 4:
        changed[where:where] = changed[where : where + generator.randint(1, 40)]
    elif way == 5:
        del changed[where : where + generator.randint(1, 40)]
    else:  # where the numbers of headers stand
        changed[generator.randrange(min(200, len(changed)))] = generator.randrange(256)
    return bytes(changed)


def attempt(read: Callable[[bytes], Any], content: bytes, refusal: Any, name: str = "<") -> bool:
    """Whether the file was refused; anything but a value or that error, or a slow answer, fails."""
    begin = time.process_time()
    try:
        read(content)
    except refusal as error:
        assert name in str(error), f"{error!r} does not name {name}"
        assert len(str(error)) < 2000
        return True
    finally:
        assert time.process_time() - begin < SECONDS
    return False


def refusals(
    read: Callable[[bytes], Any],
    content: bytes,
    refusal: Any,
    rounds: int,
    seed: int,
    name: str = "<",
) -> int:
    """How many of `rounds` damaged copies are refused; the good one is not."""
    assert not attempt(read, content, refusal, name)
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    generator = random.Random(seed)
    refused = 0
    for number in range(rounds):
        copy = damaged(content, generator)
        try:
            refused += attempt(read, copy, refusal, name)
        except BaseException:
            print(f"damaged copy {number} of seed {seed}: {copy[:200]!r}")
            raise
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit
    assert grown < MORE_MEMORY, f"{grown} bytes more than before, seed {seed}"
    print(f"seed {seed}: {refused} of {rounds} refused")
    return refused
