"""Gradients from the tape compared with finite differences, as `torch.autograd.gradcheck`.

In: a function of tensors and a point (float64 or complex128). Out: True, or GradcheckError with
both sides. Invariant: complex tensors count as pairs of real numbers on both sides, which is what
the gradient convention of the tape says they are.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from ..ops.registry import TABLE
from .entries import TAPE_HOOKS
from .forward import push, pushing, sources
from .walk import grad


class GradcheckError(RuntimeError):
    """A gradient that is not the slope."""


Function = Callable[..., Any]


def gradcheck(
    func: Function,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of func at inputs are those that central differences of step eps
    measure.

    |tape - measured| <= atol + rtol |measured| for every element of every Jacobian (with
    `fast_mode` for one random direction of each instead). Every output is differentiated by itself,
    the others' gradients being undefined. Where it does not hold: GradcheckError, or False with
    raise_exception=False. Follows `torch.autograd.gradcheck`.

    >>> import rushlight as rl
    >>> x = rl.tensor([0.5, 2.0], dtype=rl.float64, requires_grad=True)
    >>> rl.autograd.gradcheck(lambda x: (x * x).exp(), (x,))
    True
    """
    if check_batched_forward_grad and not check_forward_ad:
        raise ValueError(
            "Setting check_batched_forward_grad=True requires check_forward_ad to be True"
        )
    point = _listed(inputs)
    try:
        _check_inputs(point)
        check = _Check(func, point, eps, atol, rtol, nondet_tol, check_grad_dtypes)
        if check_backward_ad:
            check.run(fast_mode)
        if check_batched_grad:
            check.batched_rows()
        if check_forward_ad:
            check.forward(check_batched_forward_grad)
    except (GradcheckError, ValueError) as error:
        if raise_exception or isinstance(error, ValueError):
            raise
        return False
    return True


