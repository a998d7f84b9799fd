"""Files written here are read by PyTorch and the other way round, with all that tensors share."""

import argparse
import collections
import io
import os
import threading
import zipfile

import numpy
import pytest

import rushlight as rl
from rushlight.serialization import FileFormatError

DTYPES = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]


def saved(value):
    file = io.BytesIO()
    rl.save(value, file)
    return file.getvalue()


def reloaded(value):
    return rl.load(io.BytesIO(saved(value)))


def plain_values():
    ordered = collections.OrderedDict(b=1, a=[2.5, (None, True)])
    return {
        "numbers": [0, 255, 256, -1, 2**31, -(2**63), 10**400, 1.5, float("inf"), 2 - 1j],
        "texts": ["", "ü", "a\nb", "\ud800", b"", b"\x00\xff", bytearray(b"xy")],
        "containers": ([], (), {}, set(), {1, "a"}, ((), [()]), ordered),
        "keys": {1: "int", (1, "a"): "tuple", None: "none", 2.5: "float", b"k": "bytes"},
        "counter": collections.Counter("aab"),
        False: "bool",
    }


def test_plain_data_survives():
    """Values and exact types of everything that is not a tensor."""

    def types(value):
        if isinstance(value, dict):
            return type(value), {key: types(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value), [types(item) for item in value]
        return type(value)

    value = plain_values()
    copy = reloaded(value)
    assert copy == value
    assert types(copy) == types(value)


def test_values_of_our_own_types():
    """Size, dtypes and devices."""
    value = [rl.Size([2, 3]), rl.Size([]), rl.bfloat16, rl.bool, rl.device("cpu")]
    copy = reloaded(value)
    assert copy == value
    assert all(type(a) is type(b) for a, b in zip(copy, value, strict=True))


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_both_ways(name):
    """Bits of every dtype, here and to and from PyTorch."""
    torch = pytest.importorskip("torch")
    bits = numpy.arange(48, dtype=numpy.uint8) % 2
    ours = rl.tensor(bits).to(getattr(rl, name)) if name[:4] != "uint" or name == "uint8" else None
    theirs = torch.tensor(bits).to(getattr(torch, name))
    if ours is None:
        ours = rl.from_numpy(theirs.numpy().copy())
    assert reloaded(ours).tolist() == ours.tolist()
    assert reloaded(ours).dtype == getattr(rl, name)
    received = torch.load(io.BytesIO(saved(ours)), weights_only=True)
    assert received.dtype == theirs.dtype
    assert received.tolist() == theirs.tolist()
    file = io.BytesIO()
    torch.save(theirs, file)
    sent = rl.load(io.BytesIO(file.getvalue()))
    assert sent.dtype == getattr(rl, name)
    assert sent.tolist() == theirs.tolist()


def test_shared_memory_and_strides():
    """Views keep sharing memory with what they were views of, with their strides and offsets."""
    base = rl.arange(12.0)
    value = {"base": base, "row": base[2:5], "t": base.reshape(3, 4).t(), "again": base}
    copy = reloaded(value)
    assert copy["t"].stride() == (1, 4)
    assert copy["row"].storage_offset() == 2
    assert copy["again"] is copy["base"]
    copy["base"][3] = 100
    assert copy["row"].tolist() == [2, 100, 4]
    assert copy["t"][3, 0].item() == 100
    assert base[3].item() == 3


def test_loaded_tensors_are_ordinary():
    """They can be changed in place, differentiated, and are leaves."""
    copy = reloaded({"x": rl.ones(3), "w": rl.ones(2, requires_grad=True)})
    copy["x"] += 1
    assert copy["x"].tolist() == [2, 2, 2]
    assert copy["w"].requires_grad
    assert copy["w"].is_leaf
    (copy["w"] * 2).sum().backward()
    assert copy["w"].grad.tolist() == [2, 2]


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (3, 2)])
def test_shapes(shape):
    """Zero-dimensional and empty tensors too."""
    copy = reloaded(rl.ones(shape))
    assert copy.shape == shape
    assert copy.sum().item() == rl.ones(shape).sum().item()


def test_state_dict_of_a_module_both_ways():
    """A network's state_dict, its metadata included, crosses in both directions."""
    torch = pytest.importorskip("torch")

    def build(nn):
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))

    ours, theirs = build(rl.nn), build(torch.nn)
    received = torch.load(io.BytesIO(saved(ours.state_dict())), weights_only=True)
    theirs.load_state_dict(received)
    for name, value in ours.state_dict().items():
        assert theirs.state_dict()[name].tolist() == value.tolist()
    assert received._metadata == ours.state_dict()._metadata
    theirs = build(torch.nn)
    file = io.BytesIO()
    torch.save(theirs.state_dict(), file)
    ours.load_state_dict(rl.load(io.BytesIO(file.getvalue())))
    for name, value in theirs.state_dict().items():
        assert ours.state_dict()[name].tolist() == value.tolist()


