"""Products of tensors beyond one row: Einstein sums, accumulating products, chains, Kronecker and
tensor products.

In: tensors of one dtype. Out: tensors. Invariant: whatever is summed over is summed inside one
contraction of two operands (`ops/matmul.py`); here stand only the choice of operands and labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autograd.names import titled
from ...base.dtype import TYPE_NAMES
from ...graph.build import NARROW
from ...ops import matmul as rows
from ...ops.matmul import LETTERS
from ..creation import eye
from ..methods import contiguous_format
from ..tensor import Tensor
from .linalg import inv


def _addend(
    name: str, input: Tensor, first: Tensor, second: Tensor, shape: Sequence[int]
) -> Tensor:
    """The input in the shape of the product that it is added to; RuntimeError where shapes or
    dtypes do not fit.
    """
    if list(input.shape) != list(shape):
        input = input.expand(shape)
    if first.dtype is not second.dtype or input.dtype is not first.dtype:
        raise RuntimeError(
            f"{name}: self, {first.dtype} and {second.dtype} operands must have the same dtype, "
            f"but got {input.dtype}, "
            f"{first.dtype} and {second.dtype}: convert them with .to()"
        )
    return input


def _accumulate(
    input: Tensor, first: Tensor, second: Tensor, beta: Any, alpha: Any, name: str, equation: str
) -> Tensor:
    """beta * input + alpha * product; an input with beta 0 is not read."""
    sizes = rows.label_sizes(*rows.terms(equation)[:2], first.shape, second.shape)
    shape = [sizes[label] for label in rows.terms(equation)[2]]
    input = _addend(name, input, first, second, shape)
    return rows.scaled_product(None if beta == 0 else input, first, second, beta, alpha, equation)


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2), as `torch.addmm`.

    Shapes: mat1 (n, m), mat2 (m, p), input expandable to (n, p). With beta=0 the input is not read.

    >>> import rushlight as rl
    >>> rl.addmm(rl.ones(2), rl.ones(1, 3), rl.ones(3, 2), alpha=2)
    tensor([[7., 7.]])
    """
    equation = rows.mm_equation(mat1.shape, mat2.shape)
    return _accumulate(input, mat1, mat2, beta, alpha, "addmm", equation)


@titled("AddmvBackward0")
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat @ vec), as `torch.addmv`. Shapes: mat (n, m), vec (m), input
    expandable to (n).
    """
    return _accumulate(
        input, mat, vec, beta, alpha, "addmv", rows.mv_equation(mat.shape, vec.shape)
    )


@titled("BaddbmmBackward0")
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """beta * input + alpha * bmm(batch1, batch2), as `torch.baddbmm`."""
    equation = rows.bmm_equation(batch1.shape, batch2.shape)
    return _accumulate(input, batch1, batch2, beta, alpha, "baddbmm", equation)


@titled("AddbmmBackward0")
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """beta * input + alpha * (the sum of bmm(batch1, batch2) over the batch), as `torch.addbmm`.

    float16 and bfloat16 are rounded after every matrix product of the batch, as PyTorch's are.
    """
    rows.bmm_equation(batch1.shape, batch2.shape)
    if input.dtype in NARROW and batch1.shape[0]:
        for left, right in zip(batch1.unbind(0), batch2.unbind(0)):
            input, beta = addmm(input, left, right, beta=beta, alpha=alpha), 1
        return input
    return _accumulate(input, batch1, batch2, beta, alpha, "addbmm", "bik,bkj->ij")


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2), as `torch.addr`."""
    if vec1.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(
            f"addr: Expected 1-D arguments vec1 and vec2, but got {vec1.ndim}-D and {vec2.ndim}-D"
        )
    input = _addend("addr", input, vec1, vec2, (vec1.shape[0], vec2.shape[0]))
    return rows.scaled_outer(None if beta == 0 else input, vec1, vec2, beta, alpha)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """input[i] * vec2[j], as `torch.outer`; dtypes are promoted.

    >>> import rushlight as rl
    >>> rl.outer(rl.tensor([1, 2]), rl.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    for place, x in (("self", input), ("vec2", vec2)):
        if x.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {place}, but got {x.ndim}-D")
    return input.unsqueeze(1) * vec2


def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sum of products over the last dimension of both, (*, k), (#, k) -> (*, #), as
    `torch.inner`.
    """
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]))


