"""User-defined operations on the tape: the same programs on rushlight and on PyTorch, and the same
errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from agreement import agree

pytest.importorskip("torch")


def cube(t: Any) -> Any:
    class Cube(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, power: int = 3) -> Any:
            out = x**power
            ctx.save_for_backward(x, out)
            ctx.power = power
            return out

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, out = ctx.saved_tensors
            return g * ctx.power * out / x, None

    return Cube


def values(t: Any, *numbers: float) -> Any:
    return t.tensor(numbers, requires_grad=True)


def simple(t: Any) -> Any:
    x = values(t, 1.0, 2.0)
    y = cube(t).apply(x, 3)
    y.sum().backward()
    return x.grad, y, y.grad_fn.name()


def twice(t: Any) -> Any:
    x = values(t, 1.0, 2.0)
    (g,) = t.autograd.grad(cube(t).apply(x, 3).sum(), x, create_graph=True)
    return t.autograd.grad(g.sum(), x)


def split_form(t: Any) -> Any:
    class Scale(t.autograd.Function):
        @staticmethod
        def forward(x: Any, factor: float) -> Any:
            return x * factor

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
            ctx.factor = inputs[1]
            ctx.seen = output.shape

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.factor, None

    x = values(t, 1.0, 2.0)
    Scale.apply(x, 2.5).sum().backward()
    return x.grad


def several_outputs(t: Any) -> Any:
    needs = []

    class Both(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any, z: Any) -> Any:
            needs.append(ctx.needs_input_grad)
            ctx.mark_non_differentiable(z)
            return x + y, z, 7

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return grads[0], grads[0] * 2, None

    x, y, z = values(t, 1.0), t.tensor([2.0]), t.tensor([3])
    first, second, number = Both.apply(x, y, z)
    first.backward()
    return x.grad, second.requires_grad, number, needs


def missing_gradients(t: Any) -> Any:
    seen = []

    def make(materialize: bool) -> Any:
        class Two(t.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                ctx.set_materialize_grads(materialize)
                return x * 2, x * 3

            @staticmethod
            def backward(ctx: Any, g: Any, h: Any) -> Any:
                seen.append(h is None)
                return g * 2

        return Two

    x = values(t, 1.0)
    for materialize in (True, False):
        make(materialize).apply(x)[0].sum().backward()
    return x.grad, seen


def in_place(t: Any) -> Any:
    class Double(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    x = values(t, 1.0, 2.0)
    y = x * 1
    z = Double.apply(y)
    (z * z).sum().backward()
    return x.grad, z is y, y


def in_place_on_a_leaf(t: Any) -> Any:
    class Double(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    return Double.apply(values(t, 1.0))


def returns_its_input(t: Any) -> Any:
    class Same(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 5

    x = values(t, 1.0)
    y = Same.apply(x)
    y.sum().backward()
    return x.grad, y is x


def saved_then_overwritten(t: Any) -> Any:
    x = values(t, 1.0, 2.0)
    y = x * 1
    z = cube(t).apply(y, 2)
    y.add_(1)
    z.sum().backward()


def backward_twice(t: Any) -> Any:
    y = cube(t).apply(values(t, 1.0), 2).sum()
    y.backward()
    y.backward()


def off_the_tape(t: Any) -> Any:
    with t.no_grad():
        y = cube(t).apply(values(t, 2.0), 3)
    return y, y.requires_grad


def returning(count: int, make: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """A program whose backward gives `make(t, g)` for one tensor and count - 1 other arguments."""

    def program(t: Any) -> Any:
        class Odd(t.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any, *rest: Any) -> Any:
                return x * 1

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return make(t, g)

        x = values(t, 1.0, 2.0)
        Odd.apply(x, *[1.0] * (count - 1)).sum().backward()
        return x.grad

    return program


def differentiated_once(again: bool) -> Callable[[Any], Any]:
    def program(t: Any) -> Any:
        class Square(t.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            @t.autograd.function.once_differentiable
            def backward(ctx: Any, g: Any) -> Any:
                return 2 * ctx.saved_tensors[0] * g

        x = values(t, 3.0)
        (g,) = t.autograd.grad(Square.apply(x).sum(), x, create_graph=again)
        if again:
            g.sum().backward()
        return g.detach()

    return program


def no_backward(t: Any) -> Any:
    class Bare(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1

    Bare.apply(values(t, 1.0)).sum().backward()


def no_forward(t: Any) -> Any:
    class Bare(t.autograd.Function):
        pass

    Bare.apply(values(t, 1.0))


def saves_no_tensor(t: Any) -> Any:
    class Saves(t.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(3)
            return x * 1

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    Saves.apply(values(t, 1.0)).sum().backward()


PROGRAMS = {
    f.__name__: f
    for f in (
        simple,
        twice,
        split_form,
        several_outputs,
        missing_gradients,
        in_place,
        in_place_on_a_leaf,
        returns_its_input,
        saved_then_overwritten,
        backward_twice,
        off_the_tape,
        no_backward,
        no_forward,
        saves_no_tensor,
    )
} | {
    "too few gradients": returning(2, lambda t, g: g),
    "too many gradients": returning(1, lambda t, g: (g, g)),
    "more nothing": returning(1, lambda t, g: (g, None, None)),
    "a gradient for a number": returning(2, lambda t, g: (g, g)),
    "no gradient": returning(1, lambda t, g: None),
    "of another shape": returning(1, lambda t, g: t.ones(3)),
    "to be summed": returning(1, lambda t, g: t.ones(3, 2)),
    "of another dtype": returning(1, lambda t, g: g.double()),
    "not a tensor": returning(1, lambda t, g: 1.0),
    "once": differentiated_once(False),
    "once, then twice": differentiated_once(True),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str) -> None:
    agree(PROGRAMS[name])
