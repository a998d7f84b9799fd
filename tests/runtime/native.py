"""Kernels in LLVM text for the tests of the runtime, and tables of steps made of them."""

import numpy as np

from rushlight.codegen.compiler import compile_module
from rushlight.runtime.cpu import CpuDevice, StepTable

HEADER = "(ptr %buffers, ptr %scalars, ptr %status, i64 %begin, i64 %end)"

# One loop over the tasks; BODY sees the task number as %i.
LOOP = f"""
define void @NAME{HEADER} {{
entry:
  %p = load ptr, ptr %buffers
  br label %loop
loop:
  %i = phi i64 [ %begin, %entry ], [ %next, %tail ]
  %cell = getelementptr i64, ptr %p, i64 %i
  BODY
  br label %tail
tail:
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %end
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""

BODIES = {
    # cell[i] += scalar 0
    "add": """
  %amount = load i64, ptr %scalars
  %old = load i64, ptr %cell
  %new = add i64 %old, %amount
  store i64 %new, ptr %cell""",
    # cell[i] = sum of 0..scalar-1, as slowly as it can be done
    "slow": """
  %turns = load i64, ptr %scalars
  br label %turn
turn:
  %k = phi i64 [ 0, %loop ], [ %k.next, %turn ]
  %slot = load volatile i64, ptr %cell
  %sum = add i64 %slot, %k
  store volatile i64 %sum, ptr %cell
  %k.next = add i64 %k, 1
  %again = icmp ult i64 %k.next, %turns
  br i1 %again, label %turn, label %out
out:""",
    # sleeps for scalar 0 microseconds, so that every thread gets its share of the tasks
    "nap": """
  %long = load i64, ptr %scalars
  %micro = trunc i64 %long to i32
  %r = call i32 @usleep(i32 %micro)
  store i64 1, ptr %cell""",
    # a bad index at task scalar 0
    "fail": """
  %bad.task = load i64, ptr %scalars
  %bad = icmp eq i64 %i, %bad.task
  br i1 %bad, label %report, label %fine
report:
  %swap = cmpxchg ptr %status, i64 0, i64 7 seq_cst seq_cst
  %detail = getelementptr i64, ptr %status, i64 1
  store i64 %i, ptr %detail
  br label %fine
fine:""",
    # cell[i] = 1 + the sum of the 64 cells of the next buffer: right only after a barrier
    "gather": """
  %other.at = getelementptr ptr, ptr %buffers, i64 1
  %other = load ptr, ptr %other.at
  br label %turn
turn:
  %k = phi i64 [ 0, %loop ], [ %k.next, %turn ]
  %acc = phi i64 [ 1, %loop ], [ %acc.next, %turn ]
  %source = getelementptr i64, ptr %other, i64 %k
  %value = load i64, ptr %source
  %acc.next = add i64 %acc, %value
  %k.next = add i64 %k, 1
  %again = icmp ult i64 %k.next, 64
  br i1 %again, label %turn, label %out
out:
  store i64 %acc.next, ptr %cell""",
}

TEXT = "declare i32 @usleep(i32)\n" + "".join(
    LOOP.replace("NAME", name).replace("BODY", body) for name, body in BODIES.items()
)

device = CpuDevice(compile_module)


def kernels() -> dict[str, int]:
    """Name -> address of every test kernel."""
    return compile_module(TEXT, list(BODIES))


def table(name: str, tasks: int, grain: int = 1, steps: int = 1) -> StepTable:
    """`steps` equal steps of a kernel of one buffer and one scalar."""
    return StepTable([[kernels()[name], 0, 1, tasks, grain, 0]] * steps, [[0, 0]], 1, "q")


def address_of(array: np.ndarray) -> int:
    """Where an array's elements begin."""
    return int(array.__array_interface__["data"][0])
