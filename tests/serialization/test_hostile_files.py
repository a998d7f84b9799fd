"""Damaged and hostile files: FileFormatError, quickly, and nothing executed."""

import contextlib
import gc
import io
import os
import pickle
import random
import re
import struct
import time
import zipfile

import pytest

import rushlight as rl
from rushlight.serialization import FileFormatError


def content_of(value):
    file = io.BytesIO()
    rl.save(value, file)
    return file.getvalue()


SAMPLE = {"weight": rl.arange(6.0).reshape(2, 3), "view": rl.arange(4)[1:], "epoch": 3, "n": "x"}


def archive_with(pickled, records=None, **options):
    """An archive with the given pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, data in (records or {}).items():
            archive.writestr(name, data)
    return file.getvalue()


@pytest.fixture(autouse=True, scope="module")
def small_heap():
    """What other tests left in memory is not searched while the reader's time is taken."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def refuse(content, match=None):
    """The file must be refused within two seconds, by its name."""
    started = time.process_time()
    with pytest.raises(FileFormatError, match=match) as caught:
        rl.load(io.BytesIO(content))
    assert time.process_time() - started < 2
    assert str(caught.value).startswith("<BytesIO>: ")
    return caught.value


def equal(a, b):
    return all(
        left.tolist() == right.tolist() if isinstance(left, rl.Tensor) else left == right
        for left, right in zip(a.values(), b.values(), strict=True)
    )


# ---- damage


def test_every_truncation_is_refused():
    """A file cut anywhere is refused."""
    content = content_of(SAMPLE)
    for length in range(0, len(content) - 1, 7):
        refuse(content[:length])


def test_every_truncation_of_the_old_format_is_refused():
    """So is one of PyTorch's old format."""
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    torch.save({"x": torch.ones(5), "n": 1}, file, _use_new_zipfile_serialization=False)
    content = file.getvalue()
    assert rl.load(io.BytesIO(content))["x"].tolist() == [1] * 5
    for length in range(0, len(content), 3):
        refuse(content[:length])


def test_bit_flips_are_harmless_or_refused():
    """One flipped bit gives the same data (in padding or a date) or a refusal, nothing else."""
    content = content_of(SAMPLE)
    refused = 0
    for position in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[position] ^= 1 << (position % 8)
        try:
            copy = rl.load(io.BytesIO(bytes(damaged)))
        except FileFormatError:
            refused += 1
        else:
            assert equal(copy, SAMPLE)
    assert refused > 100


def test_random_pickles_are_refused_or_plain():
    """Random changes of a pickle, behind a right checksum, never raise anything else."""
    with zipfile.ZipFile(io.BytesIO(content_of(SAMPLE))) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    pickled = records.pop("archive/data.pkl")
    generator = random.Random(0)
    for _ in range(1500):
        changed = bytearray(pickled)
        for _ in range(generator.randint(1, 4)):
            changed[generator.randrange(len(changed))] = generator.randrange(256)
        with contextlib.suppress(FileFormatError):
            rl.load(io.BytesIO(archive_with(bytes(changed), records)))


def test_flipped_data_is_found_by_its_checksum(tmp_path):
    """The record is named, and the path."""
    content = content_of({"x": rl.zeros(1000)})
    path = tmp_path / "model.pt"
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(FileFormatError, match=r"model\.pt: record 'data/0' is damaged"):
        rl.load(path)


@pytest.mark.parametrize("content", [b"", b"x", b"PK", b"PK\x03\x04", b"\x80\x02}", b"\x89PNG" * 9])
def test_other_files(content):
    """What is no checkpoint at all."""
    refuse(content)


# ---- code


class Evil:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (os.system, ("touch {marker}",)),
        (eval, ("open('{marker}', 'w')",)),
        (exec, ("open('{marker}', 'w')",)),
        (open, ("{marker}", "w")),
        (getattr, (os, "system")),
        (__import__, ("os",)),
        (bytearray, (10**12,)),
        (bytes, (10**12,)),
        (complex, ("1" * 10000,)),
        (set, (range(10**12),)),
    ],
)
def test_calls_are_refused(tmp_path, protocol, function, arguments):
    """Nothing that a pickle names is called with anything but plain data."""
    marker = tmp_path / "marker"
    arguments = tuple(
        each.format(marker=marker) if isinstance(each, str) else each for each in arguments
    )
    try:
        pickled = pickle.dumps({"x": Evil(function, *arguments)}, protocol=protocol)
    except TypeError:
        pickled = b"\x80\x02cos\nsystem\n."
    refuse(archive_with(pickled))
    assert not marker.exists()


