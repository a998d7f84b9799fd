"""The base of all distributions.

In: parameters (tensors), whose common shape is the batch shape. Out: samples of shape
sample_shape + batch_shape + event_shape, log probabilities of shape batch_shape. Invariants: a
distribution never changes; its parameters are the attributes that `arg_constraints` names, which
is what printing, checking and expanding go by.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import rushlight
from rushlight import Size, Tensor

from . import constraints
from .constraints import Constraint
from .utils import lazy_property


class Distribution:
    """A family of probability distributions, one for each element of its parameters.

    Follows `torch.distributions.Distribution`: `sample`, `rsample` (differentiable by the
    parameters), `log_prob`, `cdf`, `icdf`, `entropy`, `mean`, `mode`, `variance`, `stddev`,
    `expand`, `enumerate_support`, `perplexity`. With `validate_args` (the default) parameters and
    values outside their region are a ValueError.

    >>> import rushlight as rl
    >>> rl.distributions.Normal(rl.zeros(3), 1.0).batch_shape
    torch.Size([3])
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args = __debug__

    def __init__(
        self,
        batch_shape: Sequence[int] = (),
        event_shape: Sequence[int] = (),
        validate_args: bool | None = None,
    ) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions made from now on check their parameters and values."""
        if value not in (True, False):
            raise ValueError(f"validate_args must be True or False, not {value!r}")
        Distribution._validate_args = value

    def _constraints(self) -> Mapping[str, Constraint]:
        """What parameters must fulfil; empty (with a warning) where a subclass does not say."""
        try:
            return self.arg_constraints
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`. Please set `arg_constraints = "
                "{}` or initialize the distribution with `validate_args=False` to turn off "
                "validation.",
                stacklevel=4,
            )
            return {}

    def _check_parameters(self) -> None:
        for name, constraint in self._constraints().items():
            if constraints.is_dependent(constraint):
                continue
            given = name in self.__dict__
            if not given and isinstance(getattr(type(self), name, None), lazy_property):
                continue
            value = getattr(self, name)
            if not bool(constraint.check(value).all()):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
                    f"{constraint!r}, but found invalid values:\n{value}"
                )

    # --- what a distribution is ----------------------------------------------------------------

    @property
    def batch_shape(self) -> Size:
        """The shape of the parameters: how many distributions these are."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one sample of one distribution."""
        return self._event_shape

    @property
    def arg_constraints(self) -> Mapping[str, Constraint]:
        """The region of each parameter."""
        raise NotImplementedError

    @property
    def support(self) -> Constraint:
        """The region of the values."""
        raise NotImplementedError

    @property
    def mean(self) -> Tensor:
        """The expected value."""
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        """The most probable value."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The expected squared distance from the mean."""
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        """The square root of the variance."""
        return self.variance.sqrt()

    # --- what it does --------------------------------------------------------------------------

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Samples of shape sample_shape + batch_shape + event_shape, without a gradient."""
        with rushlight.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Samples that are differentiable functions of the parameters."""
        raise NotImplementedError

    def sample_n(self, n: int) -> Tensor:
        """n samples; an old form of `sample((n,))`."""
        warnings.warn(
            "sample_n will be deprecated. Use .sample((n,)) instead", UserWarning, stacklevel=2
        )
        return self.sample((n,))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density (or probability) at a value."""
        raise NotImplementedError

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a value or less."""
        raise NotImplementedError

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of `cdf`."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values of a discrete distribution along a new first dimension."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The expected value of -log_prob."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """exp(entropy)"""
        return rushlight.exp(self.entropy())

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """The same distribution with its batch dimensions expanded; parameters are views."""
        new = object.__new__(type(self)) if _instance is None else _instance
        batch = Size(batch_shape)
        for name, value in self.__dict__.items():
            if name in self.arg_constraints:
                trailing = value.shape[value.dim() - self.arg_constraints[name].event_dim :]
                new.__dict__[name] = value.expand(batch + trailing)
            else:
                new.__dict__[name] = self._expanded_part(name, value, batch)
        new._batch_shape = batch
        return new

    def _expanded_part(self, name: str, value: Any, batch: Size) -> Any:
        """An attribute that is no parameter, for an expanded distribution."""
        return value.expand(batch) if isinstance(value, Distribution) else value

    # --- shared by the distributions -----------------------------------------------------------

    def _extended_shape(self, sample_shape: Sequence[int] = ()) -> Size:
        """The shape of samples."""
        return Size(sample_shape) + self._batch_shape + self._event_shape

    def _checked(self, value: Any) -> Any:
        """A value, seen to have the shape of samples and to lie in the support."""
        if self._validate_args:
            self._validate_sample(value)
        return value

    def _validate_sample(self, value: Any) -> None:
        """ValueError for a value that has not the shape of samples, or lies outside the support."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        shape, events = value.size(), self._event_shape
        if shape[len(shape) - len(events) :] != events:
            raise ValueError(
                f"The right-most size of value must match event_shape: {shape} vs {events}."
            )
        expected = self._batch_shape + events
        for a, b in zip(reversed(shape), reversed(expected)):
            if a != b and a != 1 and b != 1:
                raise ValueError(
                    "Value is not broadcastable with batch_shape+event_shape: "
                    f"{shape} vs {expected}."
                )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `support` to enable sample validation. Please "
                "initialize the distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        if not bool(support.check(value).all()):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(shape)}) to be "
                f"within the support ({support!r}) of the distribution {self!r}, but found "
                f"invalid values:\n{value}"
            )

    def __repr__(self) -> str:
        shown = []
        for name in self._constraints():
            if name in self.__dict__:
                value = self.__dict__[name]
                shown.append(f"{name}: {value if value.numel() == 1 else value.size()}")
        return f"{type(self).__name__}({', '.join(shown)})"
