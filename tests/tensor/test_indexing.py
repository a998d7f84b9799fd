"""Index expressions, parsed and applied to NumPy arrays, against PyTorch's indexing."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushlight.tensor.indexing import (
    Advanced,
    Select,
    Slice,
    Unsqueeze,
    broadcast_index_shapes,
    check_bounds,
    parse_index,
)

torch = pytest.importorskip("torch")

SHAPE = (4, 5, 6)


def parse(index: object, shape: tuple[int, ...]) -> Any:
    return parse_index(index, shape, lambda value: isinstance(value, torch.Tensor))


def apply_step(view: np.ndarray, step: Select | Slice | Unsqueeze) -> np.ndarray:
    before = (slice(None),) * step.dim
    if isinstance(step, Select):
        return view[(*before, step.at)]
    if isinstance(step, Slice):
        return view[(*before, slice(step.start, step.stop, step.step))]
    return np.expand_dims(view, step.dim)


def integer_indices(entry: Advanced) -> list[np.ndarray]:
    """One array of indices for each dimension that the entry covers."""
    values = np.asarray(entry.values)
    return list(np.nonzero(values)) if entry.is_mask else [values.astype(np.int64)]


def apply(array: np.ndarray, index: object) -> np.ndarray:
    """array[index], by the parser's word."""
    parsed = parse(index, array.shape)
    view = array
    for step in parsed.steps:
        view = apply_step(view, step)
    assert view.shape == parsed.shape
    if not parsed.advanced:
        return view
    covered = [entry.dim + at for entry in parsed.advanced for at in range(entry.span)]
    indices = [one for entry in parsed.advanced for one in integer_indices(entry)]
    together = broadcast_index_shapes([one.shape for one in indices])
    shape = parsed.result_shape(together)
    for number, (dim, one) in enumerate(zip(covered, indices, strict=True)):
        if math.prod(together) and (view.shape[dim] == 0 or math.prod(shape)):
            check_bounds(one, view.shape[dim], number)
    if not math.prod(shape):
        return np.zeros(shape, array.dtype)
    indices = [np.broadcast_to(one, together) for one in indices]
    rest = [dim for dim in range(view.ndim) if dim not in covered]
    picked = view.transpose(*covered, *rest)[tuple(indices)]
    count = len(together)
    places = range(parsed.position, parsed.position + count)
    result = np.moveaxis(picked, range(count), places)
    assert result.shape == shape
    return result