@titled("VdotBackward0")
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The sum of conj(input) * other over two vectors, as `torch.vdot`."""
    return rows.dot(rows.conjugate(input), other)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The sum of conj(x) * y along one dimension, the others broadcasting, as
    `torch.linalg.vecdot`.
    """
    if x.dtype is not y.dtype:
        raise RuntimeError(
            f"linalg.vecdot: Expected x and y to have the same dtype, but found x of type "
            f"{TYPE_NAMES[x.dtype.name]} and y of type {TYPE_NAMES[y.dtype.name]} instead"
        )
    return (rows.conjugate(x) * y).sum(dim)


def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of matrices in the cheapest order, as `torch.chain_matmul`."""
    matrices = (
        tuple(matrices[0])
        if len(matrices) == 1 and not isinstance(matrices[0], Tensor)
        else matrices
    )
    return matrices[0] if len(matrices) == 1 else multi_dot(matrices)


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of two or more matrices in the cheapest order, as `torch.linalg.multi_dot`.

    The first may be a row and the last a column (1-D). The order is found by dynamic programming
    over the sizes (Cormen, Leiserson, Rivest and Stein, Introduction to Algorithms, 15.2).
    """
    tensors = list(tensors)
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    first, last = tensors[0], tensors[-1]
    chain = [
        first.unsqueeze(0) if first.ndim == 1 else first,
        *tensors[1:-1],
        last.unsqueeze(1) if last.ndim == 1 else last,
    ]
    for k, x in enumerate(chain):
        if x.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {k} must be 2D but got {tensors[k].ndim}D")
    for k in range(len(chain) - 1):
        if chain[k].shape[1] != chain[k + 1].shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {k} and {k + 1} with shapes {list(chain[k].shape)} and "
                f"{list(chain[k + 1].shape)} cannot be multiplied"
            )
    result = _chain(chain)
    if first.ndim == 1:
        result = result.squeeze(0)
    return result.squeeze(-1) if last.ndim == 1 else result


def _chain(chain: list[Tensor]) -> Tensor:
    """The product in the order of fewest multiplications."""
    sizes = [x.shape[0] for x in chain] + [chain[-1].shape[1]]
    count = len(chain)
    cost = [[0] * count for _ in range(count)]
    split = [[0] * count for _ in range(count)]
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            options = [
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            ]
            cost[i][j], split[i][j] = min(options)

    def multiply(i: int, j: int) -> Tensor:
        if i == j:
            return chain[i]
        k = split[i][j]
        return rows.mm(multiply(i, k), multiply(k + 1, j))

    return multiply(0, count - 1)


def matrix_power(input: Tensor, n: int) -> Tensor:
    """The n-th power of square matrices by repeated squaring (negative n: of the inverse, with
    LinAlgError where there is none), as `torch.matrix_power`.
    """
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise RuntimeError(
            "linalg.matrix_power: A must be batches of square matrices, but they are "
            f"{list(input.shape)}"
        )
    if n < 0:
        return matrix_power(inv(input), -n)
    if n == 0:  # a constant, but one that is on the tape
        identity = eye(input.shape[-1], dtype=input.dtype, device=input.device)
        return input.clone(memory_format=contiguous_format).copy_(identity)
    result: Tensor | None = None
    square = input
    while n:
        if n & 1:
            result = square if result is None else rows.matmul(result, square)
        n >>= 1
        square = rows.matmul(square, square) if n else square
    return input.clone() if result is None or result is input else result


