"""Random tensors: new ones, and tensors filled in place.

In: sizes, distributions, a generator (the default one if none is given). Out: tensors with, for a
seed, PyTorch's numbers. Invariant: every draw happens at its call, in program order
(tensor/drawing.py).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...base import dtype as dtypes
from ...base.dtype import dtype
from ...base.layout import Layout, broadcast_shapes, contiguous_layout
from ...ops import core
from ...ops.reduction import amin
from ..creation import fresh_layout, layout_like
from ..drawing import detached_result, draw_into, drawn, number, of_parameters, streams
from ..generator import Generator
from ..normals import box_muller
from ..tensor import Tensor
from ..values import window

if TYPE_CHECKING:
    from ..drawing import Draw

_SQRT_HALF = math.sqrt(0.5)


# --- how each distribution is drawn ---------------------------------------------------------------


def _uniform(low: float, high: float) -> Draw:
    return lambda engine, count, type_, contiguous: streams().uniform(
        engine, count, type_, low, high
    )


def _normal(mean: float, std: float) -> Draw:
    return lambda engine, count, type_, contiguous: streams().normal(
        engine, count, type_, mean, std, contiguous=contiguous, transform=box_muller
    )


def _integers(low: int, high: int) -> Draw:
    return lambda engine, count, type_, contiguous: streams().random_int(
        engine, count, low, high, type_
    )


def _coins(probability: Any) -> Draw:
    return lambda engine, count, type_, contiguous: streams().bernoulli(engine, count, probability)


def _standard_normal(type_: dtype) -> Draw:
    """Complex numbers have variance 1 as a whole, half of it in each part."""
    return _normal(0.0, _SQRT_HALF if type_.is_complex else 1.0)


# --- new tensors ----------------------------------------------------------------------------------


def _made(size: tuple, options: dict, draw: Any, default: dtype | None = None) -> Tensor:
    """A tensor of the size and options of a creation function."""
    options = dict(options)
    size = (options.pop("size"),) if "size" in options else size
    _check_options(options)
    layout = fresh_layout(
        size, options.get("dtype") or default, options.get("device"), options.get("memory_format")
    )
    return drawn(
        layout,
        draw(layout.dtype),
        options.get("generator"),
        options.get("requires_grad", False),
    )


def _check_options(options: dict) -> None:
    unknown = options.keys() - _OPTIONS
    if unknown:
        raise TypeError(f"got an unexpected keyword argument '{min(unknown)}'")


_OPTIONS = {
    "generator",
    "dtype",
    "layout",
    "device",
    "requires_grad",
    "pin_memory",
    "memory_format",
    "names",
}


def rand(*size: Any, **options: Any) -> Tensor:
    """Numbers uniform on [0, 1), as `torch.rand`; options: generator, dtype, device,
    requires_grad, out.

    >>> import rushlight as rl
    >>> rl.rand(2, generator=rl.Generator().manual_seed(0))
    tensor([0.4963, 0.7682])
    """
    return _made(size, options, lambda type_: _uniform(0.0, 1.0))


def randn(*size: Any, **options: Any) -> Tensor:
    """Standard normal numbers, as `torch.randn`; complex ones have variance 1 as a whole.

    >>> import rushlight as rl
    >>> rl.randn(2, generator=rl.Generator().manual_seed(0))
    tensor([ 1.5410, -0.2934])
    """
    return _made(size, options, _standard_normal)


def _bounds(name: str, numbers: tuple, options: dict) -> tuple[int, int, tuple]:
    """low, high and what follows them, from `(high, ...)` or `(low, high, ...)` and keywords."""
    rest = list(numbers)
    low, high = options.pop("low", None), options.pop("high", None)
    given: list[Any] = []
    while rest and len(given) < 2 and isinstance(number(rest[0]), (int, float)):
        given.append(number(rest.pop(0)))
    if high is None:
        if not given:
            raise TypeError(f"{name}() missing 1 required positional argument: 'high'")
        high = given.pop()
    if given:
        low = given.pop()
    return int(number(low) if low is not None else 0), int(number(high)), tuple(rest)


def randint(*args: Any, **options: Any) -> Tensor:
    """randint(low=0, high, size): integers of [low, high) (int64 unless stated), as
    `torch.randint`.

    >>> import rushlight as rl
    >>> rl.randint(10, (5,), generator=rl.Generator().manual_seed(0))
    tensor([4, 9, 3, 0, 3])
    """
    low, high, size = _bounds("randint", args, options)
    if "size" not in options and (len(size) != 1 or isinstance(size[0], int)):
        raise TypeError(
            "randint(): argument 'size' must be tuple of ints: randint(low, high, (2, 3))"
        )
    return _made(size, options, lambda type_: _integers(low, high), dtypes.int64)


def randperm(n: int, **options: Any) -> Tensor:
    """The integers below n in random order, as `torch.randperm`.

    >>> import rushlight as rl
    >>> rl.randperm(5, generator=rl.Generator().manual_seed(0))
    tensor([4, 0, 1, 3, 2])
    """
    n = int(number(n))
    if n < 0:
        raise RuntimeError(f"n must be non-negative, got {n}")

    def draw(engine: Any, count: int, type_: dtype, contiguous: bool) -> np.ndarray:
        examples = count // max(n, 1)  # inside vmap there may be several
        orders = [streams().permutation(engine, n) for _ in range(examples)]
        return streams().arithmetic.to_storage(np.concatenate([*orders, np.empty(0, int)]), type_)

    return _made((n,), options, lambda type_: draw, dtypes.int64)


def _made_like(input: Tensor, options: dict, draw: Any) -> Tensor:
    _check_options(options)
    layout = layout_like(
        input, options.get("dtype"), options.get("device"), options.get("memory_format")
    )
    return drawn(
        layout, draw(layout.dtype), options.get("generator"), options.get("requires_grad", False)
    )


def rand_like(input: Tensor, **options: Any) -> Tensor:
    """rand in the shape, dtype and order of dimensions of another tensor, as `torch.rand_like`."""
    return _made_like(input, options, lambda type_: _uniform(0.0, 1.0))


def randn_like(input: Tensor, **options: Any) -> Tensor:
    """randn in the shape, dtype and order of dimensions of another, as `torch.randn_like`."""
    return _made_like(input, options, _standard_normal)


def randint_like(input: Tensor, *args: Any, **options: Any) -> Tensor:
    """randint in the shape, dtype and order of dimensions of another tensor, as
    `torch.randint_like`.
    """
    low, high, _ = _bounds("randint_like", args, options)
    return _made_like(input, options, lambda type_: _integers(low, high))


# --- in place -------------------------------------------------------------------------------------


def uniform_(
    self: Tensor,
    from_: float = 0.0,
    to: float = 1.0,
    *,
    generator: Generator | None = None,
    **bounds: float,
) -> Tensor:
    """Fill with numbers uniform on [from, to), as `torch.Tensor.uniform_` (keywords `from` and
    `to`).
    """
    low = float(number(bounds.get("from", from_)))
    high = float(number(to))
    if low > high:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}"
        )
    return draw_into(self, _uniform(low, high), generator)


def normal_(
    self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fill with normal numbers, as `torch.Tensor.normal_`; of complex ones both parts have
    variance std^2 / 2.
    """
    mean, std = number(mean), float(number(std))
    if self.dtype.is_complex:
        std *= _SQRT_HALF
    return draw_into(self, _normal(float(mean), std), generator)


