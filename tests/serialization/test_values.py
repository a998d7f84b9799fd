"""What checkpoints hold beside tensors: NumPy's and Python's values, attributes, classes."""

import argparse
import collections
import datetime
import enum
import io
import pathlib
import pickle

import numpy
import pytest

import rushlight as rl
from rushlight.serialization import FileFormatError, safe_globals

DAY = datetime.datetime(2024, 2, 29, 12, 30, 1, 5)
VALUES = {
    "float": numpy.float64(1.5),
    "half": numpy.float16(2),
    "integer": numpy.int8(-3),
    "truth": numpy.bool_(True),
    "text": numpy.str_("ü"),
    "array": numpy.arange(6.0).reshape(2, 3),
    "fortran": numpy.asfortranarray(numpy.arange(6, dtype=numpy.int16).reshape(2, 3)),
    "strided": numpy.arange(10)[::3],
    "empty": numpy.zeros((0, 2), numpy.complex64),
    "scalar array": numpy.array(3, numpy.uint8),
    "names": numpy.array(["a", "bcd"]),
    "dtype": numpy.dtype("float32"),
    "slice": slice(1, None, -2),
    "range": range(1, 10, 3),
    "path": pathlib.Path("runs") / "a.txt",
    "datetime": DAY,
    "date": DAY.date(),
    "span": datetime.timedelta(1, 2, 3),
    "lists": collections.defaultdict(list, a=[1], b=[]),
    "sets": collections.defaultdict(set, a={1}),
    "nothing": collections.defaultdict(None, a=1),
    "options": argparse.Namespace(lr=0.1, path=pathlib.Path("x"), inner=argparse.Namespace(n=1)),
}