def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: dimension by dimension, input[i] * other[j] at i * len(other) + j, as
    `torch.kron`.
    """
    rank = max(input.ndim, other.ndim)
    a = input.reshape((1,) * (rank - input.ndim) + tuple(input.shape))
    c = other.reshape((1,) * (rank - other.ndim) + tuple(other.shape))
    spread = [n for extent in a.shape for n in (extent, 1)]
    facing = [n for extent in c.shape for n in (1, extent)]
    result = a.reshape(spread) * c.reshape(facing)
    return result.reshape([n * m for n, m in zip(a.shape, c.shape)])


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sum of products over pairs of dimensions, as `torch.tensordot`.

    dims: a number d (the last d of a meet the first d of b) or two lists of dimensions.

    >>> import rushlight as rl
    >>> rl.tensordot(rl.ones(2, 3, 4), rl.ones(4, 3), dims=([2, 1], [0, 1]))
    tensor([12., 12.])
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        dims = (list(range(a.ndim - dims, a.ndim)), list(range(dims)))
    left, right = ([d] if isinstance(d, int) else list(d) for d in dims)
    if len(left) != len(right):
        raise RuntimeError("both dimension lists should have same length")
    labels = [list(LETTERS[: a.ndim]), list(LETTERS[a.ndim : a.ndim + b.ndim])]
    for i, j in zip(left, right):
        if a.shape[i] != b.shape[j] and 1 not in (a.shape[i], b.shape[j]):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[i]} in dim {i} "
                "and second has size "
                f"{b.shape[j]} in dim {j}"
            )
        labels[1][j] = labels[0][i]
    kept = [c for c in labels[0] if c not in labels[1]] + [
        c for c in labels[1] if c not in labels[0]
    ]
    return rows.product(
        *_one_dtype("tensordot", a, b),
        f"{''.join(labels[0])},{''.join(labels[1])}->{''.join(kept)}",
    )


def _one_dtype(name: str, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: expected both operands to have one dtype, but found {a.dtype} and {b.dtype}"
        )
    return a, b


# --- Einstein sums ------------------------------------------------------------------------------


def einsum(equation: Any, *operands: Any) -> Tensor:
    """The Einstein sum of tensors, as `torch.einsum`.

    equation: subscripts such as "bij,bjk->bik" (`...` stands for broadcast dimensions; without `->`
    the labels that occur once follow in alphabetical order), or operands and lists of dimension
    numbers in turn, the result's last. Operands are multiplied from left to right, each pair in one
    contraction. Errors: RuntimeError naming the operand and the label.

    >>> import rushlight as rl
    >>> rl.einsum("ij,ij->i", rl.ones(2, 3), rl.ones(2, 3))
    tensor([3., 3.])
    """
    if not isinstance(equation, str):
        equation, operands = _from_lists((equation, *operands))
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    inputs, result = _subscripts(equation, operands)
    tensors = [_diagonals(x, labels, k) for k, (x, labels) in enumerate(zip(operands, inputs))]
    _check_sizes(tensors)
    current, labels = tensors[0]
    for k, (other, facing) in enumerate(tensors[1:], 2):
        later = set(result).union(*(labels_ for _, labels_ in tensors[k:]))
        kept = "".join(c for c in dict.fromkeys(labels + facing) if c in later)
        kept = result if k == len(tensors) else kept
        current = rows.product(
            *_one_dtype("einsum()", current, other), f"{labels},{facing}->{kept}"
        )
        labels = kept
    summed = [d for d, label in enumerate(labels) if label not in result]
    if summed:
        current = current.sum(tuple(summed))
        labels = "".join(c for c in labels if c in result)
    return current.permute([labels.index(c) for c in result]) if labels != result else current


def _from_lists(arguments: tuple) -> tuple[str, tuple]:
    """The form einsum(x, [0, 1], y, [1, 2], [0, 2]) as an equation and its operands."""

    def text(numbers: Sequence[Any]) -> str:
        for n in numbers:
            if n is not Ellipsis and not 0 <= n < 52:
                raise RuntimeError(
                    f"einsum(): subscripts in sublist format must be in range [0, 52), but got {n}"
                )
        return "".join("..." if n is Ellipsis else LETTERS[n] for n in numbers)

    pairs = len(arguments) // 2
    equation = ",".join(text(arguments[2 * k + 1]) for k in range(pairs))
    if len(arguments) % 2:
        equation += "->" + text(arguments[-1])
    return equation, arguments[: 2 * pairs : 2]


def _subscripts(equation: str, operands: Sequence[Tensor]) -> tuple[list[str], str]:
    """The labels of every operand and of the result, with `...` spelt out in labels of its own."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(operands):
        few = len(inputs) > len(operands)
        raise RuntimeError(
            f"einsum(): {'fewer' if few else 'more'} operands were provided than specified in the "
            "equation"
        )
    for k, (term, x) in enumerate(zip(inputs, operands)):
        _check_term(term, k, x)
    widest = max(x.ndim - len(t.replace("...", "")) for t, x in zip(inputs, operands))
    # Greek: no letter that a user can name
    spread = "".join(chr(0x3B1 + k) for k in range(max(widest, 0)))
    spelt = []
    for term, x in zip(inputs, operands):
        width = x.ndim - len(term.replace("...", ""))
        spelt.append(term.replace("...", spread[len(spread) - width :]))
    if not arrow:
        every = "".join(inputs).replace(".", "")
        right = "..." * ("..." in left) + "".join(
            sorted(c for c in set(every) if every.count(c) == 1)
        )
    _check_result(right, inputs)
    used = "..." in left
    return spelt, right.replace("...", spread if used else "")


