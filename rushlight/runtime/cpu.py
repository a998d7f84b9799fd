"""The CPU as a device: compile, allocate, run tables of steps.

Comes in: a compiler of LLVM text (handed in, so that this layer needs none of the layers above),
step tables, addresses. Goes out: results in the buffers that the addresses name, or a Failure.
Invariant: when `run` returns or raises, no thread touches the run's memory any more.

The table's columns and the kernels' calling convention are in docs/design/runtime.md.
"""

from __future__ import annotations

import platform
import struct
from collections.abc import Callable, Sequence
from ctypes import Array, addressof, c_char

import numpy as np

from rushlight.runtime import launch
from rushlight.runtime.buffer import Buffer
from rushlight.runtime.threads import NativeFunctions, aligned_memory, worker_pool

MAX_TASKS = 2**31
WORD = 8

Compiler = Callable[[str, list[str]], dict[str, int]]


class Failure:
    """A step stopped the run: which one, the kernel's code, and the words it left (see status)."""

    __slots__ = ("code", "step", "words")

    def __init__(self, step: int, code: int, words: tuple[int, ...]) -> None:
        self.step = step
        self.code = code
        self.words = words

    def __repr__(self) -> str:
        return f"Failure(step={self.step}, code={self.code}, words={self.words})"


class Ended(BaseException):
    """A run went to its end although a signal's handler raised `cause`; `buffers` are its results.

    What it overwrote is written, so its results are to be handed out before `cause` goes on.
    """

    def __init__(self, cause: BaseException) -> None:
        super().__init__(cause)
        self.cause = cause
        self.buffers: Sequence[Buffer] = ()


class StepTable:
    """A program's steps, checked once, ready to be run any number of times by several threads.

    `steps` [n, 6] and `args` [m, 2] are int64 arrays as docs/design/runtime.md describes;
    `pointer_count` addresses are given per run, and one number for each letter (`d` or `q`) of
    `scalar_format`.

    Raises:
        ValueError: a column out of its range, naming the step.
    """

    __slots__ = (
        "_free_blocks",
        "_pointer_words",
        "_pointers_at",
        "_scalar_words",
        "_scalars_at",
        "args",
        "parallel",
        "pointer_count",
        "steps",
    )

    def __init__(
        self, steps: np.ndarray, args: np.ndarray, pointer_count: int, scalar_format: str = ""
    ) -> None:
        self.steps = np.array(steps, np.int64).reshape(-1, launch.STEP_COLUMNS)
        self.args = np.array(args, np.int64).reshape(-1, 2)
        _check_table(self.steps, self.args, pointer_count, len(scalar_format))
        self.pointer_count = pointer_count
        self.parallel = bool((self.steps[:, 3] > self.steps[:, 4]).any())
        self._pointer_words = struct.Struct(f"={pointer_count}q")
        self._scalar_words = struct.Struct("=" + scalar_format)
        self._pointers_at = launch.RUN_HEADER + WORD * len(self.args)
        self._scalars_at = self._pointers_at + WORD * pointer_count
        self._free_blocks: list[tuple[Array[c_char], int, int]] = []

    def take_block(self, addresses: Sequence[int], scalars: Sequence[float]) -> _Block:
        """A block of memory that describes one run; `give_block` when it went to its end.

        A block whose run was interrupted or failed is dropped: it does not start at step 0.
        """
        try:
            block = self._free_blocks.pop()
        except IndexError:
            block = self._new_block()
        memory, start, _ = block
        self._pointer_words.pack_into(memory, start + self._pointers_at, *addresses)
        self._scalar_words.pack_into(memory, start + self._scalars_at, *scalars)
        return block

    def give_block(self, block: _Block) -> None:
        """Keep the block of a completed run for the next."""
        self._free_blocks.append(block)

    def _new_block(self) -> _Block:
        memory, address = aligned_memory(self._scalars_at + self._scalar_words.size)
        start = address - addressof(memory)
        struct.pack_into(
            "=8q",
            memory,
            start,
            self.steps.ctypes.data,
            len(self.steps),
            self.args.ctypes.data,
            0,
            0,
            address + launch.RUN_HEADER,
            address + self._pointers_at,
            address + self._scalars_at,
        )
        return memory, start, address


