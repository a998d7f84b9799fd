"""User-defined operations under vmap and grad, and called with keywords."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

import rushlight as rl
from rushlight.autograd import Function


class Cube(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Any) -> Any:
        return x**3

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * 3 * ctx.saved_tensors[0] ** 2


class Square(Function):
    calls: ClassVar[list] = []

    @staticmethod
    def forward(x: Any, by: Any) -> Any:
        return x * x * by

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.by = inputs[1]

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return 2 * g * ctx.saved_tensors[0] * ctx.by, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple, x: Any, by: Any) -> Any:
        Square.calls.append((info.batch_size, info.randomness, in_dims, tuple(x.shape)))
        return Square.apply(x.T, by), 1


def test_functions_under_transforms() -> None:
    x = rl.tensor([1.0, 2.0, 3.0])
    assert rl.vmap(Cube.apply)(x).tolist() == [1.0, 8.0, 27.0]
    assert rl.vmap(rl.func.grad(Cube.apply))(x).tolist() == [3.0, 12.0, 27.0]
    assert rl.func.grad(rl.func.grad(Cube.apply))(x[1]).item() == 12.0
    many = rl.randn(4, 3)
    found = rl.vmap(lambda x: Square.apply(x, 2.0))(many)
    assert rl.allclose(found, 2 * many**2)
    assert Square.calls == [(4, "error", (0, None), (4, 3))]
    slopes = rl.vmap(rl.func.grad(lambda x: Square.apply(x, 2.0).sum()))(many)
    assert rl.allclose(slopes, 4 * many)


def test_functions_that_say_nothing_of_vmap_are_refused() -> None:
    class Plain(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

    class Both(Square):
        generate_vmap_rule = True

    assert rl.vmap(lambda x: x + Plain.apply(rl.ones(())))(rl.zeros(2)).tolist() == [2.0, 2.0]
    with pytest.raises(RuntimeError, match="does not have vmap support"):
        rl.vmap(Plain.apply)(rl.ones(2))
    with pytest.raises(RuntimeError, match="ambiguity"):
        rl.vmap(lambda x: Both.apply(x, 1.0))(rl.ones(2))


def test_keyword_arguments_of_apply() -> None:
    x = rl.tensor(3.0, requires_grad=True)
    Square.apply(x, by=2.0).backward()
    assert x.grad.item() == 12.0


def test_a_dirty_view_keeps_its_relatives_on_the_tape() -> None:
    class Double(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    leaf = rl.ones(3, requires_grad=True)
    x = leaf.clone()
    first = x[0]
    assert Double.apply(x) is x
    (x.sum() + first).backward()
    assert leaf.grad.tolist() == [4.0, 2.0, 2.0]
