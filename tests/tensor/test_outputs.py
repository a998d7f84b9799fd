"""`out=`, and Python numbers where only tensors are taken."""

from __future__ import annotations

import warnings

import pytest

import rushlight as rl


def test_result_lands_in_out() -> None:
    out = rl.empty(3)
    assert rl.add(rl.ones(3), 2, out=out) is out
    assert out.tolist() == [3.0, 3.0, 3.0]


def test_a_view_may_be_out() -> None:
    base = rl.zeros(2, 3)
    rl.mul(rl.ones(3), 5, out=base[1])
    assert base.tolist() == [[0.0, 0.0, 0.0], [5.0, 5.0, 5.0]]


def test_several_outputs_keep_their_names() -> None:
    values, places = rl.empty(0), rl.empty(0, dtype=rl.int64)
    found = rl.max(rl.tensor([[1.0, 4.0], [3.0, 2.0]]), 1, out=(values, places))
    assert found.values is values and found.indices is places
    assert values.tolist() == [4.0, 3.0] and places.tolist() == [1, 0]


def test_makers_take_the_dtype_of_out() -> None:
    out = rl.empty(0, dtype=rl.float64)
    assert rl.arange(3, out=out).dtype is rl.float64
    assert out.tolist() == [0.0, 1.0, 2.0]


def test_out_of_another_shape_is_resized_with_a_warning() -> None:
    out = rl.empty(5)
    with pytest.warns(UserWarning, match="was resized"):
        rl.sum(rl.ones(2, 3), 1, out=out)
    assert out.tolist() == [3.0, 3.0]


def test_bad_outputs() -> None:
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type Long"):
        rl.add(rl.ones(3), 2, out=rl.empty(3, dtype=rl.int64))
    with pytest.raises(RuntimeError, match="automatic differentiation"):
        rl.add(rl.ones(3, requires_grad=True), 2, out=rl.empty(3))
    with pytest.raises(RuntimeError, match="single memory location"):
        rl.add(rl.ones(3), 2, out=rl.empty(1).expand(3))
    with pytest.raises(TypeError, match="must be Tensor, not int"):
        rl.add(rl.ones(3), 2, out=3)


def test_an_overlapping_operand_is_refused() -> None:
    x = rl.arange(6.0)
    with pytest.raises(RuntimeError, match="single memory location"):
        rl.neg(x[:4], out=x[2:])
    assert x.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: rl.atan2(x, 2),
        lambda x: rl.atan2(2, x),
        lambda x: rl.ge(2, x),
        lambda x: rl.maximum(x, 2),
        lambda x: rl.logical_and(x, 2),
        lambda x: rl.bitwise_and(2, 3),
        lambda x: rl.max(2, x),
    ],
)
def test_numbers_where_tensors_are_needed(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeError, match="Tensor"):
        call(rl.tensor([1, 2, 3]))


def test_numbers_where_they_are_taken() -> None:
    x = rl.tensor([1, 2, 3])
    assert rl.bitwise_and(2, x).tolist() == [0, 2, 2]
    assert rl.ge(x, 2).tolist() == [False, True, True]
    assert rl.pow(2, x).tolist() == [2, 4, 8]


@pytest.mark.parametrize(
    "call",
    [
        lambda t, out: t.add(t.ones(2, 3, 4).permute(2, 0, 1), 1, out=out),
        lambda t, out: t.sort(t.ones(2, 3, 4).mT, out=(out, t.empty(0, dtype=t.int64))),
        lambda t, out: t.linalg.inv(t.eye(3), out=out),
        lambda t, out: t.mm(t.ones(2, 3), t.ones(3, 4), out=out),
    ],
)
@pytest.mark.parametrize("length", [0, 5])
def test_a_resized_output_lies_as_the_result_does(call, length: int) -> None:  # type: ignore[no-untyped-def]
    torch = pytest.importorskip("torch")

    def strides(t) -> tuple:  # type: ignore[no-untyped-def]
        out = t.empty(length)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            call(t, out)
        return tuple(out.shape), tuple(out.stride()), bool(told)

    assert strides(rl) == strides(torch)


def test_an_output_of_another_shape_may_have_repeated() -> None:
    out = rl.empty(1).expand(3)
    with pytest.warns(UserWarning, match="resized"):
        rl.mm(rl.ones(2, 3), rl.ones(3, 2), out=out)
    assert out.tolist() == [[3.0, 3.0], [3.0, 3.0]]


def test_one_value_may_be_written_to_repeated_elements() -> None:
    x = rl.ones(1).expand(3)
    assert x.fill_(2).tolist() == [2.0] * 3
    assert x.zero_().tolist() == [0.0] * 3
    with pytest.raises(RuntimeError, match="single memory location"):
        x.add_(1)


def test_joined_parts_refuse_a_whole_output_by_type() -> None:
    with pytest.raises(TypeError, match="can't be cast"):
        rl.cat([rl.ones(2)], out=rl.empty(0, dtype=rl.int64))