_Block = tuple[Array[c_char], int, int]


def _check_table(
    steps: np.ndarray, args: np.ndarray, pointer_count: int, scalar_count: int
) -> None:
    """Native code trusts the table, so every column is checked here, once per program."""
    function, first, count, tasks, grain, scalar = steps.T
    rules = (
        (function == 0, "has no function"),
        ((first < 0) | (count < 0) | (first + count > len(args)), "names args outside the table"),
        ((tasks < 1) | (tasks >= MAX_TASKS), f"must have 1 <= tasks < {MAX_TASKS}"),
        ((grain < 1) | (grain >= MAX_TASKS), f"must have 1 <= grain < {MAX_TASKS}"),
        ((scalar < 0) | (scalar > scalar_count), "starts outside the scalars"),
    )
    for broken, rule in rules:
        if broken.any():
            step = int(broken.argmax())
            raise ValueError(f"step {step} {rule}: {steps[step].tolist()}")
    outside = (args[:, 0] < 0) | (args[:, 0] >= pointer_count)
    if outside.any():
        row = int(outside.argmax())
        raise ValueError(f"arg {row} names slot {args[row, 0]} of {pointer_count} pointers")


class CpuDevice:
    """This machine's processors.

    `compile_module(text, symbols)` is the code generator's: symbol -> address.
    """

    __slots__ = ("_natives", "compile_module")

    name = "cpu"

    def __init__(self, compile_module: Compiler) -> None:
        self.compile_module = compile_module
        self._natives: NativeFunctions | None = None

    def natives(self) -> NativeFunctions:
        """The launcher and the pool's functions, compiled at the first run."""
        if self._natives is None:
            text = launch.runtime_text(processor_family())
            self._natives = NativeFunctions(self.compile_module(text, launch.SYMBOLS))
        return self._natives

    def allocate(self, nbytes: int) -> Buffer:
        """Uninitialised memory; raises OutOfMemoryError."""
        return Buffer(nbytes)

    def run(
        self,
        table: StepTable,
        addresses: Sequence[int],
        scalars: Sequence[float] = (),
        whole: bool = False,
    ) -> Failure | None:
        """Perform every step; None, or the Failure that stopped the run.

        Ctrl-C is answered between two stretches of at most about 100 ms (and one chunk); the
        steps not yet begun are then not performed. `whole`: they are, and Ended is raised then.
        """
        native = self._natives or self.natives()
        pool = worker_pool(self.natives) if table.parallel else None
        block = table.take_block(addresses, scalars)
        pool_address = None if pool is None else pool.address
        run_steps = native.run_steps
        told: BaseException | None = None
        state = launch.PAUSED
        while state == launch.PAUSED:
            try:
                state = run_steps(pool_address, block[2])
            except BaseException as raised:  # by a signal's handler, when the call had returned
                if not whole:
                    raise
                told, state = raised, _state_of(block)
        if state == launch.FAILED:
            return _failure_of(block)
        table.give_block(block)
        if told is not None:
            raise Ended(told)
        return None


def _state_of(block: _Block) -> int:
    """What the last call for a block returned: a complete run is back at step 0."""
    memory, start, _ = block
    step, task = struct.unpack_from("=2q", memory, start + launch.RUN_NEXT_STEP)
    (code,) = struct.unpack_from("=q", memory, start + launch.RUN_STATUS)
    if code:
        return launch.FAILED
    return launch.PAUSED if step or task else launch.COMPLETE


def _failure_of(block: _Block) -> Failure:
    memory, start, _ = block
    (step,) = struct.unpack_from("=q", memory, start + launch.RUN_NEXT_STEP)
    code, *words = struct.unpack_from(f"={launch.STATUS_WORDS}q", memory, start + launch.RUN_STATUS)
    return Failure(step, code, tuple(words))


def processor_family() -> str:
    """`x86_64`, `aarch64` or what else the platform calls its processor."""
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
