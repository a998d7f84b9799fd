"""Modules as functions of their parameters.

In: modules and dictionaries of tensors. Out: what the module gives with these in place of its own,
or the tensors of many modules stacked. Invariant: a module is as it was after the call, also where
the call raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

from ..ops import core
from ..tensor.tensor import Tensor


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """module(*args, **kwargs) with the tensors of a dictionary (or of several) in place of its
    parameters and buffers. As `torch.func.functional_call`.

    args: a tuple, or the one argument. tie_weights: a tensor that the module has under several
    names is replaced under all of them when one is given. strict: every parameter and buffer must
    be given, and nothing else. RuntimeError otherwise; ValueError for a name given twice.

    >>> import rushlight as rl
    >>> layer = rl.nn.Linear(1, 1, bias=False)
    >>> rl.func.functional_call(layer, {"weight": rl.tensor([[3.0]])}, rl.tensor([2.0]))
    tensor([6.])
    """
    given = _joined(parameter_and_buffer_dicts)
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(module, given, tie_weights, strict):
        return module(*arguments, **(kwargs or {}))


def _joined(dictionaries: Any) -> dict[str, Tensor]:
    if isinstance(dictionaries, dict):
        return dictionaries
    if not isinstance(dictionaries, Sequence):
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(dictionaries)}"
        )
    if not all(isinstance(each, dict) for each in dictionaries):
        raise ValueError(
            "Expected all elements of parameter_and_buffer_dicts to be dictionaries, but got "
            f"{[type(each) for each in dictionaries]}"
        )
    names = [name for each in dictionaries for name in each]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"{name} appears in multiple dictionaries; behavior of functional call is ambiguous"
            )
    return {name: value for each in dictionaries for name, value in each.items()}


def _slots(module: Any) -> dict[str, tuple[dict, str]]:
    """Where each parameter and buffer of a module and its children is kept, by full name."""
    found: dict[str, tuple[dict, str]] = {}
    for prefix, child in module.named_modules(remove_duplicate=False):
        for table in (child._parameters, child._buffers):
            for name, value in table.items():
                if value is not None:
                    found[f"{prefix}.{name}" if prefix else name] = (table, name)
    return found


@contextmanager
def _replaced(
    module: Any, given: dict[str, Tensor], tie_weights: bool, strict: bool
) -> Iterator[None]:
    """The module with other tensors in its slots while the block runs."""
    slots = _slots(module)
    _check_names(type(module).__name__, given, slots, strict)
    values = {name: value for name, value in given.items() if name in slots}
    if tie_weights:
        tensors = {name: table[key] for name, (table, key) in slots.items()}
        by_tensor = {id(tensors[name]): value for name, value in given.items() if name in slots}
        for name, own in tensors.items():
            if name not in values and id(own) in by_tensor:
                values[name] = by_tensor[id(own)]
    before = {name: slots[name][0][slots[name][1]] for name in values}
    try:
        for name, value in values.items():
            table, key = slots[name]
            table[key] = value
        yield
    finally:
        for name, value in before.items():
            table, key = slots[name]
            if name in given and table[key] is not values[name]:
                given[name] = table[key]  # a buffer that the module assigned anew
            table[key] = value


def _check_names(kind: str, given: dict, slots: dict, strict: bool) -> None:
    """RuntimeError where a strict call names what there is not, or leaves out what there is."""
    unknown = [name for name in given if name not in slots]
    missing = [name for name in slots if name not in given]
    if strict and (unknown or missing):
        lists = {"Unexpected key(s)": unknown, "Missing key(s)": missing}
        raise RuntimeError(
            f"Error(s) in reparametrizing for {kind}:"
            + "".join(
                f"\n\t{title}: {', '.join(map(repr, names))}."
                for title, names in lists.items()
                if names
            )
        )


def stack_module_state(models: Sequence) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(parameters, buffers) of modules of one architecture, stacked along a new first dimension,
    as leaves of their own: for `vmap` over `functional_call`. As `torch.func.stack_module_state`.

    RuntimeError for no models, models of different classes, or in different modes.

    >>> import rushlight as rl
    >>> parameters, _ = rl.func.stack_module_state([rl.nn.Linear(2, 3) for _ in range(4)])
    >>> parameters["weight"].shape
    torch.Size([4, 3, 2])
    """
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if any(model.training != models[0].training for model in models):
        raise RuntimeError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )
    if any(type(model) is not type(models[0]) for model in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = {
        name: _stacked([dict(model.named_parameters())[name] for model in models])
        for name, _ in models[0].named_parameters()
    }
    buffers = {
        name: _stacked([dict(model.named_buffers())[name] for model in models])
        for name, _ in models[0].named_buffers()
    }
    return parameters, buffers


def _stacked(tensors: list[Tensor]) -> Tensor:
    needs = {x.requires_grad for x in tensors}
    if len(needs) > 1:
        raise RuntimeError(
            "stack_module_state: Expected either all of a parameter to require grad, or none: got "
            "a mix"
        )
    return core.stack([x.detach() for x in tensors], 0).requires_grad_(needs.pop())


def functionalize(func: Callable, *, remove: str = "mutations") -> Callable:
    """The function without in-place operations on what it makes, as `torch.func.functionalize`.

    Every in-place write is recorded as a pure operation already (docs/design/engine.md), views
    included, so the function itself is what is asked for. RuntimeError where `remove` is neither
    "mutations" nor "mutations_and_views".

    >>> import rushlight as rl
    >>> rl.func.functionalize(lambda x: x.clone().add_(1))(rl.zeros(2))
    tensor([1., 1.])
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            "functionalize(f, remove='mutations'): received invalid argument for remove='"
            f"{remove}'. Valid options are: 'mutations', 'mutations_and_views'"
        )

    @wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return wrapped