def test_parameters_both_ways():
    """A Parameter stays one, and keeps whether it requires gradients."""
    torch = pytest.importorskip("torch")
    value = [rl.nn.Parameter(rl.ones(2)), rl.nn.Parameter(rl.ones(1), requires_grad=False)]
    for copy, parameter in (
        (reloaded(value), rl.nn.Parameter),
        (torch.load(io.BytesIO(saved(value)), weights_only=True), torch.nn.Parameter),
    ):
        assert all(isinstance(each, parameter) for each in copy)
        assert [each.requires_grad for each in copy] == [True, False]
    file = io.BytesIO()
    torch.save([torch.nn.Parameter(torch.ones(2))], file)
    (loaded,) = rl.load(io.BytesIO(file.getvalue()))
    assert isinstance(loaded, rl.nn.Parameter)
    assert loaded.requires_grad


@pytest.mark.parametrize("options", [{}, {"pickle_protocol": 4}, {"pickle_protocol": 5}])
@pytest.mark.parametrize("zipped", [True, False])
def test_reading_what_torch_wrote(options, zipped):
    """The zip format and the old one, in several pickle protocols."""
    torch = pytest.importorskip("torch")
    base = torch.arange(6.0)
    value = {
        "base": base,
        "view": base[1:3],
        "complex": torch.tensor([1 + 2j]).conj(),
        "half": torch.ones(2, 2, dtype=torch.float16).t(),
        "plain": {"epoch": 3, "lr": [0.1], "name": "x", "done": {1, 2}, "raw": b"ab"},
        "size": torch.Size([1, 2]),
        "dtype": torch.int8,
        "device": torch.device("cpu"),
        "args": argparse.Namespace(lr=0.5, name="run"),
        "grad": torch.ones(1, requires_grad=True),
    }
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped, **options)
    copy = rl.load(io.BytesIO(file.getvalue()))
    assert list(copy) == list(value)
    assert copy["plain"] == value["plain"]
    for name in ("base", "view", "complex", "half", "grad"):
        assert copy[name].tolist() == value[name].tolist()
    copy["base"][1] = -1
    assert copy["view"].tolist() == [-1, 2]
    assert copy["half"].stride() == (1, 2)
    assert copy["grad"].requires_grad
    assert copy["size"] == (1, 2)
    assert copy["dtype"] == rl.int8
    assert copy["device"].type == "cpu"
    assert copy["args"] == value["args"]


def test_optimizer_state_both_ways():
    """A state_dict of Adam."""
    torch = pytest.importorskip("torch")
    states = []
    for module in (rl, torch):
        weight = module.ones(2, requires_grad=True)
        optimizer = module.optim.Adam([weight], lr=0.5)
        (weight * weight).sum().backward()
        optimizer.step()
        states.append(optimizer.state_dict())
    received = torch.load(io.BytesIO(saved(states[0])), weights_only=True)
    assert received["param_groups"] == states[1]["param_groups"]
    assert received["state"][0]["step"].item() == 1
    file = io.BytesIO()
    torch.save(states[1], file)
    copy = rl.load(io.BytesIO(file.getvalue()))
    assert copy["state"][0]["exp_avg"].tolist() == states[1]["state"][0]["exp_avg"].tolist()


# ---- paths


def test_path_is_replaced_as_a_whole(tmp_path):
    """A save that fails leaves the old file and no other."""
    path = tmp_path / "model.pt"
    rl.save({"x": 1}, path)
    with pytest.raises(TypeError):
        rl.save({"x": object()}, path)
    with pytest.raises(OSError):
        rl.save({"x": 1}, tmp_path / "no folder" / "model.pt")
    assert rl.load(path) == {"x": 1}
    assert os.listdir(tmp_path) == ["model.pt"]


def test_crash_while_writing_keeps_the_old_file(tmp_path, monkeypatch):
    """An error at any moment before the rename changes nothing."""
    path = tmp_path / "model.pt"
    rl.save({"x": 1}, path)
    for function in ("fsync", "replace"):

        def fail(*arguments):
            raise OSError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(os, function, fail)
            with pytest.raises(OSError, match="disk full"):
                rl.save({"x": 2}, str(path))
        assert rl.load(path) == {"x": 1}
        assert os.listdir(tmp_path) == ["model.pt"]


def test_link_stays_a_link(tmp_path):
    """Saving to a link replaces what it points to."""
    real, link = tmp_path / "real.pt", tmp_path / "link.pt"
    rl.save(1, real)
    link.symlink_to(real)
    rl.save(2, link)
    assert link.is_symlink()
    assert rl.load(real) == 2


