"""Matrix products of every kind: each is one contraction of two operands whose dimensions carry
labels.

In: two tensors and an equation such as "ik,kj->ij". Out: the sum of products over the labels that
are not in the result. Invariants: a dimension of length one broadcasts against any other of its
label; the gradient of a labelled product is a labelled product again, so one row (`product`)
differentiates every other, any number of times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..base import dtype as dtypes
from ..base.dtype import dtype
from ..graph import build as b
from ..graph.node import ContractionMap, Node
from . import grad_names
from .common import TYPE_NAMES, conjugate, opmath, opmath_dtype, weak_cast
from .registry import Op, Scalar, Value, op

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@lru_cache(4096)
def terms(equation: str) -> tuple[str, str, str]:
    """The labels of the two operands and of the result.

    >>> terms("ik,kj->ij")
    ('ik', 'kj', 'ij')
    """
    operands, out = equation.split("->")
    left, right = operands.split(",")
    return left, right, out


def label_sizes(left: str, right: str, a: Sequence[int], c: Sequence[int]) -> dict[str, int]:
    """The extent of every label; a length of one gives way to any other."""
    sizes: dict[str, int] = {}
    for label, extent in zip(left + right, (*a, *c)):
        if sizes.get(label, 1) == 1:
            sizes[label] = extent
    return sizes


def contract_labels(a: Node, c: Node, equation: str, type: dtype | None = None) -> Node:
    """The product of two nodes by an equation, as one contraction; `type` is the result's dtype
    (default: theirs).

    Where nothing is summed, or no label of the result belongs to one operand alone, there is
    nothing that a contraction could read once and use often: an elementwise product, summed, says
    the same and fuses.
    """
    left, right, out = terms(equation)
    sizes = label_sizes(left, right, a.shape, c.shape)
    loops = out + "".join(dict.fromkeys(label for label in left + right if label not in out))
    extents = tuple(sizes[label] for label in loops)
    type = type or a.dtype
    if 0 in extents:
        return b.expand(b.const(0, type), extents[: len(out)])
    if len(loops) == len(out) or not any((label in left) != (label in right) for label in out):
        factors = [_aligned(opmath(x), labels, loops) for x, labels in ((a, left), (c, right))]
        result = b.mul(*factors)
        return b.cast(
            b.reduce("sum", result, range(len(out), len(loops)))
            if len(loops) > len(out)
            else result,
            type,
        )
    place = {label: k for k, label in enumerate(loops)}

    def dimensions(labels: str, x: Node) -> tuple:
        return tuple(
            (0, ((place[label], 1),) if extent == sizes[label] else ())
            for label, extent in zip(labels, x.shape)
        )

    mapping = ContractionMap(extents, len(out), dimensions(left, a), dimensions(right, c))
    return b.contract(a, c, mapping, type)


def _aligned(x: Node, labels: str, loops: str) -> Node:
    """x with one dimension for every loop, in their order, of length one where it does not depend
    on the loop.
    """
    order = [labels.index(label) for label in loops if label in labels]
    extents = iter([x.shape[d] for d in order])
    return b.reshape(
        b.permute(x, order), [next(extents) if label in labels else 1 for label in loops]
    )


def product_gradient(
    g: Any, x: Any, own: str, others: str, out: str, shape: tuple[int, ...]
) -> Any:
    """The gradient of the operand labelled `own`, given the other operand x; called in rules, on
    tensors.

    Labels that the operand had at length one are summed; labels that only it had (it was summed
    over them) are spread out again.
    """
    facing = label_sizes(out, others, g.shape, x.shape)
    kept = "".join(
        label for label, extent in zip(own, shape) if extent != 1 and facing.get(label) == extent
    )
    result = product(g, conjugate(x), f"{out},{others}->{kept}")
    if kept == own:
        return result
    return result.reshape([n if label in kept else 1 for label, n in zip(own, shape)]).expand(shape)


@op("", grad_name="ViewBackward0")
def product(input: Value, other: Value, equation: str) -> Value:
    """The sum of products of two tensors by an equation, such as "bik,kj->bij".

    Shapes: one label for each dimension, none twice in one operand. What every matrix product's
    gradient is made of.
    """
    return contract_labels(input, other, equation)


@product.vjp("input")
def _(g, other, input_layout, equation):  # type: ignore[no-untyped-def]
    left, right, out = terms(equation)
    return product_gradient(g, other, left, right, out, input_layout.shape)


@product.vjp("other")
def _(g, input, other_layout, equation):  # type: ignore[no-untyped-def]
    left, right, out = terms(equation)
    return product_gradient(g, input, right, left, out, other_layout.shape)


def require_numbers(name: str, x: Node) -> None:
    """NotImplementedError for bools, which have no sum of products."""
    if x.dtype is dtypes.bool_:
        raise NotImplementedError(
            f"\"{name}\" not implemented for 'Bool': operand of shape {list(x.shape)}; convert it "
            "to a number type first"
        )


def require_one_dtype(name: str, a: Node, c: Node) -> None:
    """RuntimeError naming both dtypes unless they are the same."""
    if a.dtype is not c.dtype:
        short = [TYPE_NAMES[x.dtype.name].lower() for x in (a, c)]
        raise RuntimeError(
            f"{name}: expected m1 and m2 to have the same dtype, but got: {short[0]} != {short[1]} "
            f"(expected scalar type {TYPE_NAMES[a.dtype.name]} but found "
            f"{TYPE_NAMES[c.dtype.name]}; "
            f"shapes {list(a.shape)} and {list(c.shape)}); convert one with .to()"
        )
    require_numbers(name, a)


# --- checks and equations of the rows -----------------------------------------------------------


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


@lru_cache(4096)
def matmul_equation(a: tuple[int, ...], c: tuple[int, ...]) -> str:
    """The equation of `matmul` for two shapes; RuntimeError where they do not fit.

    >>> matmul_equation((5, 2, 3), (3, 4))
    'aiZ,Zj->aij'
    """
    if not a or not c:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {len(a)}D and {len(c)}D"
        )
    inner = c[-2] if len(c) > 1 else c[0]
    if a[-1] != inner:
        raise RuntimeError(_mismatch(a, c))
    batch = LETTERS[: max(len(a), len(c)) - 2]
    batch = batch.translate({ord("i"): "I", ord("j"): "J"})
    left = batch[len(batch) - len(a[:-2]) :] if len(a) > 1 else ""
    right = batch[len(batch) - len(c[:-2]) :] if len(c) > 1 else ""
    for k, (n, m) in enumerate(zip(reversed(a[:-2]), reversed(c[:-2]))):
        if n != m and 1 not in (n, m):
            raise RuntimeError(
                f"The size of tensor a ({n}) must match the size of tensor b ({m}) at "
                "non-singleton dimension "
                f"{len(batch) - 1 - k}: batch dimensions of matmul operands {list(a)} and "
                f"{list(c)} do not broadcast"
            )
    row, column = "i" if len(a) > 1 else "", "j" if len(c) > 1 else ""
    return f"{left}{row}Z,{right}Z{column}->{max(left, right, key=len)}{row}{column}"


def _mismatch(a: tuple[int, ...], c: tuple[int, ...]) -> str:
    """PyTorch's words for inner dimensions that differ, by the ranks of the operands."""
    rows = int(np.prod(a[:-1]))
    if len(a) == 1 and len(c) == 1:
        return (
            f"inconsistent tensor size, expected tensor [{a[0]}] and src [{c[0]}] to have the same "
            "number of elements, "
            f"but got {a[0]} and {c[0]} elements respectively"
        )
    if len(c) == 1:
        return f"size mismatch, got input ({rows}), mat ({rows}x{a[-1]}), vec ({c[0]})"
    if len(c) > 2:
        return (
            f"Expected size for first two dimensions of batch2 tensor to be: [{c[0]}, {a[-1]}] but "
            f"got: [{c[0]}, {c[-2]}]: "
            f"matmul of {list(a)} and {list(c)}"
        )
    return f"mat1 and mat2 shapes cannot be multiplied ({rows}x{a[-1]} and {_text(c)})"


