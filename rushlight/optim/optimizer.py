"""The base of all optimizers: parameter groups, state, hooks, saving and loading.

In: tensors to optimize (leaves that receive `.grad`), and options that hold per group.
Out: after `step()` every parameter with a gradient has been rewritten in place, and
`state[parameter]` holds what the method remembers about it.
Invariant: an optimizer is its `update_parameter`: one function that treats one parameter. The base
walks the groups, switches gradient recording, calls hooks, and tells the engine that a training
step has ended. Numbers that change from step to step (learning rate, bias corrections) stay Python
numbers, which the engine passes to a finished program as arguments: they never cause a compilation,
and reading a step count back never waits for the engine.
"""

from __future__ import annotations

import functools
import itertools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy

import rushlight

from ..utils.hooks import RemovableHandle

if TYPE_CHECKING:
    from rushlight import Tensor

Group = dict[str, Any]
State = dict[str, Any]
Closure = Callable[[], Any]


class _Required:
    """Marks an option that every parameter group has to give (a singleton, `required`)."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()

_step_pre_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
_step_post_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
_HOOK_KINDS = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)


def _register(
    hooks: OrderedDict[int, Callable[..., Any]], hook: Callable[..., Any], prepend: bool = False
) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` before the `step` of every optimizer."""
    return _register(_step_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` after the `step` of every optimizer."""
    return _register(_step_post_hooks, hook)


def check(valid: bool | Tensor, message: str) -> None:
    """Raise ValueError with `message` unless `valid`: the one way optimizers refuse an option."""
    if not valid:
        raise ValueError(message)


def check_learning_rate(rate: Any) -> None:
    """A learning rate is a number >= 0 or a tensor of one element holding such a number."""
    if isinstance(rate, rushlight.Tensor):
        check(rate.numel() == 1, "Tensor lr must be 1-element")
    check(rate >= 0.0, f"Invalid learning rate: {rate}")


def check_betas(betas: tuple[float, float]) -> None:
    """Both decay rates of a moment method lie in [0, 1)."""
    for index, beta in enumerate(betas[:2]):
        check(0.0 <= beta < 1.0, f"Invalid beta parameter at index {index}: {beta}")


def check_fused(options: Group) -> None:
    """PyTorch's rule for the three ways to run a step: `fused` excludes the other two."""
    if options["fused"] and options["differentiable"]:
        raise RuntimeError("`fused` does not support `differentiable`")
    if options["fused"] and options["foreach"]:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def check_capturable(group: Group) -> None:
    """AssertionError for `capturable` (recording a step as a graph of a GPU) without a GPU."""
    found = {p.device.type for p in group["params"] if p.grad is not None} - {"cuda"}
    if found:
        raise AssertionError(
            "If capturable=True, params and state_steps must be on supported devices: ['cuda'], "
            f"but some are on {sorted(found)}; leave capturable=False"
        )


def real_view(tensor: Tensor) -> Tensor:
    """A complex tensor as a view of pairs of reals, any other tensor as it is."""
    return rushlight.view_as_real(tensor) if tensor.is_complex() else tensor


def as_number(value: Any) -> Any:
    """The Python number in `value`, which may be a tensor of one element."""
    return value.item() if isinstance(value, rushlight.Tensor) else value


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """step -> the same step between its optimizer's pre and post hooks."""

    @functools.wraps(step)
    def wrapper(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        positional: tuple[Any, ...] = (self, *args)
        before = itertools.chain(_step_pre_hooks.values(), self._optimizer_step_pre_hooks.values())
        for hook in tuple(before):
            replaced = hook(self, positional, kwargs)
            if replaced is None:
                continue
            if not (isinstance(replaced, tuple) and len(replaced) == 2):
                raise RuntimeError(
                    f"a pre hook of {type(self).__name__}.step must return None or a tuple of "
                    f"(new_args, new_kwargs), but got {replaced}."
                )
            positional, kwargs = replaced
        result = step(*positional, **kwargs)
        after = itertools.chain(self._optimizer_step_post_hooks.values(), _step_post_hooks.values())
        for hook in tuple(after):
            hook(self, positional, kwargs)
        return result

    wrapper.hooked = True  # type: ignore[attr-defined]
    return wrapper


class Optimizer:
    """Base class of all optimizers (`torch.optim.Optimizer`).

    `params` is an iterable of tensors, of (name, tensor) pairs, or of dictionaries, each a
    parameter group with the key `params` and any option that differs from `defaults`.

    A method of one's own overrides `update_parameter` (preferred) or `step`:

    >>> import rushlight as rl
    >>> class SignDescent(rl.optim.Optimizer):
    ...     def update_parameter(self, param, gradient, group):
    ...         param.sub_(gradient.sign() * group["lr"])
    >>> weight = rl.ones(2, requires_grad=True)
    >>> optimizer = SignDescent([weight], {"lr": 0.5})
    >>> weight.sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [0.5, 0.5]

    Errors: TypeError for something that is not a tensor, ValueError for an empty list, a tensor
    that is not a leaf, a missing option, or a parameter that is in two groups.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "step" in cls.__dict__ and not getattr(cls.__dict__["step"], "hooked", False):
            cls.step = _with_hooks(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, params: Iterable[Any], defaults: Group) -> None:
        if isinstance(params, rushlight.Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got one {type(params).__name__}: write [tensor]"
            )
        self.defaults = defaults
        self._make_private_fields()
        self.state: defaultdict[Any, State] = defaultdict(dict)
        self.param_groups: list[Group] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _make_private_fields(self) -> None:
        """Create what is neither saved nor copied: the hooks, and the numbers known to be in 0-d
        state tensors.
        """
        for kind in _HOOK_KINDS:
            if kind not in self.__dict__:
                setattr(self, kind, OrderedDict())
        self._cells: dict[Tensor, numpy.ndarray] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {
            "defaults": self.defaults,
            "state": self.state,
            "param_groups": self.param_groups,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_private_fields()
        # Groups saved by an older version, or by hand, may lack an option that has a default.
        for group in self.param_groups:
            for name, default in self.defaults.items():
                group.setdefault(name, default)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for index, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {index}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    # ---- stepping

    def step(self, closure: Closure | None = None) -> Any:
        """Update every parameter that has a gradient; return what `closure` returned, or None.

        `closure`, when given, is called first with gradient recording on: it clears the gradients,
        computes the loss, calls `backward` and returns the loss.
        """
        if type(self).update_parameter is Optimizer.update_parameter:
            raise NotImplementedError(
                f"{type(self).__name__} must define update_parameter(param, gradient, group) "
                "or step(closure)"
            )
        loss = None
        if closure is not None:
            with rushlight.enable_grad():
                loss = closure()
        with rushlight.set_grad_enabled(bool(self.defaults.get("differentiable", False))):
            for group in self.param_groups:
                if group.get("capturable"):
                    check_capturable(group)
                for param in group["params"]:
                    if param.grad is not None:
                        self._update(param, param.grad, group)
        rushlight._step_boundary()
        return loss

    step = _with_hooks(step)

    def _update(self, param: Tensor, gradient: Tensor, group: Group) -> None:
        if gradient.is_sparse:
            raise RuntimeError(f"{type(self).__name__} does not support sparse gradients")
        self.update_parameter(param, gradient, group)

    def update_parameter(self, param: Tensor, gradient: Tensor, group: Group) -> None:
        """Rewrite `param` in place from `gradient`, `self.state[param]` and `group`'s options."""

    def state_of(self, param: Tensor, group: Group) -> State:
        """What the method remembers about `param`; made by `init_state` at its first update."""
        state = self.state[param]
        if not state:
            with rushlight.no_grad():
                state.update(self.init_state(param, group))
        return state

    def init_state(self, param: Tensor, group: Group) -> State:
        """The state of a parameter that has not been updated yet."""
        return {}

    def descent_direction(self, param: Tensor, gradient: Tensor, group: Group) -> Tensor:
        """The gradient of what is minimized, as reals: negated for `maximize`, plus the decay."""
        if group["maximize"]:
            gradient = -gradient
        if group["weight_decay"] != 0:
            gradient = gradient.add(param, alpha=as_number(group["weight_decay"]))
        return real_view(gradient)

    def decayed(self, param: Tensor, gradient: Tensor, group: Group) -> tuple[Tensor, Tensor]:
        """The parameter and its gradient as reals, with weight decay applied to one of them.

        before: p, g  ->  after: p * (1 - lr * weight_decay), g   when the group's decay is
        decoupled
                                 p, g + weight_decay * p          otherwise
        """
        start = self.read(param)
        if not group["decoupled_weight_decay"]:
            return start, self.descent_direction(param, gradient, group)
        if group["weight_decay"] != 0:
            start = start.mul(1 - as_number(group["lr"]) * group["weight_decay"])
        return start, real_view(-gradient if group["maximize"] else gradient)

    def read(self, tensor: Tensor) -> Tensor:
        """The value of a parameter or state tensor to compute with: reals, unchanged by a later
        `write`.

        Only with `differentiable=True` does anything keep the value that long, so only then is it
        copied.
        """
        value = real_view(tensor)
        return value.clone() if self.defaults.get("differentiable", False) else value

    def write(self, target: Tensor, value: Tensor) -> None:
        """Let `target` (a parameter or a state tensor) hold `value`, given as reals, from now on.

        With `differentiable=True` the write is recorded by autograd like any in-place copy.
        """
        if target.is_complex() and not value.is_complex():
            target.copy_(rushlight.view_as_complex(value))
        elif self.defaults.get("differentiable", False):
            target.copy_(value)
        else:
            rushlight._assign(target, value)

    # ---- numbers kept in 0-d state tensors, as PyTorch's state_dict has them

    def new_number(self, value: float) -> Tensor:
        """A 0-d tensor for a count or a factor, of at least single precision."""
        wide = rushlight.get_default_dtype() == rushlight.float64
        return rushlight.tensor(value, dtype=rushlight.float64 if wide else rushlight.float32)

    def _cell(self, tensor: Tensor) -> numpy.ndarray:
        """The memory of a 0-d state tensor; reading and writing it records nothing."""
        cell = self._cells.get(tensor)
        if cell is None:
            cell = self._cells[tensor] = tensor.detach().numpy()
        return cell

    def read_number(self, tensor: Tensor) -> float:
        """The number in a 0-d state tensor, as it stands in its memory."""
        return float(self._cell(tensor))

    def write_number(self, tensor: Tensor, value: float) -> float:
        """Put `value` into a 0-d state tensor; return it as rounded to the tensor's dtype.

        The rounded number is what a run resumed from a file would read, so both runs go on equally.
        """
        self._cell(tensor)[...] = value
        return self.read_number(tensor)

    def advance(self, state: State) -> float:
        """Count one more step in `state["step"]` and return the count."""
        return self.write_number(state["step"], self.read_number(state["step"]) + 1.0)

    # ---- gradients and groups

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with zeros when `set_to_none` is
        False.
        """
        for param in self._all_params():
            if param.grad is None:
                continue
            if set_to_none:
                param.grad = None
                continue
            if param.grad.grad_fn is not None:
                param.grad.detach_()
            else:
                param.grad.requires_grad_(False)
            param.grad.zero_()

    def _all_params(self) -> Iterator[Tensor]:
        return itertools.chain.from_iterable(group["params"] for group in self.param_groups)

    def add_param_group(self, param_group: Group) -> None:
        """Add a group: a dictionary with `params` and the options that differ from the defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        _normalize_params(param_group)
        for param in param_group["params"]:
            if not isinstance(param, rushlight.Tensor):
                raise TypeError(
                    "optimizer can only optimize Tensors, "
                    f"but one of the params is {type(param).__module__}.{type(param).__name__}"
                )
            if not self.defaults.get("differentiable") and not (
                param.is_leaf or param.retains_grad
            ):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    "parameter group didn't specify a value of required optimization parameter "
                    f"{name}"
                )
            param_group.setdefault(name, default)
        self._check_not_shared(param_group)
        self.param_groups.append(param_group)

    def _check_not_shared(self, param_group: Group) -> None:
        params = param_group["params"]
        if len(params) != len(set(params)):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; "
                "in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=4,
            )
        named = "param_names" in param_group
        if any(("param_names" in group) != named for group in self.param_groups):
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{'with names' if named else 'without names'} to the optimizer"
            )
        if not set(self._all_params()).isdisjoint(params):
            raise ValueError("some parameters appear in more than one parameter group")

    # ---- saving and loading

    def state_dict(self) -> dict[str, Any]:
        """The state as plain data: `{"state": {index: {...}}, "param_groups": [{..., "params":
        [index, ...]}]}`.

        Parameters are replaced by their position over all groups. The tensors are the optimizer's
        own, not copies.
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        positions: dict[int, int] = {}
        groups: list[Group] = []
        start = 0
        for group in self.param_groups:
            for index, param in enumerate(group["params"], start):
                positions.setdefault(id(param), index)
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [positions[id(param)] for param in group["params"]]
            groups.append(packed)
            start += len(group["params"])
        state = {
            positions[id(key)] if isinstance(key, rushlight.Tensor) else key: value
            for key, value in self.state.items()
        }
        result: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            replaced = hook(self, result)
            result = result if replaced is None else replaced
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state made by `state_dict()` of an optimizer with groups of the same sizes.

        State tensors are cast to their parameter's dtype and device, except step counts.
        Errors: ValueError when the number of groups, or of parameters in one, differs.
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            replaced = hook(self, state_dict)
            state_dict = state_dict if replaced is None else replaced
        groups = deepcopy(state_dict["param_groups"])
        _check_same_sizes(self.param_groups, groups)
        saved_ids = itertools.chain.from_iterable(group["params"] for group in groups)
        param_of = dict(zip(saved_ids, self._all_params(), strict=True))
        state: defaultdict[Any, State] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in param_of:
                state[param_of[key]] = _cast_state(value, param_of[key], None)
            else:
                state[key] = value
        for own, loaded in zip(self.param_groups, groups, strict=True):
            loaded["params"] = own["params"]
            if "param_names" in own:
                loaded.setdefault("param_names", own["param_names"])
        self.__setstate__({"state": state, "param_groups": groups})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    # ---- hooks

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return replaced (args,
        kwargs).
        """
        return _register(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return _register(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer)` before `state_dict` is made."""
        return _register(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` on the result of `state_dict`; it may return
        another.
        """
        return _register(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` before loading; it may return another dictionary."""
        return _register(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer)` after loading."""
        return _register(self._optimizer_load_state_dict_post_hooks, hook, prepend)


def _normalize_params(group: Group) -> None:
    """group["params"]: a tensor, tensors, or (name, tensor) pairs -> a list of tensors, with
    `param_names` beside.
    """
    params = group["params"]
    if isinstance(params, set):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the ordering of "
            "tensors in sets will change between runs. Please use a list instead."
        )
    params = [params] if isinstance(params, rushlight.Tensor) else list(params)
    names = [param[0] for param in params if isinstance(param, tuple)]
    if names and len(names) != len(params):
        raise ValueError(
            "all optimizer params should be with/without names. Some param names are missing"
        )
    group["params"] = [param[1] if isinstance(param, tuple) else param for param in params]
    if names:
        group["param_names"] = names


def _check_same_sizes(own: list[Group], loaded: list[Group]) -> None:
    if len(own) != len(loaded):
        raise ValueError(
            "loaded state dict has a different number of parameter groups: "
            f"the optimizer has {len(own)}, the state dict {len(loaded)}"
        )
    for index, (mine, theirs) in enumerate(zip(own, loaded, strict=True)):
        if len(mine["params"]) != len(theirs["params"]):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                f"optimizer's group: group {index} has {len(mine['params'])} parameters, "
                f"the state dict {len(theirs['params'])}"
            )


def _cast_state(value: Any, param: Tensor, key: Any) -> Any:
    """Saved state -> the same on `param`'s device and, for floating parameters, in its dtype;
    counts stay as they are.
    """
    if isinstance(value, rushlight.Tensor):
        if key == "step":
            return value
        dtype = param.dtype if param.is_floating_point() else value.dtype
        return value.to(dtype=dtype, device=param.device)
    if isinstance(value, dict):
        return {name: _cast_state(each, param, name) for name, each in value.items()}
    if isinstance(value, (list, tuple, set)):
        return type(value)(_cast_state(each, param, None) for each in value)
    return value
