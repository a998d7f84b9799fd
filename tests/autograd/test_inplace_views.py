"""In-place operations, views and the tape, one rule of PyTorch's a test.

Both libraries run each.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import rushlight

torch = pytest.importorskip("torch")


def told(value: Any) -> Any:
    """Tensors as nested lists of rounded numbers, so that outcomes can be compared."""
    if hasattr(value, "detach"):
        return np.round(np.array(value.detach().tolist(), dtype=complex), 4).tolist()
    if isinstance(value, (list, tuple)):
        return [told(v) for v in value]
    return value


def outcome(scene: Callable[[ModuleType], Any], library: ModuleType) -> Any:
    """What a scene returns, or the type of what it raises."""
    try:
        return told(scene(library))
    except Exception as error:
        return type(error).__name__


def leaf(m: ModuleType, *shape: int) -> Any:
    count = int(np.prod(shape))
    return m.arange(1.0, count + 1).reshape(shape).requires_grad_()


def write_through_view(m: ModuleType) -> Any:
    x = leaf(m, 3, 4)
    y = x * 2
    y[1:, ::2].mul_(3)
    y.sum().backward()
    return y, x.grad


def write_to_base_seen_by_view(m: ModuleType) -> Any:
    x = leaf(m, 6)
    y = x * 1
    view = y.view(2, 3).t()[1:]
    y.mul_(x)
    (view * view).sum().backward()
    return view, x.grad


def view_of_view_written(m: ModuleType) -> Any:
    x, v = leaf(m, 4, 4), leaf(m, 2)
    y = x.clone()
    y.t()[1].narrow(0, 1, 2).copy_(v * v)
    y.square().sum().backward()
    return y, x.grad, v.grad


def saved_value_overwritten(m: ModuleType) -> Any:
    x = leaf(m, 3)
    y = x.exp()
    y.add_(1)
    y.sum().backward()
    return x.grad


def saved_input_overwritten(m: ModuleType) -> Any:
    x = leaf(m, 3)
    y = x * 1
    z = y * y
    y.zero_()
    z.sum().backward()
    return x.grad


def unneeded_value_overwritten(m: ModuleType) -> Any:
    x = leaf(m, 3)
    y = x * 2
    z = y + 1
    y.zero_()
    z.sum().backward()
    return y, x.grad


def in_place_function_of_itself(m: ModuleType) -> Any:
    x = leaf(m, 3)
    y = x * 0.1
    y.square_().sin_().exp_()
    y.sum().backward()
    return y, x.grad


def leaf_written(m: ModuleType) -> Any:
    x = leaf(m, 3)
    x.add_(1)


def view_of_leaf_written(m: ModuleType) -> Any:
    x = leaf(m, 3)
    x[0] = 1.0


def leaf_written_without_tape(m: ModuleType) -> Any:
    x = leaf(m, 3)
    with m.no_grad():
        x.mul_(2)
        x[0] = 7.0
    (x * x).sum().backward()
    return x, x.grad, x.is_leaf


def data_changed_between(m: ModuleType) -> Any:
    """A write through .data escapes the version check and shows in the gradient."""
    x = leaf(m, 3)
    y = x * x
    x.data *= 100
    y.sum().backward()
    return x.grad


def detached_alias_written(m: ModuleType) -> Any:
    x = leaf(m, 3)
    y = x * 1
    z = y * y
    y.detach().mul_(5)
    z.sum().backward()
    return x.grad


def expanded_written(m: ModuleType) -> Any:
    m.zeros(3).expand(2, 3).add_(1)


def overlapping_operands(m: ModuleType) -> Any:
    x = m.arange(9.0).reshape(3, 3)
    x.add_(x.t())


def whole_and_itself(m: ModuleType) -> Any:
    x = m.arange(4.0)
    x.add_(x)
    x.mul_(x)
    return x


def boolean_assignment(m: ModuleType) -> Any:
    x, v = leaf(m, 6), leaf(m)
    y = x * 1
    y[y > 3] = v * 2
    y[[0, -1]] += 1
    (y * y).sum().backward()
    return y, x.grad, v.grad


def integer_assignment_of_a_tensor(m: ModuleType) -> Any:
    x, v = leaf(m, 3, 4), leaf(m, 2, 4)
    y = x * 1
    y[m.tensor([2, 0])] = v
    (y * y).sum().backward()
    return y, x.grad, v.grad


def second_derivative_through_a_write(m: ModuleType) -> Any:
    x = leaf(m, 4)
    y = x * x
    y[1:3] *= x[:2]
    (g,) = m.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = m.autograd.grad((g * g).sum(), x)
    return g, h


def accumulation(m: ModuleType) -> Any:
    x = leaf(m, 3)
    for k in range(3):
        (x * (k + 1)).sum().backward()
    first = x.grad
    (x * x).sum().backward()
    return x.grad, first is x.grad


def backward_twice_with_saved(m: ModuleType) -> Any:
    x = leaf(m, 3)
    y = (x * x).sum()
    y.backward()
    y.backward()


def backward_twice_without_saved(m: ModuleType) -> Any:
    x = leaf(m, 3)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    return x.grad


def retained(m: ModuleType) -> Any:
    x = leaf(m, 3)
    y = x * x
    y.retain_grad()
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    return x.grad, y.grad


def hook_changes_gradient(m: ModuleType) -> Any:
    x = leaf(m, 3)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    handle = x.register_hook(lambda g: g + 1)
    y.sum().backward(retain_graph=True)
    handle.remove()
    y.sum().backward()
    return x.grad


def real_part_written(m: ModuleType) -> Any:
    x = m.tensor([1 + 2j, 3 - 4j]).requires_grad_()
    y = x * 2
    y.real.mul_(3)
    y.abs().sum().backward()
    return y, x.grad


def versions(m: ModuleType) -> Any:
    x = m.zeros(4)
    view = x[1:]
    view.add_(1)
    x.mul_(2)
    return x._version, view._version, x.detach()._version


def views_keep_aliasing(m: ModuleType) -> Any:
    x = m.arange(12.0)
    a, b = x.view(3, 4), x.view(3, 4).t().reshape(2, 6)  # the reshape copies
    c = a.flatten().unflatten(0, (2, 6)).select(0, 1)  # and this does not
    x.add_(100)
    return a, b, c, a.data_ptr() == x.data_ptr(), b.data_ptr() == x.data_ptr()


def no_grad_view_then_write(m: ModuleType) -> Any:
    x = leaf(m, 4) * 1
    y = x.detach()[1:]
    y.zero_()
    return x, x.requires_grad


def set_item_under_branches(m: ModuleType) -> Any:
    x = leaf(m, 5)
    y = x * 1
    for k in range(5):
        if y[k] > 2.5:
            y[k] = y[k] * y[k]
        else:
            y[k] -= 1
    y.sum().backward()
    return y, x.grad


SCENES = [
    value
    for value in list(globals().values())
    if getattr(value, "__annotations__", {}).get("m")
    and value.__module__ == __name__
    and value.__name__ not in ("leaf",)
]


@pytest.mark.parametrize("scene", SCENES, ids=[scene.__name__ for scene in SCENES])
def test_both_libraries_do_the_same(scene: Callable[[ModuleType], Any]) -> None:
    assert outcome(scene, rushlight) == outcome(scene, torch)


def test_there_are_scenes() -> None:
    assert len(SCENES) > 25


def test_the_version_error_names_the_line_that_wrote() -> None:
    x = leaf(rushlight, 3)
    y = x.exp()
    y.add_(1)
    with pytest.raises(RuntimeError, match=r"test_inplace_views\.py:\d+") as caught:
        y.sum().backward()
    assert "ExpBackward0" in str(caught.value)


@pytest.mark.parametrize("name", ["t_", "squeeze_", "unsqueeze_", "transpose_", "resize_"])
def test_another_shape_in_place_counts_as_a_write(name: str) -> None:
    arguments = {"unsqueeze_": (0,), "transpose_": (0, 1), "resize_": (2, 2)}.get(name, ())
    x = rushlight.ones(2, 3)
    getattr(x, name)(*arguments)
    assert x._version == 1


@pytest.mark.parametrize(
    ("write", "title"),
    [
        (lambda y: y.add_(1), "Add"),
        (lambda y: y.zero_(), "Zero"),
        (lambda y: y[:1].add_(1), "torch::autograd::CopySlices"),
    ],
)
def test_the_error_names_what_the_operand_has_become(write: Any, title: str) -> None:
    y = rushlight.ones(3, requires_grad=True) * 2
    z = y.sin()
    write(y)
    with pytest.raises(RuntimeError, match=f"which is output 0 of {title}, is at version 1"):
        z.sum().backward()


@pytest.mark.parametrize("name", ["floor_divide", "heaviside"])
def test_what_pytorch_has_no_derivative_of(name: str) -> None:
    x = rushlight.ones(3, requires_grad=True)
    made = getattr(rushlight, name)(x, rushlight.ones(3))
    assert made.requires_grad
    with pytest.raises(RuntimeError, match=f"derivative for aten::{name} is not implemented"):
        made.sum().backward()


def test_the_floored_quotient_has_a_gradient_of_zero() -> None:
    x = rushlight.ones(3, requires_grad=True)
    rushlight.div(x, 2, rounding_mode="floor").sum().backward()
    assert x.grad.tolist() == [0, 0, 0]
