"""User functions that run around a module's forward and backward pass.

In: a module with at least one registered hook (or a hook for all modules) and the arguments of a
call. Out: the call's result, with every hook run in the order PyTorch documents.
Invariant: a module without hooks never reaches this file (see `Module.__call__`).
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.utils.hooks import RemovableHandle

Hook = Callable[..., Any]


class HookTables:
    """The hooks that apply to every module of the process."""

    def __init__(self) -> None:
        self.forward: OrderedDict[int, Hook] = OrderedDict()
        self.forward_pre: OrderedDict[int, Hook] = OrderedDict()
        self.backward: OrderedDict[int, Hook] = OrderedDict()
        self.backward_pre: OrderedDict[int, Hook] = OrderedDict()
        self.with_kwargs: OrderedDict[int, bool] = OrderedDict()
        self.always_called: OrderedDict[int, bool] = OrderedDict()
        self.active = False  # whether any of the four tables of hooks may have an entry
        # what is told when a module gets a member, by the member's kind
        self.registration: dict[str, OrderedDict[int, Hook]] = {
            kind: OrderedDict() for kind in ("parameter", "buffer", "module")
        }

    def registering(self, kind: str, module: Any, name: str, member: Any) -> Any:
        """The member to register: the given one, or what a hook makes of it."""
        for hook in self.registration[kind].values():
            made = hook(module, name, member)
            member = member if made is None else made
        return member

    def refresh(self) -> None:
        """Notice that the last hook was removed."""
        tables = (self.forward, self.forward_pre, self.backward, self.backward_pre)
        self.active = any(tables)


for_all_modules = HookTables()


def add_hook(table: OrderedDict[int, Hook], hook: Hook, extras: list[Any], prepend: bool) -> Any:
    """Enter `hook` into `table` and into the marker tables `extras`; returns the handle."""
    handle = RemovableHandle(table, extra_dict=extras)
    table[handle.id] = hook
    for extra in extras:
        extra[handle.id] = True
    if prepend:
        table.move_to_end(handle.id, last=False)
    return handle


def register_module_forward_pre_hook(hook: Hook) -> RemovableHandle:
    """Run `hook(module, args)` before the forward call of every module.

    >>> import rushlight as rl
    >>> from rushlight.nn.modules.module import register_module_forward_pre_hook
    >>> hook = lambda module, args: print(type(module).__name__)
    >>> with register_module_forward_pre_hook(hook):
    ...     _ = rl.nn.ReLU()(rl.ones(1))
    ReLU
    """
    for_all_modules.active = True
    return add_hook(for_all_modules.forward_pre, hook, [], False)


def register_module_forward_hook(
    hook: Hook, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Run `hook(module, args, output)` after the forward call of every module.

    >>> import rushlight as rl
    >>> from rushlight.nn.modules.module import register_module_forward_hook
    >>> hook = lambda module, args, output: print(type(module).__name__)
    >>> with register_module_forward_hook(hook):
    ...     _ = rl.nn.ReLU()(rl.ones(1))
    ReLU
    """
    for_all_modules.active = True
    extras: list[Any] = [for_all_modules.with_kwargs] if with_kwargs else []
    extras += [for_all_modules.always_called] if always_call else []
    return add_hook(for_all_modules.forward, hook, extras, False)


def register_module_full_backward_pre_hook(hook: Hook) -> RemovableHandle:
    """Run `hook(module, grad_output)` before the backward pass of every module."""
    for_all_modules.active = True
    return add_hook(for_all_modules.backward_pre, hook, [], False)


def register_module_full_backward_hook(hook: Hook) -> RemovableHandle:
    """Run `hook(module, grad_input, grad_output)` after the backward pass of every module."""
    for_all_modules.active = True
    return add_hook(for_all_modules.backward, hook, [], False)


def register_module_backward_hook(hook: Hook) -> RemovableHandle:
    """The older name of `register_module_full_backward_hook`."""
    return register_module_full_backward_hook(hook)


