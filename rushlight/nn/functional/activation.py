"""Activation functions: elementwise non-linearities and the softmax family.

In: one tensor (and constants). Out: a tensor of the same shape, except `glu`, which halves one
dimension.
Invariant: `inplace=True` writes the result into the input's storage and returns the input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.ops import namespace as _ops


def overwrite(input: Tensor, function: Callable[..., Tensor], *constants: Any) -> Tensor:
    """input <- function(input): what `inplace=True` means.

    The function reads a clone, so that what it saves for backward is not the overwritten value;
    a clone of a pending value costs nothing.
    """
    return input.copy_(function(input.clone(), *constants))


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(0, x). Follows `torch.nn.functional.relu`.

    >>> import rushlight as rl
    >>> rl.nn.functional.relu(rl.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return input.relu_() if inplace else _ops.relu(input)


def relu_(input: Tensor) -> Tensor:
    """`relu` in place.

    >>> import rushlight as rl
    >>> x = rl.tensor([-1.0, 2.0])
    >>> rl.nn.functional.relu_(x) is x
    True
    """
    return input.relu_()


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(0, x), 6). Follows `torch.nn.functional.relu6`.

    >>> import rushlight as rl
    >>> rl.nn.functional.relu6(rl.tensor([-1.0, 7.0]))
    tensor([0., 6.])
    """
    return hardtanh(input, 0.0, 6.0, inplace)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """min(max(min_val, x), max_val). Follows `torch.nn.functional.hardtanh`.

    >>> import rushlight as rl
    >>> rl.nn.functional.hardtanh(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.,  0.,  1.])
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if inplace:
        return overwrite(input, _ops.hardtanh, min_val, max_val)
    return _ops.hardtanh(input, min_val, max_val)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """`hardtanh` in place.

    >>> import rushlight as rl
    >>> x = rl.tensor([-1.0, 2.0])
    >>> rl.nn.functional.hardtanh_(x) is x
    True
    """
    return hardtanh(input, min_val, max_val, inplace=True)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x)).

    Follows `torch.nn.functional.sigmoid`.

    >>> import rushlight as rl
    >>> rl.nn.functional.sigmoid(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([0.2689, 0.5000, 0.8808])
    """
    return input.sigmoid()


def tanh(input: Tensor) -> Tensor:
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x)).

    Follows `torch.nn.functional.tanh`.

    >>> import rushlight as rl
    >>> rl.nn.functional.tanh(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.7616,  0.0000,  0.9640])
    """
    return input.tanh()


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x * sigmoid(x) (swish; Elfwing et al., arXiv 1702.03118).

    Follows `torch.nn.functional.silu`.

    >>> import rushlight as rl
    >>> rl.nn.functional.silu(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.2689,  0.0000,  1.7616])
    """
    return overwrite(input, _ops.silu) if inplace else _ops.silu(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * tanh(softplus(x)) (Misra, arXiv 1908.08681).

    Follows `torch.nn.functional.mish`.

    >>> import rushlight as rl
    >>> rl.nn.functional.mish(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.3034,  0.0000,  1.9440])
    """
    return overwrite(input, _ops.mish) if inplace else _ops.mish(input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x * Phi(x), Phi the normal distribution function (Hendrycks and Gimpel, arXiv 1606.08415).

    `approximate="tanh"`: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).

    Follows `torch.nn.functional.gelu`.

    >>> import rushlight as rl
    >>> rl.nn.functional.gelu(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.1587,  0.0000,  1.9545])
    """
    return _ops.gelu(input, approximate)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x for x > 0, alpha (exp(x) - 1) elsewhere (Clevert et al., arXiv 1511.07289).

    Follows `torch.nn.functional.elu`.

    >>> import rushlight as rl
    >>> rl.nn.functional.elu(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.6321,  0.0000,  2.0000])
    """
    return overwrite(input, _ops.elu, alpha) if inplace else _ops.elu(input, alpha)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`elu` in place.

    >>> import rushlight as rl
    >>> x = rl.tensor([-1.0, 2.0])
    >>> rl.nn.functional.elu_(x) is x
    True
    """
    return elu(input, alpha, inplace=True)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale * elu(x, alpha) with the two self-normalising constants (arXiv 1706.02515).

    Follows `torch.nn.functional.selu`.

    >>> import rushlight as rl
    >>> rl.nn.functional.selu(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.1113,  0.0000,  2.1014])
    """
    return overwrite(input, _ops.selu) if inplace else _ops.selu(input)


def selu_(input: Tensor) -> Tensor:
    """`selu` in place.

    >>> import rushlight as rl
    >>> x = rl.tensor([-1.0, 2.0])
    >>> rl.nn.functional.selu_(x) is x
    True
    """
    return selu(input, inplace=True)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """max(0, x) + min(0, alpha (exp(x / alpha) - 1)) (Barron, arXiv 1704.07483).

    Follows `torch.nn.functional.celu`.

    >>> import rushlight as rl
    >>> rl.nn.functional.celu(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.6321,  0.0000,  2.0000])
    """
    return overwrite(input, _ops.celu, alpha) if inplace else _ops.celu(input, alpha)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`celu` in place.

    >>> import rushlight as rl
    >>> x = rl.tensor([-1.0, 2.0])
    >>> rl.nn.functional.celu_(x) is x
    True
    """
    return celu(input, alpha, inplace=True)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x for x >= 0, negative_slope * x elsewhere.

    Follows `torch.nn.functional.leaky_relu`.

    >>> import rushlight as rl
    >>> rl.nn.functional.leaky_relu(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.0100,  0.0000,  2.0000])
    """
    if inplace:
        return overwrite(input, _ops.leaky_relu, negative_slope)
    return _ops.leaky_relu(input, negative_slope)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`leaky_relu` in place.

    >>> import rushlight as rl
    >>> x = rl.tensor([-1.0, 2.0])
    >>> rl.nn.functional.leaky_relu_(x) is x
    True
    """
    return leaky_relu(input, negative_slope, inplace=True)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """max(0, x) + weight * min(0, x); `weight` has one value or one per channel.

    Follows `torch.nn.functional.prelu`.

    >>> import rushlight as rl
    >>> rl.nn.functional.prelu(rl.tensor([-1.0, 2.0]), rl.tensor([0.25]))
    tensor([-0.2500,  2.0000])
    """
    return _ops.prelu(input, weight)


