"""Gradients of functions: `grad`, `vjp` (from the left), `jvp` and `linearize` (from the right).

In: a function of tensors, nested in containers or not. Out: functions, or values with a function
that pulls or pushes. Invariant: results are on the tape only where what they depend on outside the
function is (docs/design/functional_transforms.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from ..autograd.entries import TAPE_HOOKS
from ..autograd.forward import push, pushing
from ..autograd.modes import MODE
from ..autograd.walk import grad as pull
from ..base.pytree import tree_flatten, tree_unflatten
from .arguments import Argnums, Differentiated, Traced, matching, require_tensors


def grad(func: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """The gradient of a scalar function in the arguments named by argnums, as `torch.func.grad`.

    With has_aux, func returns (output, aux) and the result is (gradient, aux). RuntimeError where
    the output is not a tensor of no dimensions, or argnums names no argument.

    >>> import rushlight as rl
    >>> rl.func.grad(rl.func.grad(rl.sin))(rl.tensor(0.0))
    tensor(-0.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        slopes, value = both(*args, **kwargs)
        return (slopes, value[1]) if has_aux else slopes

    return wrapped


def grad_and_value(func: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """(gradient, value) of a scalar function, as `torch.func.grad_and_value`; with has_aux
    (gradient, (value, aux)).

    >>> import rushlight as rl
    >>> rl.func.grad_and_value(lambda x: x**2)(rl.tensor(3.0))
    (tensor(6.), tensor(9.))
    """

    @wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        name = "grad_and_value(f)(*args)"
        given = Differentiated(name, args, argnums)
        traced = Traced(name, func, given.require_floating(), kwargs, has_aux)
        if len(traced.outputs) != 1 or traced.spec.type is not None:
            raise RuntimeError(f"{name}: expected f(*args) to return a tensor, got {traced.spec}")
        output = traced.outputs[0]
        if output.ndim:
            raise RuntimeError(
                f"{name}: Expected f(*args) to return a scalar tensor, got tensor with "
                f"{output.ndim} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
            )
        found = pulled([output], traced.inputs, [None], traced.foreign)
        slopes = given.shaped(traced.settled(found))
        value = traced.result()
        return (slopes, (value, traced.aux)) if has_aux else (slopes, value)

    return wrapped


def pulled(outputs: Sequence, inputs: Sequence, weights: Sequence, create_graph: bool) -> list:
    """Gradients of outputs in inputs; zeros where there is no way."""
    reached = [k for k, x in enumerate(outputs) if x.requires_grad]
    known = [k for k, x in enumerate(inputs) if x.requires_grad]
    found: list = [None] * len(inputs)
    if reached and known:
        got = pull(
            [outputs[k] for k in reached],
            [inputs[k] for k in known],
            [weights[k] for k in reached],
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
        )
        for k, g in zip(known, got):
            found[k] = g
    return [TAPE_HOOKS.zeros(x._layout) if g is None else g for g, x in zip(found, inputs)]


def vjp(func: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """(output, pull): pull(cotangents) gives one gradient for each argument, as a tuple. As
    `torch.func.vjp`.

    cotangents are nested and shaped as the output. With has_aux (output, pull, aux).

    >>> import rushlight as rl
    >>> output, pull = rl.func.vjp(rl.sin, rl.tensor([0.0, 0.0]))
    >>> pull(rl.tensor([1.0, 2.0]))
    (tensor([1., 2.]),)
    """
    name = "vjp(f, *primals)"
    given = Differentiated(name, primals, tuple(range(len(primals))))
    traced = Traced(name, func, given.require_floating(), {}, has_aux)

    def pull_back(cotangents: Any, retain_graph: bool = True, create_graph: Any = None) -> tuple:
        weights = matching(name, cotangents, traced.spec, traced.outputs, "cotangents")
        outside = traced.foreign or any(w.requires_grad for w in weights)
        keep = (MODE.grad and outside) if create_graph is None else create_graph
        found = pulled(traced.outputs, traced.inputs, weights, keep)
        return given.shaped([g if keep else g.detach() for g in found])

    value = traced.result()
    return (value, pull_back, traced.aux) if has_aux else (value, pull_back)


def pushed(traced: Traced, tangents: Sequence, create_graph: bool) -> list:
    """The tangents of the outputs of a traced function; zeros where there is no way."""
    known = {x._grad_fn: [t] for x, t in zip(traced.inputs, tangents) if x.requires_grad}
    found = push(traced.outputs, known, create_graph)
    return [TAPE_HOOKS.zeros(x._layout) if t is None else t for t, x in zip(found, traced.outputs)]


def jvp(
    func: Callable,
    primals: tuple,
    tangents: tuple,
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> tuple:
    """(output, Jacobian . tangents), as `torch.func.jvp`; with has_aux (output, tangents, aux).

    primals and tangents are tuples, one entry for each argument, nested and shaped alike. With
    strict an output that does not depend on the primals is a RuntimeError.

    >>> import rushlight as rl
    >>> rl.func.jvp(rl.sin, (rl.tensor(0.0),), (rl.tensor(2.0),))
    (tensor(0.), tensor(2.))
    """
    name = "jvp(f, primals, tangents)"
    given, weights = _tuples(name, primals, tangents)
    with pushing():
        traced = Traced(name, func, given, {}, has_aux)
    if strict and not all(x.requires_grad for x in traced.outputs):
        raise RuntimeError(f"{name}: an output does not depend on the primals (strict=True)")
    outside = traced.foreign or (MODE.grad and any(t.requires_grad for t in weights))
    found = pushed(traced, weights, outside)
    moved = tree_unflatten([t if outside else t.detach() for t in found], traced.spec)
    value = traced.result()
    return (value, moved, traced.aux) if has_aux else (value, moved)


def _tuples(name: str, primals: Any, tangents: Any) -> tuple[Differentiated, list]:
    """The primals, and the leaves of the tangents; RuntimeError where they do not fit."""
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"{name}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    if not isinstance(tangents, tuple):
        raise RuntimeError(f"{name}: Expected tangents to be a tuple, as primals are")
    if not primals:
        raise RuntimeError(f"{name}: Expected primals to have at least one Tensor")
    given = Differentiated(name, primals, tuple(range(len(primals))))
    return given, matching(name, tangents, given.spec, given.leaves, "tangents")


def linearize(func: Callable, *primals: Any) -> tuple[Any, Callable]:
    """(output, push): push(*tangents) is the jvp at the primals, without running func again. As
    `torch.func.linearize`.

    >>> import rushlight as rl
    >>> output, push = rl.func.linearize(rl.sin, rl.tensor(0.0))
    >>> push(rl.tensor(3.0))
    tensor(3.)
    """
    name = "linearize(f, *primals)"
    given = Differentiated(name, primals, tuple(range(len(primals))))
    with pushing():
        traced = Traced(name, func, given, {}, False)

    def push_forward(*tangents: Any) -> Any:
        leaves, _ = tree_flatten(tangents)
        require_tensors(name, leaves, "tangents")
        weights = matching(name, tangents, given.spec, given.leaves, "tangents")
        return tree_unflatten(traced.settled(pushed(traced, weights, traced.foreign)), traced.spec)

    return traced.result(), push_forward
