"""Jacobians, Hessians and their products with vectors, as `torch.autograd.functional`.

In: a function of tensors and the point. Out: tensors, nested in tuples as inputs and outputs are.
Invariant: everything but `jacobian(strategy="forward-mode")` is made of backward walks: a product
from the right (`jvp`, `hvp`) is the gradient of a product from the left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops.registry import TABLE
from .entries import TAPE_HOOKS, SourceGradFn
from .forward import push
from .modes import enable_grad
from .walk import grad

Function = Callable[..., Any]


def _listed(value: Any, name: str) -> tuple[bool, list]:
    """Whether a tuple was given, and its elements; TypeError for what is no tensor."""
    several = isinstance(value, (tuple, list))
    listed = list(value) if several else [value]
    for k, x in enumerate(listed):
        if not hasattr(x, "_layout"):
            raise TypeError(
                f"The {name} must be either a Tensor or a tuple of Tensors but the value at index "
                f"{k} has type {type(x)}."
            )
    return several, listed


def _leaves(inputs: list, create_graph: bool) -> list:
    """The inputs to differentiate with respect to: aliases on the tape, or leaves of their own."""
    return [
        x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_()
        for x in inputs
    ]


def _shaped(values: list, several: bool) -> Any:
    return tuple(values) if several else values[0]


def _gradients(
    outputs: list, inputs: list, weights: list | None, create_graph: bool, strict: bool
) -> list:
    """weights . Jacobian for each input; zeros (strict: RuntimeError) where an input is not
    reached.
    """
    pairs = [(k, out) for k, out in enumerate(outputs) if out.requires_grad]
    if strict and len(pairs) < len(outputs):
        constant = next(k for k, out in enumerate(outputs) if not out.requires_grad)
        raise RuntimeError(
            f"Output {constant} of the user-provided function does not require gradients. The "
            "outputs must be computed in a differentiable manner from the input when running in "
            "strict mode."
        )
    found: tuple = (None,) * len(inputs)
    if pairs:
        chosen = None if weights is None else [weights[k] for k, _ in pairs]
        found = grad(
            [out for _, out in pairs],
            inputs,
            chosen,
            create_graph=create_graph,
            retain_graph=True,
            allow_unused=True,
        )
    if strict and any(g is None for g in found):
        missing = [k for k, g in enumerate(found) if g is None]
        raise RuntimeError(
            f"The output of the user-provided function is independent of input {missing[0]}. This "
            "is not allowed in strict mode."
        )
    return [TAPE_HOOKS.zeros(x._layout) if g is None else g for g, x in zip(found, inputs)]


def _finished(values: list, create_graph: bool) -> list:
    return values if create_graph else [v.detach() for v in values]


def _weights(given: Any, like: list, what: str) -> list:
    """The vectors of a product; for a single number they may be left out."""
    if given is None:
        if len(like) != 1 or like[0]._layout.numel != 1:
            raise RuntimeError(
                f"The vector v can only be None if the {what} is a single Tensor with a single "
                "element: give one vector for "
                "each tensor"
            )
        return [TAPE_HOOKS.ones(like[0]._layout)]
    _, listed = _listed(given, "v")
    for k, (v, x) in enumerate(zip(listed, like)):
        if v.shape != x.shape:
            raise RuntimeError(
                f"Entry {k} in v has invalid size: should be {x.shape} but got {v.shape}."
            )
    if len(listed) != len(like):
        raise RuntimeError(
            f"v is a tuple of invalid length: should be {len(like)} but got {len(listed)}."
        )
    return listed


def vjp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(inputs), v . Jacobian), as `torch.autograd.functional.vjp`.

    >>> import rushlight as rl
    >>> rl.autograd.functional.vjp(lambda x: x * x, rl.tensor([1., 2.]), rl.tensor([1., 10.]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with enable_grad():
        several, listed = _listed(inputs, "inputs")
        leaves = _leaves(listed, create_graph)
        out_several, outputs = _listed(func(*leaves), "outputs of the user-provided function")
        found = _gradients(outputs, leaves, _weights(v, outputs, "output"), create_graph, strict)
    return _shaped(_finished(outputs, create_graph), out_several), _shaped(
        _finished(found, create_graph), several
    )


def jvp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(inputs), Jacobian . v), as `torch.autograd.functional.jvp`: the gradient of u .
    Jacobian . v in u.

    >>> import rushlight as rl
    >>> rl.autograd.functional.jvp(lambda x: x.sum(), rl.tensor([1., 2.]), rl.tensor([1., 10.]))
    (tensor(3.), tensor(11.))
    """
    with enable_grad():
        _, listed = _listed(inputs, "inputs")
        directions = _weights(v, listed, "input")
        leaves = _leaves(listed, create_graph)
        out_several, outputs = _listed(func(*leaves), "outputs of the user-provided function")
        duals = [TAPE_HOOKS.zeros(out._layout).requires_grad_() for out in outputs]
        rows = _gradients(outputs, leaves, duals, True, strict)
        found = _gradients(rows, duals, directions, create_graph, False)
    return _shaped(_finished(outputs, create_graph), out_several), _shaped(
        _finished(found, create_graph), out_several
    )