@rushlight._titled("RreluWithNoiseBackward0")
def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """`leaky_relu` whose slope is drawn from U(lower, upper) for each element while training.

    Outside training the slope is (lower + upper) / 2. As in PyTorch, numbers are drawn only for
    the elements <= 0, in memory order. Follows Xu et al., arXiv 1505.00853.

    >>> import rushlight as rl
    >>> rl.nn.functional.rrelu(rl.tensor([-1.0, 2.0]))
    tensor([-0.2292,  2.0000])
    """
    if lower > upper:
        raise RuntimeError(
            "Lower bound should be less than or equal to the upper bound, "
            f"but rrelu got lower={lower} and upper={upper}"
        )
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    negative = input.detach() <= 0
    count = int(negative.sum())
    draws = rushlight.empty(count, dtype=rushlight.float64, device=input.device)
    slopes = rushlight.ones_like(input).masked_scatter(
        negative, draws.uniform_(lower, upper).to(input.dtype)
    )
    return overwrite(input, rushlight.mul, slopes) if inplace else input * slopes


def rrelu_(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False
) -> Tensor:
    """`rrelu` in place.

    >>> import rushlight as rl
    >>> x = rl.tensor([-1.0, 2.0])
    >>> rl.nn.functional.rrelu_(x) is x
    True
    """
    return rrelu(input, lower, upper, training, inplace=True)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(0, x + 3), 6) / 6.

    Follows `torch.nn.functional.hardsigmoid`.

    >>> import rushlight as rl
    >>> rl.nn.functional.hardsigmoid(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([0.3333, 0.5000, 0.8333])
    """
    return overwrite(input, _ops.hardsigmoid) if inplace else _ops.hardsigmoid(input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x * hardsigmoid(x) (Howard et al., arXiv 1905.02244).

    Follows `torch.nn.functional.hardswish`.

    >>> import rushlight as rl
    >>> rl.nn.functional.hardswish(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.3333,  0.0000,  1.6667])
    """
    return overwrite(input, _ops.hardswish) if inplace else _ops.hardswish(input)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, 0 elsewhere.

    Follows `torch.nn.functional.hardshrink`.

    >>> import rushlight as rl
    >>> rl.nn.functional.hardshrink(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.,  0.,  2.])
    """
    return _ops.hardshrink(input, lambd)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved by lambd towards zero, and 0 where |x| <= lambd.

    Follows `torch.nn.functional.softshrink`.

    >>> import rushlight as rl
    >>> rl.nn.functional.softshrink(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """
    return _ops.softshrink(input, lambd)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x).

    Follows `torch.nn.functional.tanhshrink`.

    >>> import rushlight as rl
    >>> rl.nn.functional.tanhshrink(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.2384,  0.0000,  1.0360])
    """
    return input - input.tanh()


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|).

    Follows `torch.nn.functional.softsign`.

    >>> import rushlight as rl
    >>> rl.nn.functional.softsign(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([-0.5000,  0.0000,  0.6667])
    """
    return input / (input.abs() + 1)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta x)) / beta, and x itself where beta x > threshold.

    Follows `torch.nn.functional.softplus`.

    >>> import rushlight as rl
    >>> rl.nn.functional.softplus(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([0.3133, 0.6931, 2.1269])
    """
    return _ops.softplus(input, beta, threshold)


def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + exp(-x))).

    Follows `torch.nn.functional.logsigmoid`.

    >>> import rushlight as rl
    >>> rl.nn.functional.logsigmoid(rl.tensor([-1.0, 0.0, 2.0]))
    tensor([-1.3133, -0.6931, -0.1269])
    """
    return _ops.log_sigmoid(input)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, `value` elsewhere.

    Follows `torch.nn.functional.threshold`.

    >>> import rushlight as rl
    >>> rl.nn.functional.threshold(rl.tensor([0.1, 2.0]), 1.0, 20.0)
    tensor([20.,  2.])
    """
    if inplace:
        return overwrite(input, _ops.threshold, threshold, value)
    return _ops.threshold(input, threshold, value)


def threshold_(input: Tensor, threshold_value: float, value: float) -> Tensor:
    """`threshold` in place.

    >>> import rushlight as rl
    >>> x = rl.tensor([-1.0, 2.0])
    >>> rl.nn.functional.threshold_(x, 0.0, 5.0) is x
    True
    """
    return threshold(input, threshold_value, value, inplace=True)


@rushlight._titled("GluBackward0")
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), a and b the two halves of `input` along `dim` (arXiv 1612.08083).

    Follows `torch.nn.functional.glu`.

    >>> import rushlight as rl
    >>> rl.nn.functional.glu(rl.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
    if input.dim() == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    size = input.size(dim)
    if size % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {size}")
    first, second = input.chunk(2, dim)
    return first * second.sigmoid()


def _softmax_dim(name: str, dimensions: int) -> int:
    """The dimension that is used when none is given: deprecated, as in PyTorch."""
    import warnings

    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. "
        "Change the call to include dim=X as an argument.",
        stacklevel=4,
    )
    return 0 if dimensions in (0, 1, 3) else 1


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """exp(x_i) / sum_j exp(x_j) along `dim`; with `dtype` the input is converted first.

    >>> import rushlight as rl
    >>> rl.nn.functional.softmax(rl.zeros(2), dim=0)
    tensor([0.5000, 0.5000])
    """
    if dim is None:
        dim = _softmax_dim("softmax", input.dim())
    return _ops.softmax(input, dim, dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """softmax(-x).

    Follows `torch.nn.functional.softmin`.

    >>> import rushlight as rl
    >>> rl.nn.functional.softmin(rl.zeros(2), dim=0)
    tensor([0.5000, 0.5000])
    """
    if dim is None:
        dim = _softmax_dim("softmin", input.dim())
    return _ops.softmax(-input, dim, dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """log(softmax(x)), computed as x_i - logsumexp(x).

    Follows `torch.nn.functional.log_softmax`.

    >>> import rushlight as rl
    >>> rl.nn.functional.log_softmax(rl.zeros(2), dim=0)
    tensor([-0.6931, -0.6931])
    """
    if dim is None:
        dim = _softmax_dim("log_softmax", input.dim())
    return _ops.log_softmax(input, dim, dtype)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """softmax((logits + g) / tau), g Gumbel noise: a differentiable draw (arXiv 1611.01144).

    With `hard` the value is one-hot while the gradient is that of the soft sample.

    Follows `torch.nn.functional.gumbel_softmax`.

    >>> import rushlight as rl
    >>> rl.nn.functional.gumbel_softmax(rl.zeros(3), hard=True).sum()
    tensor(1.)
    """
    noise = -rushlight.empty_like(logits).exponential_().log()
    soft = _ops.softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    index = soft.argmax(dim, keepdim=True)
    one_hot = rushlight.zeros_like(logits).scatter_(dim, index, 1.0)
    return one_hot - soft.detach() + soft
