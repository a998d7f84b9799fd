"""Every distribution against PyTorch's: samples for a seed, their gradients, log probabilities,
entropies, moments, cdf and icdf, printed forms, errors.

In: a table of parameters for each class. Each comparison makes the same distribution in both
libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import rushlight as rl

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")

PROBS = [[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]]
TRIL = [[1.2, 0.0, 0.0], [0.3, 0.8, 0.0], [-0.4, 0.2, 1.5]]
COVARIANCE = [[2.0, 0.5, 0.1], [0.5, 1.5, -0.2], [0.1, -0.2, 1.0]]
CORRELATION = [[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.6, 0.8]]
# class, constructor arguments (lists become tensors that require gradients), and values
CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("Bernoulli", {"probs": [0.2, 0.5, 0.9]}, [0.0, 1.0, 1.0]),
    ("Bernoulli", {"logits": [-1.0, 0.0, 2.0]}, [0.0, 1.0, 1.0]),
    ("Beta", {"concentration1": [0.5, 2.0, 3.0], "concentration0": 1.5}, [0.1, 0.5, 0.9]),
    ("Binomial", {"total_count": 5, "probs": [0.2, 0.5, 0.9]}, [0.0, 3.0, 5.0]),
    ("Binomial", {"total_count": 7, "logits": [0.2, -0.5, 0.9]}, [0.0, 3.0, 5.0]),
    ("Categorical", {"probs": PROBS}, [0, 2]),
    ("Categorical", {"logits": PROBS}, [0, 2]),
    ("Cauchy", {"loc": [0.0, 1.0], "scale": [1.0, 2.5]}, [0.3, -4.0]),
    ("Chi2", {"df": [1.5, 3.0, 9.0]}, [0.3, 2.0, 7.0]),
    ("ContinuousBernoulli", {"probs": [0.2, 0.5, 0.9]}, [0.3, 0.7, 0.1]),
    ("ContinuousBernoulli", {"logits": [0.2, -0.001, 3.0]}, [0.3, 0.7, 0.1]),
    ("Dirichlet", {"concentration": [[0.5, 2.0, 3.0], [1.5, 1.5, 4.0]]}, PROBS),
    ("Exponential", {"rate": [0.5, 2.0]}, [0.3, 4.0]),
    ("FisherSnedecor", {"df1": [3.0, 5.0], "df2": [6.0, 2.5]}, [0.3, 2.0]),
    ("Gamma", {"concentration": [0.5, 2.0, 9.0], "rate": [1.0, 0.5, 3.0]}, [0.3, 2.0, 4.0]),
    ("Geometric", {"probs": [0.2, 0.5, 1.0]}, [3.0, 0.0, 0.0]),
    ("Geometric", {"logits": [0.2, -0.5]}, [3.0, 0.0]),
    ("Gumbel", {"loc": [0.0, 1.0], "scale": [1.0, 2.5]}, [0.3, -1.0]),
    ("HalfCauchy", {"scale": [1.0, 2.5]}, [0.3, 4.0]),
    ("HalfNormal", {"scale": [1.0, 2.5]}, [0.3, 4.0]),
    ("InverseGamma", {"concentration": [1.5, 3.0], "rate": [1.0, 0.5]}, [0.3, 2.0]),
    ("Kumaraswamy", {"concentration1": [0.5, 2.0], "concentration0": [1.5, 3.0]}, [0.3, 0.6]),
    ("Laplace", {"loc": [0.0, 1.0], "scale": [1.0, 2.5]}, [0.3, -4.0]),
    ("LogNormal", {"loc": [0.0, 1.0], "scale": [1.0, 0.5]}, [0.3, 4.0]),
    ("LogisticNormal", {"loc": [0.0, 1.0], "scale": [1.0, 0.5]}, [0.3, 0.5, 0.2]),
    ("Multinomial", {"total_count": 6, "probs": PROBS}, [[1.0, 2.0, 3.0], [6.0, 0.0, 0.0]]),
    ("MultivariateNormal", {"loc": [0.0, 1.0, 2.0], "scale_tril": TRIL}, [0.3, 0.5, 0.2]),
    ("MultivariateNormal", {"loc": [0.0, 1.0, 2.0], "covariance_matrix": COVARIANCE}, PROBS),
    ("MultivariateNormal", {"loc": [0.0, 1.0, 2.0], "precision_matrix": COVARIANCE}, PROBS),
    ("NegativeBinomial", {"total_count": 3.0, "probs": [0.2, 0.5]}, [3.0, 0.0]),
    ("Normal", {"loc": [0.0, 1.0], "scale": [1.0, 2.5]}, [0.3, -4.0]),
    ("OneHotCategorical", {"probs": PROBS}, [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    ("OneHotCategoricalStraightThrough", {"probs": PROBS}, [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    ("Pareto", {"scale": [1.0, 0.5], "alpha": [1.5, 3.0]}, [1.3, 4.0]),
    ("Poisson", {"rate": [0.5, 20.0]}, [2.0, 17.0]),
    ("RelaxedBernoulli", {"temperature": 0.7, "probs": [0.2, 0.9]}, [0.3, 0.6]),
    ("RelaxedOneHotCategorical", {"temperature": 0.7, "probs": PROBS}, PROBS),
    ("StudentT", {"df": [1.5, 5.0], "loc": [0.0, 1.0], "scale": [1.0, 2.5]}, [0.3, -4.0]),
    ("LKJCholesky", {"dim": 3, "concentration": [0.7, 2.5]}, CORRELATION),
    ("VonMises", {"loc": [0.0, 1.0], "concentration": [0.7, 12.5]}, [0.3, 1.2]),
    ("Wishart", {"df": 4.5, "covariance_matrix": COVARIANCE}, COVARIANCE),
    ("Wishart", {"df": [3.5, 6.0], "scale_tril": TRIL}, COVARIANCE),
    ("Wishart", {"df": 4.5, "precision_matrix": COVARIANCE}, COVARIANCE),
    ("Uniform", {"low": [0.0, -1.0], "high": [1.0, 2.5]}, [0.3, 2.0]),
    ("Weibull", {"scale": [1.0, 0.5], "concentration": [1.5, 3.0]}, [0.3, 0.4]),
]
IDS = [f"{name}-{next(reversed(call))}-{k}" for k, (name, call, _) in enumerate(CASES)]
EACH = pytest.mark.parametrize(("name", "call", "value"), CASES, ids=IDS)
# where PyTorch's own number is an approximation
LOOSE = {"Beta", "Chi2", "Dirichlet", "FisherSnedecor", "Gamma", "InverseGamma", "StudentT"}


def made(library: Any, name: str, call: dict[str, Any]) -> tuple[Any, list]:
    """The distribution, and its parameters that require gradients."""
    leaves, arguments = [], {}
    for key, given in call.items():
        arguments[key] = given
        if isinstance(given, list):
            arguments[key] = library.tensor(given, dtype=library.float64, requires_grad=True)
            leaves.append(arguments[key])
        elif key == "temperature":
            arguments[key] = library.tensor(given, dtype=library.float64)
    return getattr(library.distributions, name)(**arguments), leaves


def same(ours: Any, theirs: Any, label: str, tolerance: float = 1e-9) -> None:
    assert str(ours.dtype) == str(theirs.dtype), label
    assert tuple(ours.shape) == tuple(theirs.shape), label
    np.testing.assert_allclose(
        ours.detach().numpy(),
        theirs.detach().numpy(),
        rtol=tolerance,
        atol=tolerance,
        err_msg=label,
    )


def outcome(function: Callable[[], Any]) -> Any:
    """A result, or the type of error that there is none."""
    try:
        return function()
    except (NotImplementedError, ValueError) as error:
        return type(error)


def compared(
    function: Callable[[Any], Any], pair: list, label: str, tolerance: float = 1e-9
) -> Any:
    """The results of one call in both libraries, equal; None where both raise."""
    ours, theirs = (outcome(lambda d=d: function(d)) for d in pair)
    if isinstance(theirs, type):
        assert isinstance(ours, type) and issubclass(ours, theirs), f"{label}: {ours}"
        return None
    assert not isinstance(ours, type), f"{label}: {ours}"
    same(ours, theirs, label, tolerance)
    return ours, theirs


def gradients_compared(results: Any, leaves: list, label: str, tolerance: float = 1e-7) -> None:
    if results is None or not results[1].requires_grad:
        return
    found = []
    for library, result, parameters in zip((torch, rl), results[::-1], leaves[::-1]):
        weights = library.arange(result.numel(), dtype=result.dtype).reshape(result.shape) + 0.5
        total = (result * weights).sum()
        try:
            slopes = library.autograd.grad(total, parameters, retain_graph=True, allow_unused=True)
        except (NotImplementedError, RuntimeError):
            # PyTorch does not know the derivative of gammainc by a, and changes in place the mask
            # of Wishart samples that their derivative needs
            assert library is torch, label
            return
        found.append(slopes)
    for theirs, ours in zip(*found):
        if theirs is not None and bool(theirs.isfinite().all()):
            assert ours is not None, label
            same(ours, theirs, f"gradient of {label}", tolerance)


@EACH
def test_densities_and_moments(name: str, call: dict[str, Any], value: Any) -> None:
    (ours, our_leaves), (theirs, their_leaves) = made(rl, name, call), made(torch, name, call)
    pair, leaves = [ours, theirs], [our_leaves, their_leaves]

    def at(distribution: Any) -> Any:
        library = rl if distribution is ours else torch
        whole = isinstance(np.asarray(value).flat[0], np.integer)
        return library.tensor(value, dtype=library.int64 if whole else library.float64)

    calls: dict[str, Callable[[Any], Any]] = {
        "log_prob": lambda d: d.log_prob(at(d)),
        "entropy": lambda d: d.entropy(),
        "mean": lambda d: d.mean,
        "variance": lambda d: d.variance,
        "stddev": lambda d: d.stddev,
        "cdf": lambda d: d.cdf(at(d)),
        "icdf": lambda d: d.icdf(d.cdf(at(d)).detach()),
        "enumerate_support": lambda d: d.enumerate_support(),
        "support": lambda d: d.support.check(at(d)),
    }
    for label, function in calls.items():
        tolerance = 1e-6 if name == "VonMises" else 1e-9  # PyTorch's I0 is a short polynomial
        results = compared(function, pair, f"{name}.{label}", tolerance)
        gradients_compared(results, leaves, f"{name}.{label}", max(tolerance, 1e-7))
    if name != "Kumaraswamy":  # PyTorch's is not the mode
        compared(lambda d: d.mode, pair, f"{name}.mode")


@EACH
def test_samples_are_the_same_for_a_seed(name: str, call: dict[str, Any], value: Any) -> None:
    pairs = [made(rl, name, call), made(torch, name, call)]
    for method, shape in (("sample", (4,)), ("sample", ()), ("rsample", (2, 3))):
        drawn = []
        for library, (distribution, _) in zip((rl, torch), pairs):
            library.manual_seed(7)
            drawn.append(outcome(partial(getattr(distribution, method), shape)))
        if isinstance(drawn[1], type):
            assert issubclass(drawn[0], drawn[1])
            continue
        same(drawn[0], drawn[1], f"{name}.{method}{shape}")
        assert drawn[0].requires_grad == drawn[1].requires_grad
        tolerance = 2e-2 if name in LOOSE else 1e-7
        gradients_compared(drawn, [p[1] for p in pairs], f"{name}.{method}", tolerance)


@EACH
def test_shapes_and_printed_form(name: str, call: dict[str, Any], value: Any) -> None:
    ours, theirs = made(rl, name, call)[0], made(torch, name, call)[0]
    assert repr(ours) == repr(theirs)
    assert ours.has_rsample == theirs.has_rsample
    assert ours.has_enumerate_support == theirs.has_enumerate_support
    wider = [d.expand((2, *d.batch_shape)) for d in (ours, theirs)]
    for a, b in ((ours, theirs), wider):
        assert tuple(a.batch_shape) == tuple(b.batch_shape)
        assert tuple(a.event_shape) == tuple(b.event_shape)
        assert tuple(a.sample((2,)).shape) == tuple(b.sample((2,)).shape)
        assert type(a.support).__name__ == type(b.support).__name__
        assert a.support.event_dim == b.support.event_dim
    at = rl.tensor(value)
    found = wider[0].log_prob(at).detach().numpy()
    expected = np.broadcast_to(ours.log_prob(at).detach().numpy(), found.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


ERRORS = [
    "D.Normal(0.0, -1.0)",
    "D.Normal('a', 1.0)",
    "D.Normal(t.zeros(2), 1.0).log_prob(t.zeros(3))",
    "D.Normal(0.0, 1.0).log_prob(0.0)",
    "D.Normal(t.zeros(2), 1.0).expand((3,))",
    "D.Normal(0.0, 1.0).enumerate_support()",
    "D.Bernoulli()",
    "D.Bernoulli(0.2, 0.3)",
    "D.Bernoulli(1.2)",
    "D.Bernoulli(0.3).log_prob(t.tensor(0.5))",
    "D.Categorical(t.tensor(1.0))",
    "D.Categorical(t.ones(3)).log_prob(t.tensor(5))",
    "D.Categorical(t.tensor([-1.0, 2.0]))",
    "D.Dirichlet(t.tensor(1.0))",
    "D.Uniform(1.0, 0.0)",
    "D.Poisson(3.0).rsample()",
    "D.Poisson(3.0).entropy()",
    "D.Poisson(3.0).cdf(t.tensor(1.0))",
    "D.Exponential(1.0).log_prob(t.tensor(-1.0))",
    "D.Geometric(0.0)",
    "D.Independent(D.Normal(0.0, 1.0), 1)",
    "D.MultivariateNormal(t.zeros(2))",
    "D.MultivariateNormal(t.zeros(2), t.tensor([[1.0, 2.0], [2.0, 1.0]]))",
    "D.MultivariateNormal(t.zeros(2), t.zeros(2))",
    "D.Binomial(t.tensor([1.0, 2.0]), 0.5).enumerate_support()",
    "D.Multinomial(t.tensor(3), t.ones(2))",
    "D.TransformedDistribution(D.Normal(0.0, 1.0), [1])",
    "D.TransformedDistribution(D.Normal(0.0, 1.0), D.StickBreakingTransform())",
    "D.MixtureSameFamily(D.Categorical(t.ones(2)), D.Normal(t.zeros(3), 1.0))",
    "D.kl_divergence(D.Normal(0.0, 1.0), D.Categorical(t.ones(2)))",
    "D.biject_to(D.constraints.one_hot)",
]


@pytest.mark.parametrize("expression", ERRORS)
def test_errors_have_the_same_type(expression: str) -> None:
    raised = []
    for library in (torch, rl):
        with pytest.raises(Exception) as caught:
            eval(expression, {"t": library, "D": library.distributions})
        raised.append(caught.value)
    assert isinstance(raised[1], type(raised[0])), raised


def test_validation_can_be_turned_off() -> None:
    assert rl.distributions.Normal(0.0, -1.0, validate_args=False).scale.item() == -1.0
    rl.distributions.Distribution.set_default_validate_args(False)
    try:
        assert rl.distributions.Bernoulli(0.5).log_prob(rl.tensor(0.5)).item() < 0
    finally:
        rl.distributions.Distribution.set_default_validate_args(True)


COMPOSED = [
    "D.Independent(D.Normal(t.zeros(2, 3), 2.0), 1)",
    "D.Independent(D.Bernoulli(t.full((3,), 0.3)), 0)",
    "D.MixtureSameFamily(D.Categorical(t.ones(2)), D.Normal(t.tensor([-1.0, 2.0]), 0.5))",
    "D.MixtureSameFamily(D.Categorical(t.ones(4, 2)), "
    "D.Independent(D.Normal(t.arange(24.0).reshape(4, 2, 3), 1.0), 1))",
    "D.TransformedDistribution(D.Normal(t.zeros(3), 1.0), [D.AffineTransform(1.0, 2.0), "
    "D.ExpTransform()])",
    "D.TransformedDistribution(D.Normal(0.0, 1.0), [D.AffineTransform(t.zeros(4), -2.0), "
    "D.SigmoidTransform()])",
    "D.TransformedDistribution(D.Normal(t.zeros(3), 1.0), D.StickBreakingTransform())",
    "D.TransformedDistribution(D.Normal(t.zeros(4), 1.0), D.ReshapeTransform((4,), (2, 2)))",
    "D.TransformedDistribution(D.Normal(t.zeros(2), 1.0), [D.TanhTransform()]).expand((3, 2))",
]


@pytest.mark.parametrize("expression", COMPOSED)
def test_distributions_made_of_others(expression: str) -> None:
    pair = [eval(expression, {"t": x, "D": x.distributions}) for x in (rl, torch)]
    drawn = []
    for library, distribution in zip((rl, torch), pair):
        library.manual_seed(3)
        drawn.append(distribution.sample((5,)))
    same(drawn[0], drawn[1], "sample", 1e-5)
    values = [rl.tensor(drawn[1].tolist()), drawn[1]]
    same(*(d.log_prob(v) for d, v in zip(pair, values)), "log_prob", 1e-4)
    assert [tuple(x) for x in (pair[0].batch_shape, pair[0].event_shape)] == [
        tuple(x) for x in (pair[1].batch_shape, pair[1].event_shape)
    ]
    assert repr(pair[0]) == repr(pair[1])
    for name in ("mean", "variance"):
        compared(lambda d, name=name: getattr(d, name), pair, name, 1e-5)
