"""Bad calls: the type of error is PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import agree

import rushlight as rl

CALLS: dict[str, Any] = {
    "unknown keyword of zeros": lambda t: t.zeros(2, foo=1),
    "unknown keyword of full": lambda t: t.full((3,), 1, foo=2),
    "unknown keyword of arange": lambda t: t.arange(3, foo=1),
    "unknown keyword of zeros_like": lambda t: t.zeros_like(t.ones(2), foo=1),
    "unknown keyword of rand_like": lambda t: t.rand_like(t.ones(2), foo=1),
    "unknown keyword of new_zeros": lambda t: t.ones(2).new_zeros(2, foo=1),
    "size by keyword": lambda t: t.zeros(size=(2, 3)),
    "full without a tuple": lambda t: t.full(3, 1.0),
    "float size": lambda t: t.zeros(2.5),
    "str size": lambda t: t.zeros("a"),
    "normal of a tensor and a size": lambda t: t.normal(t.ones(3), 1.0, (3,)),
    "normal with an int size": lambda t: t.normal(0.0, 1.0, 3),
    "clamp_min of a number": lambda t: t.clamp_min(2, t.ones(3)),
    "pow of numbers": lambda t: t.pow(2, 3),
    "float_power of numbers": lambda t: t.float_power(2, 3),
    "reflected operator of a number": lambda t: t.Tensor.__radd__(2, t.ones(3)),
    "cat of a tensor": lambda t: t.cat(t.ones(2, 2)),
    "cat of a generator": lambda t: t.cat(x for x in [t.ones(2)]),
    "stack of a tensor": lambda t: t.stack(t.ones(2, 2)),
    "hstack of a tensor": lambda t: t.hstack(t.ones(2, 2)),
    "plus None": lambda t: t.ones(2) + None,
    "inverted float": lambda t: ~t.ones(2),
    "int of two": lambda t: int(t.ones(2)),
    "float of two": lambda t: float(t.ones(2)),
    "item of two": lambda t: t.ones(2).item(),
    "unknown type": lambda t: t.ones(2).type("foo"),
    "resize of a leaf": lambda t: t.ones(2, requires_grad=True).resize_(4),
    "set_ of a leaf": lambda t: t.ones(2, requires_grad=True).set_(t.ones(3)),
    "resize of NumPy's memory": lambda t: t.from_numpy(rl.ones(2).numpy()).resize_(4),
    "probability above one": lambda t: t.nn.functional.binary_cross_entropy(
        t.tensor([1.5]), t.tensor([1.0])
    ),
    "probability is NaN": lambda t: t.nn.BCELoss()(t.tensor([float("nan")]), t.tensor([1.0])),
    "target below zero": lambda t: t.nn.functional.binary_cross_entropy(
        t.tensor([0.5]), t.tensor([-0.5])
    ),
    "probabilities at the ends": lambda t: t.nn.functional.binary_cross_entropy(
        t.tensor([1.0, 0.0]), t.tensor([1.0, 0.0])
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_errors(call: Any) -> None:
    agree(call)


def test_a_condition_that_fails_says_what_it_is() -> None:
    loss = rl.nn.functional.binary_cross_entropy(rl.tensor([1.5]), rl.tensor([1.0]))
    with pytest.raises(RuntimeError, match="all elements of input should be between 0 and 1"):
        loss.item()


OUTS: dict[str, Any] = {
    "add": lambda t, out: t.add(t.ones(3), 1, out=out),
    "abs": lambda t, out: t.abs(t.ones(3), out=out),
    "cumsum": lambda t, out: t.cumsum(t.ones(3), 0, out=out),
    "exp": lambda t, out: t.exp(t.ones(3), out=out),
    "gather": lambda t, out: t.gather(t.ones(3), 0, t.tensor([0, 1, 2]), out=out),
    "all": lambda t, out: t.all(t.ones(3, 2), 1, out=out),
    "where": lambda t, out: t.where(t.ones(3) > 0, t.ones(3), t.zeros(3), out=out),
    "randn": lambda t, out: t.randn(3, out=out).shape,
    "linspace": lambda t, out: t.linspace(0, 1, 3, dtype=t.float32, out=out),
    "multinomial": lambda t, out: t.multinomial(t.ones(3), 3, out=out).shape,
    "mm": lambda t, out: t.mm(t.ones(3, 2), t.ones(2, 1), out=out),
}


@pytest.mark.parametrize("type_", ["float64", "float32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("call", OUTS.values(), ids=OUTS.keys())
def test_dtypes_of_out(call: Any, type_: str) -> None:
    """Some functions convert on the way into `out`, some refuse, some compute in its dtype."""
    agree(lambda t: call(t, t.empty(0, dtype=getattr(t, type_))))


PIECES: dict[str, Any] = {
    "split": lambda y: y.split(2)[0],
    "split by sizes": lambda y: y.split([1, 3])[0],
    "chunk": lambda y: y.chunk(2)[0],
    "unbind": lambda y: y.unbind()[0],
    "iteration": lambda y: next(iter(y)),
    "a view of one": lambda y: y.split(2)[0].view(2, 1),
    "tensor_split": lambda y: y.tensor_split(2)[0],
    "slice": lambda y: y[:2],
}


def _scaled(t: Any) -> Any:
    return t.ones(4, requires_grad=True) * 2


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES.keys())
def test_pieces_are_not_overwritten_on_the_tape(piece: Any) -> None:
    agree(lambda t: piece(_scaled(t)).add_(1).detach())
    agree(lambda t: piece(t.ones(4)).add_(1))  # off the tape they are


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES.keys())
def test_pieces_of_an_overwritten_base(piece: Any) -> None:
    def program(t: Any) -> Any:
        base = _scaled(t)
        taken = piece(base)
        base.mul_(3)
        return taken.sum().detach()

    agree(program)
