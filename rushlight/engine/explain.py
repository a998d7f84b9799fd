"""explain: what a tensor's value is made of, and what it will cost, without computing it.

In: tensors. Out: an `Explanation` that prints as text: the recorded graph, the steps, memory, and
what was compiled so far and why. The pending trace is looked at, not taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..graph.printer import to_text
from ..graph.trace import CURRENT, LOCK
from ..kernel.printer import text as kernel_text
from ..schedule.assemble import assemble
from ..schedule.memory import lay_out
from ..schedule.plan import Plan, Step, make_plan
from .profile import COUNTERS


@dataclass(frozen=True)
class Explanation:
    """The pieces of an explanation; `str` joins them.

    graph: the nodes as recorded. steps: one line each. kernels: the kernel IR of each step.
    peak_bytes: what the program will allocate (outputs and arena). history: what was built,
    compiled and flushed so far.
    """

    graph: str
    steps: str
    kernels: str
    peak_bytes: int
    history: str

    def __str__(self) -> str:
        parts = (
            ("graph", self.graph),
            ("steps", self.steps),
            ("memory", f"{self.peak_bytes} bytes at the peak"),
            ("history", self.history),
        )
        return "\n\n".join(f"{title}\n{'-' * len(title)}\n{text}" for title, text in parts)


def explain(*tensors: Any) -> Explanation:
    """What computing these tensors will do; nothing is computed.

    >>> import rushlight as rl
    >>> x = rl.ones(1000)
    >>> print(rl.explain((x * 2 + 1).sum()).steps)  # doctest: +SKIP
    1. kernel reduce f32[] (1 task): sum of 1000 elements
    """
    from .program import MACHINE

    with LOCK:
        trace = CURRENT.trace
        pending = [t._storage.index for t in tensors if t._storage.pending()]
        if not pending:
            return Explanation(
                "(every value is already computed)", "(nothing to do)", "", 0, history()
            )
        values = assemble(trace.entries)
        outputs = [values[k] for k in pending]
    plan = make_plan(outputs, MACHINE.target)
    size = sum(layout.numel * layout.dtype.itemsize for _, layout in outputs) + lay_out(plan).size
    kernels = "\n\n".join(kernel_text(s.kernel) for s in plan.steps if s.kernel is not None)
    return Explanation(
        to_text([node for node, _ in outputs]), step_lines(plan), kernels, size, history()
    )


def step_lines(plan: Plan) -> str:
    """One line for each step: what it makes from what."""
    return "\n".join(f"{k + 1}. {describe(plan, step)}" for k, step in enumerate(plan.steps))


def describe(plan: Plan, step: Step) -> str:
    made = ", ".join(f"{n.op} {n.dtype.name}{list(n.shape)}" for n in step.nodes)
    if step.kind == "contract":
        spec = step.contraction
        assert spec is not None
        return f"contract {made}: {spec.multiplications / 1e6:.1f} M products"
    if step.kind == "numpy":
        return f"numpy {made}"
    bytes_touched = sum(plan.memories[p].nbytes for p in step.places)
    return f"kernel {made}: {bytes_touched / 1e6:.3f} MB touched"


def history() -> str:
    """What the engine did so far in this process."""
    c = COUNTERS
    return (
        f"{c.flushes} flushes, {c.builds} programs built in {c.build_seconds:.2f} s, of these "
        f"{c.compile_seconds:.2f} s compiling {c.kernels} kernels "
        f"({c.generic} of them for any size)"
    )
