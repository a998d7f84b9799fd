"""Divergences, transforms, constraints and examples of `rushlight.distributions` against PyTorch's.

In: tables of pairs, maps and regions. Each comparison runs the same expression in both libraries.
"""

from __future__ import annotations

import doctest
import io
import pkgutil
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import rushlight as rl

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")

PAIRS = [
    ("D.Bernoulli(v(0.2, 0.5, 0.0))", "D.Bernoulli(v(0.7, 1.0, 0.0))"),
    ("D.Bernoulli(v(0.2, 0.5))", "D.Poisson(v(0.7, 2.0))"),
    ("D.Beta(v(0.5, 2.0), v(1.0, 3.0))", "D.Beta(v(2.5, 2.0), v(1.0, 1.5))"),
    ("D.Binomial(4, v(0.2, 0.5))", "D.Binomial(4, v(0.7, 0.4))"),
    ("D.Categorical(v(0.2, 0.5, 0.3))", "D.Categorical(v(0.7, 0.2, 0.1))"),
    ("D.OneHotCategorical(v(0.2, 0.5, 0.3))", "D.OneHotCategorical(v(0.7, 0.2, 0.1))"),
    ("D.Cauchy(v(0.2, 0.5), 1.0)", "D.Cauchy(v(0.7, 0.4), 2.0)"),
    ("D.Dirichlet(v(0.2, 0.5, 3.0))", "D.Dirichlet(v(0.7, 0.2, 1.0))"),
    ("D.Exponential(v(0.2, 0.5))", "D.Exponential(v(0.7, 0.4))"),
    ("D.Exponential(v(0.2, 0.5))", "D.Gamma(v(0.7, 0.4), v(1.0, 2.0))"),
    ("D.Exponential(v(0.2, 0.5))", "D.Normal(v(0.7, 0.4), v(1.0, 2.0))"),
    ("D.Gamma(v(0.7, 0.4), v(1.0, 2.0))", "D.Gamma(v(1.7, 2.4), v(1.5, 0.5))"),
    ("D.Gamma(v(0.7, 0.4), v(1.0, 2.0))", "D.Exponential(v(1.7, 2.4))"),
    ("D.Gamma(v(0.7, 0.4), v(1.0, 2.0))", "D.Normal(v(1.7, 2.4), v(1.5, 0.5))"),
    ("D.Chi2(v(0.7, 4.0))", "D.Chi2(v(1.7, 2.4))"),
    ("D.Geometric(v(0.7, 0.4))", "D.Geometric(v(0.2, 0.6))"),
    ("D.Gumbel(v(0.7, 0.4), v(1.0, 2.0))", "D.Gumbel(v(1.7, 2.4), v(1.5, 0.5))"),
    ("D.HalfNormal(v(0.7, 0.4))", "D.HalfNormal(v(1.7, 2.4))"),
    ("D.Laplace(v(0.7, 0.4), v(1.0, 2.0))", "D.Laplace(v(1.7, 2.4), v(1.5, 0.5))"),
    ("D.Laplace(v(0.7, 0.4), v(1.0, 2.0))", "D.Normal(v(1.7, 2.4), v(1.5, 0.5))"),
    ("D.LogNormal(v(0.7, 0.4), v(1.0, 2.0))", "D.LogNormal(v(1.7, 2.4), v(1.5, 0.5))"),
    ("D.Normal(v(0.7, 0.4), v(1.0, 2.0))", "D.Normal(v(1.7, 2.4), v(1.5, 0.5))"),
    ("D.Normal(v(0.7, 0.4), v(1.0, 2.0))", "D.Laplace(v(1.7, 2.4), v(1.5, 0.5))"),
    ("D.Normal(v(0.7, 0.4), v(1.0, 2.0))", "D.Uniform(v(0.0, 0.0), v(1.5, 0.5))"),
    ("D.Pareto(v(0.7, 2.4), v(1.0, 2.0))", "D.Pareto(v(0.5, 2.5), v(1.5, 0.5))"),
    ("D.Poisson(v(0.7, 0.4))", "D.Poisson(v(1.7, 2.4))"),
    ("D.Uniform(v(0.0, 0.4), v(1.0, 2.0))", "D.Uniform(v(-0.5, 0.5), v(1.5, 2.5))"),
    ("D.Uniform(v(0.0, 0.4), v(1.0, 2.0))", "D.Normal(v(-0.5, 0.5), v(1.5, 2.5))"),
    (
        "D.Independent(D.Normal(v(0.7, 0.4), v(1.0, 2.0)), 1)",
        "D.Independent(D.Normal(v(1.7, 2.4), v(1.5, 0.5)), 1)",
    ),
    (
        # without a batch: PyTorch adds up over one
        "D.Wishart(v(4.0)[0], t.diag(v(1.0, 2.0)) + 0.3)",
        "D.Wishart(v(3.0)[0], t.diag(v(1.5, 0.5)) + 0.1)",
    ),
    (
        "D.MultivariateNormal(v(0.7, 0.4), t.diag(v(1.0, 2.0)) + 0.3)",
        "D.MultivariateNormal(v(1.7, 2.4), t.diag(v(1.5, 0.5)) + 0.1)",
    ),
]
MAPS = [
    ("D.ExpTransform()", "v(-1.0, 0.5)"),
    ("D.SigmoidTransform()", "v(-1.0, 30.0)"),
    ("D.SoftplusTransform()", "v(-1.0, 0.5)"),
    ("D.TanhTransform()", "v(-1.0, 0.5)"),
    ("D.PowerTransform(v(2.0, 0.5))", "v(1.5, 0.5)"),
    ("D.AffineTransform(v(2.0, 0.5), -3.0)", "v(1.5, 0.5)"),
    ("D.AffineTransform(1.0, v(2.0, 0.5), event_dim=1)", "v(1.5, 0.5)"),
    ("D.ComposeTransform([D.AffineTransform(1.0, 2.0), D.ExpTransform()])", "v(1.5, 0.5)"),
    ("D.IndependentTransform(D.ExpTransform(), 1)", "v(1.5, 0.5)"),
    ("D.StickBreakingTransform()", "v(1.5, 0.5, -0.3)"),
    ("D.CorrCholeskyTransform()", "v(0.5, 0.1, -0.3)"),
    ("D.ReshapeTransform((4,), (2, 2))", "v(1.0, 2.0, 3.0, 4.0)"),
    ("D.CumulativeDistributionTransform(D.Normal(v(0.0), v(2.0)))", "v(1.5, 0.5, -0.3)"),
    ("D.StackTransform([D.ExpTransform(), D.identity_transform])", "v(1.5, 0.5)"),
    ("D.CatTransform([D.ExpTransform(), D.TanhTransform()], 0, [1, 2])", "v(1.5, 0.5, -0.3)"),
    ("D.ComposeTransform([D.ExpTransform(), D.ReshapeTransform((2,), (1, 2))])", "v(1.5, 0.5)"),
    ("D.biject_to(D.constraints.interval(1.0, 3.0))", "v(1.5, 0.5)"),
    ("D.biject_to(D.constraints.simplex)", "v(1.5, 0.5)"),
    ("D.transform_to(D.constraints.greater_than(2.0))", "v(1.5, 0.5)"),
    ("D.transform_to(D.constraints.independent(D.constraints.positive, 1))", "v(1.5, 0.5)"),
]
ONE_WAY = [
    ("D.SoftmaxTransform()", "v(1.5, 0.5, -0.3)"),
    ("D.LowerCholeskyTransform()", "v(1.5, 0.5, -0.3, 0.2).reshape(2, 2)"),
    ("D.PositiveDefiniteTransform()", "v(1.5, 0.5, -0.3, 0.2).reshape(2, 2)"),
    ("D.transform_to(D.constraints.simplex)", "v(1.5, 0.5)"),
    ("D.AbsTransform()", "v(1.5, -0.5)"),
]
NUMBERS = "v(-1.0, 0.0, 0.5, 1.0, 2.0, float('nan'))"
REGIONS = [
    *(
        (f"c.{name}", NUMBERS)
        for name in ("real", "boolean", "positive", "nonnegative", "unit_interval")
    ),
    *((f"c.{name}", NUMBERS) for name in ("nonnegative_integer", "positive_integer")),
    *((f"c.{name}(0, 1)", NUMBERS) for name in ("integer_interval", "interval")),
    *((f"c.{name}(1.0)", NUMBERS) for name in ("less_than", "greater_than", "greater_than_eq")),
    *(("c.half_open_interval(0.0, 1.0)", NUMBERS), ("c.real_vector", "v(0.0, 1.0)")),
    *(("c.simplex", "t.stack([v(0.5, 0.5), v(0.5, 0.6)])"), ("c.one_hot", "v(0.0, 1.0)")),
    *(("c.multinomial(3)", "v(2.0, 1.0)"), ("c.multinomial(3)", "v(2.0, 2.0)")),
    *(
        (f"c.{name}", f"t.tensor({matrix})")
        for name in (
            *("lower_triangular", "lower_cholesky", "corr_cholesky", "square", "symmetric"),
            *("positive_definite", "positive_semidefinite"),
        )
        for matrix in (
            "[[1.0, 0.0], [0.6, 0.8]]",
            "[[1.0, 0.5], [0.5, 1.0]]",
            "[[1., 2.], [2., 1.]]",
        )
    ),
    ("c.independent(c.positive, 1)", "v(1.0, -1.0)"),
    ("c.cat([c.positive, c.real], 0, [1, 2])", "v(1.0, -1.0, 2.0)"),
    ("c.stack([c.positive, c.real])", "v(-1.0, -1.0)"),
]