def _require_rank(message: str, x: tuple[int, ...], rank: int) -> None:
    if len(x) != rank:
        raise RuntimeError(f"{message}, got a tensor of shape {list(x)}")


@lru_cache(4096)
def mm_equation(a: tuple[int, ...], c: tuple[int, ...]) -> str:
    _require_rank("self must be a matrix", a, 2)
    _require_rank("mat2 must be a matrix", c, 2)
    if a[1] != c[0]:
        raise RuntimeError(_mismatch(a, c))
    return "ik,kj->ij"


@lru_cache(4096)
def bmm_equation(a: tuple[int, ...], c: tuple[int, ...]) -> str:
    _require_rank("batch1 must be a 3D tensor", a, 3)
    _require_rank("batch2 must be a 3D tensor", c, 3)
    if a[0] != c[0] or a[2] != c[1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{a[0]}, {a[2]}] but "
            f"got: [{c[0]}, {c[1]}]."
        )
    return "bik,bkj->bij"


@lru_cache(4096)
def mv_equation(a: tuple[int, ...], c: tuple[int, ...]) -> str:
    if len(a) != 2 or len(c) != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {len(a)}, {len(c)}")
    if a[1] != c[0]:
        raise RuntimeError(_mismatch(a, c))
    return "ik,k->i"


