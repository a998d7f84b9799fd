"""The tape from outside: saved-tensor hooks, node hooks, edges, anomaly mode."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import rushlight as rl
from rushlight.autograd import graph


def test_saved_values_go_through_the_hooks_and_keep_their_place() -> None:
    x = rl.tensor([1.0, 2.0], requires_grad=True)
    packed = []

    def pack(t: Any) -> Any:
        assert not t.requires_grad
        packed.append(t)
        return (t * 1,)

    with graph.saved_tensors_hooks(pack, lambda held: held[0]):
        y = (x.exp() * x).sum()
    assert len(packed) == 3  # the result of exp, and both factors
    (first,) = rl.autograd.grad(y, x, create_graph=True)
    (second,) = rl.autograd.grad(first.sum(), x)
    assert rl.allclose(first, x.exp() * (1 + x))
    assert rl.allclose(second, x.exp() * (2 + x))


def test_hooks_that_break_the_rules() -> None:
    x = rl.ones(2, requires_grad=True)
    changing = graph.saved_tensors_hooks(lambda t: t.add_(1), lambda t: t)
    with changing, pytest.raises(RuntimeError, match="in place"):
        x.clone().exp()
    with graph.saved_tensors_hooks(lambda t: t, lambda t: 3):
        y = x.exp()
    with pytest.raises(TypeError, match="expected to be a Tensor"):
        y.sum().backward()


def test_hooks_can_be_refused() -> None:
    refused = graph.disable_saved_tensors_hooks("not here")
    with refused, pytest.raises(RuntimeError, match="not here"), graph.save_on_cpu():
        pass
    refused = graph.disable_saved_tensors_hooks("nor here")
    with graph.save_on_cpu(), pytest.raises(RuntimeError, match="nor here"), refused:
        pass


def test_saved_values_can_be_looked_at() -> None:
    x = rl.tensor([1.0, 2.0], requires_grad=True)
    y = x.exp() * x
    function = y.grad_fn
    assert function._saved_other is x
    assert rl.equal(function._saved_self, x.exp())
    assert rl.equal(function.next_functions[0][0]._saved_result, x.exp())
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        function.nonsense
    function._raw_saved_other.register_hooks(lambda t: t, lambda t: t * 0)
    y.sum().backward()
    assert rl.allclose(x.grad, x.exp())  # the factor x was replaced by zeros
    with pytest.raises(RuntimeError, match="second time"):
        function._saved_self


def test_overwriting_what_was_saved() -> None:
    x = rl.ones(3, requires_grad=True)
    y = x.exp()
    y.add_(1)
    with pytest.raises(RuntimeError, match=r"ExpBackward0.*overwritten at .*test_graph.py:\d+"):
        y.sum().backward()
    with graph.allow_mutation_on_saved_tensors() as copies:
        y = x.exp()
        out = (y * y).sum()
        y.zero_()
        out.backward()
        assert rl.allclose(x.grad, 2 * (2 * x).exp())
        out = x.exp().sum()
        copies.clear()
        with pytest.raises(RuntimeError, match="allow_mutation_on_saved_tensors"):
            out.backward()
    graph.increment_version(y)


def test_hooks_on_entries() -> None:
    x = rl.tensor(3.0, requires_grad=True)
    y = x * x
    seen: list = []
    y.grad_fn.register_prehook(lambda grads: (grads[0] * 2,))
    handle = y.grad_fn.register_hook(lambda inputs, outputs: seen.append((inputs, outputs)))
    y.backward(retain_graph=True)
    assert x.grad.item() == 12.0
    assert seen[0][1][0].item() == 2.0
    handle.remove()
    y.backward()
    assert len(seen) == 1


def test_hooks_on_several_gradients() -> None:
    x = rl.tensor(2.0, requires_grad=True)
    a, b, c = x * 2, x * 3, x * 5
    together: list = []
    first: list = []
    handle = graph.register_multi_grad_hook([a, b, c], together.append)
    graph.register_multi_grad_hook([a, b, c], first.append, mode="any")
    (a * b).backward(retain_graph=True)
    assert [None if g is None else g.item() for g in together[0]] == [6.0, 4.0, None]
    assert len(first) == 1
    (a * b * c).backward()
    assert [g.item() for g in together[1]] == [60.0, 40.0, 24.0]
    handle.remove()
    with pytest.raises(ValueError, match="mode"):
        graph.register_multi_grad_hook([a], print, mode="some")


def test_edges_in_place_of_tensors() -> None:
    x = rl.tensor(2.0, requires_grad=True)
    y = x * 3
    edge = graph.get_gradient_edge(y)
    z = y * y
    assert edge.node is y.grad_fn
    assert rl.autograd.grad(z, edge, retain_graph=True)[0].item() == 12.0
    assert rl.autograd.grad(graph.get_gradient_edge(z), x)[0].item() == 36.0
    with pytest.raises(RuntimeError, match="does not require"):
        graph.get_gradient_edge(rl.ones(2))


def test_anomaly_mode_names_the_forward_line() -> None:
    x = rl.tensor(0.0, requires_grad=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with rl.autograd.detect_anomaly():
            y = x.sqrt() * 0
            with pytest.raises(RuntimeError, match="'SqrtBackward0' returned nan values in its 0t"):
                y.backward()
    told = [str(w.message) for w in caught]
    assert "Anomaly Detection has been enabled" in told[0]
    assert "Error detected in SqrtBackward0" in told[1]
    assert "y = x.sqrt() * 0" in told[1]
    (x.sqrt() * 0).backward()  # switched off again: NaN is let through
    assert bool(x.grad.isnan())


def test_anomaly_mode_can_be_set() -> None:
    rl.autograd.set_detect_anomaly(True, check_nan=False)
    try:
        assert rl.is_anomaly_enabled()
        assert not rl.is_anomaly_check_nan_enabled()
    finally:
        rl.autograd.set_detect_anomaly(False)
    with rl.autograd.set_detect_anomaly(True):
        assert rl.is_anomaly_enabled()
    assert not rl.is_anomaly_enabled()