def evaluated(expression: str, library: Any) -> Any:
    def vector(*values: float) -> Any:
        return library.tensor(values, dtype=library.float64)

    names = {"D": library.distributions, "t": library, "v": vector}
    return eval(expression, {**names, "c": library.distributions.constraints})


def same(ours: Any, theirs: Any, label: str) -> None:
    assert tuple(ours.shape) == tuple(theirs.shape), label
    found, expected = ours.detach().numpy(), theirs.detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=label)


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_divergences(p: str, q: str) -> None:
    found = [x.distributions.kl_divergence(evaluated(p, x), evaluated(q, x)) for x in (rl, torch)]
    same(found[0], found[1], p)


@pytest.mark.parametrize(("expression", "at"), MAPS)
def test_maps(expression: str, at: str) -> None:
    ours, theirs = (evaluated(expression, x) for x in (rl, torch))
    x, x_ = evaluated(at, rl), evaluated(at, torch)
    y, y_ = ours(x), theirs(x_)
    same(y, y_, "value")
    same(ours.inv(y), theirs.inv(y_), "inverse")
    same(ours.log_abs_det_jacobian(x, y), theirs.log_abs_det_jacobian(x_, y_), "log determinant")
    assert tuple(ours.forward_shape((5, *x.shape))) == tuple(theirs.forward_shape((5, *x_.shape)))
    assert tuple(ours.inverse_shape(y.shape)) == tuple(theirs.inverse_shape(y_.shape))
    assert ours.domain.event_dim == theirs.domain.event_dim
    assert ours.codomain.event_dim == theirs.codomain.event_dim
    assert ours.bijective == theirs.bijective
    assert repr(ours) == repr(theirs) and repr(ours.inv) == repr(theirs.inv)
    assert ours.inv.inv is ours
    cached = ours.with_cache(1)
    assert cached.inv(cached(x)) is not None and cached._cache_size == 1