@lru_cache(4096)
def _dot_equation(a: tuple[int, ...], c: tuple[int, ...]) -> str:
    if len(a) != 1 or len(c) != 1:
        raise RuntimeError(f"1D tensors expected, but got {len(a)}D and {len(c)}D tensors")
    if a != c:
        raise RuntimeError(_mismatch(a, c))
    return "i,i->"


# --- rows ---------------------------------------------------------------------------------------


def _product_row(
    name: str,
    equation: Callable[..., str],
    formula: str,
    example: str,
    surface: str,
    reference: Callable,
    sample: Callable,
) -> Op:
    """A row that is a product of two tensors by the equation that their shapes ask for."""

    def body(input: Value, other: Value) -> Value:
        found = equation(tuple(input.shape), tuple(other.shape))
        require_one_dtype(name, input, other)
        return contract_labels(input, other, found)

    body.__name__ = name
    body.__annotations__ = {"input": "Value", "other": "Value", "return": "Value"}
    body.__doc__ = f"""{formula}

    Both operands have one dtype, which is the result's; float16 and bfloat16 are summed in float32.
    Errors: RuntimeError for shapes or dtypes that do not fit. Follows `torch.{name}`.

    >>> import rushlight as rl
    >>> {example}
    """
    row = op(surface, grad_name=grad_names.product if name == "matmul" else None)(body)

    @row.vjp("input")
    def _(g, other, input_layout):  # type: ignore[no-untyped-def]
        left, right, out = terms(equation(input_layout.shape, other.shape))
        return product_gradient(g, other, left, right, out, input_layout.shape)

    @row.vjp("other")
    def _(g, input, other_layout):  # type: ignore[no-untyped-def]
        left, right, out = terms(equation(input.shape, other_layout.shape))
        return product_gradient(g, input, right, left, out, other_layout.shape)

    row.test(sample, reference)
    return row


