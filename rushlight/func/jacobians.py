"""Jacobians and Hessians: all rows (or columns) of one at once, by `vmap` over a basis.

In: a function of tensors. Out: a function that gives d outputs / d arguments, nested as the outputs
are, and within as the arguments. Invariant: the function runs once; only the pull (or push) is
mapped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ..autograd.entries import TAPE_HOOKS
from ..autograd.forward import push, pushing
from ..base.pytree import tree_unflatten
from ..ops import core
from ..tensor.creation import eye
from ..tensor.tensor import Tensor
from ..tensor.vmap import vmap
from .arguments import Argnums, Differentiated, Traced
from .gradients import pulled


def _basis(x: Tensor) -> Tensor:
    """One tensor of x's shape for each of its elements, one there and zero elsewhere."""
    count = x.numel()
    return eye(count, dtype=x.dtype).reshape((count, *x.shape))


def jacrev(
    func: Callable,
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable:
    """The Jacobian by reverse mode: for each output and argument a tensor of the output's shape
    followed by the argument's. As `torch.func.jacrev`.

    chunk_size: at most so many rows at a time. With has_aux (Jacobian, aux).

    >>> import rushlight as rl
    >>> rl.func.jacrev(rl.sin)(rl.tensor([0.0, 0.0]))
    tensor([[1., 0.],
            [0., 1.]])
    """

    @wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        name = "jacrev(f)(*args)"
        given = Differentiated(name, args, argnums)
        traced = Traced(name, func, given.require_floating(), kwargs, has_aux)
        blocks = []
        for output in traced.outputs:
            rows = vmap(
                lambda v, x=output: tuple(pulled([x], traced.inputs, [v], traced.foreign)),
                chunk_size=chunk_size,
            )
            shape = tuple(output.shape)
            found = _rows(rows, output, traced.inputs)
            shaped = [r.reshape((*shape, *x.shape)) for r, x in zip(found, traced.inputs)]
            blocks.append(given.shaped(traced.settled(shaped)))
        made = tree_unflatten(blocks, traced.spec)
        return (made, traced.aux) if has_aux else made

    return wrapped


def _rows(mapped: Callable, along: Tensor, others: list) -> list:
    """A mapped function at the basis of a tensor; where that has no elements, no rows."""
    if along.numel():
        return list(mapped(_basis(along)))
    return [core.full((0, *x.shape), 0, x.dtype) for x in others]


def jacfwd(
    func: Callable,
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
    chunk_size: int | None = None,
) -> Callable:
    """The Jacobian by forward mode, in the form of `jacrev`: cheaper where outputs outnumber
    inputs. As `torch.func.jacfwd`.

    >>> import rushlight as rl
    >>> rl.func.jacfwd(lambda x: x * x)(rl.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        name = "jacfwd(f)(*args)"
        given = Differentiated(name, args, argnums)
        with pushing():
            traced = Traced(name, func, given, kwargs, has_aux)
        columns = [_columns(traced, x, randomness, chunk_size) for x in traced.inputs]
        blocks = [
            given.shaped(traced.settled([column[k] for column in columns]))
            for k in range(len(traced.outputs))
        ]
        made = tree_unflatten(blocks, traced.spec)
        return (made, traced.aux) if has_aux else made

    return wrapped


def _columns(traced: Traced, x: Tensor, randomness: str, chunk_size: int | None) -> list:
    """The derivatives of all outputs in one input, the input's dimensions last."""

    def pushed(tangent: Tensor) -> tuple:
        source = x._grad_fn
        known = {} if source is None else {source: [tangent]}
        found = push(traced.outputs, known, traced.foreign)
        return tuple(
            TAPE_HOOKS.zeros(out._layout) if t is None else t
            for t, out in zip(found, traced.outputs)
        )

    mapped = vmap(pushed, out_dims=-1, randomness=randomness, chunk_size=chunk_size)
    if not x.numel():
        return [core.full((*out.shape, *x.shape), 0, out.dtype) for out in traced.outputs]
    found = mapped(_basis(x))
    return [column.reshape((*out.shape, *x.shape)) for column, out in zip(found, traced.outputs)]


def hessian(func: Callable, argnums: Argnums = 0) -> Callable:
    """The second derivatives: forward mode over reverse mode, as `torch.func.hessian`.

    >>> import rushlight as rl
    >>> rl.func.hessian(lambda x: (x**3).sum())(rl.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)