@pytest.mark.parametrize(
    "pickled",
    [
        b"cos\nsystem\n(X\x04\x00\x00\x00truetR.",
        b"c__builtin__\neval\n(X\x01\x00\x00\x001tR.",
        b"cbuiltins\ngetattr\n.",
        b"crushlight.serialization\nload\n.",
        b"ctorch\nload\n.",
        b"ctorch._utils\n__import__\n.",
        b"ctorch\nFloatStorage\n(tR.",
        b"ctorch\nfloat32\n(tR.",
        b"ctorch\nSize\n.",
        b"(ios\nsystem\n.",
        b"(cos\nsystem\nX\x04\x00\x00\x00trueo.",
        b"\x82\x01.",
        b"Pabc\n.",
        b"V1\n.",
        b"I1\n.",
        b"S'x'\n.",
    ],
)
def test_instructions_that_could_reach_code(pickled):
    """Names, old instructions and extension codes outside the list."""
    refuse(archive_with(b"\x80\x02" + pickled))


# ---- confused types and bombs

TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
ODICT = b"ccollections\nOrderedDict\n)R"


def storage(numel=4, key=b"0", kind=b"FloatStorage", location=b"cpu"):
    texts = [b"X" + struct.pack("<I", len(text)) + text for text in (key, location)]
    return (
        b"(X\x07\x00\x00\x00storagectorch\n"
        + kind
        + b"\n"
        + texts[0]
        + texts[1]
        + b"J"
        + struct.pack("<i", numel)
        + b"tQ"
    )


def tensor(reference, offset=0, size=(4,), stride=(1,)):
    numbers = [b"".join(b"J" + struct.pack("<i", n) for n in each) for each in (size, stride)]
    return (
        TENSOR
        + b"("
        + reference
        + b"J"
        + struct.pack("<i", offset)
        + b"("
        + numbers[0]
        + b"t("
        + numbers[1]
        + b"t\x89"
        + ODICT
        + b"tR"
    )


def load_tensor(program):
    return archive_with(b"\x80\x02" + program + b".", {"archive/data/0": bytes(16)})


def test_the_tensor_program_itself_is_right():
    """So that the refusals below are for what they change."""
    copy = rl.load(io.BytesIO(load_tensor(tensor(storage()))))
    assert copy.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("program", "match"),
    [
        (tensor(storage(numel=5)), "should have 20 bytes"),
        (tensor(storage(numel=2**30)), "should have"),
        (tensor(storage(numel=-4)), "should have"),
        (tensor(storage(kind=b"DoubleStorage")), "should have 32 bytes"),
        (tensor(storage(key=b"1")), "no record 'data/1'"),
        (tensor(storage(key=b"../data.pkl")), "no record"),
        (tensor(storage(location=b"nowhere")), None),
        (tensor(storage(), size=(5,)), "reaches beyond"),
        (tensor(storage(), offset=1), "reaches beyond"),
        (tensor(storage(), offset=-1), "natural numbers"),
        (tensor(storage(), size=(-4,)), "natural numbers"),
        (tensor(storage(), size=(2,), stride=(4,)), "reaches beyond"),
        (tensor(storage(), size=(2, 2)), "differ in length"),
        (tensor(storage(), size=(2**31 - 1,) * 3, stride=(0, 0, 0)), "too many elements"),
        (tensor(b"N"), "storage of a tensor is a NoneType"),
        (storage(), "bare storage"),
        (b"]" + storage() + b"a", "bare storage"),
        (b"ctorch\nFloatStorage\n", "class"),
        (b"K\x01Q", "unknown reference"),
    ],
)
def test_tensors_that_lie(program, match):
    """Sizes, strides, offsets and references are checked against the bytes of the file."""
    refuse(load_tensor(program), match)