def random_(self: Tensor, *bounds: Any, generator: Generator | None = None, **named: Any) -> Tensor:
    """Fill with integers: of the whole dtype, of [0, to), or of [from, to), as
    `torch.Tensor.random_`.
    """
    low, high = named.get("from"), named.get("to")
    if len(bounds) == 2:
        low, high = bounds
    elif bounds:
        high = bounds[0]
    if low is None and high is None:
        return draw_into(
            self,
            lambda engine, count, type_, contiguous: streams().random_default(engine, count, type_),
            generator,
        )
    low = 0 if low is None else int(number(low))
    if high is not None:
        return draw_into(self, _integers(low, int(number(high))), generator)
    if low == -(1 << 63):
        return draw_into(
            self,
            lambda engine, count, type_, contiguous: streams().random_full_range(
                engine, count, type_
            ),
            generator,
        )
    return draw_into(
        self,
        lambda engine, count, type_, contiguous: streams().random_from(engine, count, low, type_),
        generator,
    )


def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with 1 with probability p (a number, or a tensor that broadcasts), else 0, as
    `torch.Tensor.bernoulli_`.
    """
    if isinstance(p, Tensor) and (p.ndim or p.dtype.is_floating_point):
        if not p.dtype.is_floating_point:
            raise RuntimeError(
                f"expected probabilities tensor to have floating type, got {p.dtype.name}"
            )
        chances = streams().arithmetic.from_storage(
            _strided_like(p.detach().expand(self.shape), self._layout), p.dtype
        )
        return draw_into(self, _coins(chances), generator)
    return draw_into(self, _coins(float(number(p))), generator)


def _strided_like(p: Tensor, layout: Layout) -> np.ndarray:
    """The elements of p (as stored) in the order in which a tensor of that layout is visited."""
    order = streams().visiting_order(layout.shape, layout.strides)
    return np.ascontiguousarray(window(p).transpose(order)).reshape(-1)


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers of density lambd exp(-lambd x), as `torch.Tensor.exponential_`."""
    rate = float(number(lambd))
    return draw_into(
        self,
        lambda engine, count, type_, contiguous: streams().exponential(engine, count, type_, rate),
        generator,
    )


