"""Limited-memory BFGS, after `torch.optim.LBFGS`.

In: one parameter group, and a closure that can be called many times.
Out: rewritten parameters; the whole memory of the method in the state of the first parameter.
Invariant: all parameters together are one flat vector; losses, slopes and step lengths are Python
numbers, vectors are tensors. Between two calls of the closure only the numbers that decide a branch
are read back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import rushlight

from .optimizer import Closure, Group, Optimizer, State, as_number, check_learning_rate, real_view

if TYPE_CHECKING:
    from rushlight import Tensor


class LBFGS(Optimizer):
    r"""Quasi-Newton steps from the last `history_size` pairs of (step, change of gradient).

        d = -H g  by the two-loop recursion,   p = p + t * d

    with t = lr (min(1, 1 / |g|_1) * lr at the first step), or by a search for the strong Wolfe
    conditions with `line_search_fn="strong_wolfe"`. A call of `step` runs up to `max_iter`
    iterations or `max_eval` evaluations (1.25 * max_iter by default), and stops when the largest
    gradient is at most `tolerance_grad` or the step or the change of the loss falls under
    `tolerance_change`.
    Errors: ValueError for a negative rate or several groups, RuntimeError for another line search.
    Nocedal and Wright, Numerical Optimization, chapters 3 and 7.

    >>> import rushlight as rl
    >>> weight = rl.tensor([3.0], requires_grad=True)
    >>> optimizer = rl.optim.LBFGS([weight], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((weight - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> first_loss = optimizer.step(closure)
    >>> round(weight.item(), 3)
    1.0
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_learning_rate(lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    @property
    def _params(self) -> list[Tensor]:
        params: list[Tensor] = self.param_groups[0]["params"]
        return params

    # ---- all parameters as one vector

    def _flat_gradient(self) -> Tensor:
        parts = [
            rushlight.zeros_like(param) if param.grad is None else param.grad
            for param in self._params
        ]
        return rushlight.cat([real_view(part).reshape(-1) for part in parts])

    def _move(self, length: float, direction: Tensor) -> None:
        """p = p + length * direction, each parameter taking its own stretch of the flat
        direction.
        """
        offset = 0
        for param in self._params:
            value = self.read(param)
            part = direction[offset : offset + value.numel()].view_as(value)
            self.write(param, value.add(part, alpha=length))
            offset += value.numel()

    def _try(
        self, closure: Closure, start: list[Tensor], length: float, direction: Tensor
    ) -> tuple[float, Tensor]:
        """Loss and gradient at start + length * direction; the parameters are put back to start."""
        self._move(length, direction)
        loss = float(closure())
        gradient = self._flat_gradient()
        for param, value in zip(self._params, start, strict=True):
            self.write(param, value)
        return loss, gradient

    # ---- the method

    def step(self, closure: Closure | None = None) -> Any:
        """Run up to `max_iter` iterations; return the loss of the first call of `closure`."""
        if closure is None:
            raise TypeError(
                "LBFGS.step() missing 1 required positional argument: 'closure', a function that "
                "recomputes the loss and its gradients"
            )
        with rushlight.no_grad():
            result = self._run(rushlight.enable_grad()(closure))
        rushlight._step_boundary()
        return result

    def _run(self, closure: Closure) -> Any:
        group, state = self.param_groups[0], self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = closure()
        loss, gradient, evaluations = float(first_loss), self._flat_gradient(), 1
        state["func_evals"] += 1
        if _largest(gradient) <= group["tolerance_grad"]:
            return first_loss
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            _update_direction(state, gradient, group["history_size"])
            state["prev_flat_grad"], state["prev_loss"] = gradient, loss
            direction = state["d"]
            length = float(as_number(group["lr"]))
            if state["n_iter"] == 1:
                length *= min(1.0, 1.0 / float(gradient.abs().sum()))
            state["t"] = length
            slope = float(gradient.dot(direction))
            if slope > -group["tolerance_change"]:
                break
            last = iteration == group["max_iter"]
            point, spent = self._advance_along(
                closure, group, _Point(length, loss, gradient, slope), evaluations, last
            )
            state["t"], loss, gradient = point.length, point.loss, point.gradient
            evaluations += spent
            state["func_evals"] += spent
            if last or evaluations >= group["max_eval"] or self._converged(group, state, point):
                break
        return first_loss

    def _advance_along(
        self, closure: Closure, group: Group, here: _Point, evaluations: int, last: bool
    ) -> tuple[_Point, int]:
        """Move the parameters along the direction; return where they are now and the evaluations
        spent.

        `here` holds the loss, gradient and slope at the start, and the length to try first. Without
        a line search the loss after the last iteration would be unused, so it is not computed.
        """
        direction = self.state[self._params[0]]["d"]
        if group["line_search_fn"] is None:
            self._move(here.length, direction)
            if last:
                return here, 0
            loss = float(closure())
            return here._replace(loss=loss, gradient=self._flat_gradient()), 1
        if group["line_search_fn"] != "strong_wolfe":
            raise RuntimeError("only 'strong_wolfe' is supported")
        start = [param.clone() for param in self._params]

        def evaluate(length: float) -> _Point:
            loss, gradient = self._try(closure, start, length, direction)
            return _Point(length, loss, gradient, float(gradient.dot(direction)))

        budget = group["max_eval"] - evaluations
        point, spent = _strong_wolfe(evaluate, here, _largest(direction), budget)
        self._move(point.length, direction)
        return point, spent

    def _converged(self, group: Group, state: State, point: _Point) -> bool:
        tolerance = group["tolerance_change"]
        return (
            _largest(point.gradient) <= group["tolerance_grad"]
            or _largest(state["d"]) * abs(point.length) <= tolerance
            or abs(point.loss - state["prev_loss"]) < tolerance
        )


class _Point(NamedTuple):
    """A place on the search line: how far along, and the loss, gradient and slope there."""

    length: float
    loss: float
    gradient: Tensor
    slope: float


def _largest(vector: Tensor) -> float:
    return float(vector.abs().max())


def _update_direction(state: State, gradient: Tensor, history_size: int) -> None:
    """Put -H * gradient into `state["d"]`, after the last step has joined the history.

    A pair whose curvature y.s is not positive would spoil H and is left out.
    """
    if state["n_iter"] == 1:
        state.update(d=-gradient, old_dirs=[], old_stps=[], ro=[], H_diag=1)
        return
    change = gradient - state["prev_flat_grad"]
    moved = state["d"] * state["t"]
    curvature = float(change.dot(moved))
    old_changes, old_moves, inverses = state["old_dirs"], state["old_stps"], state["ro"]
    if curvature > 1e-10:
        if len(old_changes) == history_size:
            for history in (old_changes, old_moves, inverses):
                history.pop(0)
        old_changes.append(change)
        old_moves.append(moved)
        inverses.append(1.0 / curvature)
        state["H_diag"] = curvature / float(change.dot(change))
    direction = -gradient
    weights = []
    history = list(zip(old_changes, old_moves, inverses, strict=True))
    for y, s, inverse in reversed(history):
        weights.append(s.dot(direction) * inverse)
        direction = direction - y * weights[-1]
    direction = direction * state["H_diag"]
    for (y, s, inverse), weight in zip(history, reversed(weights), strict=True):
        direction = direction + s * (weight - y.dot(direction) * inverse)
    state["d"] = direction


def _cubic_minimum(a: _Point, b: _Point, bounds: tuple[float, float]) -> float:
    """The minimum, within bounds, of the cubic through both points with their slopes; the middle
    if it has none.
    """
    if a.length > b.length:
        a, b = b, a
    low, high = bounds
    width = b.length - a.length
    if width == 0:
        return (low + high) / 2.0
    d1 = a.slope + b.slope + 3 * (a.loss - b.loss) / width
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    d2 = math.sqrt(square)
    denominator = b.slope - a.slope + 2 * d2
    if denominator == 0:
        return (low + high) / 2.0
    minimum = b.length - width * ((b.slope + d2 - d1) / denominator)
    return min(max(minimum, low), high)


_SUFFICIENT_DECREASE = 1e-4
_CURVATURE = 0.9
_SMALLEST_BRACKET = 1e-9


def _strong_wolfe(
    evaluate: Callable[[float], _Point], here: _Point, largest_direction: float, budget: int
) -> tuple[_Point, int]:
    """A point that fulfils both strong Wolfe conditions, or the best one that `budget` rounds find.

    `here` is the start, its `length` being the first length to try. Returns the point and the
    evaluations spent. First the interval grows until it must hold such a point, then it shrinks
    around it (Nocedal and Wright 3.5, 3.6).
    """
    start = here._replace(length=0.0)
    previous, point, rounds = start, evaluate(here.length), 0
    bracket: list[_Point] = []
    while rounds < budget:
        too_high = point.loss > start.loss + _SUFFICIENT_DECREASE * point.length * start.slope
        if too_high or (rounds > 1 and point.loss >= previous.loss):
            bracket = [previous, point]
            break
        if abs(point.slope) <= -_CURVATURE * start.slope:
            return point, rounds + 1
        if point.slope >= 0:
            bracket = [previous, point]
            break
        nearest = point.length + 0.01 * (point.length - previous.length)
        length = _cubic_minimum(previous, point, (nearest, point.length * 10))
        previous, point, rounds = point, evaluate(length), rounds + 1
    return _zoom(evaluate, start, bracket or [start, point], largest_direction, budget, rounds)


def _zoom(
    evaluate: Callable[[float], _Point],
    start: _Point,
    bracket: list[_Point],
    largest_direction: float,
    budget: int,
    rounds: int,
) -> tuple[_Point, int]:
    """Shrink the bracket until its better end fulfils both conditions; see `_strong_wolfe`."""
    low, high = sorted(bracket, key=lambda point: point.loss)
    stalled = False
    while rounds < budget:
        left, right = sorted((low.length, high.length))
        if (right - left) * largest_direction < _SMALLEST_BRACKET:
            break
        length = _cubic_minimum(low, high, (left, right))
        margin = 0.1 * (right - left)
        if min(right - length, length - left) < margin:
            # Twice in a row next to an end, or on it: step inside, or the interval would not
            # shrink.
            if stalled or length >= right or length <= left:
                nearer_right = abs(length - right) < abs(length - left)
                length = right - margin if nearer_right else left + margin
                stalled = False
            else:
                stalled = True
        else:
            stalled = False
        point, rounds = evaluate(length), rounds + 1
        allowed = start.loss + _SUFFICIENT_DECREASE * length * start.slope
        if point.loss > allowed or point.loss >= low.loss:
            high = point
            if high.loss < low.loss:
                low, high = high, low
            continue
        done = abs(point.slope) <= -_CURVATURE * start.slope
        if not done and point.slope * (high.length - low.length) >= 0:
            high = low
        low = point
        if done:
            break
    return low, rounds + 1
