"""Kernels as text for people: `RUSHLIGHT_LOG=kernel`, error reports and tests.

In: a kernel. Out: an indented listing, one statement a line. Invariant: everything that the kernel
computes is shown; the text is for reading, nothing parses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .ir import Kernel, Let, Load, Loop, Statement, Store


def text(kernel: Kernel) -> str:
    """The listing of a kernel.

    >>> from rushlight.kernel.ir import *
    >>> at = Affine(0, (("i", 1),))
    >>> body = Load("a", "x", at, "float32"), Store("y", at, "a")
    >>> both = Parameter("x", "float32", 8, "in"), Parameter("y", "float32", 8, "out")
    >>> print(text(Kernel("copy", both, (), (Loop("i", 8, body, vector=True),), 1, 64)))
    kernel copy(in x: float32[8], out y: float32[8]) tasks of 64
      for i in range(8) parallel vector:
        a: float32 = x[i]
        y[i] = a
    """
    parameters = ", ".join(f"{p.mode} {p.name}: {p.dtype}[{p.size}]" for p in kernel.parameters)
    slots = "".join(f", scalar {i}: {dtype}" for i, dtype in enumerate(kernel.scalars))
    head = f"kernel {kernel.name}({parameters}{slots}) tasks of {kernel.block}"
    return "\n".join([head, *_lines(kernel.body, 1, kernel.parallel)])


def _lines(body: Sequence[Statement], depth: int, parallel: int) -> Iterator[str]:
    indent = "  " * depth
    for statement in body:
        if not isinstance(statement, Loop):
            yield indent + _line(statement)
            continue
        for c in statement.carried:
            yield f"{indent}{c.name}: {c.dtype} = {c.initial}"
        words = (" parallel" if parallel > 0 else "") + (" vector" if statement.vector else "")
        yield f"{indent}for {statement.index} in range({statement.extent}){words}:"
        yield from _lines(statement.body, depth + 1, parallel - 1)
        for c in statement.carried:
            yield f"{indent}  {c.name} = next {c.next}" + (
                f" (lanes: {c.combine})" if statement.vector else ""
            )


def _line(statement: Let | Load | Store) -> str:
    if isinstance(statement, Let):
        words = [*statement.arguments, *(str(a) for a in statement.attributes)]
        return f"{statement.name}: {statement.dtype} = {statement.op}({', '.join(words)})"
    place = f"{statement.parameter}[{statement.address}" + (
        f" + {statement.dynamic}]" if statement.dynamic else "]"
    )
    where = f" if {statement.mask}" if statement.mask else ""
    if isinstance(statement, Load):
        return f"{statement.name}: {statement.dtype} = {place}" + (
            f"{where} else 0" if where else ""
        )
    return f"{place} {statement.combine or ''}= {statement.value}{where}"
