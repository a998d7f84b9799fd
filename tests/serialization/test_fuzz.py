"""Thousands of damaged files: a value or our own error naming the file, soon, in little memory."""

import io
import pickle
import resource
import struct
import time
import zipfile
from collections import OrderedDict

import damage
import pytest
from damage import MORE_MEMORY, SECONDS, refusals

import rushlight as rl
from rushlight.interop import safetensors
from rushlight.serialization import FileFormatError

ROUNDS = 700  # of each kind of file


def state():
    layer = rl.nn.Linear(3, 4)
    optimizer = rl.optim.Adam(layer.parameters(), lr=0.1)
    layer(rl.ones(2, 3)).sum().backward()
    optimizer.step()
    base = rl.arange(24.0).reshape(2, 3, 4)
    return {
        "model": layer.state_dict(),
        "optimizer": optimizer.state_dict(),
        "views": [base, base[1].t(), base.to(rl.bfloat16)],
        "rest": OrderedDict(size=rl.Size([2]), text="x", number=1.5, many={1, 2}, none=None),
    }


def archive(value):
    file = io.BytesIO()
    rl.save(value, file)
    return file.getvalue()


def legacy(value):
    file = io.BytesIO()
    rl.save(value, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def rezipped(pickled, records):
    """An archive with a right checksum around a changed pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("archive/data.pkl", pickled)
        for name, content in records.items():
            made.writestr(name, content)
    return file.getvalue()


def attempt(read, content):
    return damage.attempt(read, content, FileFormatError)


def load(content):
    return rl.load(io.BytesIO(content))


def from_safetensors(content):
    return safetensors.load(content)


KINDS = {
    "archive": (lambda: archive(state()), load),
    "legacy": (lambda: legacy(state()), load),
    "safetensors": (
        lambda: safetensors.save({"a": rl.ones(3, 4), "b": rl.arange(5)}, {"format": "pt"}),
        from_safetensors,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_give_values_or_our_error(kind, seed_base):
    """Cuts, changed bytes, huge numbers, repeated and missing stretches."""
    make, read = KINDS[kind]
    assert refusals(read, make(), FileFormatError, ROUNDS, seed_base + 5) > ROUNDS // 3


def test_changed_pickles_behind_right_checksums(seed_base):
    """The checksum of an archive protects nothing from an attacker."""
    with zipfile.ZipFile(io.BytesIO(archive(state()))) as opened:
        records = {name: opened.read(name) for name in opened.namelist()}
    pickled = records.pop("archive/data.pkl")

    def read(changed):
        load(rezipped(changed, records))

    assert refusals(read, pickled, FileFormatError, ROUNDS, seed_base + 6) > ROUNDS // 3


TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
DOUBLED = b")" + b"".join(b"q%c0h%ch%c\x86" % (n, n, n) for n in range(1, 60) if n != 10)
INTEGER = b"\x8b" + struct.pack("<i", 4000) + b"\x7f" * 4000


@pytest.mark.parametrize(
    "program",
    [
        DOUBLED + b"Q",  # a reference that would print as 2^58 brackets
        TENSOR + b"(" + DOUBLED + b"K\x00))\x89N" + b"tR",
        b"ctorch\nSize\n" + DOUBLED + b"\x85R",
        b"(" + INTEGER + b"q\x00" + b"h\x00" * 100_000 + b"tq\x01" + b"ctorch\nSize\n(h\x01tR"
        b"0" + TENSOR + b"(h\x01K\x00h\x01h\x01\x89NtR",
        b"\x8f("
        + b"".join(
            b"\x8a\x0a" + (n * ((1 << 61) - 1)).to_bytes(10, "little") for n in range(100_000)
        )
        + b"\x90",
        b"\x8b" + struct.pack("<i", 1 << 24) + bytes(1 << 24),
        b"N" * (1 << 23),
        b"}(" + b"(" + b"K\x01" * 100_000 + b"tq\x00" + b"N" + b"h\x00N" * 100_000 + b"u",
        b"(" * 1_000_000 + b"t" * 1_000_000,
        b"]q\x00" + b"0](h\x00h\x00eq\x00" * 100_000,
    ],
    ids=range(10),
)
def test_pickles_that_would_take_for_ever(program):
    """What is small in the file and large when it is printed, compared, hashed or multiplied."""
    content = rezipped(b"\x80\x02" + program + b".", {})
    begin = time.process_time()
    with pytest.raises(FileFormatError) as caught:
        load(content)
    assert time.process_time() - begin < 3 * SECONDS  # the largest of them are 16 MB
    assert len(str(caught.value)) < 1000


CPU_STORAGE = (
    b"(X\x07\x00\x00\x00storagectorch\nComplexFloatStorage\n"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuJ\x00\x00\x01\x00tQ"
)
TENSOR_ARGUMENTS = b"(" + CPU_STORAGE + b"K\x00(K\x04t(K\x01t\x89ccollections\nOrderedDict\n)Rt"
CONJUGATED = (
    b"(" + CPU_STORAGE + b"K\x00(J\x00\x00\x01\x00t(K\x01t\x89ccollections\nOrderedDict\n)R"
    b"}X\x04\x00\x00\x00conj\x88st"
)
MILLION = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20)
AGAIN = b"h\x00h\x01R"  # the same function on the same arguments


@pytest.mark.parametrize(
    "program",
    [
        TENSOR + b"q\x00" + TENSOR_ARGUMENTS + b"q\x01R" + AGAIN * 100_000,
        TENSOR + b"q\x00" + CONJUGATED + b"q\x01R" + AGAIN * 10_000,
        b"c_codecs\nencode\nq\x00(" + MILLION + b"X\x06\x00\x00\x00latin1tq\x01R" + AGAIN * 5_000,
        b"c__builtin__\nset\nq\x00]("
        + b"".join(b"J" + struct.pack("<i", n) for n in range(50_000))
        + b"e\x85q\x01R"
        + AGAIN * 5_000,
        b"cargparse\nNamespace\n)Rq\x00"
        + b"}("
        + b"".join(b"X\x03\x00\x00\x00%03dN" % n for n in range(999))
        + b"uq\x01b"
        + b"h\x00h\x01b" * 50_000,
        b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btRq\x00"
        + b"(K\x01J\x00\x00\x10\x00\x85cnumpy\ndtype\n(X\x02\x00\x00\x00i1tR\x89B"
        + struct.pack("<I", 1 << 20)
        + bytes(1 << 20)
        + b"tq\x01b"
        + b"h\x00h\x01b" * 5_000,
    ],
    ids=["tensors", "conjugates", "bytes", "sets", "attributes", "arrays"],
)
def test_values_made_again_and_again(program):
    """Calls that a few bytes repeat may not copy more than a file of that size can hold."""
    content = rezipped(b"\x80\x02](" + program + b"e.", {"archive/data/0": bytes(8 << 16)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.process_time()
    with pytest.raises(FileFormatError, match=r"than a file of its size|larger than their storage"):
        load(content)
    assert time.process_time() - begin < SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < MORE_MEMORY


def patched(content, pattern, offset, layout, value):
    """The file with one number of the last match of a pattern replaced."""
    changed = bytearray(content)
    struct.pack_into(layout, changed, content.rindex(pattern) + offset, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("pattern", "offset", "layout", "value"),
    [
        (b"PK\x01\x02", 20, "<I", 0xFFFFFFFF),  # a compressed size that zip64 should tell
        (b"PK\x01\x02", 24, "<I", 0xFFFFFFFE),  # a size beyond the file
        (b"PK\x01\x02", 42, "<I", 0xFFFFFFFF),
        (b"PK\x01\x02", 42, "<I", 0),  # another record's place
        (b"PK\x05\x06", 10, "<H", 0xFFFF),
        (b"PK\x05\x06", 12, "<I", 0xFFFFFFFF),
        (b"PK\x05\x06", 16, "<I", 0xFFFFFFFF),
        (b"PK\x03\x04", 26, "<H", 0xFFFF),
    ],
)
def test_archives_that_lie(pattern, offset, layout, value):
    """Sizes and places in the directory that are not those of the file."""
    content = archive(state())
    assert attempt(load, patched(content, pattern, offset, layout, value)) or value == 0xFFFF


def test_zip64_that_lies():
    """Sizes of 2^60 bytes in the fields that zip64 adds."""
    content = rezipped(pickle.dumps({"x": 1}, 2), {})
    changed = bytearray(content)
    directory = content.rindex(b"PK\x01\x02")
    name = struct.unpack_from("<H", changed, directory + 28)[0]
    struct.pack_into("<II", changed, directory + 20, 0xFFFFFFFF, 0xFFFFFFFF)
    extra = struct.pack("<HHQQ", 1, 16, 1 << 60, 1 << 60)
    struct.pack_into("<H", changed, directory + 30, len(extra))
    place = directory + 46 + name
    changed[place:place] = extra
    end = changed.rindex(b"PK\x05\x06")
    size = struct.unpack_from("<I", changed, end + 12)[0]
    struct.pack_into("<I", changed, end + 12, size + len(extra))
    assert attempt(load, bytes(changed))


def test_errors_name_the_file(tmp_path):
    """By its path."""
    for name, content in (("a.pt", archive(state())[:900]), ("b.pt", legacy(state())[:300])):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=name):
            rl.load(path)
