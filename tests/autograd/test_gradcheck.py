"""gradcheck accepts right gradients and refuses wrong ones, of first and second order, real and
complex.
"""

from __future__ import annotations

from typing import Any

import pytest

import rushlight as rl
from rushlight.autograd import Function, gradcheck, gradgradcheck
from rushlight.autograd.gradcheck import GradcheckError


def point(*values: float, dtype: Any = rl.float64) -> Any:
    return rl.tensor(values, dtype=dtype, requires_grad=True)


class Wrong(Function):
    """The square with a slope of 3x."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x * g


class WrongTwice(Function):
    """The cube, whose gradient is right but forgets that it depends on x."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x.detach() * x.detach() * g


@pytest.mark.parametrize("fast_mode", [False, True])
def test_right_gradients_pass(fast_mode: bool) -> None:
    x, y = point(0.5, 2.0, -1.0), point(1.5)
    assert gradcheck(lambda x, y: (x * y).exp(), (x, y), fast_mode=fast_mode)
    assert gradcheck(lambda x, y: (x.sum(), x * y.sin(), 3), (x, y), fast_mode=fast_mode)
    assert gradgradcheck(lambda x, y: x * x * y, (x, y), fast_mode=fast_mode)
    assert gradgradcheck(
        lambda x, y: x * x * y, (x, y), grad_outputs=point(1.0, 2.0, 3.0), fast_mode=fast_mode
    )


@pytest.mark.parametrize("fast_mode", [False, True])
def test_wrong_gradients_are_refused(fast_mode: bool) -> None:
    x = point(0.5, 2.0)
    with pytest.raises(
        GradcheckError, match="Jacobian mismatch for output 0 with respect to input 0"
    ):
        gradcheck(Wrong.apply, (x,), fast_mode=fast_mode)
    assert not gradcheck(Wrong.apply, (x,), fast_mode=fast_mode, raise_exception=False)
    assert gradcheck(WrongTwice.apply, (x,), fast_mode=fast_mode)
    with pytest.raises(GradcheckError):
        gradgradcheck(WrongTwice.apply, (x,), fast_mode=fast_mode)


def test_a_detached_path_is_refused() -> None:
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: x.detach() * x, (point(2.0),))
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: x.detach() * 2, (point(2.0),))
    assert gradcheck(lambda x: x.detach() * 0, (point(2.0),))


def test_complex_numbers() -> None:
    z = rl.tensor([1 + 2j, -0.5 + 0.25j], dtype=rl.complex128, requires_grad=True)
    assert gradcheck(lambda z: z * z, (z,))
    assert gradcheck(lambda z: (z * rl.conj_physical(z)).real, (z,))


def test_what_it_asks_of_its_inputs() -> None:
    with pytest.raises(ValueError, match="at least one input"):
        gradcheck(lambda x: x * 2, (rl.ones(2, dtype=rl.float64),))
    with pytest.raises(RuntimeError, match="stride 0"):
        gradcheck(lambda x: x * 2, (rl.ones(1, dtype=rl.float64).expand(3).requires_grad_(),))
    with pytest.warns(UserWarning, match="double precision"):
        gradcheck(lambda x: x * 2, (rl.ones(1, requires_grad=True),), atol=1e-2, eps=1e-2)
    with pytest.raises(ValueError, match="requires check_forward_ad"):
        gradcheck(lambda x: x * 2, (point(1.0),), check_batched_forward_grad=True)


def test_forward_mode_and_batches() -> None:
    x, y = point(0.5, -1.0, 2.0), point(1.0, 3.0, -0.5)
    every = dict.fromkeys(
        ("check_forward_ad", "check_batched_grad", "check_batched_forward_grad"), True
    )
    assert gradcheck(lambda x, y: ((x * y).sin(), x.cumsum(0)), (x, y), **every)
    assert gradgradcheck(lambda x: x.exp().prod(), (x,), check_fwd_over_rev=True)

    class Wrong(rl.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return t * 3

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    assert gradcheck(Wrong.apply, (x,))
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        gradcheck(Wrong.apply, (x,), check_forward_ad=True)