@pytest.mark.parametrize(("expression", "at"), ONE_WAY)
def test_maps_that_forget(expression: str, at: str) -> None:
    ours, theirs = (evaluated(expression, x) for x in (rl, torch))
    y, y_ = ours(evaluated(at, rl)), theirs(evaluated(at, torch))
    same(y, y_, "value")
    same(ours.inv(y), theirs.inv(y_), "inverse")
    assert not ours.bijective


@pytest.mark.parametrize(("expression", "at"), REGIONS)
def test_regions(expression: str, at: str) -> None:
    ours, theirs = (evaluated(expression, x) for x in (rl, torch))
    assert repr(ours) == repr(theirs)
    assert (ours.is_discrete, ours.event_dim) == (theirs.is_discrete, theirs.event_dim)
    found = [region.check(evaluated(at, x)) for region, x in ((ours, rl), (theirs, torch))]
    assert found[0].tolist() == found[1].tolist()


def test_a_cached_map_goes_back_exactly() -> None:
    cached = rl.distributions.TanhTransform(cache_size=1)
    x = rl.tensor(20.0)
    assert cached.inv(cached(x)) is x
    assert not bool(rl.distributions.TanhTransform().inv(cached(x)).isfinite())


def test_rules_of_subclasses() -> None:
    class Mine(rl.distributions.Normal):
        """A subclass with a rule of its own on one side."""

    one, two = Mine(0.0, 1.0), rl.distributions.Normal(1.0, 1.0)
    assert rl.distributions.kl_divergence(one, two).item() == 0.5
    rl.distributions.register_kl(Mine, rl.distributions.Normal)(lambda p, q: p.loc * 0 + 7.0)
    assert rl.distributions.kl_divergence(one, two).item() == 7.0
    assert rl.distributions.kl_divergence(two, one).item() == 0.5


MODULES = [
    import_module(f"rushlight.distributions.{found.name}")
    for found in pkgutil.iter_modules(rl.distributions.__path__)
]


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__.rsplit(".", 1)[1])
def test_examples(module: Any) -> None:
    report = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False)
    for example in doctest.DocTestFinder().find(module):
        if example.examples:
            runner.run(example, out=report.write)
    assert not runner.failures, report.getvalue()
