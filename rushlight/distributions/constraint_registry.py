"""Maps from unconstrained numbers onto a region, PyTorch's `biject_to` and `transform_to`.

In: a constraint. Out: a transform whose codomain it is. Invariant: `biject_to` gives bijections
with a log determinant (for changes of variables), `transform_to` whatever is cheapest to optimise
through.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import constraints, transforms
from .constraints import Constraint
from .transforms import Transform


class ConstraintRegistry:
    """A table from the class of a constraint to what makes its transform.

    >>> import rushlight as rl
    >>> t = rl.distributions.biject_to(rl.distributions.constraints.positive)
    >>> t(rl.tensor(0.0))
    tensor(1.)
    """

    def __init__(self) -> None:
        self._registry: dict[type, Callable[[Any], Transform]] = {}

    def register(self, constraint: Any, factory: Callable | None = None) -> Any:
        """Enter a factory (constraint) -> Transform for a class of constraints; a decorator where
        none is given.

        TypeError for what is no constraint.
        """
        if factory is None:
            return lambda f: self.register(constraint, f)
        kind = type(constraint) if isinstance(constraint, Constraint) else constraint
        if not isinstance(kind, type) or not issubclass(kind, Constraint):
            raise TypeError(
                "Expected constraint to be either a Constraint subclass or instance, but got "
                f"{constraint}"
            )
        self._registry[kind] = factory
        return factory

    def __call__(self, constraint: Constraint) -> Transform:
        """The transform onto a constraint; NotImplementedError where none is known."""
        factory = self._registry.get(type(constraint))
        if factory is None:
            raise NotImplementedError(f"Cannot transform {type(constraint).__name__} constraints")
        return factory(constraint)


biject_to = ConstraintRegistry()
transform_to = ConstraintRegistry()
BOTH = (biject_to, transform_to)


def _above(constraint: Any) -> Transform:
    return transforms.ComposeTransform(
        [transforms.ExpTransform(), transforms.AffineTransform(constraint.lower_bound, 1)]
    )


def _below(constraint: Any) -> Transform:
    return transforms.ComposeTransform(
        [transforms.ExpTransform(), transforms.AffineTransform(constraint.upper_bound, -1)]
    )


def _between(constraint: Any) -> Transform:
    low, high = constraint.lower_bound, constraint.upper_bound
    if isinstance(low, (int, float)) and (low, high) == (0, 1):
        return transforms.SigmoidTransform()
    return transforms.ComposeTransform(
        [transforms.SigmoidTransform(), transforms.AffineTransform(low, high - low)]
    )


def _enter(registries: tuple[ConstraintRegistry, ...]) -> None:
    for registry in registries:
        registry.register(constraints.real, lambda constraint: transforms.identity_transform)
        for above in (constraints.positive, constraints.nonnegative):
            registry.register(above, _above)
        registry.register(constraints.less_than, _below)
        registry.register(constraints.interval, _between)
        registry.register(constraints.half_open_interval, _between)
        registry.register(
            constraints.corr_cholesky, lambda constraint: transforms.CorrCholeskyTransform()
        )
        registry.register(constraints.independent, _independent(registry))
        registry.register(constraints.cat, _cat(registry))
        registry.register(constraints.stack, _stack(registry))


def _independent(registry: ConstraintRegistry) -> Callable:
    return lambda constraint: transforms.IndependentTransform(
        registry(constraint.base_constraint), constraint.reinterpreted_batch_ndims
    )


def _cat(registry: ConstraintRegistry) -> Callable:
    return lambda constraint: transforms.CatTransform(
        [registry(c) for c in constraint.cseq], constraint.dim, constraint.lengths
    )


def _stack(registry: ConstraintRegistry) -> Callable:
    return lambda constraint: transforms.StackTransform(
        [registry(c) for c in constraint.cseq], constraint.dim
    )


_enter(BOTH)
biject_to.register(constraints.simplex, lambda constraint: transforms.StickBreakingTransform())
transform_to.register(constraints.simplex, lambda constraint: transforms.SoftmaxTransform())
transform_to.register(
    constraints.lower_cholesky, lambda constraint: transforms.LowerCholeskyTransform()
)
for _definite in (constraints.positive_definite, constraints.positive_semidefinite):
    transform_to.register(_definite, lambda constraint: transforms.PositiveDefiniteTransform())

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]