matmul = _product_row(
    "matmul",
    matmul_equation,
    "The matrix product of the last two dimensions, (..., m, k) by (..., k, n) -> (..., m, n); "
    "leading dimensions "
    "broadcast, and a 1-D operand is a row (first) or column (second) that the result lacks.",
    "rl.matmul(rl.ones(7, 2, 3), rl.ones(3)).shape\n    torch.Size([7, 2])",
    "torch Tensor linalg",
    np.matmul,
    lambda make: [
        ((make(2, 3), make(3, 4)), {}),
        ((make(3), make(3)), {}),
        ((make(2, 3), make(3)), {}),
        ((make(3), make(2, 3, 4)), {}),
        ((make(5, 1, 2, 3), make(4, 3, 2)), {}),
        ((make(2, 2, 3), make(3)), {}),
    ],
)
mm = _product_row(
    "mm",
    mm_equation,
    "The matrix product (m, k) by (k, n) -> (m, n); nothing broadcasts.",
    "rl.mm(rl.ones(2, 3), rl.ones(3, 1))\n    tensor([[3.],\n            [3.]])",
    "torch Tensor",
    np.matmul,
    lambda make: [((make(2, 3), make(3, 4)), {})],
)
bmm = _product_row(
    "bmm",
    bmm_equation,
    "The matrix product of each pair of a batch, (b, m, k) by (b, k, n) -> (b, m, n).",
    "rl.bmm(rl.ones(1, 1, 3), rl.ones(1, 3, 1))\n    tensor([[[3.]]])",
    "torch Tensor",
    np.matmul,
    lambda make: [((make(2, 2, 3), make(2, 3, 4)), {})],
)
mv = _product_row(
    "mv",
    mv_equation,
    "The product of a matrix (m, k) and a vector (k) -> (m).",
    "rl.mv(rl.ones(2, 3), rl.ones(3))\n    tensor([3., 3.])",
    "torch Tensor",
    np.matmul,
    lambda make: [((make(2, 3), make(3)), {})],
)
dot = _product_row(
    "dot",
    _dot_equation,
    "The sum of products of two vectors (k), (k) -> (); nothing is conjugated.",
    "rl.dot(rl.tensor([1., 2.]), rl.tensor([3., 4.]))\n    tensor(11.)",
    "torch Tensor",
    np.dot,
    lambda make: [((make(3), make(3)), {})],
)


@op("", grad_name="AddmmBackward0")
def scaled_product(
    input: Value | None, first: Value, second: Value, beta: Scalar, alpha: Scalar, equation: str
) -> Value:
    """beta * input + alpha * product(first, second, equation), rounded once; without input alpha *
    product alone.
    """
    result = contract_labels(first, second, equation, opmath_dtype(first.dtype))
    result = b.mul(result, weak_cast(alpha, result))
    if input is not None:
        added = b.expand(opmath(input), result.shape)
        result = b.add(b.mul(added, weak_cast(beta, added)), result)
    return b.cast(result, first.dtype)


@scaled_product.vjp("input")
def _(g, beta):  # type: ignore[no-untyped-def]
    return g * conjugate(beta)


@scaled_product.vjp("first")
def _(g, first_layout, second, alpha, equation):  # type: ignore[no-untyped-def]
    left, right, out = terms(equation)
    return product_gradient(g * conjugate(alpha), second, left, right, out, first_layout.shape)


@scaled_product.vjp("second")
def _(g, first, second_layout, alpha, equation):  # type: ignore[no-untyped-def]
    left, right, out = terms(equation)
    return product_gradient(g * conjugate(alpha), first, right, left, out, second_layout.shape)


@op("", grad_name="AddrBackward0")
def scaled_outer(
    input: Value | None, first: Value, second: Value, beta: Scalar, alpha: Scalar
) -> Value:
    """beta * input + alpha * first[i] * second[j], rounded after every operation as PyTorch does;
    without input the product alone.
    """
    shape = (first.shape[0], second.shape[0])
    column = b.reshape(b.mul(first, weak_cast(alpha, first)), (-1, 1))
    result = b.mul(column, second)
    if input is not None:
        added = b.expand(input, shape)
        result = b.add(b.mul(added, weak_cast(beta, added)), result)
    return result


@scaled_outer.vjp("input")
def _(g, beta):  # type: ignore[no-untyped-def]
    return g * conjugate(beta)


@scaled_outer.vjp("first")
def _(g, second, alpha):  # type: ignore[no-untyped-def]
    return product(g * conjugate(alpha), conjugate(second), "ij,j->i")


@scaled_outer.vjp("second")
def _(g, first, alpha):  # type: ignore[no-untyped-def]
    return product(g * conjugate(alpha), conjugate(first), "ij,i->j")