def register_module_parameter_registration_hook(hook: Hook) -> RemovableHandle:
    """Run `hook(module, name, parameter)` when a module gets one; it may return another.

    >>> import rushlight as rl
    >>> from rushlight.nn.modules.module import register_module_parameter_registration_hook
    >>> with register_module_parameter_registration_hook(lambda m, name, p: print(name)):
    ...     _ = rl.nn.Linear(1, 1)
    weight
    bias
    """
    return add_hook(for_all_modules.registration["parameter"], hook, [], False)


def register_module_buffer_registration_hook(hook: Hook) -> RemovableHandle:
    """Run `hook(module, name, buffer)` when a module gets one; it may return another."""
    return add_hook(for_all_modules.registration["buffer"], hook, [], False)


def register_module_module_registration_hook(hook: Hook) -> RemovableHandle:
    """Run `hook(module, name, child)` when a module gets one; it may return another."""
    return add_hook(for_all_modules.registration["module"], hook, [], False)


class BackwardCall:
    """One call of a module as its backward hooks see it.

    The inputs and the outputs each pass through an identity node. The node at the outputs is met
    first during backward: it keeps `grad_output` and runs the pre-hooks. The node at the inputs
    is met last: it runs the hooks, which may replace `grad_input`.
    """

    def __init__(self, module: Any, hooks: list[Hook], pre_hooks: list[Hook]) -> None:
        self.module = module
        self.hooks = hooks
        self.pre_hooks = pre_hooks
        self.input_count = 0
        self.input_places: list[int] | None = None
        self.output_count = 0
        self.output_places: list[int] = []
        self.grad_outputs: tuple[Any, ...] | None = None

    def watch_inputs(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        self.input_count = len(arguments)
        places, watched = _through(_AtInputs, self, arguments)
        self.input_places = places
        return watched

    def watch_outputs(self, result: Any) -> Any:
        results = result if isinstance(result, tuple) else (result,)
        self.output_count = len(results)
        places, watched = _through(_AtOutputs, self, results)
        self.output_places = places or []
        return watched if isinstance(result, tuple) else watched[0]

    def begin(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        """Backward reached the outputs: run the pre-hooks, remember what they made of it."""
        grad_outputs = _spread(self.output_places, gradients, self.output_count)
        for hook in self.pre_hooks:
            grad_outputs = _replaced(hook(self.module, grad_outputs), grad_outputs, "grad_output")
        if self.input_places is None:
            warnings.warn(
                "Full backward hook is firing when gradients are computed with respect to module "
                "outputs since no inputs require gradient",
                stacklevel=5,
            )
            self._end_without_inputs(grad_outputs)
        else:
            self.grad_outputs = grad_outputs
        return tuple(grad_outputs[place] for place in self.output_places)

    def _end_without_inputs(self, grad_outputs: tuple[Any, ...]) -> None:
        grad_inputs = (None,) * self.input_count
        for hook in self.hooks:
            result = hook(self.module, grad_inputs, grad_outputs)
            if result is not None and any(item is not None for item in result):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always "
                    "return None or None for all gradients."
                )

    def end(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        """Backward reached the inputs: run the hooks."""
        if self.grad_outputs is None:  # no output took part in this backward pass
            return gradients
        places = self.input_places or []
        grad_inputs = _spread(places, gradients, self.input_count)
        for hook in self.hooks:
            answer = hook(self.module, grad_inputs, self.grad_outputs)
            grad_inputs = _replaced(answer, grad_inputs, "grad_input")
        self.grad_outputs = None
        return tuple(grad_inputs[place] for place in places)


class _AtInputs(rushlight.autograd.Function):
    """Identity whose backward runs `BackwardCall.end`."""

    @staticmethod
    def forward(ctx: Any, call: BackwardCall, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.call = call
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        return None, *ctx.call.end(gradients)


class _AtOutputs(rushlight.autograd.Function):
    """Identity whose backward runs `BackwardCall.begin`."""

    @staticmethod
    def forward(ctx: Any, call: BackwardCall, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.call = call
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        return None, *ctx.call.begin(gradients)


def _through(
    node: Any, call: BackwardCall, values: tuple[Any, ...]
) -> tuple[list[int] | None, tuple[Any, ...]]:
    """Pass the tensors among `values` through `node`; None for places if none needs a gradient."""
    places = [place for place, value in enumerate(values) if isinstance(value, Tensor)]
    tensors = [values[place] for place in places]
    if not rushlight.is_grad_enabled() or not any(tensor.requires_grad for tensor in tensors):
        return None, values
    watched = list(values)
    for place, tensor in zip(places, node.apply(call, *tensors), strict=True):
        watched[place] = tensor
    return places, tuple(watched)


def _spread(places: list[int], values: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    """`values` at `places` of a tuple of length `count`, None elsewhere."""
    spread: list[Any] = [None] * count
    for place, value in zip(places, values, strict=True):
        spread[place] = value
    return tuple(spread)


def _replaced(answer: Any, current: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    """What a backward hook's return value leaves of `current`."""
    if answer is None:
        return current
    answer = answer if isinstance(answer, tuple) else (answer,)
    if len(answer) != len(current):
        raise RuntimeError(
            f"Backward hook returned an invalid number of {name}, got {len(answer)}, "
            f"but expected {len(current)}"
        )
    return answer


def call_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`module.forward(*args, **kwargs)` with every hook around it.

    Order: hooks of all modules, then the module's own; pre-hooks, forward, hooks. Hooks that were
    registered with `always_call=True` also run when forward raises.
    """
    for_all_modules.refresh()
    called: set[int] = set()
    try:
        return _call_inside(module, args, kwargs, called)
    except Exception:
        _run_always_called(module, args, kwargs, called)
        raise


def _call_inside(
    module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], called: set[int]
) -> Any:
    args, kwargs = _run_pre_hooks(module, args, kwargs)
    backward_hooks = [*for_all_modules.backward.values(), *module._backward_hooks.values()]
    backward_pre_hooks = [
        *for_all_modules.backward_pre.values(),
        *module._backward_pre_hooks.values(),
    ]
    call = None
    if backward_hooks or backward_pre_hooks:
        call = BackwardCall(module, backward_hooks, backward_pre_hooks)
        args = call.watch_inputs(args)
    result = module.forward(*args, **kwargs)
    for identifier, hook, with_kwargs in _forward_hooks(module):
        called.add(identifier)
        answer = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
        result = result if answer is None else answer
    return result if call is None else call.watch_outputs(result)


def _run_pre_hooks(
    module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    for hook in [*for_all_modules.forward_pre.values()]:
        args = _as_arguments(hook(module, args), args)
    for identifier, hook in [*module._forward_pre_hooks.items()]:
        if identifier not in module._forward_pre_hooks_with_kwargs:
            args = _as_arguments(hook(module, args), args)
            continue
        answer = hook(module, args, kwargs)
        if answer is None:
            continue
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise RuntimeError(
                "forward pre-hook must return None or a tuple of (new_args, new_kwargs), "
                f"but got {answer}."
            )
        args, kwargs = answer
    return args, kwargs


def _as_arguments(answer: Any, current: tuple[Any, ...]) -> tuple[Any, ...]:
    if answer is None:
        return current
    return answer if isinstance(answer, tuple) else (answer,)


def _forward_hooks(module: Any) -> list[tuple[int, Hook, bool]]:
    """(identifier, hook, wants kwargs) of the hooks that follow `module`'s forward."""
    everywhere = for_all_modules
    found = [(key, hook, key in everywhere.with_kwargs) for key, hook in everywhere.forward.items()]
    own = module._forward_hooks_with_kwargs
    return found + [(key, hook, key in own) for key, hook in module._forward_hooks.items()]


def _run_always_called(
    module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], called: set[int]
) -> None:
    """After an error: give the hooks that are always called their turn; theirs only warn."""
    always = for_all_modules.always_called.keys() | module._forward_hooks_always_called.keys()
    for identifier, hook, with_kwargs in _forward_hooks(module):
        if identifier not in always or identifier in called:
            continue
        try:
            if with_kwargs:
                hook(module, args, kwargs, None)
            else:
                hook(module, args, None)
        except Exception as error:
            warnings.warn(
                "forward hook with `always_call=True` raised an exception that was silenced "
                f"as another error was raised in forward: {error}",
                stacklevel=2,
            )