@pytest.mark.parametrize(
    "program",
    [
        tensor(storage()) + b"X\x01\x00\x00\x00aK\x01s",
        tensor(storage()) + b"K\x01a",
        tensor(storage()) + b"}X\x04\x00\x00\x00dataK\x01sb",
        b"]K\x01K\x02s",
        b"}K\x01a",
        b")K\x01a",
        b"}(K\x01u",
        b"}]K\x01s",
        b"}" + tensor(storage()) + b"K\x01s",
        ODICT + b"}X\x05\x00\x00\x00itemsK\x01sb",
        ODICT + b"K\x01b",
        b"}}X\x01\x00\x00\x00aK\x01sb",
        b"cargparse\nNamespace\n)\x81}K\x01K\x02sb",
        b"ccollections\nOrderedDict\n]]K\x01aa\x85R",
        b"ccollections\nCounter\n}K\x01X\x01\x00\x00\x00as\x85R",
        b"K\x01K\x02",
        b"",
        b"(",
        b"0",
        b"h\x00",
        b"t",
        b"X\xff\xff\xff\xffa",
        b"\x8b\xff\xff\xff\xff",
        b"\x80\x09",
    ],
)
def test_wrong_targets_and_broken_stacks(program):
    """Items go into containers, attributes onto two classes, and the stack must come out even."""
    refuse(load_tensor(program))


def test_bombs():
    """Deep nesting, self-reference and tuples as keys are refused before anything recurses."""
    for program in (
        b"]" * 100_000 + b"a" * 99_999,
        b")" + b"\x85" * 100_000,
        b"})" + b"\x85" * 100_000 + b"K\x01s",
        b"]q\x00h\x00a",
        b"}q\x00K\x01h\x00s",
        b"]q\x00h\x00\x85a",
    ):
        refuse(archive_with(b"\x80\x02" + program + b"."))


def test_doubling_does_not_grow():
    """A value that occurs 2^60 times is one value here; its nesting is looked at once."""
    program = b"]q\x00" + b"".join(
        b"](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(60)
    )
    refuse(archive_with(b"\x80\x02" + program + b"."))
    program = b"]q\x00" + b"".join(
        b"0](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(60)
    )
    started = time.process_time()
    rl.load(io.BytesIO(archive_with(b"\x80\x02" + program + b".")))
    assert time.process_time() - started < 2


# ---- archives

GOOD = pickle.dumps({"x": 1}, 2)


def test_a_plain_archive_is_loaded():
    """So that the refusals below are for what they change."""
    assert rl.load(io.BytesIO(archive_with(GOOD))) == {"x": 1}


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "archive/../../x",
        "other/data.pkl",
        "archive/data.pkl",
        "archive\\x",
        "archive//x",
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_doubtful_names(name):
    """Absolute, climbing, foreign and repeated names."""
    refuse(archive_with(GOOD, {name: b"x"}))


def test_compressed_records():
    """Which are how a small file becomes a large one."""
    refuse(archive_with(GOOD, compression=zipfile.ZIP_DEFLATED), "compressed")


def test_overlapping_records():
    """Two directory entries for the same bytes."""
    content = archive_with(GOOD, {"archive/data/0": bytes(64), "archive/data/1": bytes(64)})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        first = archive.infolist()[1]
    directory = content.rindex(b"PK\x01\x02")
    overlapping = bytearray(content)
    struct.pack_into("<I", overlapping, directory + 42, first.header_offset)
    refuse(bytes(overlapping))


def test_big_endian_files():
    """Bytes of another order are refused, not misread."""
    refuse(archive_with(GOOD, {"archive/byteorder": b"big"}), "big-endian")


def test_missing_pickle():
    """An archive of something else."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/b.txt", "x")
    refuse(file.getvalue(), "no record 'data.pkl'")


def test_old_format_storage_larger_than_the_file():
    """No memory is taken for storages that the file cannot hold."""
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    torch.save(torch.ones(5), file, _use_new_zipfile_serialization=False)
    content = re.sub(
        rb"(?s)(cpuq.)K\x05", lambda found: found[1] + b"J\xff\xff\xff\x7f", file.getvalue()
    )
    assert content != file.getvalue()
    refuse(content, "does not fit")


def test_weights_only_false_changes_nothing():
    """There is no way to make load execute a file."""
    content = archive_with(pickle.dumps(Evil(os.system, "true"), 2))
    with pytest.raises(FileFormatError, match="not allowed"):
        rl.load(io.BytesIO(content), weights_only=False)
