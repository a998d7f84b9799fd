"""PyTorch's CPU random numbers for a seed, as NumPy arrays.

In: an `Mt19937` and a distribution's parameters. Out: arrays of the dtype as stored (bfloat16 as
bits in uint16). Invariant: the numbers and the generator's state afterwards are those of PyTorch
2.13 on x86-64, bit for bit.

| PyTorch | here |
|---|---|
| `rand`, `Tensor.uniform_`, `init.uniform_`, `kaiming_uniform_`, `xavier_uniform_` | `uniform` |
| `randn`, `Tensor.normal_`, `init.normal_`, `kaiming_normal_`, `xavier_normal_` | `normal` |
| `randint`, `Tensor.random_(low, high)` | `random_int` |
| `Tensor.random_()`, `random_(low, None)` | `random_default`, `random_from`, `random_full_range` |
| `randperm`, `random_split`, `RandomSampler` | `permutation` |
| `bernoulli`, the masks of `dropout`, `alpha_dropout`, `feature_dropout` | `bernoulli` |
| `nn.init.trunc_normal_` | `normal`, redrawing |
| `multinomial` | `multinomial` (without replacement: an exponential race) |
| `poisson`, `binomial` | `poisson`, `binomial` |
| `_standard_gamma`, `_sample_dirichlet` | `gamma`, `dirichlet` |

Complex tensors are drawn as twice as many real numbers (`normal` with std / sqrt(2)).
"""

from __future__ import annotations

from .box_muller import normal
from .continuous import cauchy, exponential, log_normal, uniform
from .discrete import (
    bernoulli,
    geometric,
    multinomial,
    permutation,
    random_default,
    random_from,
    random_full_range,
    random_int,
)
from .generator import DEFAULT_SEED, STATE_BYTES, Mt19937
from .order import arrange, visiting_order
from .rejection import binomial, dirichlet, gamma, poisson

__all__ = [
    "DEFAULT_SEED",
    "STATE_BYTES",
    "Mt19937",
    "arrange",
    "bernoulli",
    "binomial",
    "cauchy",
    "dirichlet",
    "exponential",
    "gamma",
    "geometric",
    "log_normal",
    "multinomial",
    "normal",
    "permutation",
    "poisson",
    "random_default",
    "random_from",
    "random_full_range",
    "random_int",
    "uniform",
    "visiting_order",
]
