"""Lending an optimizer other parameters and other state.

In: an optimizer, tensors in the order of its parameters, a `state_dict` of its shape. Out: a region
in which the optimizer works on those. Invariant: after it the optimizer is as it was before,
however the region ended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rushlight import Tensor

from .optimizer import Optimizer


@contextmanager
def swap_in_optimizer_params_and_state(
    optimizer: Optimizer,
    swapin_parameters: dict[str, Tensor],
    swapin_optim_state: dict[str, Any],
) -> Iterator[None]:
    """Inside, an optimizer steps on the given parameters, with the given state and options.

    swapin_parameters: as many as the optimizer has, in its order. swapin_optim_state: as
    `Optimizer.state_dict` gives it; tensors in it that are changed in place stay changed. Errors:
    ValueError where the numbers of groups or of parameters differ. Follows
    `torch.optim.swap_in_optimizer_params_and_state`.

    >>> import rushlight as rl
    >>> weight, other = rl.ones(1, requires_grad=True), rl.zeros(1, requires_grad=True)
    >>> optimizer = rl.optim.SGD([weight], lr=0.5)
    >>> other.grad = rl.ones(1)
    >>> with rl.optim.swap_in_optimizer_params_and_state(
    ...     optimizer, {"other": other}, optimizer.state_dict()
    ... ):
    ...     optimizer.step()
    >>> other.item(), weight.item()
    (-0.5, 1.0)
    """
    groups = swapin_optim_state["param_groups"]
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    given = [len(group["params"]) for group in groups]
    if sizes != given or sum(sizes) != len(swapin_parameters):
        raise ValueError(
            f"the optimizer has groups of {sizes} parameters, the state to swap in of {given}, and "
            f"{len(swapin_parameters)} parameters were given"
        )
    state_before = optimizer.state
    groups_before = [dict(group) for group in optimizer.param_groups]
    parameters = iter(swapin_parameters.values())
    state: defaultdict[Any, Any] = defaultdict(dict)
    try:
        for live, group in zip(optimizer.param_groups, groups, strict=True):
            chosen = [next(parameters) for _ in group["params"]]
            live.update({**group, "params": chosen})
            for parameter, number in zip(chosen, group["params"], strict=True):
                state[parameter] = dict(swapin_optim_state["state"].get(number, {}))
        optimizer.state = state
        yield
    finally:
        for live, before in zip(optimizer.param_groups, groups_before, strict=True):
            live.clear()
            live.update(before)
        optimizer.state = state_before