def test_new_file_has_ordinary_permissions(tmp_path):
    """Those of any file the user creates."""
    rl.save(1, tmp_path / "a.pt")
    (tmp_path / "b").write_bytes(b"")
    assert (tmp_path / "a.pt").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_mapped_file(tmp_path):
    """mmap=True gives the same values; changing them leaves the file alone."""
    path = tmp_path / "model.pt"
    value = {"x": rl.arange(100.0), "b": rl.ones(3, dtype=rl.bfloat16), "e": rl.ones(0)}
    rl.save(value, path)
    before = path.read_bytes()
    copy = rl.load(path, mmap=True)
    assert all(copy[name].tolist() == value[name].tolist() for name in value)
    copy["x"] += 1
    assert copy["x"][0].item() == 1
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match="path"):
        rl.load(io.BytesIO(before), mmap=True)


def test_storages_are_aligned(tmp_path):
    """Every storage begins at a multiple of 64 bytes, so that files can be mapped."""
    content = saved([rl.ones(n) for n in range(1, 5)])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            if "/data/" in entry.filename:
                header = entry.header_offset
                name, extra = content[header + 26 : header + 28], content[header + 28 : header + 30]
                lengths = int.from_bytes(name, "little") + int.from_bytes(extra, "little")
                assert (header + 30 + lengths) % 64 == 0


def test_the_same_data_gives_the_same_bytes():
    """No time, no random id."""
    assert saved({"x": rl.ones(2)}) == saved({"x": rl.ones(2)})


def test_file_objects(tmp_path):
    """Open files and objects that can only read or write."""

    class Reader:
        def __init__(self, content):
            self.read = io.BytesIO(content).read

    content = saved([1, rl.ones(2)])
    assert rl.load(Reader(content))[0] == 1
    with open(tmp_path / "x.pt", "wb") as file:
        rl.save([1, 2], file)
    with open(tmp_path / "x.pt", "rb") as file:
        assert rl.load(file) == [1, 2]
    for wrong in (3, None, [1]):
        with pytest.raises(TypeError, match="path"):
            rl.load(wrong)
        with pytest.raises(TypeError, match="path"):
            rl.save(1, wrong)


def test_missing_file_is_an_os_error(tmp_path):
    """Not a format error."""
    with pytest.raises(FileNotFoundError):
        rl.load(tmp_path / "nothing.pt")


# ---- what cannot be saved


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, object()]}, r"the object to save\['a'\]\[1\] is a builtins.object"),
        ({"f": len}, r"\['f'\] is a builtins.builtin_function"),
        ({"n": numpy.array([None])}, r"NumPy dtype object"),
        ([io.BytesIO()], r"\[0\] is a _io.BytesIO"),
        (collections.deque([1]), "deque"),
        (collections.defaultdict(lambda: 1), "defaultdict"),
        (collections.defaultdict(io.BytesIO), "defaultdict"),
        (io.BytesIO, "builtins.type"),
    ],
)
def test_other_types_are_refused_with_their_place(value, message):
    """TypeError says where the value stands."""
    with pytest.raises(TypeError, match=message):
        saved(value)


def test_module_hint():
    """Saving a module suggests its state_dict."""
    with pytest.raises(TypeError, match=r"state_dict\(\)"):
        saved({"model": rl.nn.Linear(1, 1)})


def test_cycles_and_depth_are_refused():
    """Data that contains itself, or is nested too deeply, cannot be saved."""
    loop = []
    loop.append(loop)
    pair = {}
    pair["self"] = [pair]
    deep = []
    for _ in range(200):
        deep = [deep]
    for value in (pair, deep):
        with pytest.raises(ValueError, match="holds itself or is nested"):
            saved(value)


def test_memory_read_as_two_dtypes_is_refused():
    """PyTorch's format has one dtype for each storage."""
    base = rl.ones(4)
    with pytest.raises(RuntimeError, match="float32"):
        saved([base, base.view(rl.int32)])


# ---- where to load


def test_map_location():
    """Files from another device need a map_location."""
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    torch.save(torch.ones(2), file)
    content = file.getvalue()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        pickle = archive.read("archive/data.pkl").replace(
            b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"
        )
        moved = io.BytesIO()
        with zipfile.ZipFile(moved, "w") as copy:
            for name in archive.namelist():
                copy.writestr(name, pickle if name.endswith("data.pkl") else archive.read(name))
    content = moved.getvalue()
    with pytest.raises(RuntimeError, match="map_location='cpu'") as caught:
        rl.load(io.BytesIO(content))
    assert not isinstance(caught.value, FileFormatError)
    for rule in ("cpu", rl.device("cpu"), {"cuda:0": "cpu"}, lambda storage, location: storage):
        assert rl.load(io.BytesIO(content), map_location=rule).tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="cuda:0"):
        rl.load(io.BytesIO(content), map_location={"cuda:1": "cpu"})


def test_threads_do_not_disturb_each_other():
    """Loading and saving share no state."""
    contents = [saved({"n": n, "x": rl.full((50,), float(n))}) for n in range(4)]
    failures = []

    def work(n):
        for _ in range(10):
            copy = rl.load(io.BytesIO(contents[n]))
            if copy["n"] != n or set(copy["x"].tolist()) != {float(n)}:
                failures.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
