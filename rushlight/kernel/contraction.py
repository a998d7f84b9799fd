"""The contraction: one nest of loops that multiplies two operands and sums.

In: strides. A `Contraction` is a set of loops (`Axis`), each saying how far one step moves in the
operands A and B and in the result C. Matrix product, batched product, convolution and both
gradients of convolution, grouped and depthwise ones, are all written this way (see
`docs/design/contraction.md` for each).
Out: the same thing, checked and simplified, and its meaning in NumPy (`interpret`).
Invariant: a contraction is pure arithmetic on addresses that the caller has made valid:

    C[c_offset + sum_i c_i * x_i] (+)= sum over loops with c = 0 of A[...] * B[...]

and every element of C is named by exactly one setting of the loops with c != 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]

# The dtype in which products are summed, for each dtype an operand may have.
ACCUMULATORS: dict[str, str] = {
    "float16": "float32",
    "bfloat16": "float32",
    "float32": "float32",
    "float64": "float64",
    "int8": "int8",
    "uint8": "uint8",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
}


@dataclass(frozen=True)
class Axis:
    """One loop: `extent` steps, each moving by `a`, `b` and `c` elements in the three operands.

    A zero stride says that the operand does not depend on the loop; `c = 0` makes it a sum.
    """

    name: str
    extent: int
    a: int
    b: int
    c: int


@dataclass(frozen=True)
class Step:
    """One elementwise operation on the finished sum, applied before it is stored.

    op: a key of `STEPS`. The second input of a two-input op is
    either an extra buffer (`buffer` counts from 0 after A, B, C; `strides` has one entry for each
    of the contraction's axes, 0 on reduction axes; the vector axis must have stride 0 or 1) or,
    with `scalar`, a slot of the kernel's scalars holding a value of the accumulator's dtype.
    Each step rounds to the result's dtype.
    """

    op: str
    buffer: int | None = None
    strides: tuple[int, ...] = ()
    offset: int = 0
    dtype: str = ""
    scalar: int | None = None


@dataclass(frozen=True)
class Contraction:
    """Loops, offsets, dtypes and an epilogue; see the module head for the formula.

    `accumulate` adds to what C holds instead of replacing it. Products are summed in
    `ACCUMULATORS[dtype_a]` and rounded to `dtype_c` once, at the end.
    """

    axes: tuple[Axis, ...]
    dtype_a: str = "float32"
    dtype_b: str = "float32"
    dtype_c: str = "float32"
    a_offset: int = 0
    b_offset: int = 0
    c_offset: int = 0
    accumulate: bool = False
    epilogue: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        for axis in self.axes:
            if axis.extent < 0:
                raise ValueError(f"contraction: axis {axis.name!r} has extent {axis.extent}")
        for dtype in (self.dtype_a, self.dtype_b, self.dtype_c):
            if dtype not in ACCUMULATORS:
                raise TypeError(
                    f"contraction: dtype {dtype!r} has no product; known are "
                    f"{', '.join(ACCUMULATORS)}"
                )
        if ACCUMULATORS[self.dtype_a] != ACCUMULATORS[self.dtype_b]:
            raise TypeError(
                f"contraction: operands of dtypes {self.dtype_a} and {self.dtype_b} are summed "
                f"in different dtypes; convert one of them first"
            )
        for step in self.epilogue:
            _check_step(step, len(self.axes))

    @property
    def accumulator(self) -> str:
        """The dtype in which products are summed."""
        return ACCUMULATORS[self.dtype_a]

    @property
    def multiplications(self) -> int:
        """How many products are formed: the work is twice this many operations."""
        return int(np.prod([axis.extent for axis in self.axes], dtype=np.int64))

    def strides(self, axis: int) -> tuple[int, ...]:
        """Strides of one axis in A, B, C and each extra buffer, in this order."""
        loop = self.axes[axis]
        extras = extra_buffers(self)
        return (loop.a, loop.b, loop.c, *(step.strides[axis] for step in extras))


# What each epilogue step means; the second input is absent for the one-input steps.
STEPS: dict[str, tuple[int, np.ufunc]] = {
    "add": (2, np.add),
    "subtract": (2, np.subtract),
    "multiply": (2, np.multiply),
    "maximum": (2, np.maximum),
    "minimum": (2, np.minimum),
    "negate": (1, np.negative),
    "relu": (1, np.maximum),
}


def _check_step(step: Step, axes: int) -> None:
    if step.op not in STEPS:
        raise ValueError(f"contraction: no epilogue step {step.op!r}; known are {', '.join(STEPS)}")
    inputs = STEPS[step.op][0] - 1
    if (step.buffer is not None) + (step.scalar is not None) != inputs:
        raise ValueError(f"contraction: step {step.op!r} takes {inputs} second input(s)")
    if step.buffer is not None and (len(step.strides) != axes or not step.dtype):
        raise ValueError(
            f"contraction: step {step.op!r} reads a buffer and needs its dtype and {axes} strides, "
            f"got {len(step.strides)}"
        )


def extra_buffers(spec: Contraction) -> tuple[Step, ...]:
    """The steps that read a buffer, in order; each is one operand, even if buffers repeat."""
    return tuple(step for step in spec.epilogue if step.buffer is not None)


def reach(spec: Contraction, operand: int) -> tuple[int, int]:
    """Lowest and highest element of operand 0 (A), 1 (B), 2 (C), 3... (extras) that is touched.

    The caller promises that both lie inside the buffer. With an empty loop nothing is touched
    and the highest lies one below the lowest.
    """
    offsets: tuple[int, ...] = (spec.a_offset, spec.b_offset, spec.c_offset)
    offsets += tuple(step.offset for step in extra_buffers(spec))
    low = high = offsets[operand]
    if not spec.multiplications:
        return low, low - 1
    for index, axis in enumerate(spec.axes):
        span = spec.strides(index)[operand] * (axis.extent - 1)
        low, high = low + min(span, 0), high + max(span, 0)
    return low, high


def touched(spec: Contraction, operand: int) -> tuple[int, int]:
    """As `reach`; but an empty sum still writes all of C, and reads what the epilogue needs."""
    if operand < 2:
        return reach(spec, operand)
    axes = (replace(x, extent=max(x.extent, 1)) if x.c == 0 else x for x in spec.axes)
    return reach(replace(spec, axes=tuple(axes)), operand)


def simplify(spec: Contraction) -> Contraction:
    """Fewer, longer loops: `for i < 3: for j < 4` walking contiguously -> `for ij < 12`.

    Loops of one step vanish; two loops become one where in every operand a step of the outer
    equals a whole walk of the inner. A 1x1 convolution becomes a matrix product here, and
    the (column, channel) loops of a 3x3 one become a single run.
    """
    loops = [
        (axis.name, axis.extent, spec.strides(index))
        for index, axis in enumerate(spec.axes)
        if axis.extent != 1
    ]
    merged = True
    while merged:
        merged = _merge_one_pair(loops)
    return _with_loops(spec, loops)


_Loop = tuple[str, int, tuple[int, ...]]


def _merge_one_pair(loops: list[_Loop]) -> bool:
    for outer, (outer_name, outer_extent, outer_strides) in enumerate(loops):
        for inner, (inner_name, inner_extent, inner_strides) in enumerate(loops):
            walk = tuple(stride * inner_extent for stride in inner_strides)
            if outer != inner and walk == outer_strides:
                name = f"{outer_name}{inner_name}"
                loops[inner] = (name, outer_extent * inner_extent, inner_strides)
                del loops[outer]
                return True
    return False


def _with_loops(spec: Contraction, loops: list[_Loop]) -> Contraction:
    axes = tuple(Axis(name, extent, *strides[:3]) for name, extent, strides in loops)
    extra = 3
    epilogue = []
    for step in spec.epilogue:
        if step.buffer is not None:
            step = replace(step, strides=tuple(strides[extra] for _, _, strides in loops))
            extra += 1
        epilogue.append(step)
    return replace(spec, axes=axes, epilogue=tuple(epilogue))


def split_sum(spec: Contraction, axis: int, parts: int) -> tuple[Contraction, Contraction]:
    """One long sum -> `parts` shorter ones into a partial buffer, and their sum in fixed order.

    The first contraction writes part p at `p * size` of a buffer of `parts * size` accumulators,
    where `size` covers C; the second adds the parts into C (its operand B is the single number 1
    of the accumulator's dtype) and carries the epilogue. `parts` must divide the axis, so
    the result depends on the problem only, however many threads share the parts.
    """
    loop = spec.axes[axis]
    if loop.c != 0 or loop.extent % parts:
        raise ValueError(f"contraction: {parts} parts do not divide the sum over {loop}")
    low, high = reach(spec, 2)
    size = high - low + 1
    length = loop.extent // parts
    part = Axis("part", parts, loop.a * length, loop.b * length, size)
    axes = (part, *spec.axes[:axis], replace(loop, extent=length), *spec.axes[axis + 1 :])
    partial = replace(
        spec,
        axes=axes,
        dtype_c=spec.accumulator,
        c_offset=spec.c_offset - low,
        accumulate=False,
        epilogue=(),
    )
    kept = [index for index, each in enumerate(spec.axes) if each.c != 0]
    outer = tuple(replace(spec.axes[index], a=spec.axes[index].c, b=0) for index in kept)
    epilogue = tuple(
        replace(step, strides=(0, *(step.strides[index] for index in kept)))
        if step.buffer is not None
        else step
        for step in spec.epilogue
    )
    total = replace(
        spec,
        axes=(Axis("part", parts, size, 0, 0), *outer),
        dtype_a=spec.accumulator,
        dtype_b=spec.accumulator,
        a_offset=spec.c_offset - low,
        b_offset=0,
        epilogue=epilogue,
    )
    return partial, total


def decode_bfloat16(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """bfloat16 numbers held as their 16 bits -> float32."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def encode_bfloat16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """float32 -> bfloat16 held as 16 bits, rounded to nearest, ties to even."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    quiet = (bits >> np.uint32(16)) | np.uint32(0x40)
    return np.where(np.isnan(values), quiet, rounded).astype(np.uint16)


def _read(buffer: Array, dtype: str) -> Array:
    return decode_bfloat16(buffer.view(np.uint16)) if dtype == "bfloat16" else buffer


def _round(values: Array, dtype: str) -> Array:
    """Values as `dtype` would hold them, in a NumPy dtype that can compute with them."""
    if dtype == "bfloat16":
        return decode_bfloat16(encode_bfloat16(values.astype(np.float32)))
    return values.astype(dtype)


def _walk(flat: Array, spec: Contraction, operand: int, offset: int, loops: list[int]) -> Array:
    """A view of a flat buffer with one dimension for each of the loops."""
    strides = [spec.strides(index)[operand] * flat.itemsize for index in loops]
    shape = [spec.axes[index].extent for index in loops]
    if 0 in shape:
        return np.zeros(shape, flat.dtype)
    return np.lib.stride_tricks.as_strided(flat[offset:], shape, strides)


def interpret(spec: Contraction, buffers: list[Array], scalars: tuple[float, ...] = (), /) -> Array:
    """The meaning of a contraction, in NumPy: flat buffers [A, B, C, extras...] -> the new C.

    bfloat16 buffers hold 16-bit patterns (uint16). Floating sums are made in float64 and
    rounded, so this is the reference for the kernels' values, not for their last bits.
    """
    wide = "float64" if spec.accumulator.startswith("float") else spec.accumulator
    outer = [index for index, axis in enumerate(spec.axes) if axis.c != 0]
    # An operand has a dimension for each loop that moves it; A also for those that move neither.
    moved_a = [index for index, axis in enumerate(spec.axes) if axis.a != 0 or axis.b == 0]
    moved_b = [index for index, axis in enumerate(spec.axes) if axis.b != 0]
    a = _walk(_read(buffers[0], spec.dtype_a).astype(wide), spec, 0, spec.a_offset, moved_a)
    b = _walk(_read(buffers[1], spec.dtype_b).astype(wide), spec, 1, spec.b_offset, moved_b)
    sublists: list[Any] = [a, moved_a, b, moved_b, outer]
    total = np.asarray(np.einsum(*sublists, optimize=True))
    total = total.astype(spec.accumulator)
    result = buffers[2].copy()
    target = _walk(result, spec, 2, spec.c_offset, outer)
    if spec.accumulate:
        total = total + _read(target.copy(), spec.dtype_c).astype(total.dtype)
    total = _round(total, spec.dtype_c)
    extra = 3
    for step in spec.epilogue:
        inputs: list[Array] = [total]
        if step.buffer is not None:
            data = _read(buffers[3 + step.buffer], step.dtype)
            inputs.append(_walk(data, spec, extra, step.offset, outer).astype(total.dtype))
            extra += 1
        elif step.scalar is not None:
            inputs.append(_round(np.asarray(scalars[step.scalar]), spec.dtype_c))
        elif step.op == "relu":
            inputs.append(np.zeros((), total.dtype))
        total = _round(STEPS[step.op][1](*inputs), spec.dtype_c)
    target[...] = encode_bfloat16(total.astype(np.float32)) if spec.dtype_c == "bfloat16" else total
    return result