def outcome(run: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = run()
        except (IndexError, ValueError, TypeError) as error:
            return type(error)
    return np.asarray(result)


def check(index: object, shape: tuple[int, ...] = SHAPE) -> None:
    tensor = torch.arange(int(np.prod(shape))).reshape(shape)
    expected = outcome(lambda: tensor[index])
    got = outcome(lambda: apply(tensor.numpy(), index))
    if isinstance(expected, type):
        assert got is expected
    else:
        assert not isinstance(got, type), f"{got} for {index}"
        assert got.shape == expected.shape
        np.testing.assert_array_equal(got, expected)


@st.composite
def integer_values(draw: st.DrawFn) -> Any:
    shape = draw(st.sampled_from([(), (1,), (2,), (2, 1), (0,), (1, 3), (3,)]))
    least, most = draw(st.sampled_from([(0, 3), (-4, 3), (-7, 6)]))
    values = np.random.default_rng(draw(st.integers(0, 999))).integers(
        least, most, shape, endpoint=True
    )
    kind = draw(st.sampled_from(["tensor", "int32", "array", "list"]))
    if kind == "list":
        return values.tolist()
    if kind == "array":
        return values
    return torch.from_numpy(np.asarray(values)).to(torch.int32 if kind == "int32" else torch.int64)


@st.composite
def masks(draw: st.DrawFn) -> Any:
    shape = draw(st.sampled_from([(), (4,), (5,), (6,), (4, 5), (5, 6), (1,), (4, 5, 6)]))
    values = np.random.default_rng(draw(st.integers(0, 999))).random(shape) < 0.5
    # written as lists or arrays, PyTorch loses count of the dimensions that large masks cover
    kinds = ["tensor", "uint8", "array", "list"] if values.ndim < 2 else ["tensor", "uint8"]
    kind = draw(st.sampled_from(kinds))
    if kind == "list":
        return values.tolist()
    if kind == "array":
        return values
    return torch.from_numpy(np.asarray(values)).to(torch.uint8 if kind == "uint8" else torch.bool)


BOUND = st.none() | st.integers(-8, 8)
PLAIN = st.one_of(
    st.integers(-6, 5),
    st.builds(slice, BOUND, BOUND, st.none() | st.integers(1, 3)),
    st.none(),
    st.booleans(),
)
ITEMS = st.one_of(PLAIN, PLAIN, integer_values(), masks())


@st.composite
def indices(draw: st.DrawFn) -> Any:
    items = draw(st.lists(ITEMS, max_size=4))
    if draw(st.booleans()):
        items.insert(draw(st.integers(0, len(items))), Ellipsis)
    if len(items) == 1 and draw(st.booleans()):
        return items[0]
    return tuple(items)


@settings(max_examples=600, deadline=None)
@given(indices(), st.sampled_from([SHAPE, (4, 5), (5,), (), (4, 0, 6), (2, 4, 5, 6)]))
def test_random_indices(index: object, shape: tuple[int, ...]) -> None:
    if not (shape == () and isinstance(index, slice)):  # which error comes first is of no matter
        check(index, shape)


MASK = torch.arange(20).reshape(4, 5) % 3 == 0
WRITTEN = [
    [[0, 1], [1, 2]], [slice(None), 0], [torch.tensor(0), 1], [None, 0], [..., 0], [True, None],
    [[0], [0], [0]], [0] * 40, range(3), [], (), [1.5], [torch.tensor(1), 2], [MASK.tolist()],
    (MASK.tolist(), 0), (0, [torch.tensor([1]), torch.tensor([2])]), np.int64(1), np.array(1),
    np.array([1.5]), np.array([1, 0], np.int16), np.array(True), np.array([1, 0, 1, 1], np.uint8),
    (MASK, slice(1, 3)), (None, MASK), (MASK, None), (0, MASK), (MASK, MASK),
    (True, slice(None), True), (0, [[torch.tensor([0])], [1]]),
    (0, slice(None), torch.tensor([0, 1])), (slice(None), 0, torch.tensor([0, 1])),
    (torch.tensor([0, 1]), None, [0, 1]), slice(torch.tensor(1), torch.tensor(3)),
]  # fmt: skip


@pytest.mark.parametrize("index", WRITTEN, ids=str)
def test_written_indices(index: object) -> None:
    check(index)


REFUSED = [
    7, -5, (0, 9), (slice(None), 9), (1, 2, 3, 4), slice(None, None, -1), slice(None, None, 0), 1.5,
    "a", (0, "a"), {1}, 1j, (0, [1j]), object(), 2**70, np.bool_(True), slice(1.5, 2), [7],
    (0, [[1], [1, 2]]), (0, [torch.tensor([0, 1]), torch.tensor([1, 2])]), torch.tensor([1.0]),
    torch.tensor(1.0), torch.tensor([1], dtype=torch.int16), torch.zeros(4, 6).bool(),
    (torch.tensor([0, 1]), torch.tensor([0, 1, 2])), torch.zeros(4, 5, 6, 7).bool(), [True, False],
]  # fmt: skip


@pytest.mark.parametrize("index", REFUSED, ids=str)
def test_refused_indices(index: object) -> None:
    tensor = torch.zeros(SHAPE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((IndexError, ValueError, TypeError)) as expected:
            tensor[index]
        with pytest.raises(expected.type) as got:
            apply(tensor.numpy(), index)
    if expected.type is not TypeError and "sequence of length" not in str(expected.value):
        assert str(got.value).startswith(str(expected.value).removesuffix("s")[:60])


@pytest.mark.parametrize("index", [0, slice(None), (0, 0), [0]], ids=str)
def test_scalars_refuse(index: object) -> None:
    with pytest.raises(IndexError) as expected:
        torch.tensor(5)[index]
    with pytest.raises(IndexError) as got:
        apply(np.array(5), index)
    assert str(got.value).startswith(str(expected.value))


def test_warnings() -> None:
    with pytest.warns(UserWarning, match="non-tuple sequence"):
        parse([[0], [1]], SHAPE)
    with pytest.warns(UserWarning, match="torch.uint8"):
        parse(torch.ones(4, dtype=torch.uint8), SHAPE)


def test_tensors_pass_through() -> None:
    picked = torch.tensor([0, 1])
    parsed = parse((..., picked), SHAPE)
    assert parsed.steps == ()
    assert parsed.advanced[0].values is picked
    assert (parsed.advanced[0].dim, parsed.position) == (2, 2)
