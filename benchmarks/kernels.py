"""Speed of generated kernels: milliseconds, GB/s moved, and the time to compile.

    python benchmarks/kernels.py [--threads N] [NAME ...]

Each kernel runs on arrays that do not fit the caches (16M float32 elements unless said otherwise);
the best of several runs counts. GB/s are the bytes of all buffers, each read or written once.
"""

from __future__ import annotations

import argparse
import ctypes
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from rushlight.base.dtype import named
from rushlight.codegen.compiler import compile_module, host_features, statistics
from rushlight.codegen.isa import detect
from rushlight.codegen.loops import emit
from rushlight.kernel.ir import (
    Affine,
    Carried,
    Kernel,
    Let,
    Load,
    Loop,
    Parameter,
    Statement,
    Store,
)

COUNT = 1 << 24
FLAT = Affine(0, (("i", 1),))


def parameters(*sizes: tuple[str, str, int]) -> tuple[Parameter, ...]:
    return tuple(Parameter(n, t, s, "out" if n == "y" else "in") for n, t, s in sizes)


def chain(name: str, dtype: str, *lets: Let) -> Kernel:
    """y[i] = the last of `lets`, from x[i]."""
    body = (Load("x", "x", FLAT, dtype), *lets, Store("y", FLAT, lets[-1].name if lets else "x"))
    loop = Loop("i", COUNT, body, vector=True)
    return Kernel(
        "rl_" + name, parameters(("x", dtype, COUNT), ("y", dtype, COUNT)), (), (loop,), 1, 1 << 15
    )


def f32(name: str, op: str, *arguments: str) -> Let:
    return Let(name, op, arguments, "float32")


def number(name: str, value: float) -> Let:
    return Let(name, "const", (), "float32", (value,))


def gelu_chain() -> Kernel:
    """gelu(1.5 x + 0.5) * tanh(x) + exp(-x * x)"""
    return chain(
        "gelu_chain", "float32",
        number("c1", 1.5), number("half", 0.5), number("r", 0.7071067811865476), number("one", 1.0),
        f32("a", "mul", "x", "c1"), f32("b", "add", "a", "half"), f32("c", "mul", "b", "r"),
        f32("d", "erf", "c"), f32("e", "add", "d", "one"), f32("f", "mul", "b", "half"),
        f32("g", "mul", "f", "e"), f32("t", "tanh", "x"), f32("u", "mul", "g", "t"),
        f32("s", "mul", "x", "x"), f32("n", "neg", "s"), f32("v", "exp", "n"),
        f32("w", "add", "u", "v"),
    )  # fmt: skip


def add() -> Kernel:
    body = (
        Load("a", "a", FLAT, "float32"),
        Load("b", "b", FLAT, "float32"),
        f32("c", "add", "a", "b"),
        Store("y", FLAT, "c"),
    )
    buffers = parameters(("a", "float32", COUNT), ("b", "float32", COUNT), ("y", "float32", COUNT))
    return Kernel("add", buffers, (), (Loop("i", COUNT, body, vector=True),), 1, 1 << 15)


