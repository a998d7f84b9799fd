"""The CPU as a target: kernels and contractions become machine code, each kind once.

In: the steps of a plan. Out: (function address, number of tasks) for each. Invariants: equal
kernels share code; all that is new in a plan is compiled together, in modules of limited size; the
host's features are asked for once.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from functools import partial
from math import prod

from ..base.settings import SETTINGS
from ..codegen import contraction as contractions
from ..codegen import loops
from ..codegen.compiler import compile_module, host_features
from ..codegen.isa import Isa, detect
from ..kernel.contraction import Contraction
from ..kernel.ir import Kernel, Let, Loop, Statement
from ..kernel.printer import text as kernel_text
from ..kernel.verify import verify
from ..schedule.plan import Step
from .log import log
from .profile import COUNTERS

MODULE_KERNELS = 16
Key = tuple[Kernel | Contraction, tuple[str, ...]]


class CpuTarget:
    """Code for this machine, made on demand and kept for the life of the process."""

    def __init__(self) -> None:
        self.isa: Isa = detect(host_features())
        self.code: dict[Key, tuple[int, int]] = {}

    def parts(self, spec: Contraction) -> tuple[int, int] | None:
        return contractions.suggested_parts(spec, self.isa)

    def resolve(self, steps: Sequence[Step]) -> list[tuple[int, int]]:
        """(address, tasks) of every step's function; compiles what is new."""
        wanted = [step.kernel if step.kernel is not None else step.contraction for step in steps]
        keys = [code_key(w) if w is not None else None for w in wanted]
        new = [k[0] for k in dict.fromkeys(keys) if k is not None and k not in self.code]
        for at in range(0, len(new), MODULE_KERNELS):
            self._compile(new[at : at + MODULE_KERNELS])
        return [self.code[k] if k is not None else (0, 0) for k in keys]

    def _compile(self, items: Sequence[Kernel | Contraction]) -> None:
        begin = time.perf_counter()
        kernels = [self.named(k) for k in items if isinstance(k, Kernel)]
        for kernel in kernels:
            log("kernel", partial(kernel_text, kernel))
            if SETTINGS.verify:
                verify(kernel)
        specs = [c for c in items if isinstance(c, Contraction)]
        texts = []
        if kernels:
            texts.append(
                (
                    loops.emit_module(kernels, self.isa),
                    [k.name for k in kernels],
                    [tasks_of(k) for k in kernels],
                )
            )
        for spec in specs:
            made = contractions.emit(spec, self.isa, "contraction_" + digest(repr(spec)))
            texts.append((made.text, [made.name], [made.tasks]))
        found: list[tuple[int, int]] = []
        for text, names, tasks in texts:
            log("llvm", partial(str, text))
            addresses = compile_module(text, names)
            found.extend((addresses[name], count) for name, count in zip(names, tasks))
        done: list[Kernel | Contraction] = [k for k in items if isinstance(k, Kernel)]
        done.extend(specs)
        for item, code in zip(done, found):
            self.code[code_key(item)] = code
        COUNTERS.compiled(len(items), time.perf_counter() - begin)

    def named(self, kernel: Kernel) -> Kernel:
        """The kernel under a name made of its content."""
        return Kernel(
            "kernel_" + digest(repr(kernel)),
            kernel.parameters,
            kernel.scalars,
            kernel.body,
            kernel.parallel,
            kernel.block,
        )


def code_key(item: Kernel | Contraction) -> Key:
    """What items of the same code have in common: the item, and which of its constants are -0.0
    (which equals 0.0).
    """
    return item, tuple(_negative_zeros(item.body)) if isinstance(item, Kernel) else ()


def _negative_zeros(body: Sequence[Statement]) -> Iterator[str]:
    for s in body:
        if isinstance(s, Loop):
            yield from _negative_zeros(s.body)
        elif isinstance(s, Let) and s.op == "const" and repr(s.attributes[0]) == "-0.0":
            yield s.name


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def tasks_of(kernel: Kernel) -> int:
    """How many tasks a kernel is made of."""
    body = kernel.body
    extents = []
    for _ in range(kernel.parallel):
        loop = body[-1]
        assert isinstance(loop, Loop)
        extents.append(loop.extent)
        body = loop.body
    return max(1, -(-prod(extents) // kernel.block))
