"""The mode that checks accesses, end to end: right programs run, wrong ones name the buffer."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from rushlight.base.dtype import named
from rushlight.base.errors import InternalError
from rushlight.codegen.bounds import OUTSIDE
from rushlight.engine.bounds import check_leaves, check_step, outside
from rushlight.kernel.contraction import Axis, Contraction
from rushlight.kernel.ir import Kernel, Parameter
from rushlight.runtime.buffer import Buffer
from rushlight.runtime.cpu import Failure
from rushlight.schedule.plan import Memory, Plan, Step

PROGRAM = """
from dataclasses import replace
import rushlight as rl
from rushlight.base.errors import InternalError
from rushlight.schedule import body
rl.manual_seed(0)
x = rl.randn(2, 3, 17, 17)
w = rl.randn(8, 3, 3, 3, requires_grad=True)
rl.nn.functional.conv2d(x, w, padding=1).relu().sum().backward()
print(w.grad.shape, float(rl.nn.functional.max_pool2d(x, 3, 2, 1).flip(0).sum()) != 0)
try:
    x[rl.tensor([5])].sum().item()
except IndexError as error:
    print("IndexError")
# A plan that says of every buffer that it is smaller than it is.
sizes = body.Body.parameter
def smaller(self, slot, mode):
    return sizes(self, replace(slot, size=slot.size - 1), mode)
body.Body.parameter = smaller
try:
    print((x * 5 + 1).flip(0).sum().item())
except InternalError as error:
    print("InternalError", error)
"""


def test_a_program_runs_checked_and_a_wrong_one_is_found() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "RUSHLIGHT_BOUNDS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shape, index, wrong = done.stdout.splitlines()
    assert shape == "torch.Size([8, 3, 3, 3]) True" and index == "IndexError"
    assert wrong.startswith("InternalError") and "outside of buffer" in wrong


def kernel_step(size: int) -> tuple[Plan, Step]:
    kernel = Kernel("k", (Parameter("x", "float32", size, "in"),), (), ())
    step = Step("kernel", [0], [], kernel=kernel, offsets=[0])
    return Plan([Memory("leaf", 0, 10, named("float32"))], [step], [], []), step


def test_a_kernel_is_told_the_truth() -> None:
    check_step(*kernel_step(10))
    with pytest.raises(InternalError, match=r"leaf of 10 x float32.* bytes 0 to 44"):
        check_step(*kernel_step(11))


def test_a_contraction_stays_in_its_buffers() -> None:
    spec = Contraction((Axis("m", 2, 3, 0, 1), Axis("k", 3, 1, 1, 0)))
    memories = [Memory("leaf", i, size, named("float32")) for i, size in enumerate((6, 3, 2))]
    step = Step("contract", [0, 1, 2], [], contraction=spec, offsets=[0, 0, 0])
    check_step(Plan(memories, [step], [], []), step)
    moved = replace(step, offsets=[0, 1, 0])
    with pytest.raises(InternalError, match=r"buffer 1 \(leaf of 3 x float32\)"):
        check_step(Plan(memories, [moved], [], []), moved)


def test_a_short_leaf_is_refused() -> None:
    plan, _ = kernel_step(10)
    check_leaves(plan.memories, [Buffer(40)])
    with pytest.raises(InternalError, match="is given 39 bytes"):
        check_leaves(plan.memories, [Buffer(39)])


def test_only_their_own_codes_are_taken_for_accesses() -> None:
    plan, step = kernel_step(10)
    assert outside(Failure(0, 3, ()), plan, step) is None
    assert outside(Failure(0, -1, ()), plan, step) is None
    assert "buffer 0" in str(outside(Failure(0, OUTSIDE, ()), plan, step))
    assert "packed panel" in str(outside(Failure(0, OUTSIDE + 1, ()), plan, step))
