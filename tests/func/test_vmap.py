"""vmap: what it gives is what a loop gives; its options, its nesting, and what it refuses."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rushlight as rl
from rushlight import vmap
from rushlight.func import grad


@pytest.fixture(autouse=True)
def _seed() -> None:
    rl.manual_seed(0)


def same(found: Any, wanted: Any) -> None:
    assert tuple(found.shape) == tuple(wanted.shape)
    np.testing.assert_allclose(
        np.asarray(found.detach()), np.asarray(wanted.detach()), rtol=1e-5, atol=1e-6
    )


def conv(x: Any) -> Any:
    return rl.nn.functional.conv2d(x[None], KERNEL, padding=1)[0]


def attention(x: Any) -> Any:
    return rl.nn.functional.scaled_dot_product_attention(x, x, x)


def write(x: Any) -> Any:
    made = rl.zeros_like(x)
    made[..., 0] = x[..., 1]
    made.add_(x)
    made.transpose(-1, -2)[0].mul_(3)
    return made


KERNEL = rl.arange(2 * 3 * 9, dtype=rl.float32).reshape(2, 3, 3, 3).sin()
FUNCTIONS: dict[str, tuple[Callable, tuple[int, ...]]] = {
    "convolution": (conv, (3, 5, 5)),
    "attention": (attention, (4, 8)),
    "in-place": (write, (3, 3)),
    "softmax": (lambda x: x.softmax(-1).log(), (3, 4)),
    "normalization": (lambda x: rl.nn.functional.layer_norm(x, (4,)), (3, 4)),
    "sort": (lambda x: x.sort(-1, descending=True)[0], (3, 4)),
    "gather": (lambda x: x.gather(1, x.argsort(1)), (3, 4)),
    "index": (lambda x: x[[2, 0], :][:, rl.tensor([1, 1])], (3, 4)),
    "matrix inverse": (lambda x: rl.linalg.inv(x @ x.T + rl.eye(3)), (3, 4)),
    "views": (lambda x: x.unfold(1, 2, 1).permute(2, 0, 1).flatten(1).diagonal(), (3, 4)),
    "cat": (lambda x: rl.cat([x, KERNEL.flatten()[:4].reshape(1, 4)]), (3, 4)),
    "scan": (lambda x: x.cumsum(0).cummax(1)[0], (3, 4)),
    "as_strided": (lambda x: x.as_strided((2, 2), (1, 2), 1), (3, 4)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("in_dim", [0, 1, -1])
def test_a_loop(name: str, in_dim: int) -> None:
    function, shape = FUNCTIONS[name]
    many = rl.randn(3, *shape)
    wanted = rl.stack([function(x.clone()) for x in many])
    same(vmap(function, in_dims=in_dim)(many.movedim(0, in_dim)), wanted)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_through_and_inside(name: str) -> None:
    function, shape = FUNCTIONS[name]
    many = rl.randn(3, *shape)
    loop = rl.stack([grad(lambda x: function(x.clone()).sin().sum())(x) for x in many])
    same(vmap(grad(lambda x: function(x.clone()).sin().sum()))(many), loop)
    leaf = many.clone().requires_grad_()
    vmap(lambda x: function(x.clone()))(leaf).sin().sum().backward()
    same(leaf.grad, loop)


def test_shared_operands_get_the_sum_of_gradients() -> None:
    weight = rl.randn(4, 2, requires_grad=True)
    many = rl.randn(5, 3, 4)
    vmap(lambda x: ((x @ weight) * 2 * weight.sum()).tanh())(many).sum().backward()
    found, weight.grad = weight.grad, None
    sum(((x @ weight) * 2 * weight.sum()).tanh().sum() for x in many).backward()
    same(found, weight.grad)


def test_dimensions_of_nested_arguments() -> None:
    a, b = rl.randn(2, 5), rl.randn(5, 3)

    def function(pair: dict, scale: Any) -> tuple:
        return pair["a"].sum() * pair["b"], {"s": scale * pair["a"]}

    first, second = vmap(function, in_dims=({"a": 1, "b": 0}, None), out_dims=(1, {"s": -1}))(
        {"a": a, "b": b}, 2.0
    )
    same(first, (a.sum(0)[:, None] * b).T)
    same(second["s"], 2 * a)


def test_results_that_do_not_vary_are_repeated_or_passed() -> None:
    made = vmap(lambda x: (x, rl.ones(2)), out_dims=(0, None))(rl.zeros(3))
    assert made[1].shape == (2,)
    assert vmap(lambda x: rl.ones(2))(rl.zeros(3)).shape == (3, 2)
    with pytest.raises(ValueError, match="can not return a BatchedTensor when out_dim is None"):
        vmap(lambda x: x, out_dims=None)(rl.zeros(3))


def test_nesting() -> None:
    a, b = rl.randn(3, 4), rl.randn(5, 4)
    same(vmap(vmap(rl.dot, (None, 0)), (0, None))(a, b), a @ b.T)


def test_chunks() -> None:
    many = rl.randn(7, 3)
    sizes = []

    def function(x: Any) -> Any:
        sizes.append(1)
        return x.sin()

    same(vmap(function, chunk_size=3, out_dims=1)(many), many.sin().T)
    assert len(sizes) == 3
    with pytest.raises(ValueError, match="chunk_size"):
        vmap(rl.sin, chunk_size=0)


def test_randomness() -> None:
    zeros = rl.zeros(3, 2)
    apart = vmap(lambda x: x + rl.randn(2), randomness="different")(zeros)
    rl.manual_seed(0)
    same(apart, rl.randn(3, 2))
    alike = vmap(lambda x: x + rl.randn(2), randomness="same")(zeros)
    assert bool((alike == alike[0]).all())
    assert not bool((apart == apart[0]).all())
    inner = vmap(lambda x: rl.bernoulli(x), randomness="different")
    assert inner(rl.tensor([[0.0, 1.0]] * 4)).tolist() == [[0.0, 1.0]] * 4
    orders = vmap(lambda x: rl.randperm(4), randomness="different")(zeros)
    assert orders.sort(1)[0].tolist() == [[0, 1, 2, 3]] * 3
    with pytest.raises(RuntimeError, match="randomness error mode"):
        vmap(lambda x: x + rl.randn(2))(zeros)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x.item(), "item"),
        (lambda x: x if x > 0 else -x, "data-dependent control flow"),
        (lambda x: x.numpy(), "numpy"),
        (lambda x: x.nonzero(), "vmap"),
    ],
)
def test_values_cannot_be_read(function: Callable, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        vmap(function)(rl.ones(3))


def test_writing_to_what_all_examples_share_is_refused() -> None:
    shared = rl.zeros(2)
    with pytest.raises(RuntimeError, match="inplace arithmetic"):
        vmap(lambda x: shared.add_(x))(rl.ones(3, 2))


def test_writing_to_an_example_writes_to_the_batch() -> None:
    many = rl.zeros(3, 2)
    vmap(lambda x: x[0].add_(1))(many)
    assert many.tolist() == [[1.0, 0.0]] * 3


def test_gradients_of_writes_to_the_batch() -> None:
    leaf = rl.randn(3, 4, requires_grad=True)
    by = rl.randn(3, requires_grad=True)

    def double(x: Any, by: Any) -> Any:
        x[1:3].mul_(by)
        return x[0] * x[1]

    many = leaf.clone()
    row = many[2]
    (vmap(double)(many, by).sum() + row.sum()).backward()
    found = leaf.grad, by.grad
    leaf.grad = by.grad = None
    scaled = rl.cat([leaf[:, :1], leaf[:, 1:3] * by[:, None], leaf[:, 3:]], 1)
    ((scaled[:, 0] * scaled[:, 1]).sum() + scaled[2].sum()).backward()
    same(found[0], leaf.grad)
    same(found[1], by.grad)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: vmap(rl.sin)(), "no inputs"),
        (lambda: vmap(rl.sin, in_dims=None)(rl.ones(2)), "in_dims"),
        (lambda: vmap(rl.add)(rl.ones(2), rl.ones(3)), "same size in the mapped dimension"),
        (lambda: vmap(rl.sin)(rl.ones(())), "dimensionality 0"),
        (lambda: vmap(rl.sin, in_dims=1)(rl.ones(2)), "in_dim=1"),
        (lambda: vmap(lambda x, y: x)(rl.ones(2), 3), "non-Tensor"),
        (lambda: vmap(lambda x: 1)(rl.ones(2)), "must only return Tensors"),
        (lambda: vmap(rl.sin, in_dims=(0, 0))(rl.ones(2)), "not compatible"),
    ],
)
def test_bad_calls(call: Callable, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def test_an_index_outside_an_example_does_not_reach_its_neighbour() -> None:
    with pytest.raises((IndexError, RuntimeError)):
        vmap(lambda x, i: x.gather(0, i))(rl.randn(3, 4), rl.full((3, 1), 4)).tolist()


def test_levels_are_given_back() -> None:
    from rushlight.tensor.batching import Level

    vmap(lambda x: x * 2)(rl.ones(3, requires_grad=True)).sum().backward()
    gc.collect()
    free = Level(1).number
    held = vmap(lambda x: x * x)(rl.ones(3, requires_grad=True))
    gc.collect()
    assert Level(1).number != free  # the tape of `held` still speaks of it
    del held
    gc.collect()
    assert Level(1).number == free


def test_recording_is_found_again() -> None:
    from rushlight.tensor.dispatch import SIGNATURES

    def step() -> None:
        vmap(grad(lambda x: (x.sin() * x).sum()))(rl.ones(3, 2)).tolist()

    step()
    gc.collect()
    count = len(SIGNATURES)
    step()
    assert len(SIGNATURES) == count


def test_printed_form() -> None:
    seen = []
    vmap(lambda x: (seen.append(repr(x)), x)[1])(rl.zeros(2))
    assert "BatchedTensor(lvl=" in seen[0]
    assert "tensor([0., 0.])" in seen[0]
