"""Lending an optimizer other parameters: it steps on those, and comes back as it was."""

from __future__ import annotations

import pytest

import rushlight as rl


def test_state_and_parameters_come_back() -> None:
    weight, other = rl.ones(2, requires_grad=True), rl.zeros(2, requires_grad=True)
    optimizer = rl.optim.Adam([weight], lr=0.5)
    weight.grad = rl.ones(2)
    optimizer.step()
    lent = rl.optim.Adam([other], lr=0.25)
    other.grad = rl.ones(2)
    lent.step()
    state, groups, params = optimizer.state, dict(optimizer.param_groups[0]), weight.tolist()
    with rl.optim.swap_in_optimizer_params_and_state(
        optimizer, {"other": other}, lent.state_dict()
    ):
        assert optimizer.param_groups[0]["lr"] == 0.25
        optimizer.step()
    assert optimizer.state is state and optimizer.param_groups[0] == groups
    assert weight.tolist() == params and other.tolist() == pytest.approx([-0.5, -0.5])
    assert lent.state[other]["step"] == 2  # changed in place


def test_other_sizes_are_refused() -> None:
    optimizer = rl.optim.SGD([rl.ones(1, requires_grad=True)], lr=1.0)
    with (
        pytest.raises(ValueError, match="0 parameters were given"),
        rl.optim.swap_in_optimizer_params_and_state(optimizer, {}, optimizer.state_dict()),
    ):
        pass
