"""The CPU as a target: kernels and contractions become machine code, each kind once.

In: the steps of a plan. Out: the `Code` of each. Invariants: equal kernels share code; kernels that
differ only in numbers share code from the second plan on (docs/design/generic_kernels.md); all that
is new in a plan is compiled together, in modules of limited size; the host's features are asked for
once.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from functools import partial
from math import prod
from typing import NamedTuple

from ..base.settings import SETTINGS
from ..codegen import contraction as contractions
from ..codegen import loops
from ..codegen.compiler import compile_functions, compile_module, host_features
from ..codegen.isa import Isa, detect
from ..kernel.contraction import Contraction
from ..kernel.generic import generalize, is_skeleton
from ..kernel.ir import Kernel, Let, Loop, Statement
from ..kernel.printer import text as kernel_text
from ..kernel.verify import verify
from ..schedule.plan import Step
from .log import log
from .profile import COUNTERS

MODULE_KERNELS = 16
MOST_SPECIALISED = 1024  # kernels of programs that ran on generic code at first
Key = tuple[Kernel | Contraction, tuple[str, ...]]


class Code(NamedTuple):
    """A step's function and how many tasks it has; the numbers that generic code is given."""

    address: int
    tasks: int
    numbers: tuple[int, ...] = ()


class CpuTarget:
    """Code for this machine, made on demand and kept for the life of the process.

    The first plan with a skeleton has code for its own numbers; later ones with other numbers share
    one generic function. Both give the same bits.
    """

    def __init__(self) -> None:
        self.isa: Isa = detect(host_features())
        self.code: dict[Key, Code] = {}
        self.functions: dict[str, int] = {}  # of contractions, which share them
        self.skeletons: set[Key] = set()
        self.specialised = 0

    def parts(self, spec: Contraction) -> tuple[int, int] | None:
        return contractions.suggested_parts(spec, self.isa)

    def may_specialise(self, steps: Sequence[Step]) -> bool:
        """Whether code for the sizes of these steps may still be made: linked code stays for ever,
        so that of programs that came to run often is limited.
        """
        self.specialised += sum(step.kernel is not None for step in steps)
        return self.specialised <= MOST_SPECIALISED

    def resolve(self, steps: Sequence[Step], special: bool = False) -> list[Code]:
        """The code of every step; compiles what is new. `special`: for these sizes alone."""
        wanted = [step.kernel if step.kernel is not None else step.contraction for step in steps]
        keys = [code_key(w) if w is not None else None for w in wanted]
        new = [k for k in dict.fromkeys(keys) if k is not None and k not in self.code]
        if new:
            shared = self._shared(new, special)
            return [shared.get(k) or self.code[k] if k is not None else NO_CODE for k in keys]
        return [self.code[k] if k is not None else NO_CODE for k in keys]

    def _shared(self, new: Sequence[Key], own: bool) -> dict[Key, Code]:
        """Compile what no earlier code serves; the codes of those that generic code serves."""
        generic: dict[Key, tuple[Key, Kernel, tuple[int, ...]]] = {}
        special, first = [], []
        for key in new:
            item = key[0]
            if isinstance(item, Kernel):
                skeleton, numbers = generalize(item)
                known = code_key(skeleton)
                if known in self.skeletons and not own:
                    generic[key] = known, item, numbers
                    continue
                first.append(known)
            special.append(item)
        missing = {known: item for known, item, _ in generic.values() if known not in self.code}
        items = [*special, *(known[0] for known in missing)]
        for at in range(0, len(items), MODULE_KERNELS):
            self._compile(items[at : at + MODULE_KERNELS])
        self.skeletons.update(first)
        log("recompile", partial(_told, special, missing, len(generic)))
        return {
            key: Code(self.code[known].address, tasks_of(item), numbers)
            for key, (known, item, numbers) in generic.items()
        }

    def _compile(self, items: Sequence[Kernel | Contraction]) -> None:
        begin = time.perf_counter()
        kernels = [self.named(k) for k in items if isinstance(k, Kernel)]
        for kernel in kernels:
            log("kernel", partial(kernel_text, kernel))
            if SETTINGS.verify and not is_skeleton(kernel):
                verify(kernel)
        specs = [c for c in items if isinstance(c, Contraction)]
        texts = []
        if kernels:
            tasks = [0 if is_skeleton(k) else tasks_of(k) for k in kernels]
            texts.append((loops.emit_module(kernels, self.isa), [k.name for k in kernels], tasks))
        found: list[Code] = []
        for text, names, tasks in texts:
            log("llvm", partial(str, text))
            addresses = compile_module(text, names)
            found.extend(Code(addresses[name], count) for name, count in zip(names, tasks))
        found.extend(self._contractions(specs))
        done: list[Kernel | Contraction] = [k for k in items if isinstance(k, Kernel)]
        done.extend(specs)
        for item, code in zip(done, found):
            self.code[code_key(item)] = code
        generic = sum(isinstance(k, Kernel) and is_skeleton(k) for k in items)
        COUNTERS.compiled(len(items), time.perf_counter() - begin, generic)

    def _contractions(self, specs: Sequence[Contraction]) -> Iterator[Code]:
        """The code of contractions: functions that those of other sizes share, called as the
        table says that a step hands its driver.
        """
        emitted = [contractions.emit_shared(spec, self.isa) for spec in specs]
        functions = {f.name: f.text for made in emitted for f in (made.driver, *made.pieces)}
        new = {name: text for name, text in functions.items() if name not in self.functions}
        for text in new.values():
            log("llvm", partial(str, text))
        if new:
            self.functions.update(compile_functions(new))
        for made in emitted:
            table = [self.functions[function.name] for function in made.pieces]
            yield Code(self.functions[made.driver.name], made.tasks, (*table, *made.numbers))

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


NO_CODE = Code(0, 0)


def _told(special: Sequence[Kernel | Contraction], missing: dict[Key, Kernel], generic: int) -> str:
    """What was compiled and why, for people."""
    kernels = sum(isinstance(item, Kernel) for item in special)
    lines = [
        f"compiled: {kernels} kernels of a new form, {len(special) - kernels} contractions, "
        f"{len(missing)} kernels for any size; {generic} kernels run code for any size"
    ]
    lines += [
        f"for any size, since the form came with other numbers: {_loops(item.body)}"
        for item in missing.values()
    ]
    return "\n".join(lines)


def _loops(body: Sequence[Statement]) -> str:
    """The extents of a kernel's loops, from the outside in."""
    inner = (f"{s.index} < {s.extent} {_loops(s.body)}" for s in body if isinstance(s, Loop))
    return " ".join(inner).strip()


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
