"""Initial values of parameters, written in place.

In: a tensor (its shape decides about the fan). Out: the same tensor, filled.
Invariant: each function draws the numbers PyTorch draws, in its order: same seed, same weights.
"""

from __future__ import annotations

import math
from typing import Any

import rushlight
from rushlight import Tensor

_UNIT_GAIN = (
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "sigmoid",
)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a non-linearity shrinks a standard deviation, inverted.

    1 for linear maps and sigmoid, 5/3 for tanh, sqrt(2) for relu, sqrt(2 / (1 + a^2)) for
    leaky_relu with slope a (`param`, default 0.01), 3/4 for selu.
    Follows `torch.nn.init.calculate_gain`.

    >>> import rushlight as rl
    >>> rl.nn.init.calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity in _UNIT_GAIN:
        return 1
    if nonlinearity == "leaky_relu":
        if param is None:
            slope = 0.01
        elif isinstance(param, (int, float)) and not isinstance(param, bool):
            slope = param
        else:
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    gains = {"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
    if nonlinearity not in gains:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return gains[nonlinearity]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with draws from U(a, b).

    Follows `torch.nn.init.uniform_`.

    >>> import rushlight as rl
    >>> rl.nn.init.uniform_(rl.empty(2, 3)).shape
    torch.Size([2, 3])
    """
    with rushlight.no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with draws from N(mean, std^2).

    Follows `torch.nn.init.normal_`.

    >>> import rushlight as rl
    >>> rl.nn.init.normal_(rl.empty(2, 3)).shape
    torch.Size([2, 3])
    """
    with rushlight.no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Fill with draws from N(mean, std^2) restricted to [a, b], by rejection.

    Where more than 0.3 of the distribution lies in [a, b], normal draws outside are drawn again;
    otherwise uniform draws are accepted with the probability of their density. Every round draws
    for all elements. Follows `torch.nn.init.trunc_normal_`.

    >>> import rushlight as rl
    >>> float(rl.nn.init.trunc_normal_(rl.empty(100)).abs().max()) <= 2.0
    True
    """

    def cumulative(x: float) -> float:
        return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0

    if mean < a - 2 * std or mean > b + 2 * std:
        import warnings

        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    if tensor.is_meta:  # no values, so nothing to draw
        return tensor
    with rushlight.no_grad():
        if cumulative((b - mean) / std) - cumulative((a - mean) / std) > 0.3:
            return tensor.copy_(_redrawn_normal(tensor, mean, std, a, b, generator))
        return tensor.copy_(_accepted_uniform(tensor, mean, std, a, b, generator))


def _redrawn_normal(
    tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Any
) -> Tensor:
    """Normal draws, repeated until none lies outside [a, b]."""
    # The bounds as the tensor's dtype can represent them.
    low, high = (tensor.new_tensor(bound).item() for bound in (a, b))
    result = rushlight.empty_like(tensor).normal_(mean, std, generator=generator)
    while True:
        outside = (result < low) | (result > high)
        if not outside.any():
            return result
        again = rushlight.empty_like(tensor).normal_(mean, std, generator=generator)
        result = rushlight.where(outside, again, result)


def _accepted_uniform(
    tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Any
) -> Tensor:
    """Uniform draws, each accepted with probability density(x) / largest density in [a, b]."""
    mode = max(a, min(mean, b))
    log_peak = -0.5 * ((mode - mean) / std) ** 2
    result, pending = tensor, None
    while pending is None or pending.any():
        candidates = rushlight.empty_like(tensor).uniform_(a, b, generator=generator)
        result = candidates if pending is None else rushlight.where(pending, candidates, result)
        log_ratio = candidates.sub(mean).div(std).pow(2).mul(-0.5).sub(log_peak)
        draws = rushlight.empty_like(tensor).uniform_(generator=generator).log()
        refused = draws > log_ratio
        pending = refused if pending is None else pending & refused
    return result


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with `val`.

    Follows `torch.nn.init.constant_`.

    >>> import rushlight as rl
    >>> rl.nn.init.constant_(rl.empty(2), 3.0)
    tensor([3., 3.])
    """
    with rushlight.no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1.

    Follows `torch.nn.init.ones_`.

    >>> import rushlight as rl
    >>> rl.nn.init.ones_(rl.empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0.

    Follows `torch.nn.init.zeros_`.

    >>> import rushlight as rl
    >>> rl.nn.init.zeros_(rl.empty(2))
    tensor([0., 0.])
    """
    with rushlight.no_grad():
        return tensor.zero_()


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity.

    Follows `torch.nn.init.eye_`.

    >>> import rushlight as rl
    >>> rl.nn.init.eye_(rl.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with rushlight.no_grad():
        return tensor.copy_(rushlight.eye(*tensor.shape, dtype=tensor.dtype, device=tensor.device))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution kernel so that it copies as many channels as it can.

    Follows `torch.nn.init.dirac_`.

    >>> import rushlight as rl
    >>> rl.nn.init.dirac_(rl.empty(1, 1, 3))
    tensor([[[0., 1., 0.]]])
    """
    if tensor.dim() not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.size(0) % groups:
        raise ValueError("dim 0 must be divisible by groups")
    outputs = tensor.size(0) // groups
    center = tuple(length // 2 for length in tensor.shape[2:])
    with rushlight.no_grad():
        tensor.zero_()
        for group in range(groups):
            for channel in range(min(outputs, tensor.size(1))):
                tensor[(group * outputs + channel, channel, *center)] = 1
    return tensor


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs one output, and how many outputs one input, is connected to."""
    if tensor.dim() < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"
        )
    area = math.prod(tensor.shape[2:])
    return tensor.size(1) * area, tensor.size(0) * area


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return fan_in if mode == "fan_in" else fan_out


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, AISTATS 2010).

    >>> import rushlight as rl
    >>> float(rl.nn.init.xavier_uniform_(rl.empty(3, 3)).abs().max()) <= 1.0
    True
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    std = gain * math.sqrt(2.0 / float(fan_in + fan_out))
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """N(0, s^2), s = gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, AISTATS 2010).

    Follows `torch.nn.init.xavier_normal_`.

    >>> import rushlight as rl
    >>> rl.nn.init.xavier_normal_(rl.empty(2, 3)).shape
    torch.Size([2, 3])
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / float(fan_in + fan_out)), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float | None:
    """gain / sqrt(fan), or None for a tensor without elements."""
    if 0 in tensor.shape:
        import warnings

        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return None
    fan = _calculate_correct_fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """U(-b, b), b = gain sqrt(3 / fan) (He et al., arXiv 1502.01852).

    Follows `torch.nn.init.kaiming_uniform_`.

    >>> import rushlight as rl
    >>> rl.nn.init.kaiming_uniform_(rl.empty(2, 3)).shape
    torch.Size([2, 3])
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    if std is None:
        return tensor
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """N(0, s^2), s = gain / sqrt(fan) (He et al., arXiv 1502.01852).

    Follows `torch.nn.init.kaiming_normal_`.

    >>> import rushlight as rl
    >>> rl.nn.init.kaiming_normal_(rl.empty(2, 3)).shape
    torch.Size([2, 3])
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    return tensor if std is None else normal_(tensor, 0.0, std, generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """A (semi-)orthogonal matrix times `gain` (Saxe et al., arXiv 1312.6120)."""
    if tensor.dim() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows, columns = tensor.size(0), tensor.numel() // tensor.size(0)
    with rushlight.no_grad():
        draws = rushlight.empty((rows, columns), dtype=tensor.dtype, device=tensor.device)
        draws.normal_(0, 1, generator=generator)
        q, r = rushlight.linalg.qr(draws.t() if rows < columns else draws)
        # Q is unique, and uniformly distributed, once the diagonal of R is positive.
        q = q * rushlight.diagonal(r, 0).sign()
        q = q.t() if rows < columns else q
        tensor.copy_(q.reshape(tensor.shape))
        return tensor.mul_(gain)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """N(0, std^2) with a fraction `sparsity` of each column set to zero (Martens, ICML 2010).

    Follows `torch.nn.init.sparse_`.

    >>> import rushlight as rl
    >>> rl.nn.init.sparse_(rl.empty(4, 1), 0.5).eq(0).sum()
    tensor(2)
    """
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    with rushlight.no_grad():
        tensor.normal_(0, std, generator=generator)
        for column in range(columns):
            tensor[rushlight.randperm(rows)[:zeros], column] = 0
    return tensor


def _deprecated(function: Any) -> Any:
    """`function` under its older name, without the underscore."""
    name = function.__name__

    def older(*args: Any, **kwargs: Any) -> Tensor:
        import warnings

        warnings.warn(
            f"`nn.init.{name[:-1]}` is now deprecated in favor of `nn.init.{name}`.",
            FutureWarning,
            stacklevel=2,
        )
        return function(*args, **kwargs)

    older.__name__ = older.__qualname__ = name[:-1]
    older.__doc__ = f"The older name of `{name}`."
    return older


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)