scaled_outer.test(
    lambda make: [
        ((make(3, 4), make(3), make(4), 0.5, 2.0), {}),
        ((make(4), make(3), make(4), 0.5, 2.0), {}),
        ((None, make(3), make(4), 0.0, 2.0), {}),
    ],
    lambda x, v, w, beta, alpha: (0 if x is None else beta * x) + alpha * np.outer(v, w),
)


@lru_cache(4096)
def linear_equation(x: tuple[int, ...], weight: tuple[int, ...]) -> str:
    """The equation of `linear` for the shapes of input and weight; RuntimeError where they do not
    fit.
    """
    rows = int(np.prod(x[:-1]))
    if not x or len(weight) not in (1, 2):
        raise RuntimeError(
            "linear expects an input of at least 1 and a weight of 1 or 2 dimensions, got "
            f"{list(x)} and {list(weight)}"
        )
    if x[-1] != weight[-1]:
        turned = _text(weight[::-1]) if len(weight) == 2 else f"{weight[0]}"
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{x[-1]} and {turned}): linear "
            "takes an input "
            f"(*, in_features) and a weight (out_features, in_features), got {list(x)} and "
            f"{list(weight)}"
        )
    lead = LETTERS[: len(x) - 1]
    column = "Y" if len(weight) == 2 else ""
    return f"{lead}Z,{column}Z->{lead}{column}"


@op("nn.functional", grad_name=grad_names.affine)
def linear(input: Value, weight: Value, bias: Value | None = None) -> Value:
    """y = x W^T + b.

    Shapes: input (*, in), weight (out, in) or (in), bias (out), result (*, out) or (*). All of one
    dtype; float16 and bfloat16 are summed in float32 and rounded once, with the bias in. Errors:
    RuntimeError naming both shapes or dtypes. Follows `torch.nn.functional.linear`.

    >>> import rushlight as rl
    >>> rl.nn.functional.linear(rl.ones(4, 3), rl.ones(2, 3)).shape
    torch.Size([4, 2])
    """
    equation = linear_equation(tuple(input.shape), tuple(weight.shape))
    require_one_dtype("linear", input, weight)
    if bias is None:
        return contract_labels(input, weight, equation)
    require_one_dtype("linear (bias)", bias, weight)
    result = contract_labels(input, weight, equation, opmath_dtype(input.dtype))
    return b.cast(b.add(result, b.expand(opmath(bias), result.shape)), input.dtype)


@linear.vjp("input")
def _(g, input_layout, weight):  # type: ignore[no-untyped-def]
    left, right, out = terms(linear_equation(input_layout.shape, weight.shape))
    return product_gradient(g, weight, left, right, out, input_layout.shape)


@linear.vjp("weight")
def _(g, input, weight_layout):  # type: ignore[no-untyped-def]
    left, right, out = terms(linear_equation(input.shape, weight_layout.shape))
    return product_gradient(g, input, right, left, out, weight_layout.shape)


@linear.vjp("bias")
def _(g):  # type: ignore[no-untyped-def]
    return g


def _numpy_linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    return np.matmul(x, weight.T) + (0 if bias is None else bias)


product.test(
    lambda make: [
        ((make(2, 3, 4), make(2, 4, 5), "bik,bkj->bij"), {}),
        ((make(2, 1, 4), make(3, 4), "bik,ik->b"), {}),
        ((make(2, 3), make(4, 2), "ab,cd->ca"), {}),
    ],
    lambda x, y, equation: np.einsum(
        equation, *[np.broadcast_to(x, (2, 3, 4)) if x.shape == (2, 1, 4) else x, y]
    ),
)
scaled_product.test(
    lambda make: [((make(4), make(2, 3), make(3, 4), 0.5, 2.0, "ik,kj->ij"), {})],
    lambda x, first, second, beta, alpha, equation: (
        beta * x + alpha * np.einsum(equation, first, second)
    ),
)
linear.test(
    lambda make: [
        ((make(2, 5, 3), make(4, 3), make(4)), {}),
        ((make(3), make(4, 3)), {}),
        ((make(2, 3), make(3)), {}),
    ],
    _numpy_linear,
)
