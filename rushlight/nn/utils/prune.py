"""Pruning: masks that keep elements of a parameter at zero.

In: a module, the name of one of its parameters, how much to prune. Out: the same module, whose
attribute of that name is `<name>_orig * <name>_mask`, computed before every forward call.
Invariant: pruning again never brings an element back: the new mask is chosen among what the old one
kept (a `PruningContainer`).
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn.module import Module
from rushlight.nn.utils.convert_parameters import parameters_to_vector

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]


class BasePruningMethod(ABC):
    """A way to choose what is pruned: a subclass defines `compute_mask` and `PRUNING_TYPE`.

    PRUNING_TYPE: "unstructured" (elements), "structured" (channels along `dim`) or "global": among
    what a further pruning of the same tensor chooses. Follows
    `torch.nn.utils.prune.BasePruningMethod`.
    """

    PRUNING_TYPE: str = "unstructured"
    _tensor_name: str

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """A mask of the shape of `t`: 0 where to prune, and wherever `default_mask` is 0."""

    def apply_mask(self, module: Module) -> Tensor:
        """The module's original parameter times its mask."""
        if not hasattr(self, "_tensor_name"):
            raise AssertionError(f"Module {module} has to be pruned")
        mask = getattr(module, self._tensor_name + "_mask")
        original = getattr(module, self._tensor_name + "_orig")
        return mask.to(dtype=original.dtype) * original

    @classmethod
    def apply(
        cls,
        module: Module,
        name: str,
        *args: Any,
        importance_scores: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Prune `module.<name>` by this method, which is made from the further arguments.

        importance_scores: chosen among instead of the parameter's own values.
        """
        older = _take_hook(module, name)
        method: Any = cls(*args, **kwargs)
        method._tensor_name = name
        if older is not None:
            if not isinstance(older, PruningContainer):
                older = PruningContainer(older)
            older.add_pruning_method(method)
            method = older
        original = getattr(module, name)
        scores = original if importance_scores is None else importance_scores
        if scores.shape != original.shape:
            raise AssertionError(
                f"importance_scores should have the same shape as parameter {name} of {module}, "
                f"got {scores.shape} vs {original.shape}"
            )
        if older is None:
            default = rushlight.ones_like(original)
        else:
            default = getattr(module, name + "_mask").detach().clone()
        mask = method.compute_mask(scores, default_mask=default)
        if older is None:  # only now: a method that fails leaves the module as it was
            del module._parameters[name]
            module.register_parameter(name + "_orig", original)
        module.register_buffer(name + "_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(
        self,
        t: Tensor,
        default_mask: Tensor | None = None,
        importance_scores: Tensor | None = None,
    ) -> Tensor:
        """A pruned copy of a tensor that no module owns."""
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise AssertionError(
                "importance_scores should have the same shape as tensor t, got "
                f"{scores.shape} vs {t.shape}"
            )
        default = rushlight.ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(scores, default_mask=default)

    def remove(self, module: Module) -> None:
        """Make the pruned values the parameter itself; its zeros are then free to move."""
        if not hasattr(self, "_tensor_name"):
            raise AssertionError(f"Module {module} has to be pruned before pruning can be removed")
        name = self._tensor_name
        weight = self.apply_mask(module)
        if hasattr(module, name):
            delattr(module, name)
        original = module._parameters.pop(name + "_orig")
        assert original is not None
        original.data = weight.detach()
        del module._buffers[name + "_mask"]
        setattr(module, name, original)


def _take_hook(module: Module, name: str) -> Any:
    """Take the pruning hook of a tensor off a module; None where it has none."""
    found = [
        key
        for key, hook in module._forward_pre_hooks.items()
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name
    ]
    if len(found) > 1:
        raise AssertionError(
            f"Avoid adding multiple pruning hooks to the same tensor {name} of module {module}. "
            "Use a PruningContainer."
        )
    return module._forward_pre_hooks.pop(found[0]) if found else None


class PruningContainer(BasePruningMethod):
    """Several prunings of one tensor, each among what those before it have kept."""

    def __init__(self, *args: Any) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if len(args) == 1 and not isinstance(args[0], Iterable):
            self._tensor_name = args[0]._tensor_name
            self.add_pruning_method(args[0])
        else:
            for method in args:
                self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod | None) -> None:
        """Append a method; TypeError for anything else, ValueError for another tensor's."""
        if method is not None and not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is None:
            return
        if self._tensor_name != method._tensor_name:
            raise ValueError(
                f"Can only add pruning methods acting on the parameter named '{self._tensor_name}' "
                f"to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Any:
        return iter(self._pruning_methods)

    def __getitem__(self, idx: Any) -> Any:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask of the last method, chosen within what `default_mask` keeps."""
        method = self._pruning_methods[-1]
        mask = default_mask.to(dtype=t.dtype)
        part = _kept_part(method, mask)
        mask = mask.clone()
        mask[part] = method.compute_mask(t[part], default_mask=mask[part]).to(dtype=t.dtype)
        return mask


def _kept_part(method: Any, mask: Tensor) -> Any:
    """The index of what a method may choose among."""
    kind = method.PRUNING_TYPE
    if kind == "unstructured":
        return mask == 1
    everything: list[Any] = [slice(None)] * mask.dim()
    if kind == "structured":
        if not hasattr(method, "dim"):
            raise AttributeError(
                'Pruning methods of PRUNING_TYPE "structured" need to have the attribute `dim` '
                "defined."
            )
        dim = method.dim % mask.dim() if -mask.dim() <= method.dim < mask.dim() else None
        if dim is None:
            raise IndexError(f"Index is out of bounds for tensor with dimensions {mask.dim()}")
        others = [axis for axis in range(mask.dim()) if axis != dim]
        everything[dim] = mask.sum(dim=others) != 0
    elif kind != "global":
        raise ValueError(f"Unrecognized PRUNING_TYPE {kind}")
    return tuple(everything)


class Identity(BasePruningMethod):
    """Prunes nothing: the parameter gets a mask of ones."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask

    @classmethod
    def apply(cls, module: Module, name: str) -> Any:  # type: ignore[override]
        """Give `module.<name>` a mask of ones."""
        return super().apply(module, name)


class _Unstructured(BasePruningMethod):
    """Prunes `amount` elements (a number, or a fraction of all) by some score of each."""

    PRUNING_TYPE = "unstructured"
    _largest = False  # whether the elements with the largest scores go

    def __init__(self, amount: float) -> None:
        _check_amount_type(amount)
        self.amount = amount

    def _scores(self, t: Tensor) -> Tensor:
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = _count(self.amount, t.nelement())
        _check_amount(count, t.nelement())
        mask = default_mask.clone()
        if count:
            chosen = self._scores(t).reshape(-1).topk(count, largest=self._largest).indices
            mask.view(-1)[chosen] = 0
        return mask


class RandomUnstructured(_Unstructured):
    """Prunes elements at random: `amount` of them, or that fraction of all."""

    _largest = True

    def _scores(self, t: Tensor) -> Tensor:
        return rushlight.rand_like(t)

    @classmethod
    def apply(cls, module: Module, name: str, amount: float) -> Any:  # type: ignore[override]
        """Prune elements of `module.<name>` at random."""
        return super().apply(module, name, amount=amount)


class L1Unstructured(_Unstructured):
    """Prunes the elements of least magnitude: `amount` of them, or that fraction of all."""

    def _scores(self, t: Tensor) -> Tensor:
        return t.abs()

    @classmethod
    def apply(  # type: ignore[override]
        cls,
        module: Module,
        name: str,
        amount: float,
        importance_scores: Tensor | None = None,
    ) -> Any:
        """Prune the elements of `module.<name>` of least magnitude."""
        return super().apply(module, name, amount=amount, importance_scores=importance_scores)


class _Structured(BasePruningMethod):
    """Prunes `amount` whole channels (a number, or a fraction) along one dimension."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        _check_amount_type(amount)
        self.amount = amount
        self.dim = dim

    def _kept(self, t: Tensor, count: int) -> Tensor:
        """Which channels stay, as a tensor of truth values."""
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if t.dim() <= 1:
            raise ValueError(
                "Structured pruning can only be applied to a multidimensional tensor (i.e. tensor "
                f"with more than one dimension). Found tensor of shape {tuple(t.shape)}."
            )
        if not -t.dim() <= self.dim < t.dim():
            raise IndexError(f"Invalid index {self.dim} for tensor of size {t.shape}")
        size = t.shape[self.dim]
        count = _count(self.amount, size)
        _check_amount(count, size)
        if count == 0:
            return default_mask
        shape = [1] * t.dim()
        shape[self.dim] = size
        return default_mask * self._kept(t, count).to(default_mask.dtype).reshape(shape)


class RandomStructured(_Structured):
    """Prunes channels along `dim` at random: `amount` of them, or that fraction."""

    def _kept(self, t: Tensor, count: int) -> Tensor:
        drawn = rushlight.rand(t.shape[self.dim])
        return drawn > drawn.kthvalue(count).values

    @classmethod
    def apply(  # type: ignore[override]
        cls, module: Module, name: str, amount: float, dim: int = -1
    ) -> Any:
        """Prune channels of `module.<name>` at random."""
        return super().apply(module, name, amount=amount, dim=dim)


class LnStructured(_Structured):
    """Prunes the channels along `dim` of least n-norm: `amount` of them, or that fraction."""

    def __init__(self, amount: float, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def _kept(self, t: Tensor, count: int) -> Tensor:
        others = [axis for axis in range(t.dim()) if axis != self.dim % t.dim()]
        norms = rushlight.norm(t, p=self.n, dim=others)
        kept = rushlight.zeros_like(norms)
        kept[norms.topk(t.shape[self.dim] - count).indices] = 1
        return kept

    @classmethod
    def apply(  # type: ignore[override]
        cls,
        module: Module,
        name: str,
        amount: float,
        n: Any,
        dim: int,
        importance_scores: Tensor | None = None,
    ) -> Any:
        """Prune the channels of `module.<name>` of least norm."""
        return super().apply(
            module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores
        )


class CustomFromMask(BasePruningMethod):
    """Prunes where a given mask is 0."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if default_mask.shape != self.mask.shape:
            raise AssertionError(
                f"default_mask shape {default_mask.shape} must match self.mask shape "
                f"{self.mask.shape}"
            )
        return default_mask * self.mask.to(dtype=default_mask.dtype)

    @classmethod
    def apply(cls, module: Module, name: str, mask: Tensor) -> Any:  # type: ignore[override]
        """Prune `module.<name>` where `mask` is 0."""
        return super().apply(module, name, mask=mask)


def identity(module: Any, name: str) -> Any:
    """Give `module.<name>` a mask of ones. Returns the module."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Any, name: str, amount: float) -> Any:
    """Prune `amount` elements (a number, or a fraction) of `module.<name>` at random.

    Returns the module. Follows `torch.nn.utils.prune.random_unstructured`.

    >>> import rushlight as rl
    >>> layer = rl.nn.utils.prune.random_unstructured(rl.nn.Linear(2, 3), "weight", amount=2)
    >>> layer.weight_mask.sum()
    tensor(4.)
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(
    module: Any, name: str, amount: float, importance_scores: Tensor | None = None
) -> Any:
    """Prune the `amount` elements (a number, or a fraction) of least magnitude.

    importance_scores: magnitudes of these instead. Returns the module. Follows
    `torch.nn.utils.prune.l1_unstructured`.

    >>> import rushlight as rl
    >>> layer = rl.nn.utils.prune.l1_unstructured(rl.nn.Linear(2, 3), "weight", amount=0.5)
    >>> sorted(layer.state_dict())
    ['bias', 'weight_mask', 'weight_orig']
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: Any, name: str, amount: float, dim: int) -> Any:
    """Prune `amount` channels (a number, or a fraction) along `dim` at random.

    Returns the module. Follows `torch.nn.utils.prune.random_structured`.
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Any,
    name: str,
    amount: float,
    n: Any,
    dim: int,
    importance_scores: Tensor | None = None,
) -> Any:
    """Prune the `amount` channels (a number, or a fraction) along `dim` of least n-norm.

    n: as `rushlight.norm` takes it. Returns the module. Follows
    `torch.nn.utils.prune.ln_structured`.
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def global_unstructured(
    parameters: Any,
    pruning_method: Any,
    importance_scores: dict[tuple[Any, str], Tensor] | None = None,
    **kwargs: Any,
) -> None:
    """Prune several parameters by one unstructured method, as if they were one tensor.

    parameters: an iterable of (module, name). importance_scores: by (module, name), what is chosen
    among instead of the values. Errors: TypeError for other kinds of arguments or methods. Follows
    `torch.nn.utils.prune.global_unstructured`.
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    parameters = list(parameters)
    scores = {} if importance_scores is None else importance_scores
    if not isinstance(scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    flat = parameters_to_vector([scores.get((m, name), getattr(m, name)) for m, name in parameters])
    default = parameters_to_vector(
        [
            getattr(m, name + "_mask", rushlight.ones_like(getattr(m, name)))
            for m, name in parameters
        ]
    )
    container = PruningContainer()
    container._tensor_name = "temp"
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    container.add_pruning_method(method)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
            f"{pruning_method} of type {method.PRUNING_TYPE}"
        )
    mask = container.compute_mask(flat, default)
    start = 0
    for module, name in parameters:
        parameter = getattr(module, name)
        part = mask[start : start + parameter.numel()].view_as(parameter)
        custom_from_mask(module, name, mask=part)
        start += parameter.numel()


def custom_from_mask(module: Any, name: str, mask: Tensor) -> Any:
    """Prune `module.<name>` where `mask` is 0. Returns the module.

    >>> import rushlight as rl
    >>> mask = rl.tensor([0, 1, 0])
    >>> layer = rl.nn.utils.prune.custom_from_mask(rl.nn.Linear(5, 3), "bias", mask)
    >>> layer.bias_mask
    tensor([0., 1., 0.])
    """
    CustomFromMask.apply(module, name, mask)
    return module


def remove(module: Any, name: str) -> Any:
    """Make the pruned values of `module.<name>` the parameter itself. Returns the module.

    Errors: ValueError where it is not pruned. Follows `torch.nn.utils.prune.remove`.
    """
    hook = _take_hook(module, name)
    if hook is None:
        raise ValueError(
            f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed"
        )
    hook.remove(module)
    return module


def is_pruned(module: Module) -> bool:
    """Whether anything in a module is pruned."""
    return any(
        isinstance(hook, BasePruningMethod)
        for _, inner in module.named_modules()
        for hook in inner._forward_pre_hooks.values()
    )


def _check_amount_type(amount: Any) -> None:
    """TypeError for what is no number; ValueError below zero or, for a fraction, above one."""
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    most = float("inf") if isinstance(amount, numbers.Integral) else 1.0
    if not 0 <= amount <= most:
        raise ValueError(
            f"amount={amount} should either be a float in the range [0, 1] or a non-negative "
            "integer"
        )


def _check_amount(amount: float, size: int) -> None:
    if isinstance(amount, numbers.Integral) and amount > size:
        raise ValueError(
            f"amount={amount} should be smaller than the number of parameters to prune={size}"
        )


def _count(amount: float, size: int) -> int:
    """How many of `size` things an amount means."""
    return int(amount) if isinstance(amount, numbers.Integral) else round(amount * size)
