"""The zip archives that PyTorch's files are.

In: an open binary file. Out: the records in it by name, and their bytes.
Invariant: a record is given out only if its place in the file is its own: inside the file, shared
with no other record, stored as it is, and with the checksum that the archive states.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import IO, Any, NamedTuple

_LOCAL_HEADER = struct.Struct("<4s2B4HL2L2H")
_LOCAL_MAGIC = b"PK\x03\x04"
_READ_AT_ONCE = 1 << 24


class Record(NamedTuple):
    """Where the bytes of one record are, and their checksum."""

    start: int
    size: int
    checksum: int


class Archive:
    """The records of a checkpoint, without the folder name in front of them.

    Errors: ValueError or zipfile.BadZipFile for an archive that is not what it claims.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.records: dict[str, Record] = {}
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            directory = archive.start_dir
        if not entries:
            raise ValueError("the archive is empty")
        folder = entries[0].filename.split("/")[0] + "/"
        for entry in entries:
            self._add(entry, folder)
        self._check_places(directory)

    def _add(self, entry: zipfile.ZipInfo, folder: str) -> None:
        name = entry.filename
        parts = name.split("/")
        if not name.startswith(folder) or ".." in parts or "" in parts or "\\" in name:
            raise ValueError(f"the archive holds a record with the doubtful name {name!r}")
        name = name[len(folder) :]
        if name in self.records:
            raise ValueError(f"the archive holds two records named {name!r}")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise ValueError(f"record {name!r} is compressed or encrypted; PyTorch's never are")
        if entry.file_size != entry.compress_size:
            raise ValueError(f"record {name!r} states two different sizes")
        start = self._start_of(entry)
        self.records[name] = Record(start, entry.file_size, entry.CRC)

    def _start_of(self, entry: zipfile.ZipInfo) -> int:
        """Where the record's bytes begin: behind a header that names the same record."""
        self.file.seek(entry.header_offset)
        header = self.file.read(_LOCAL_HEADER.size)
        fields = _LOCAL_HEADER.unpack(header)
        if fields[0] != _LOCAL_MAGIC:
            raise ValueError(f"record {entry.filename!r} has no header")
        name_size, extra_size = fields[-2:]
        name = self.file.read(name_size)
        if name != entry.orig_filename.encode("utf-8"):
            raise ValueError(f"record {entry.filename!r} has another name in its own header")
        return entry.header_offset + _LOCAL_HEADER.size + name_size + extra_size

    def _check_places(self, directory: int) -> None:
        end = 0
        for name, record in sorted(self.records.items(), key=lambda item: item[1].start):
            if record.start < end:
                raise ValueError(f"record {name!r} overlaps another record")
            end = record.start + record.size
        if end > directory:
            raise ValueError("a record reaches beyond the end of the archive's contents")

    def record(self, name: str) -> Record:
        """The record of a name. Errors: ValueError when there is none."""
        if name not in self.records:
            raise ValueError(f"the archive has no record {name!r}")
        return self.records[name]

    def read_into(self, name: str, memory: memoryview) -> None:
        """Read a whole record into memory of its size, and check it."""
        record = self.record(name)
        if memory.nbytes != record.size:
            raise ValueError(f"record {name!r} has {record.size} bytes, not {memory.nbytes}")
        self.file.seek(record.start)
        checksum = position = 0
        while position < record.size:
            part = memory[position : position + _READ_AT_ONCE]
            count = self.file.readinto(part)  # type: ignore[attr-defined]
            if not count:
                raise ValueError(f"the file ends inside record {name!r}")
            checksum = zlib.crc32(part[:count], checksum)
            position += count
        if checksum != record.checksum:
            raise ValueError(f"record {name!r} is damaged: its checksum does not match")

    def read(self, name: str, limit: int) -> bytearray:
        """A whole record of at most `limit` bytes."""
        size = self.record(name).size
        if size > limit:
            raise ValueError(f"record {name!r} has {size} bytes, more than {limit}")
        content = bytearray(size)
        self.read_into(name, memoryview(content))
        return content


def write_record(archive: zipfile.ZipFile, name: str, content: Any, alignment: int = 64) -> None:
    """Append a record whose bytes begin at a multiple of `alignment`, so that it can be mapped."""
    entry = zipfile.ZipInfo(f"archive/{name}")
    entry.file_size = memoryview(content).nbytes
    here = archive.fp.tell()  # type: ignore[union-attr]
    padding = -(here + _LOCAL_HEADER.size + len(entry.filename) + 4) % alignment
    # The extra field PyTorch pads with: its two-letter name, its length, and filling.
    entry.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
    with archive.open(entry, "w") as record:
        record.write(content)
