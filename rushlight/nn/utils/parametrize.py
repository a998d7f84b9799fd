"""Parametrizations: a parameter or buffer as a function of other, trained tensors.

In: a module, the name of one of its tensors, a module that computes it. Out: the same module, whose
attribute of that name is computed when it is read.
Invariant: the tensors that are trained live in `module.parametrizations.<name>` as `original` (or
`original0`, `original1`, ... where a right inverse gives several), so a `state_dict` holds them and
never the computed tensor.
"""

from __future__ import annotations

import collections
import copyreg
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn.containers import ModuleDict, ModuleList
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]


class _Cache:
    """Computed tensors by (module, name), kept while at least one `cached()` block is open."""

    def __init__(self) -> None:
        self.open_blocks = 0
        self.tensors: dict[tuple[int, str], Tensor] = {}


_cache = _Cache()


@contextmanager
def cached() -> Iterator[None]:
    """Inside, each parametrized tensor is computed once, however often it is read.

    For modules that read one tensor many times, as recurrent ones do. Follows
    `torch.nn.utils.parametrize.cached`.
    """
    _cache.open_blocks += 1
    try:
        yield
    finally:
        _cache.open_blocks -= 1
        if not _cache.open_blocks:
            _cache.tensors.clear()


def _read(module: Module, name: str) -> Tensor:
    """The computed tensor, out of the cache where one is open."""
    compute = module.parametrizations[name]
    if not _cache.open_blocks:
        return compute()
    key = (id(module), name)
    if key not in _cache.tensors:
        _cache.tensors[key] = compute()
    return _cache.tensors[key]