def written(value, zipped=True):
    file = io.BytesIO()
    rl.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def same(left, right):
    if isinstance(left, numpy.ndarray):
        assert left.dtype == right.dtype
        assert left.flags.f_contiguous == right.flags.f_contiguous or left.ndim < 2
    assert type(left) is type(right)
    assert numpy.array_equal(left, right) if isinstance(left, numpy.ndarray) else left == right


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("zipped", [True, False])
def test_values_both_ways(name, zipped):
    """Here and back, to PyTorch and back."""
    value = [VALUES[name], {"again": VALUES[name]}]
    copy = rl.load(io.BytesIO(written(value, zipped)), weights_only=False)
    same(copy[0], value[0])
    assert copy[1]["again"] is copy[0] or isinstance(copy[0], (int, str))
    torch = pytest.importorskip("torch")
    received = torch.load(io.BytesIO(written(value, zipped)), weights_only=False)
    same(received[0], value[0])
    for protocol in (2, 4, 5):
        file = io.BytesIO()
        torch.save(value, file, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
        same(rl.load(io.BytesIO(file.getvalue()))[0], value[0])


def test_factories_still_work():
    """A defaultdict makes its items."""
    copy = rl.load(io.BytesIO(written(collections.defaultdict(list, a=[1]))))
    assert copy["new"] == []


@pytest.mark.parametrize("zipped", [True, False])
def test_attributes_of_tensors(zipped):
    """What a program notes on a tensor, a parameter, a buffer."""
    torch = pytest.importorskip("torch")

    def build(library):
        noted = library.ones(2)
        noted.note = {"n": [1, 2]}
        parameter = library.nn.Parameter(library.ones(2), requires_grad=False)
        parameter.lr_scale = 0.5
        buffer = library.nn.Buffer(library.zeros(2), persistent=False)
        return [noted, parameter, buffer, library.strided, library.empty(2, 3, device="meta")]

    def check(library, values):
        noted, parameter, buffer, layout, empty = values
        assert noted.note == {"n": [1, 2]}
        assert type(parameter) is library.nn.Parameter
        assert (parameter.requires_grad, parameter.lr_scale) == (False, 0.5)
        assert isinstance(buffer, library.nn.Buffer)
        assert buffer.persistent is False
        assert layout is library.strided
        assert (empty.device.type, tuple(empty.shape)) == ("meta", (2, 3))

    check(rl, rl.load(io.BytesIO(written(build(rl), zipped))))
    check(torch, torch.load(io.BytesIO(written(build(rl), zipped)), weights_only=True))
    file = io.BytesIO()
    torch.save(build(torch), file, _use_new_zipfile_serialization=zipped)
    check(rl, rl.load(io.BytesIO(file.getvalue())))


@pytest.mark.parametrize("zipped", [True, False])
def test_shapes_without_values(zipped):
    """`map_location="meta"`; tensors share what memory they would have."""
    value = {"a": rl.arange(6.0), "w": rl.nn.Parameter(rl.ones(2, 3))}
    copy = rl.load(io.BytesIO(written(value, zipped)), map_location="meta")
    assert copy["a"].device.type == "meta"
    assert copy["w"].shape == (2, 3)
    assert isinstance(copy["w"], rl.nn.Parameter)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda torch: torch.eye(3).to_sparse(), r"a sparse tensor.*to_dense"),
        (lambda torch: torch.eye(3).to_sparse_csr(), r"a sparse tensor.*to_dense"),
        (lambda torch: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "quantised"),
        (lambda torch: torch.ones(2).to(torch.float8_e4m3fn), "float8_e4m3fn elements"),
        (lambda torch: torch.ones(2, dtype=torch.complex32), "complex32 elements"),
        (lambda torch: torch.ones(2).untyped_storage(), "bare storage"),
        (lambda torch: torch.nn.Linear(1, 1), r"whole module.*state_dict"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_does_not_exist_here_is_refused_with_a_sentence(make, message):
    """By name, with what to do."""
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    torch.save({"x": make(torch)}, file)
    with pytest.raises(FileFormatError, match=message):
        rl.load(io.BytesIO(file.getvalue()))


class Point:
    def __init__(self, x):
        self.x = x


class Colour(enum.Enum):
    RED = 1


def test_classes_that_the_program_vouches_for():
    """Their objects are written and read; without the word for them neither."""
    value = {"point": Point([1, rl.ones(2)]), "colour": Colour.RED}
    with pytest.raises(TypeError, match="add_safe_globals"):
        written(value)
    with safe_globals([Point, Colour]):
        content = written(value)
        copy = rl.load(io.BytesIO(content))
    assert type(copy["point"]) is Point
    assert copy["point"].x[0] == 1
    assert copy["point"].x[1].tolist() == [1, 1]
    assert copy["colour"] is Colour.RED
    with pytest.raises(FileFormatError, match=r"Point, which is not allowed"):
        rl.load(io.BytesIO(content))


ARRAY = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR"
INT8 = b"cnumpy\ndtype\n(X\x02\x00\x00\x00i1tR"


@pytest.mark.parametrize(
    "program",
    [
        ARRAY + b"(K\x01J\xff\xff\xff\x7f\x85" + INT8 + b"\x89C\x01atb",
        ARRAY + b"(K\x01J\xff\xff\xff\xff\x85" + INT8 + b"\x89C\x01atb",
        ARRAY + b"(K\x01K\x01\x85cnumpy\ndtype\n(X\x02\x00\x00\x00O8tR\x89]Natb",
        ARRAY + b"(K\x01K\x01\x85" + INT8 + b"\x89C\x02abtb",
        ARRAY + b"N" + b"b",
        b"cnumpy\ndtype\n(X\x03\x00\x00\x00V16tR",
        b"cnumpy\ndtype\n(X\x02\x00\x00\x00i8tR(K\x03X\x01\x00\x00\x00>NNNK\x00K\x00K\x00tb",
        b"cnumpy._core.multiarray\nscalar\n(" + INT8 + b"C\x02abtR",
        b"cnumpy\nndarray\n.",
        b"cnumpy\nndarray\n(K\x01tR",
        b"ccollections\ndefaultdict\n(cos\nsystem\ntR",
        b"ccollections\ndefaultdict\n(ctorch\nSize\ntR",
        b"c__builtin__\nlist\n(tR",
        b"c__builtin__\nxrange\n(]tR",
        b"cpathlib\nPosixPath\n(K\x01tR",
        b"cdatetime\ndatetime\n(C\x02abtR",
        b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch\nSize\nctorch\nTensor\n)}tR",
        b"ctorch.serialization\n_get_layout\n(X\x10\x00\x00\x00torch.sparse_cootR",
    ],
)
def test_values_that_lie(program):
    """Every argument is checked."""
    with pytest.raises(FileFormatError):
        rl.load(io.BytesIO(written_pickle(program)))


def written_pickle(program):
    """An archive with a pickle of these instructions."""
    import zipfile

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x04" + program + b".")
    return file.getvalue()


def test_the_array_program_itself_is_right():
    """So that the refusals above are for what they change."""
    program = ARRAY + b"(K\x01K\x01\x85" + INT8 + b"\x89C\x01\x07tb"
    assert rl.load(io.BytesIO(written_pickle(program))).tolist() == [7]
    assert pickle.loads(b"\x80\x04" + program + b".").tolist() == [7]


def test_an_old_file_may_be_longer_than_the_longest_pickle(monkeypatch):
    """The storages behind the pickles do not count."""
    monkeypatch.setattr("rushlight.serialization.unpickler.MAX_BYTES", 2000)
    value = rl.arange(4000.0)
    assert rl.load(io.BytesIO(written(value, zipped=False)))[-1].item() == 3999