def sum_rows(rows: int = 4096, columns: int = COUNT // 4096) -> Kernel:
    inner = (
        Load("x", "x", Affine(0, (("i", columns), ("j", 1))), "float32"),
        f32("n", "add", "t", "x"),
    )
    carried = (Carried("t", "z", "n", "sum", "float32"),)
    body: tuple[Statement, ...] = (
        number("z", 0.0),
        Loop("j", columns, inner, carried, True),
        Store("y", FLAT, "t"),
    )
    buffers = parameters(("x", "float32", rows * columns), ("y", "float32", rows))
    return Kernel("sum_rows", buffers, (), (Loop("i", rows, body),), 1, 16)


def sum_columns(rows: int = 4096, columns: int = COUNT // 4096) -> Kernel:
    inner = (
        Load("x", "x", Affine(0, (("j", columns), ("i", 1))), "float32"),
        f32("n", "add", "t", "x"),
    )
    carried = (Carried("t", "z", "n", "sum", "float32"),)
    body: tuple[Statement, ...] = (
        number("z", 0.0),
        Loop("j", rows, inner, carried),
        Store("y", FLAT, "t"),
    )
    buffers = parameters(("x", "float32", rows * columns), ("y", "float32", columns))
    return Kernel("sum_columns", buffers, (), (Loop("i", columns, body, vector=True),), 1, 256)


def sum_columns_by_blocks(
    rows: int = 4096, columns: int = COUNT // 4096, height: int = 16
) -> Kernel:
    """The first of two steps.

    Partial sums of blocks of rows, whose pages the address translation can hold.
    """
    inner = (
        Load("x", "x", Affine(0, (("b", height * columns), ("j", columns), ("i", 1))), "float32"),
        f32("n", "add", "t", "x"),
    )
    carried = (Carried("t", "z", "n", "sum", "float32"),)
    at = Affine(0, (("b", columns), ("i", 1)))
    body = (number("z", 0.0), Loop("j", height, inner, carried), Store("y", at, "t"))
    blocks = rows // height
    buffers = parameters(("x", "float32", rows * columns), ("y", "float32", blocks * columns))
    nest = Loop("b", blocks, (Loop("i", columns, body, vector=True),))
    return Kernel("sum_columns_by_blocks", buffers, (), (nest,), 2, columns)


def softmax(rows: int = 16384, columns: int = 1024) -> Kernel:
    """Three passes over a row that stays in the cache."""
    at = Affine(0, (("i", columns), ("j", 1)))
    second, third = Affine(0, (("i", columns), ("k", 1))), Affine(0, (("i", columns), ("l", 1)))
    body = (
        number("low", float("-inf")),
        Loop("j", columns, (Load("x", "x", at, "float32"), f32("m1", "maximum", "m", "x")),
             (Carried("m", "low", "m1", "max", "float32"),), True),
        number("z", 0.0),
        Loop("k", columns, (Load("x2", "x", second, "float32"), f32("d", "sub", "x2", "m"),
                            f32("e", "exp", "d"), Store("y", second, "e"),
                            f32("s1", "add", "s", "e")),
             (Carried("s", "z", "s1", "sum", "float32"),), True),
        Loop("l", columns, (Load("x3", "y", third, "float32"), f32("q", "div", "x3", "s"),
                            Store("y", third, "q")), (), True),
    )  # fmt: skip
    buffers = (
        Parameter("x", "float32", rows * columns, "in"),
        Parameter("y", "float32", rows * columns, "inout"),
    )
    return Kernel("softmax", buffers, (), (Loop("i", rows, body),), 1, 8)


def transpose(side: int = 4096, tile: int = 16) -> Kernel:
    """By tiles: the lines that a gather touches serve the next rows of the tile too."""
    down, right = ("a", tile), ("b", tile * side)
    body = (
        Load("x", "x", Affine(0, (down, right, ("i", 1), ("j", side))), "float32"),
        Store("y", Affine(0, (("a", tile * side), ("b", tile), ("i", side), ("j", 1))), "x"),
    )
    tiles = Loop("b", side // tile, (Loop("i", tile, (Loop("j", tile, body, vector=True),)),))
    buffers = parameters(("x", "float32", side**2), ("y", "float32", side**2))
    return Kernel("transpose", buffers, (), (Loop("a", side // tile, (tiles,)),), 2, 64)


def gather(count: int = COUNT // 4) -> Kernel:
    body = (
        Load("n", "n", FLAT, "int64"),
        Let("c", "check_index", ("n",), "int64", (4096, 0)),
        Load("x", "x", Affine(), "float32", "c"),
        Store("y", FLAT, "x"),
    )
    buffers = parameters(("n", "int64", count), ("x", "float32", 4096), ("y", "float32", count))
    return Kernel("gather", buffers, (), (Loop("i", count, body, vector=True),), 1, 1 << 15)


KERNELS: dict[str, Callable[[], Kernel]] = {
    "copy": lambda: chain("copy", "float32"),
    "add": add,
    "gelu_chain": gelu_chain,
    **{
        op: (lambda op=op: chain(op, "float32", f32("r", op, "x")))  # type: ignore[misc]
        for op in ["exp", "log", "tanh", "sigmoid", "erf", "sin", "log1p", "atan", "lgamma"]
    },
    "exp_bf16": lambda: chain("exp_bf16", "bfloat16", Let("r", "exp", ("x",), "bfloat16")),
    "exp_f16": lambda: chain("exp_f16", "float16", Let("r", "exp", ("x",), "float16")),
    "exp_f64": lambda: chain("exp_f64", "float64", Let("r", "exp", ("x",), "float64")),
    "sum_rows": sum_rows,
    "sum_short_rows": lambda: sum_rows(COUNT // 100, 100),
    "sum_columns": sum_columns,
    "sum_blocks": sum_columns_by_blocks,
    "softmax": softmax,
    "transpose": transpose,
    "gather": gather,
}


def measure(name: str, kernel: Kernel, threads: int) -> str:
    """One line of the report."""
    started = time.perf_counter()
    text = emit(kernel, detect(host_features()))
    emitted = time.perf_counter() - started
    before = statistics.seconds
    address = compile_module(text, [kernel.name])[kernel.name]
    compiled = statistics.seconds - before
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 2)(address)
    random = np.random.default_rng(0)
    buffers = [random.normal(size=p.size).astype(named(p.dtype).numpy) for p in kernel.parameters]
    pointers = np.array([b.ctypes.data for b in buffers])
    status = np.zeros(1, np.int64)
    loop = kernel.body[-1]
    assert isinstance(loop, Loop)
    total = loop.extent * (
        loop.body[0].extent if kernel.parallel == 2 and isinstance(loop.body[0], Loop) else 1
    )
    tasks = -(-total // kernel.block)
    cuts = [tasks * i // threads for i in range(threads + 1)]

    def part(i: int) -> None:
        function(pointers.ctypes.data, status.ctypes.data, status.ctypes.data, cuts[i], cuts[i + 1])

    best = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(7):
            started = time.perf_counter()
            list(pool.map(part, range(threads)))
            best = min(best, time.perf_counter() - started)
    rate = sum(b.nbytes for b in buffers) / best / 1e9
    figures = f"{best * 1e3:8.2f} {rate:8.1f} {emitted * 1e3:9.2f} {compiled * 1e3:10.2f}"
    return f"{name:16} {figures} {len(text):8}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"of {', '.join(KERNELS)}")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print(f"{'kernel':16} {'ms':>8} {'GB/s':>8} {'emit ms':>9} {'compile ms':>10} {'text':>8}")
    for name in options.names or KERNELS:
        print(measure(name, KERNELS[name](), options.threads), flush=True)


if __name__ == "__main__":
    main()
