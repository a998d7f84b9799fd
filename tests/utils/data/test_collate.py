"""default_collate and default_convert against torch.utils.data."""

import collections

import numpy
import pytest

import rushlight as rl
from rushlight.utils import data

torch = pytest.importorskip("torch")
Point = collections.namedtuple("Point", "x y")


def same(ours, theirs):
    """Whether two collated values have the same structure, dtypes and numbers."""
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, rl.Tensor)
        assert str(ours.dtype) == str(theirs.dtype)
        assert tuple(ours.shape) == tuple(theirs.shape)
        assert ours.tolist() == theirs.tolist()
    elif isinstance(theirs, collections.abc.Mapping):
        assert type(ours) is type(theirs)
        assert list(ours) == list(theirs)
        for key in theirs:
            same(ours[key], theirs[key])
    elif isinstance(theirs, (list, tuple)):
        assert type(ours) is type(theirs)
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            same(mine, other)
    else:
        assert ours == theirs


SAMPLES = {
    "int": [1, 2, 3],
    "bool": [True, False],
    "float": [1.5, 2.0],
    "str": ["a", "b"],
    "bytes": [b"a", b"b"],
    "numpy scalar": [numpy.float32(1), numpy.float32(2)],
    "numpy bool": [numpy.bool_(True), numpy.bool_(False)],
    "array": [numpy.arange(6, dtype=numpy.int16).reshape(2, 3)] * 2,
    "0-d array": [numpy.array(1.0), numpy.array(2.0)],
    "tuple": [(1, "a"), (2, "b")],
    "list": [[1, 2.0], [3, 4.0]],
    "dict": [{"x": 1, "y": [2]}, {"x": 3, "y": [4]}],
    "ordered": [collections.OrderedDict(b=1, a=2)] * 2,
    "named": [Point(1, 2.0), Point(3, 4.0)],
    "nested": [{"p": Point(numpy.zeros(2), ("s", 1))}] * 3,
}


@pytest.mark.parametrize("name", SAMPLES)
def test_collate_matches_torch(name):
    """Structure, dtypes and values are torch's."""
    same(data.default_collate(SAMPLES[name]), torch.utils.data.default_collate(SAMPLES[name]))


@pytest.mark.parametrize("name", [*SAMPLES, "text array"])
def test_convert_matches_torch(name):
    """So are those of single items."""
    value = {**SAMPLES, "text array": [numpy.array(["a"])]}[name][0]
    same(data.default_convert(value), torch.utils.data.default_convert(value))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64", "bool", "complex64"])
def test_collate_tensors(dtype):
    """Tensors of any dtype are stacked; views too."""
    whole = rl.arange(6).to(getattr(rl, dtype))
    batch = data.default_collate([whole[:3], whole[3:], whole[::2]])
    assert batch.shape == (3, 3)
    assert str(batch.dtype) == f"torch.{dtype}"
    expected = [[0, 1, 2], [3, 4, 5], [0, 2, 4]]
    if dtype == "bool":
        expected = [[bool(number) for number in row] for row in expected]
    assert batch.tolist() == expected


def test_collated_tensors_do_not_alias_the_samples():
    """Writing to a batch leaves the data set alone."""
    sample = rl.zeros(2)
    batch = data.default_collate([sample, sample])
    batch += 1
    assert sample.tolist() == [0, 0]
    assert batch.tolist() == [[1, 1], [1, 1]]


def test_collate_keeps_gradients():
    """A sample that autograd follows stays followed."""
    sample = rl.ones(2, requires_grad=True)
    data.default_collate([sample * 2, sample]).sum().backward()
    assert sample.grad.tolist() == [3, 3]


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        ([object()], TypeError),
        ([numpy.array(["a"])], TypeError),
        ([[1, 2], [1]], RuntimeError),
        ([numpy.zeros(2), numpy.zeros(3)], RuntimeError),
        ([None, None], TypeError),
    ],
)
def test_collate_errors(batch, error):
    """What cannot be joined is an error of torch's type."""
    for collate in (data.default_collate, torch.utils.data.default_collate):
        with pytest.raises(error):
            collate(batch)


def test_tensors_of_different_size_name_the_problem():
    """The engine's own message for stack is passed on."""
    with pytest.raises(RuntimeError, match="stack"):
        data.default_collate([rl.zeros(2), rl.zeros(3)])