def jacobian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """d outputs / d inputs: tensors of the output's shape followed by the input's, as
    `torch.autograd.functional.jacobian`.

    With several inputs and outputs a tuple (outputs) of tuples (inputs). vectorize: all rows in one
    walk (or, with strategy="forward-mode", all columns in one push), which `vmap` maps over a
    basis. RuntimeError for vectorize with strict; NotImplementedError for forward mode without
    vectorize.

    >>> import rushlight as rl
    >>> rl.autograd.functional.jacobian(lambda x: x * x, rl.tensor([1., 2.]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_strategy("jacobian", strategy, "strategy", vectorize, strict)
    forward_mode = strategy == "forward-mode"
    if forward_mode and create_graph:
        raise NotImplementedError(
            "torch.autograd.functional.jacobian: `create_graph=True` is not implemented for "
            "`strategy='forward-mode'`: use func.jacfwd, which is differentiable"
        )
    with enable_grad():
        several, listed = _listed(inputs, "inputs")
        leaves = _leaves(listed, create_graph)
        if forward_mode:
            leaves = [SourceGradFn.alias(x.detach()) for x in leaves]
        out_several, outputs = _listed(func(*leaves), "outputs of the user-provided function")
        if forward_mode:
            blocks = _columns(outputs, leaves)
        else:
            rows = _mapped_rows if vectorize else _rows
            blocks = [_block(out, leaves, rows, create_graph, strict) for out in outputs]
    return _shaped(
        [_shaped(_finished(block, create_graph), several) for block in blocks], out_several
    )


def _check_strategy(name: str, strategy: str, option: str, vectorize: bool, strict: bool) -> None:
    """What cannot be asked for together."""
    place = f"torch.autograd.functional.{name}"
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            f"{place}: Expected {option} to be either 'forward-mode' or 'reverse-mode', but got "
            f"{strategy!r}. Hint: if your function has more outputs than inputs, 'forward-mode' "
            "tends to be faster."
        )
    if strict and (vectorize or strategy == "forward-mode"):
        raise RuntimeError(
            f"{place}: `strict=True` and `vectorize=True` are not supported together. Please "
            "either set `strict=False` or `vectorize=False`."
        )
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError(
            f"{place}: `vectorize=False` and `{option}='forward-mode'` are not supported together: "
            "set `vectorize=True`"
        )


def _block(output: Any, leaves: list, rows: Callable, create_graph: bool, strict: bool) -> list:
    """The Jacobians of one output."""
    shape = tuple(output.shape)
    if not output._layout.numel:
        return [
            TAPE_HOOKS.zeros(x._layout).expand((0, *x.shape)).reshape((*shape, *x.shape))
            for x in leaves
        ]
    found = rows(output, leaves, create_graph, strict)
    return [row.reshape((*shape, *x.shape)) for row, x in zip(found, leaves)]


def _rows(output: Any, leaves: list, create_graph: bool, strict: bool) -> list:
    """The gradients of each element of an output, one backward walk for each."""
    flat = output.reshape(-1)
    count = output._layout.numel
    rows = [_gradients([flat[k]], leaves, None, create_graph, strict) for k in range(count)]
    return [TABLE["stack"](list(each), 0) for each in zip(*rows)]


def _mapped_rows(output: Any, leaves: list, create_graph: bool, strict: bool) -> list:
    """The same in one backward walk."""
    mapped = TAPE_HOOKS.vmap(
        lambda weight: tuple(_gradients([output], leaves, [weight], create_graph, strict))
    )
    return list(mapped(_basis(output)))


def _basis(x: Any) -> Any:
    """One tensor of x's shape for each of its elements, one there and zero elsewhere."""
    count = x._layout.numel
    return x.detach().new_ones(count).diag().reshape((count, *x.shape))


def _columns(outputs: list, sources: list) -> list[list]:
    """For each output its Jacobians, by pushing a basis of each input."""
    columns = []
    for x in sources:

        def pushed(tangent: Any, source: Any = x) -> tuple:
            found = push(outputs, {source._grad_fn: [tangent]}, False)
            return tuple(
                TAPE_HOOKS.zeros(out._layout) if t is None else t for t, out in zip(found, outputs)
            )

        made = TAPE_HOOKS.vmap(pushed, out_dims=-1)(_basis(x))
        columns.append([each.reshape((*out.shape, *x.shape)) for each, out in zip(made, outputs)])
    return [list(block) for block in zip(*columns)]


def _scalar(func: Function) -> Function:
    """func, whose result must be a single number."""

    def checked(*inputs: Any) -> Any:
        out = func(*inputs)
        if not hasattr(out, "_layout"):
            raise RuntimeError("The function given to hessian should return a single Tensor")
        if out._layout.numel != 1:
            raise RuntimeError(
                "The Tensor returned by the function given to hessian should contain a single "
                "element"
            )
        return out.reshape(())

    return checked


def hessian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a scalar function, as `torch.autograd.functional.hessian`.

    >>> import rushlight as rl
    >>> rl.autograd.functional.hessian(lambda x: (x**3).sum(), rl.tensor([1., 2.]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    several, listed = _listed(inputs, "inputs")
    _check_strategy(
        "hessian", outer_jacobian_strategy, "outer_jacobian_strategy", vectorize, strict
    )
    scalar = _scalar(func)

    def gradient(*point: Any) -> Any:
        _, found = vjp(scalar, point, create_graph=True, strict=strict)
        return found

    made = jacobian(
        gradient, tuple(listed), create_graph, strict, vectorize, outer_jacobian_strategy
    )
    return made if several else made[0][0]


def vhp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(inputs), v . Hessian) of a scalar function, as `torch.autograd.functional.vhp`."""
    with enable_grad():
        several, listed = _listed(inputs, "inputs")
        directions = _weights(v, listed, "input")
        leaves = _leaves(listed, create_graph)
        output = _scalar(func)(*leaves)
        slopes = _gradients([output], leaves, None, True, strict)
        found = _gradients(slopes, leaves, directions, create_graph, strict)
    return _finished([output], create_graph)[0], _shaped(_finished(found, create_graph), several)


def hvp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(inputs), Hessian . v) of a scalar function, whose Hessian is symmetric: the same as
    `vhp`.
    """
    return vhp(func, inputs, v, create_graph, strict)
