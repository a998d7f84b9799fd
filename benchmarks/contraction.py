"""Speed of the contraction template against PyTorch, in one run, on one and two threads.

    python benchmarks/contraction.py [--only PREFIX,...] [--batch 16] [--repeat 20] [--passes 1]

Rows: every distinct convolution of ResNet-18 (forward, input gradient, weight gradient), matrix
products, an MLP's layer, depthwise convolutions. A weight gradient is timed with the sum of its
parts. Both sides get what their own program gives them: PyTorch channels-last tensors, ours padded
channels-last buffers and weights in panels. Each figure is the best of `--repeat` runs, in GFLOP/s;
with `--passes` the table is gone through so many times and the best kept: on a shared machine other
processes then disturb no row every time.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

from rushlight.codegen.compiler import compile_module, host_features
from rushlight.codegen.contraction import emit, suggested_parts
from rushlight.codegen.isa import detect
from rushlight.kernel.contraction import Contraction, reach, split_sum
from rushlight.kernel.contraction_forms import (
    Convolution,
    forward,
    in_panels,
    input_gradient,
    matrix_product,
    panel_width,
    weight_gradient,
)

ISA = detect(host_features())
PROTOTYPE = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_int64)


@dataclass(frozen=True)
class Row:
    """One line of the table: our contractions (run in turn) and the same work in PyTorch."""

    name: str
    contractions: list[Contraction]
    oracle: Callable[[], Callable[[], object]]

    @property
    def operations(self) -> int:
        """Floating-point operations: two for each product."""
        return 2 * sum(spec.multiplications for spec in self.contractions)


def torch_product(m: int, n: int, k: int, transposed: bool) -> Callable[[], object]:
    """`torch.mm` on random operands, the second one perhaps a transposed view."""
    import torch

    a, out = torch.randn(m, k), torch.empty(m, n)
    b = torch.randn(n, k).T if transposed else torch.randn(k, n)
    return lambda: torch.mm(a, b, out=out)


def torch_convolution(shape: Convolution, which: int) -> Callable[[], object]:
    """Forward (which = -1), input gradient (0) or weight gradient (1), channels-last."""
    import torch

    layout = torch.channels_last
    x = torch.randn(shape.batch, shape.channels, *shape.size).to(memory_format=layout)
    filters = shape.channels // shape.groups
    w = torch.randn(shape.filters, filters, *shape.kernel).to(memory_format=layout)
    sizes = (shape.stride, shape.padding, shape.dilation)
    if which < 0:
        return lambda: torch.nn.functional.conv2d(x, w, None, *sizes, shape.groups)
    dy = torch.randn(shape.batch, shape.filters, *shape.result).to(memory_format=layout)
    mask = [which == 0, which == 1, False]
    return lambda: torch.ops.aten.convolution_backward(
        dy, x, w, None, *sizes, False, [0, 0], shape.groups, mask
    )


def in_parts(spec: Contraction) -> list[Contraction]:
    """The contraction, with its sum split and added up where that is suggested."""
    split = suggested_parts(spec, ISA)
    return [spec] if split is None else list(split_sum(spec, *split))


def with_panels(spec: Contraction, shape: Convolution, summed: int) -> Contraction:
    """The contraction over weights in panels, unless the convolution has groups."""
    if shape.groups > 1:
        return spec
    columns = next(axis.extent for axis in spec.axes if axis.b == 1 and axis.c == 1)
    return in_panels(spec, prod(shape.kernel) * summed, panel_width(columns))


def rows(batch: int) -> Iterator[Row]:
    """The table."""
    for m, n, k in [(256, 256, 256), (1024,) * 3, (2048,) * 3, (64, 512, 784), (512, 784, 64)]:
        for transposed in (False, True):
            spec = matrix_product(m, n, k, transposed_b=transposed)
            oracle = partial(torch_product, m, n, k, transposed)
            yield Row(f"mm {m}x{n}x{k}{' T' * transposed}", [spec], oracle)
    for name, channels, filters, size, kernel, stride, groups in LAYERS:
        shape = Convolution(
            batch,
            channels,
            filters,
            (size, size),
            (kernel, kernel),
            (stride, stride),
            (kernel // 2, kernel // 2),
            (1, 1),
            groups,
        )
        kinds = {
            "y": [with_panels(forward(shape), shape, channels)],
            "dx": [with_panels(spec, shape, filters) for spec in input_gradient(shape)],
            "dw": in_parts(weight_gradient(shape)),
        }
        for which, (kind, specs) in enumerate(kinds.items(), -1):
            if name != "conv1" or kind != "dx":
                yield Row(f"{name} {kind}", specs, partial(torch_convolution, shape, which))


# name, channels, filters, size, kernel, stride, groups
LAYERS = [
    ("conv1", 3, 64, 224, 7, 2, 1),
    ("layer1", 64, 64, 56, 3, 1, 1),
    ("layer2 in", 64, 128, 56, 3, 2, 1),
    ("layer2 skip", 64, 128, 56, 1, 2, 1),
    ("layer2", 128, 128, 28, 3, 1, 1),
    ("layer3 in", 128, 256, 28, 3, 2, 1),
    ("layer3 skip", 128, 256, 28, 1, 2, 1),
    ("layer3", 256, 256, 14, 3, 1, 1),
    ("layer4 in", 256, 512, 14, 3, 2, 1),
    ("layer4 skip", 256, 512, 14, 1, 2, 1),
    ("layer4", 512, 512, 7, 3, 1, 1),
    ("1x1 64-256", 64, 256, 56, 1, 1, 1),
    ("depthwise", 128, 128, 56, 3, 1, 128),
]


class Timed:
    """One compiled contraction bound to buffers of its own."""

    def __init__(self, spec: Contraction, number: int) -> None:
        name = f"row_{number}"
        started = time.perf_counter()
        kernel = emit(spec, ISA, name)
        self.call = PROTOTYPE(compile_module(kernel.text, [name])[name])
        self.compile_seconds = time.perf_counter() - started
        self.tasks = kernel.tasks
        random = np.random.default_rng(0)
        self.buffers = [
            random.standard_normal(reach(spec, operand)[1] + 1, dtype=np.float32)
            for operand in range(3)
        ]
        self.pointers = np.array([buffer.ctypes.data for buffer in self.buffers], np.uint64)

    def run(self, pool: ThreadPoolExecutor | None) -> None:
        """All tasks, here or half on another thread."""
        half = self.tasks // 2 if pool is not None else 0
        other = pool.submit(self.part, 0, half) if pool is not None and half else None
        self.part(half, self.tasks)
        if other is not None:
            other.result()

    def part(self, begin: int, end: int) -> None:
        self.call(self.pointers.ctypes.data, None, None, begin, end)


def run_all(kernels: list[Timed], pool: ThreadPoolExecutor | None) -> None:
    for kernel in kernels:
        kernel.run(pool)


def best(action: Callable[[], object], repeat: int) -> float:
    """Seconds of the fastest of `repeat` runs."""
    seconds = []
    for _ in range(repeat):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def measure(row: Row, repeat: int, number: int, pool: ThreadPoolExecutor) -> list[float]:
    """Milliseconds to compile, then GFLOP/s: ours on 1 and 2 threads, PyTorch's on 1 and 2."""
    kernels = [Timed(spec, 100 * number + index) for index, spec in enumerate(row.contractions)]
    figures = [1e3 * sum(kernel.compile_seconds for kernel in kernels)]
    for workers in (None, pool):
        seconds = best(partial(run_all, kernels, workers), repeat)
        figures.append(row.operations / seconds / 1e9)
    try:
        import torch
    except ImportError:
        return [*figures, float("nan"), float("nan")]
    action = row.oracle()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        figures.append(row.operations / best(action, repeat) / 1e9)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--passes", type=int, default=1)
    options = parser.parse_args()
    wanted = tuple(options.only.split(","))
    print(f"{ISA.name}, {os.cpu_count()} processors; GFLOP/s, best of {options.repeat}")
    head = ("compile ms", "ours 1", "ours 2", "torch 1", "torch 2", "ours/torch 2")
    print(f"{'':22}" + "".join(f"{title:>13}" for title in head))
    table = [row for row in rows(options.batch) if row.name.startswith(wanted)]
    found: dict[str, list[float]] = {}
    with ThreadPoolExecutor(1) as pool:
        for turn in range(options.passes):
            for number, row in enumerate(table):
                figures = measure(row, options.repeat, turn * len(table) + number, pool)
                before = found.get(row.name, figures)
                speeds = map(max, zip(before[1:], figures[1:], strict=True))
                found[row.name] = [min(before[0], figures[0]), *speeds]
                if turn == options.passes - 1:
                    cells = [*found[row.name], found[row.name][2] / found[row.name][4]]
                    print(f"{row.name:22}" + "".join(f"{cell:13.1f}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