def gradgradcheck(
    func: Function,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """gradcheck of func's gradients, as functions of its inputs and of the gradients of its outputs
    (random ones if none are given). Follows `torch.autograd.gradgradcheck`.

    >>> import rushlight as rl
    >>> x = rl.tensor([0.5, 2.0], dtype=rl.float64, requires_grad=True)
    >>> rl.autograd.gradgradcheck(lambda x: x**3, (x,))
    True
    """
    point = _listed(inputs)
    weights = _listed(grad_outputs)
    if grad_outputs is None:
        weights = [
            _random_weight(out, gen_non_contig_grad_outputs)
            for out in _differentiable(func(*point))
        ]
    count = len(point)

    def gradients(*arguments: Any) -> tuple:
        leaves = [x for x in arguments[:count] if _needs_gradient(x)]
        outputs = _differentiable(func(*arguments[:count]))
        found = grad(outputs, leaves, list(arguments[count:]), create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(
        gradients,
        (*point, *weights),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
    )


# --- tensors as vectors of real numbers -----------------------------------------------------------


def _listed(value: Any) -> list:
    if value is None:
        return []
    return list(value) if isinstance(value, (tuple, list)) else [value]


def _needs_gradient(value: Any) -> bool:
    return hasattr(value, "_layout") and value.requires_grad


def _differentiable(outputs: Any) -> list:
    return [out for out in _listed(outputs) if _needs_gradient(out)]


def _numbers(tensor: Any) -> np.ndarray:
    """The elements of a tensor as a vector of real numbers (two for each complex one)."""
    values = np.array(tensor.detach().numpy())
    return values.reshape(-1).view(values.real.dtype)


def _with_numbers(like: Any, numbers: np.ndarray) -> Any:
    """A leaf of the shape and dtype of a tensor that holds other numbers."""
    made = like.detach().clone()
    target = made.numpy()
    target[...] = numbers.astype(target.real.dtype).view(target.dtype).reshape(target.shape)
    return made.requires_grad_(like.requires_grad)


def _random_weight(out: Any, transposed: bool) -> Any:
    generator = np.random.default_rng(out._layout.numel)
    like = out.detach()
    if transposed and like.ndim > 1:
        like = like.transpose(0, 1).contiguous().transpose(0, 1)
    return _with_numbers(like, generator.standard_normal(_numbers(out).size)).requires_grad_()


def _check_inputs(point: list) -> None:
    """ValueError where nothing needs a gradient; RuntimeError for overlapping memory; a warning for
    low precision.
    """
    leaves = [(k, x) for k, x in enumerate(point) if _needs_gradient(x)]
    if not leaves:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them "
            "have requires_grad=True."
        )
    for k, x in leaves:
        if x.dtype.name not in ("float64", "complex128"):
            warnings.warn(
                f"Input #{k} requires gradient and is not a double precision floating point or "
                "complex. This check will likely fail if all the inputs are not of double "
                "precision floating point or complex.",
                stacklevel=4,
            )
        if any(stride == 0 and extent > 1 for extent, stride in zip(x.shape, x.stride())):
            raise RuntimeError(
                f"The {k}th input has a dimension with stride 0. gradcheck only supports inputs "
                "that are non-overlapping to be able to compute the numerical gradients correctly. "
                "You should call .contiguous on the input before passing it to gradcheck."
            )


class _Check:
    """One function at one point."""

    def __init__(
        self,
        func: Function,
        point: list,
        eps: float,
        atol: float,
        rtol: float,
        nondet_tol: float,
        check_dtypes: bool,
    ) -> None:
        self.func = func
        self.point = point
        self.places = [k for k, x in enumerate(point) if _needs_gradient(x)]
        self.eps, self.atol, self.rtol = eps, atol, rtol
        self.nondet_tol = nondet_tol
        self.check_dtypes = check_dtypes

    def run(self, fast: bool) -> None:
        outputs = _listed(self.func(*self.point))
        floating = [
            k
            for k, out in enumerate(outputs)
            if hasattr(out, "_layout") and out.dtype.kind in ("float", "complex")
        ]
        for number in floating:
            compare = self.along_directions if fast else self.whole_jacobians
            compare(number, outputs[number])

    def leaves(self) -> list:
        return [self.point[k] for k in self.places]

    def taped(self, output: Any, weight: np.ndarray) -> list[np.ndarray]:
        """weight . Jacobian for each leaf, from the tape; zeros where nothing reaches it."""
        if not _needs_gradient(output):
            return [np.zeros_like(_numbers(x)) for x in self.leaves()]
        weights = _with_numbers(output.detach(), weight)
        rows: list[list[np.ndarray]] = []
        for _ in range(2):
            found = grad([output], self.leaves(), [weights], retain_graph=True, allow_unused=True)
            for g, x in zip(found, self.leaves()):
                self.check_form(g, x)
            rows.append(
                [
                    np.zeros_like(_numbers(x)) if g is None else _numbers(g)
                    for g, x in zip(found, self.leaves())
                ]
            )
        for first, second in zip(*rows):
            if not np.allclose(first, second, rtol=0, atol=self.nondet_tol, equal_nan=True):
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and "
                    "grad_output multiple times gives different values, although analytical "
                    "gradient matches numerical gradient.The tolerance for nondeterminism was "
                    f"{self.nondet_tol}."
                )
        return rows[0]

    def check_form(self, g: Any, x: Any) -> None:
        """The gradient has its leaf's shape and, where asked, dtype."""
        if g is None:
            return
        if tuple(g.shape) != tuple(x.shape):
            raise GradcheckError(
                f"grad is incorrect size: {list(g.shape)} for an input of {list(x.shape)}"
            )
        if self.check_dtypes and g.dtype is not x.dtype:
            raise GradcheckError(f"grad is incorrect type: {g.dtype} for an input of {x.dtype}")

    def values(self, number: int, place: int, numbers: np.ndarray) -> np.ndarray:
        """Output `number` where input `place` holds other numbers."""
        arguments = list(self.point)
        arguments[place] = _with_numbers(self.point[place], numbers)
        return _numbers(_listed(self.func(*arguments))[number])

    def slope(self, number: int, place: int, direction: np.ndarray) -> np.ndarray:
        """The measured derivative of output `number` along a direction of input `place`."""
        here = _numbers(self.point[place])
        ahead = self.values(number, place, here + self.eps * direction)
        behind = self.values(number, place, here - self.eps * direction)
        return (ahead - behind) / (2 * self.eps)

    def whole_jacobians(self, number: int, output: Any) -> None:
        rows = [self.taped(output, unit) for unit in np.eye(_numbers(output).size)]
        for at, place in enumerate(self.places):
            size = _numbers(self.point[place]).size
            measured = np.array([self.slope(number, place, unit) for unit in np.eye(size)]).reshape(
                size, -1
            )
            taped = np.array([row[at] for row in rows]).reshape(-1, size).T
            self.compare(number, place, taped, measured)

    def along_directions(self, number: int, output: Any) -> None:
        generator = np.random.default_rng(0)
        weight = _unit(generator, _numbers(output).size)
        rows = self.taped(output, weight)
        for at, place in enumerate(self.places):
            direction = _unit(generator, _numbers(self.point[place]).size)
            measured = np.asarray(np.dot(self.slope(number, place, direction), weight))
            self.compare(number, place, np.asarray(np.dot(rows[at], direction)), measured)

    def forward(self, batched: bool) -> None:
        """The tangents of all outputs along every direction of every input, as measured; with
        `batched` also those that vmap gives.
        """
        for place in self.places:
            start = sources([self.point[place]])
            arguments = [start.tensors[0] if k == place else x for k, x in enumerate(self.point)]
            with start, pushing():
                outputs = _listed(self.func(*arguments))
            size = _numbers(self.point[place]).size
            units = [_with_numbers(self.point[place].detach(), unit) for unit in np.eye(size)]

            def tangents(unit: Any, outputs: list = outputs, source: Any = start) -> tuple:
                found = push(outputs, {source.entries[0]: [unit]}, False)
                return tuple(
                    TAPE_HOOKS.zeros(x._layout) if t is None else t for t, x in zip(found, outputs)
                )

            columns = list(zip(*map(tangents, units)))
            for number, column in enumerate(columns):
                pushed = np.array([_numbers(t) for t in column])
                measured = np.array([self.slope(number, place, unit) for unit in np.eye(size)])
                self.compare(number, place, pushed, measured)
            if batched and units:
                mapped = TAPE_HOOKS.vmap(tangents)(TABLE["stack"](units, 0))
                self.agree(mapped, columns, "forward")

    def batched_rows(self) -> None:
        """The gradients for several cotangents at once, by vmap, as one after the other."""
        for output in _differentiable(self.func(*self.point)):
            generator = np.random.default_rng(1)
            weights = [
                _with_numbers(output.detach(), generator.standard_normal(_numbers(output).size))
                for _ in range(2)
            ]
            each = [
                grad([output], self.leaves(), w, retain_graph=True, materialize_grads=True)
                for w in weights
            ]
            stacked = TABLE["stack"](weights, 0)
            mapped = grad(
                [output],
                self.leaves(),
                stacked,
                retain_graph=True,
                is_grads_batched=True,
                materialize_grads=True,
            )
            self.agree(mapped, list(zip(*each)), "backward")

    def agree(self, mapped: Any, each: list, mode: str) -> None:
        """vmap gave what a loop gave."""
        for number, (many, ones) in enumerate(zip(mapped, each)):
            wanted = np.array([_numbers(x) for x in ones])
            found = _numbers(many).reshape(wanted.shape)
            if not np.allclose(found, wanted, rtol=self.rtol, atol=self.atol):
                raise GradcheckError(
                    f"While attempting to test batched {mode}-mode derivatives, number {number} "
                    "does not agree with what a loop over the batch gives:\n"
                    f"vmap:{found}\nloop:{wanted}\n"
                )

    def compare(self, number: int, place: int, taped: np.ndarray, measured: np.ndarray) -> None:
        if not np.allclose(taped, measured, rtol=self.rtol, atol=self.atol):
            raise GradcheckError(
                f"Jacobian mismatch for output {number} with respect to input {place},\n"
                f"numerical:{measured}\nanalytical:{taped}\n"
            )


def _unit(generator: np.random.Generator, size: int) -> np.ndarray:
    """A random direction of length one."""
    direction = generator.standard_normal(size)
    return direction / max(float(np.linalg.norm(direction)), 1e-300)


class _CallableModule(ModuleType):
    """This module, called as its function of the same name (importing it hides that function)."""

    def __call__(self, *args: Any, **kwargs: Any) -> bool:
        return gradcheck(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
