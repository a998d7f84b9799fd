"""PyTorch's databases of modules and optimizers against rushlight.

In: the name of a class. Out: a `Row` as of operators.py. The columns of a module: `module` (keys
and shapes of the state_dict, outputs and all gradients with PyTorch's weights, in training and in
evaluation) and `initial` (bit-equal parameters after manual_seed). Of an optimizer: `optimizer`
(parameters after five steps, for every set of options).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_modules import module_db
from torch.testing._internal.common_optimizers import optim_db

import rushlight

from .bridge import Bridge, array, carry, flat
from .operators import Row, difference

MODULES = {info.module_cls.__name__: info for info in module_db}
OPTIMIZERS = {info.optim_cls.__name__: info for info in optim_db}
# How PyTorch computes a step, not what: every one of these gives the same numbers.
IMPLEMENTATION = ("foreach", "fused", "capturable", "differentiable")


def check_module(name: str) -> Row:
    """Compare a kind of module on all its inputs."""
    info, row = MODULES[name], Row(name)
    for training in (True, False):
        inputs = info.module_inputs_func(
            info, device="cpu", dtype=torch.float32, requires_grad=True, training=training
        )
        for given in inputs:
            if given.forward_input is not None:
                _compare_module(info.module_cls, row, given, training)
    return row


def _compare_module(kind: Any, row: Row, given: Any, training: bool) -> None:
    made, called = given.constructor_input, given.forward_input
    if any(isinstance(part, torch.nn.Module) for part in flat([made.args, made.kwargs])):
        return
    try:
        torch.manual_seed(0)
        theirs = kind(*made.args, **made.kwargs).train(training)
        fresh = _tensors(theirs)
        torch.manual_seed(1)
        wanted = theirs(*called.args, **called.kwargs)
    except Exception:
        return
    try:
        bridge = Bridge()
        arguments = bridge.cross([list(made.args), dict(made.kwargs)])
        rushlight.manual_seed(0)
        own = getattr(rushlight.nn, kind.__name__)(*arguments[0], **arguments[1]).train(training)
        state = _tensors(own)
        row.count("initial", _state_difference(fresh, state))
        if list(state) != list(fresh):
            raise KeyError(f"state_dict has {list(state)}, not {list(fresh)}")
        own.load_state_dict({key: carry(value) for key, value in fresh.items()}, strict=False)
        inputs = Bridge()
        positional, named = inputs.cross([list(called.args), dict(called.kwargs)])
        rushlight.manual_seed(1)
        found = own(*positional, **named)
        reason = difference(wanted, found, scale=2)
        if reason is None:
            pairs = _backward(wanted, found, theirs, own, inputs.leaves)
            reason = next(pairs, None)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    row.count("module", reason)


def _tensors(module: Any) -> dict[str, Any]:
    """The tensors of a state_dict as they are now."""
    return {
        key: value.detach().clone()
        for key, value in module.state_dict().items()
        if hasattr(value, "shape")
    }


def _state_difference(fresh: dict[str, Any], state: dict[str, Any]) -> str | None:
    for key, value in fresh.items():
        if key not in state:
            return f"no {key}"
        if not np.array_equal(array(value), array(state[key]), equal_nan=True):
            return f"{key} differs"
    return None


def _backward(
    wanted: Any, found: Any, theirs: Any, own: Any, leaves: list[tuple[Any, Any]]
) -> Iterator[str]:
    """How the gradients of the sum of all results differ."""
    pairs = [
        (w, f)
        for w, f in zip(flat(wanted), flat(found))
        if isinstance(w, torch.Tensor) and w.requires_grad
    ]
    if not pairs:
        return
    sum(w.float().sum() for w, _ in pairs).backward()
    sum(f.float().sum() for _, f in pairs).backward()
    named = zip(theirs.named_parameters(), own.named_parameters())
    places = [(name, w, f) for (name, w), (_, f) in named]
    places += [("input", w, f) for w, f in leaves if w.is_leaf]
    for name, w, f in places:
        if w.grad is not None:
            reason = "missing" if f.grad is None else difference(w.grad, f.grad, scale=10)
            if reason:
                yield f"gradient of {name}: {reason}"


def check_optimizer(name: str) -> Row:
    """Compare an optimizer under all sets of options."""
    info, row = OPTIMIZERS[name], Row(name)
    for given in info.optim_inputs_func(device="cpu"):
        options = {k: v for k, v in given.kwargs.items() if k not in (*IMPLEMENTATION, "params")}
        try:
            wanted = _five_steps(info.optim_cls, options, torch.from_numpy)
        except Exception:
            continue
        try:
            own = getattr(rushlight.optim, name)
            found = _five_steps(own, Bridge().cross(options), rushlight.from_numpy)
            reason = difference(wanted, found, scale=2)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        row.count("optimizer", reason)
    return row


def _five_steps(optimizer: Any, options: dict, tensor: Callable[[np.ndarray], Any]) -> list[Any]:
    """Parameters after five steps towards fixed targets."""
    numbers = np.random.default_rng(0)
    shapes = ((5, 3), (7, 7), (2, 3))
    parameters = [tensor(numbers.standard_normal(shape).astype(np.float32)) for shape in shapes]
    targets = [tensor(numbers.standard_normal(shape).astype(np.float32)) for shape in shapes]
    for parameter in parameters:
        parameter.requires_grad_(True)
    made = optimizer(parameters, **options)

    def loss() -> Any:
        made.zero_grad()
        total = sum(((p - t) ** 2).sum() for p, t in zip(parameters, targets))
        total.backward()
        return total

    for _ in range(5):
        made.step(loss)
    return parameters