def _register(module: Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _check_same_kind(found: Tensor, wanted: Tensor, what: str, names: tuple[str, str]) -> None:
    """ValueError where a parametrization changes the dtype or the shape of its tensor."""
    for kind in ("dtype", "shape"):
        before, after = getattr(wanted, kind), getattr(found, kind)
        if before != after:
            raise ValueError(
                f"{what} may not change the {kind} of the tensor, unless the `unsafe` flag is "
                f"enabled.\n{names[0]}.{kind}: {before}\n{names[1]}.{kind}: {after}"
            )


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, applied in order, and the tensors they are applied to.

    `modules` are the parametrizations, `original` the tensor they were put on: it is taken through
    their right inverses, last to first, and stored. Follows
    `torch.nn.utils.parametrize.ParametrizationList`.

    Errors: ValueError for no parametrization, for something that is no tensor, and (unless
    `unsafe`) for another dtype or shape.
    """

    def __init__(
        self, modules: Sequence[Module], original: Tensor | Parameter, unsafe: bool = False
    ) -> None:
        if len(modules) == 0:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        inverse: Any = original
        with rushlight.no_grad():
            for module in reversed(modules):
                if not hasattr(module, "right_inverse"):
                    continue
                with suppress(NotImplementedError):  # as good as having none
                    inverse = module.right_inverse(inverse)
        if not isinstance(inverse, (Tensor, collections.abc.Sequence)):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(inverse).__name__}"
            )
        self.is_tensor = isinstance(inverse, Tensor)
        self.ntensors = 1 if self.is_tensor else len(inverse)
        store = self._store_one if isinstance(inverse, Tensor) else self._store_several
        store(original, inverse)
        if not unsafe:
            self._check(original)

    def _store_one(self, original: Tensor, inverse: Any) -> None:
        """The tensor itself, a parameter of an optimizer perhaps, holds its inverse."""
        for kind in ("dtype", "device"):
            before, after = getattr(original, kind), getattr(inverse, kind)
            if before != after:
                raise ValueError(
                    f"When `right_inverse` outputs one tensor, it may not change the {kind}.\n"
                    f"original.{kind}: {before}\nright_inverse(original).{kind}: {after}"
                )
        with rushlight.no_grad():
            original.set_(inverse)
        _register(self, "original", original)

    def _store_several(self, original: Tensor, inverses: Any) -> None:
        for place, tensor in enumerate(inverses):
            if not isinstance(tensor, Tensor):
                raise ValueError(
                    "'right_inverse' must return a Tensor or a Sequence of tensors (list, "
                    f"tuple...). Got element {place} of the sequence with type "
                    f"{type(tensor).__name__}."
                )
            if isinstance(original, Parameter):
                tensor = Parameter(tensor, original.requires_grad)
            tensor.requires_grad_(original.requires_grad)
            _register(self, f"original{place}", tensor)

    def _check(self, original: Tensor) -> None:
        result = self()
        if not isinstance(result, Tensor):
            raise ValueError(
                f"A parametrization must return a tensor. Got {type(result).__name__}."
            )
        names = ("original", "parametrized")
        _check_same_kind(result, original, "Registering a parametrization", names)

    def _originals(self) -> list[Tensor]:
        if self.is_tensor:
            return [self.original]
        return [getattr(self, f"original{place}") for place in range(self.ntensors)]

    def right_inverse(self, value: Tensor) -> None:
        """Store what the parametrizations turn into `value`; called by an assignment.

        Errors: RuntimeError where one has no `right_inverse`, ValueError for a result that does not
        fit what is stored.
        """
        with rushlight.no_grad():
            found: Any = value
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse."
                    )
                found = module.right_inverse(found)
            if self.is_tensor and not isinstance(found, Tensor):
                raise ValueError(f"`right_inverse` should return a tensor. Got {type(found)}")
            if not self.is_tensor and not isinstance(found, collections.abc.Sequence):
                raise ValueError(
                    f"'right_inverse' must return a sequence of tensors. Got {type(found)}."
                )
            found = [found] if self.is_tensor else list(found)
            if len(found) != self.ntensors:
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors of length "
                    f"{self.ntensors}. Got a sequence of length {len(found)}."
                )
            for place, (stored, tensor) in enumerate(zip(self._originals(), found, strict=True)):
                self._store(place, stored, tensor)

    def _store(self, place: int, stored: Tensor, tensor: Any) -> None:
        if not isinstance(tensor, Tensor):
            raise ValueError(
                f"`right_inverse` must return a sequence of tensors. Got element {place} of type "
                f"{type(tensor)}"
            )
        if stored.dtype != tensor.dtype:
            raise ValueError(
                f"The tensor returned by `right_inverse` (number {place}) has dtype "
                f"{tensor.dtype} while `original` has dtype {stored.dtype}"
            )
        stored.set_(tensor)

    def forward(self) -> Any:
        first, *others = self
        result = first(*self._originals())
        for module in others:
            result = module(result)
        return result


def _new_class(module: Module) -> None:
    """Give one module a class of its own, so that properties can be put on it alone."""
    cls = type(module)

    def getstate(self: Module) -> Any:
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(). Save "
            "and load that instead of the module."
        )

    def deepcopied(self: Module, memo: dict[int, Any]) -> Module:
        if id(self) in memo:
            return memo[id(self)]
        replica = self.__new__(type(self))
        memo[id(self)] = replica
        replica.__dict__ = deepcopy(self.__dict__, memo)
        for name in copyreg._slotnames(cls):  # type: ignore[attr-defined]
            if hasattr(self, name):
                setattr(replica, name, deepcopy(getattr(self, name), memo))
        return replica

    members: dict[str, Any] = {"__getstate__": getstate}
    if not hasattr(cls, "__deepcopy__"):
        members["__deepcopy__"] = deepcopied
    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), members)


def _new_property(module: Module, name: str) -> None:
    def read(self: Module) -> Tensor:
        return _read(self, name)

    def write(self: Module, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(read, write))


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """From now on `module.<tensor_name>` is `parametrization(original)`.

    A second one is applied to what the first gives. Assigning to the attribute works where the
    parametrization defines `right_inverse`, which is also what the first value goes through.
    unsafe: the parametrization may change dtype and shape. Returns the module. Errors: ValueError
    for a name that is no tensor of the module, and for what `ParametrizationList` refuses. Follows
    `torch.nn.utils.parametrize.register_parametrization`.

    >>> import rushlight as rl
    >>> class Symmetric(rl.nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).mT
    >>> layer = rl.nn.Linear(3, 3)
    >>> layer = rl.nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    >>> rl.equal(layer.weight, layer.weight.mT)
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        present = module.parametrizations[tensor_name]
        if not unsafe:
            _check_another(getattr(module, tensor_name), parametrization)
        present.append(parametrization)
        present.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        original = getattr(module, tensor_name)
        stored = ParametrizationList([parametrization], original, unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _new_class(module)
            module.parametrizations = ModuleDict()
        _new_property(module, tensor_name)
        module.parametrizations[tensor_name] = stored
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element "
            f"with name '{tensor_name}'"
        )
    return module


def _check_another(before: Tensor, parametrization: Module) -> None:
    """ValueError where a further parametrization does not keep dtype and shape."""
    after = parametrization(before)
    if not isinstance(after, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(after).__name__}.")
    names = ("module.<tensor>", "parametrization(module.<tensor>)")
    _check_same_kind(after, before, "Registering a parametrization", names)
    if not hasattr(parametrization, "right_inverse"):
        return
    try:
        inverse = parametrization.right_inverse(after)
    except NotImplementedError:
        return
    if not isinstance(inverse, Tensor):
        raise ValueError(
            f"parametrization.right_inverse must return a tensor. Got: {type(inverse).__name__}"
        )
    names = ("module.<tensor>", "parametrization.right_inverse(module.<tensor>)")
    _check_same_kind(inverse, before, "The tensor returned by parametrization.right_inverse", names)


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module has a parametrized tensor (of that name)."""
    found = getattr(module, "parametrizations", None)
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make `module.<tensor_name>` a plain tensor again. Returns the module.

    leave_parametrized: it keeps the computed value; else it gets the stored one back, which needs
    that to be a single tensor. Errors: ValueError where nothing is parametrized, or where several
    tensors would have to become one. Follows `torch.nn.utils.parametrize.remove_parametrizations`.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    stored = module.parametrizations[tensor_name]
    if not stored.is_tensor and not leave_parametrized:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is "
            "parametrized in terms of a sequence of tensors."
        )
    computed = getattr(module, tensor_name) if leave_parametrized else None
    if not stored.is_tensor:
        assert computed is not None
        value = Parameter(computed.detach()) if computed.requires_grad else computed
    else:
        value = stored.original
        if computed is not None:
            with rushlight.no_grad():
                value.set_(computed.detach())
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _register(module, tensor_name, value)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that a module had before anything of it was parametrized."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Give one module the parametrizations, and the tensors they compute from, of another.

    tensor_name: only those of this tensor. Returns `to_module`. Follows
    `torch.nn.utils.parametrize.transfer_parametrizations_and_params`.
    """
    if not is_parametrized(from_module):
        return to_module
    wanted = from_module.parametrizations
    names = list(wanted) if tensor_name is None else [tensor_name]
    for name in names:
        source = wanted[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name)))
        for parametrization in source:
            register_parametrization(to_module, name, parametrization, unsafe=source.unsafe)
        target = to_module.parametrizations[name]
        for kept in ("original", *(f"original{place}" for place in range(source.ntensors))):
            if hasattr(source, kept):
                setattr(target, kept, getattr(source, kept))
    return to_module
