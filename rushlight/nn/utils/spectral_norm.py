"""Spectral normalisation through a hook before forward, the form before `parametrizations`.

In: a module. Out: the same, whose weight is `<name>_orig` divided by an estimate of its largest
singular value. Invariant: the buffers `<name>_u` and `<name>_v` are unit vectors, the estimates of
the singular vectors, and move by one or more power iterations per forward call in training mode.
"""

from __future__ import annotations

from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn import functional as F
from rushlight.nn.convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter, is_lazy

__all__ = ["SpectralNorm", "remove_spectral_norm", "spectral_norm"]

_TRANSPOSED = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)


def output_dim(module: Module, dim: int | None) -> int:
    """The dimension of a weight that counts outputs: 1 for transposed convolutions, else 0."""
    if dim is not None:
        return dim
    return 1 if isinstance(module, _TRANSPOSED) else 0


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """A weight with `dim` as rows and everything else as columns."""
    if dim != 0:
        weight = weight.permute(dim, *(axis for axis in range(weight.dim()) if axis != dim))
    return weight.reshape(weight.size(0), -1)


class SpectralNorm:
    """The hook that divides a module's weight by its spectral norm before each forward call."""

    _version: int = 1
    name: str
    dim: int
    n_power_iterations: int
    eps: float

    def __init__(
        self,
        name: str = "weight",
        n_power_iterations: int = 1,
        dim: int = 0,
        eps: float = 1e-12,
    ) -> None:
        if n_power_iterations <= 0:
            raise ValueError(
                "Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.name = name
        self.dim = dim
        self.n_power_iterations = n_power_iterations
        self.eps = eps

    def reshape_weight_to_matrix(self, weight: Tensor) -> Tensor:
        """The weight with the dimension of its outputs as rows."""
        return as_matrix(weight, self.dim)

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        """The weight divided by u^T W v, after some power iterations where they are wanted."""
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = self.reshape_weight_to_matrix(weight)
        if do_power_iteration:
            with rushlight.no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(rushlight.mv(matrix.t(), u), dim=0, eps=self.eps))
                    u.copy_(F.normalize(rushlight.mv(matrix, v), dim=0, eps=self.eps))
                u, v = u.clone(), v.clone()  # backward must not see the next call's iterations
        return weight / rushlight.dot(u, rushlight.mv(matrix, v))

    def remove(self, module: Module) -> None:
        """Make the weight, as it is divided now, a parameter of its own again."""
        with rushlight.no_grad():
            weight = self.compute_weight(module, do_power_iteration=False)
        for suffix in ("", "_u", "_v", "_orig"):
            delattr(module, self.name + suffix)
        module.register_parameter(self.name, Parameter(weight.detach()))

    def __call__(self, module: Module, inputs: Any) -> None:
        computed = self.compute_weight(module, do_power_iteration=module.training)
        setattr(module, self.name, computed)

    @staticmethod
    def apply(
        module: Module, name: str, n_power_iterations: int, dim: int, eps: float
    ) -> SpectralNorm:
        """Put the hook on a module; RuntimeError where that name has one."""
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, SpectralNorm) and hook.name == name:
                raise RuntimeError(
                    f"Cannot register two spectral_norm hooks on the same parameter {name}"
                )
        made = SpectralNorm(name, n_power_iterations, dim, eps)
        weight = module._parameters[name]
        if weight is None:
            raise ValueError(
                f"`SpectralNorm` cannot be applied as parameter `{name}` is None in {module}"
            )
        if is_lazy(weight):
            raise ValueError(
                "The module passed to `SpectralNorm` can't have uninitialized parameters. "
                "Make sure to run the dummy forward before applying spectral normalization"
            )
        made._enter(module, weight)
        module.register_forward_pre_hook(made)
        module._register_state_dict_hook(SpectralNormStateDictHook(made))
        module._register_load_state_dict_pre_hook(SpectralNormLoadStateDictPreHook(made))
        return made

    def _enter(self, module: Module, weight: Parameter) -> None:
        """Rename the parameter, put a tensor in its place, draw the vectors."""
        with rushlight.no_grad():
            height, width = self.reshape_weight_to_matrix(weight).size()
            u = F.normalize(weight.new_empty(height).normal_(0, 1), dim=0, eps=self.eps)
            v = F.normalize(weight.new_empty(width).normal_(0, 1), dim=0, eps=self.eps)
        delattr(module, self.name)
        module.register_parameter(self.name + "_orig", weight)
        setattr(module, self.name, weight.detach())
        module.register_buffer(self.name + "_u", u)
        module.register_buffer(self.name + "_v", v)


class SpectralNormStateDictHook:
    """Notes in a state_dict's metadata which form of the vectors it holds."""

    def __init__(self, fn: SpectralNorm) -> None:
        self.fn = fn

    def __call__(self, module: Any, state_dict: Any, prefix: str, local_metadata: Any) -> None:
        versions = local_metadata.setdefault("spectral_norm", {})
        key = self.fn.name + ".version"
        if key in versions:
            raise RuntimeError(f"Unexpected key in metadata['spectral_norm']: {key}")
        versions[key] = self.fn._version


class SpectralNormLoadStateDictPreHook:
    """Completes a state_dict from before `<name>_v` was saved, as far as it can be worked out."""

    def __init__(self, fn: SpectralNorm) -> None:
        self.fn = fn

    def __call__(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        name = prefix + self.fn.name
        matrix = state_dict.get(name + "_orig")
        if matrix is None or name + "_v" in state_dict or name + "_u" not in state_dict:
            return
        # u = W v up to its length, and u^T W v = W / (the divided weight): solve for v, rescale it
        rows = self.fn.reshape_weight_to_matrix(matrix)
        u = state_dict[name + "_u"]
        with rushlight.no_grad():
            gram = rushlight.linalg.pinv(rows.t().mm(rows))
            v = gram.matmul(rows.t().matmul(u.unsqueeze(1))).squeeze(1)
            sigma = (matrix / state_dict.pop(name)).mean() if name in state_dict else None
            if sigma is not None:
                v = v * (sigma / rushlight.dot(u, rushlight.mv(rows, v)))
        state_dict[name + "_v"] = v


def spectral_norm(
    module: Any,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Any:
    """Divide a weight by its largest singular value, estimated by power iteration.

    dim: the dimension of the weight that counts outputs (default: 1 for transposed convolutions,
    else 0). Returns the module. `parametrizations.spectral_norm` is the newer form. Follows
    `torch.nn.utils.spectral_norm` (Miyato et al., arXiv 1802.05957).

    >>> import rushlight as rl
    >>> layer = rl.nn.utils.spectral_norm(rl.nn.Linear(20, 40))
    >>> layer.weight_u.shape
    torch.Size([40])
    """
    SpectralNorm.apply(module, name, n_power_iterations, output_dim(module, dim), eps)
    return module


def remove_spectral_norm(module: Any, name: str = "weight") -> Any:
    """Undo `spectral_norm`, keeping the weight's value; ValueError where there is none."""
    for key, hook in list(module._forward_pre_hooks.items()):
        if isinstance(hook, SpectralNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            break
    else:
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    hooks = (module._state_dict_hooks, module._load_state_dict_pre_hooks)
    for table in hooks:
        for key, hook in list(table.items()):
            inner = getattr(hook, "hook", hook)
            ours = (SpectralNormStateDictHook, SpectralNormLoadStateDictPreHook)
            if isinstance(inner, ours) and inner.fn.name == name:
                del table[key]
    return module