def _check_term(term: str, k: int, x: Tensor) -> None:
    letters = term.replace("...", "", 1)
    if "." in letters:
        raise RuntimeError(f"einsum(): found '.' for operand {k} that is not part of any ellipsis")
    for place, c in enumerate(letters):
        if not (c.isascii() and c.isalpha()):
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {place} in the equation string, "
                "subscripts must be in [a-zA-Z]"
            )
    if len(letters) > x.ndim or (len(letters) < x.ndim and letters == term):
        end = " and no ellipsis was given" if letters == term else ""
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({len(letters)}) does not match "
            "the number of dimensions "
            f"({x.ndim}) for operand {k}{end}"
        )


def _check_result(right: str, inputs: list[str]) -> None:
    letters = right.replace("...", "", 1)
    for c in letters:
        if letters.count(c) > 1:
            raise RuntimeError(
                f"einsum(): output subscript {c} appears more than once in the output"
            )
        if not any(c in term for term in inputs):
            raise RuntimeError(
                f"einsum(): output subscript {c} does not appear in the equation for any input "
                "operand"
            )


def _diagonals(x: Tensor, labels: str, operand: int) -> tuple[Tensor, str]:
    """A label that an operand has twice means its diagonal."""
    k = 0
    while k < len(labels):
        again = labels.find(labels[k], k + 1)
        if again < 0:
            k += 1
            continue
        if x.shape[k] != x.shape[again]:
            raise RuntimeError(
                f"einsum(): subscript {labels[k]} is repeated for operand {operand} but the sizes "
                "don't match, "
                f"{x.shape[again]} != {x.shape[k]}"
            )
        x = x.diagonal(0, k, again).movedim(-1, k)
        labels = labels[:again] + labels[again + 1 :]
    return x, labels


def _check_sizes(tensors: list[tuple[Tensor, str]]) -> None:
    seen: dict[str, int] = {}
    for k, (x, labels) in enumerate(tensors):
        for label, extent in zip(labels, x.shape):
            have = seen.get(label, 1)
            if have != 1 and extent not in (1, have):
                raise RuntimeError(
                    f"einsum(): subscript {label} has size {extent} for operand {k} which does not "
                    "broadcast with "
                    f"previously seen size {have}"
                )
            seen[label] = max(have, extent) if 0 not in (have, extent) else 0


_ACCUMULATING = (addmm, addmv, baddbmm, addbmm, addr)
FUNCTIONS = (
    *_ACCUMULATING,
    outer,
    inner,
    vdot,
    chain_matmul,
    matrix_power,
    kron,
    tensordot,
    einsum,
)
METHODS = (*_ACCUMULATING, outer, inner, vdot, matrix_power, kron)
ALIASES = {"ger": outer}
IN_PLACE = tuple(function.__name__ for function in _ACCUMULATING)