def cauchy_(
    self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Fill with Cauchy-distributed numbers, as `torch.Tensor.cauchy_`."""
    m, s = float(number(median)), float(number(sigma))
    return draw_into(
        self,
        lambda engine, count, type_, contiguous: streams().cauchy(engine, count, type_, m, s),
        generator,
    )


def log_normal_(
    self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None
) -> Tensor:
    """Fill with exp of normal numbers of this mean and std, as `torch.Tensor.log_normal_`."""
    m, s = float(number(mean)), float(number(std))
    return draw_into(
        self,
        lambda engine, count, type_, contiguous: streams().log_normal(engine, count, type_, m, s),
        generator,
    )


def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill with the number of tosses up to the first success of probability p, as
    `torch.Tensor.geometric_`.
    """
    chance = float(number(p))
    return draw_into(
        self,
        lambda engine, count, type_, contiguous: streams().geometric(engine, count, chance, type_),
        generator,
    )


# --- drawn from tensors of parameters -------------------------------------------------------------


@of_parameters
def bernoulli(
    input: Tensor, p: float | None = None, *, generator: Generator | None = None
) -> Tensor:
    """1 with the probability that stands in input (or p), else 0, as `torch.bernoulli`; the
    gradient is zero.

    >>> import rushlight as rl
    >>> rl.bernoulli(rl.tensor([0., 1.]))
    tensor([0., 1.])
    """
    layout = contiguous_layout(input.shape, input.dtype, input.device)
    if p is not None:
        return drawn(layout, _coins(float(number(p))), generator)
    if not input.dtype.is_floating_point:
        raise NotImplementedError(
            f"\"bernoulli_tensor_cpu_p_\" not implemented for '{input.dtype.name}'"
        )
    if input.is_meta:
        return drawn(layout, _coins(0.5), generator)
    chances = streams().arithmetic.from_storage(_strided_like(input.detach(), layout), input.dtype)
    return detached_result(input, drawn(layout, _coins(chances), generator))


@of_parameters
def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Indices drawn with the weights in the rows of input, as `torch.multinomial`.

    Shapes: (categories) to (num_samples), (rows, categories) to (rows, num_samples); the result is
    int64. RuntimeError for weights that are negative, not finite or all zero, and for more draws
    than categories without replacement.

    >>> import rushlight as rl
    >>> rl.multinomial(rl.tensor([0., 1., 0.]), 1)
    tensor([1])
    """
    weights = np.ascontiguousarray(window(input))
    shape = (*input.shape[:-1], num_samples)

    def draw(engine: Any, count: int, type_: dtype, contiguous: bool) -> np.ndarray:
        return streams().multinomial(engine, weights, num_samples, replacement, input.dtype)

    return drawn(contiguous_layout([max(n, 0) for n in shape], dtypes.int64), draw, generator)


@of_parameters
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Poisson counts of the rates in input, as `torch.poisson`; the gradient is zero."""
    rates = np.ascontiguousarray(window(input)).reshape(-1)

    def draw(engine: Any, count: int, type_: dtype, contiguous: bool) -> np.ndarray:
        return streams().poisson(engine, rates, type_)

    return detached_result(
        input, drawn(contiguous_layout(input.shape, input.dtype), draw, generator)
    )


@of_parameters
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """Numbers of successes in `count` trials of probability `prob`, as `torch.binomial`."""
    if count.dtype is not prob.dtype:
        raise ValueError(
            f"binomial: count and prob must have one dtype, but got {count.dtype} and {prob.dtype}"
        )
    shape = broadcast_shapes(count.shape, prob.shape)
    counts, chances = (
        np.ascontiguousarray(window(x.detach().expand(shape))).reshape(-1) for x in (count, prob)
    )

    def draw(engine: Any, number_: int, type_: dtype, contiguous: bool) -> np.ndarray:
        return streams().binomial(engine, counts, chances, type_)

    return detached_result(count, drawn(contiguous_layout(shape, count.dtype), draw, generator))


@of_parameters
def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    **options: Any,
) -> Tensor:
    """Normal numbers; mean and std are numbers (with a size) or tensors that broadcast, as
    `torch.normal`.

    Of tensors the result is row-major, whatever order they lie in.

    >>> import rushlight as rl
    >>> rl.normal(5.0, 0.0, (2,))
    tensor([5., 5.])
    """
    tensors = [x for x in (mean, std) if isinstance(x, Tensor)]
    if size is not None:
        if tensors or isinstance(size, int):
            given = ", ".join(type(x).__name__ for x in (mean, std, size))
            raise TypeError(
                f"normal() received an invalid combination of arguments - got ({given}): a size is "
                "a tuple of ints, and goes with a mean and a std that are numbers"
            )
        layout = fresh_layout((size,), options.get("dtype"), options.get("device"))
        return drawn(
            layout,
            _normal(float(mean), float(std)),
            generator,
            options.get("requires_grad", False),
        )
    if not tensors:
        raise TypeError("normal(): mean and std are both numbers, so argument 'size' is required")
    if isinstance(std, Tensor):
        if not std.dtype.is_floating_point:
            raise RuntimeError(
                "normal expects standard deviation to be a floating point tensor, got "
                f"{std.dtype.name}"
            )
        if std.numel() and amin(std.detach(), None, False).item() < 0:
            raise RuntimeError("normal expects all elements of std >= 0.0")
    shape = broadcast_shapes(*[x.shape for x in tensors])
    layout = contiguous_layout(shape, tensors[0].dtype)
    spread = 1.0 if isinstance(std, Tensor) else float(std)
    if spread < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {spread:g}")
    made = drawn(layout, _normal(0.0, spread), generator)
    made = core.mul(made, std.detach()) if isinstance(std, Tensor) else made
    made = core.add(made, mean.detach() if isinstance(mean, Tensor) else float(mean))
    return detached_result(tensors[0], made) if tensors[0].shape == made.shape else made


FUNCTIONS = (
    rand,
    randn,
    randint,
    randperm,
    rand_like,
    randn_like,
    randint_like,
    bernoulli,
    multinomial,
    poisson,
    binomial,
    normal,
)
METHODS = (
    uniform_,
    normal_,
    random_,
    bernoulli_,
    exponential_,
    cauchy_,
    log_normal_,
    geometric_,
    bernoulli,
    multinomial,
)
