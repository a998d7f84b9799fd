"""Moving batches between processes over one socket.

In: any picklable value; tensors and arrays anywhere inside it. Out: an equal value.
Invariant: a frame is either complete or not there. Nothing in it has a name, so nothing is left
behind when a process dies at any moment, and no lock is shared, so nobody can die holding one.

A frame is a header, a list that describes the blocks, the pickle of the value, and the blocks when
they are small. A block is the memory of one tensor, or of one array. Large blocks travel in an
anonymous memory file that both sides map. Its descriptor is sent with the first frame that uses it;
from then on the file is reused as soon as the receiver has taken the frame, which it tells by a
count, because fresh pages cost ten times as much as copying into pages that are there. So the
sender has finished a batch as soon as it is written, however busy the receiver is, and the receiver
copies it once, straight into the memory of the new tensors. Where the system has no such files, or
no room for one more, the blocks go through the socket.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import socket
import struct
import weakref
from collections import deque
from typing import Any, NamedTuple

import numpy

import rushlight

from .collate import memory_of

# Lengths of descriptions, pickle and blocks; the file that holds the blocks, and whether it is new.
_HEADER = struct.Struct("<QQQi?")
_IN_STREAM = -1
# Below this many bytes the socket is as quick.
_SMALLEST_FILE = 1 << 16
_READ_AT_ONCE = 1 << 20


class _Pickler(pickle.Pickler):
    """Takes tensors and the memory of arrays out of the pickle and collects them as blocks."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, protocol=5, buffer_callback=self._add_buffer)
        self.descriptions: list[Any] = []
        self.blocks: list[memoryview] = []
        self._numbers: dict[Any, int] = {}

    def _add_buffer(self, buffer: pickle.PickleBuffer) -> None:
        self.blocks.append(buffer.raw())
        self.descriptions.append(self.blocks[-1].nbytes)

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, rushlight.Tensor):
            return None
        if value in self._numbers:
            return self._numbers[value]
        # Only C order travels as a block; `ascontiguousarray` would lose a 0-d shape.
        array = numpy.asarray(memory_of(value.detach()), order="C")
        self.blocks.append(_bytes_of(array))
        self.descriptions.append((str(value.dtype).removeprefix("torch."), array.shape))
        self._numbers[value] = len(self.descriptions) - 1
        return self._numbers[value]


class _Unpickler(pickle.Unpickler):
    """Puts the tensors back; `blocks` are in the order of their descriptions."""

    def __init__(self, content: bytes, descriptions: list[Any], blocks: list[Any]) -> None:
        buffers = [
            block
            for described, block in zip(descriptions, blocks, strict=True)
            if isinstance(described, int)
        ]
        super().__init__(io.BytesIO(content), buffers=buffers)
        self._blocks = blocks

    def persistent_load(self, pid: Any) -> Any:
        return self._blocks[pid]


def _make_block(described: Any) -> Any:
    """An empty tensor or byte array to read a block into."""
    if isinstance(described, int):
        return numpy.empty(described, numpy.uint8)
    dtype, shape = described
    return rushlight.empty(shape, dtype=getattr(rushlight, dtype))


def _bytes_of(block: Any) -> memoryview:
    array = block if isinstance(block, numpy.ndarray) else memory_of(block)
    return array.reshape(-1).view(numpy.uint8).data


class Packed(NamedTuple):
    """A value as the bytes of its pickle and the blocks that travel beside it."""

    descriptions: bytes
    content: memoryview
    blocks: list[memoryview]

    @property
    def size(self) -> int:
        """Bytes of all blocks together."""
        return sum(block.nbytes for block in self.blocks)

    def head(self, file: int = _IN_STREAM, new: bool = False) -> bytes:
        lengths = (len(self.descriptions), self.content.nbytes, self.size)
        return _HEADER.pack(*lengths, file, new) + self.descriptions

    def frame(self) -> bytes:
        """The whole frame, everything in the stream."""
        return b"".join((self.head(), self.content, *self.blocks))


def pack(value: Any) -> Packed:
    """Pickle a value. Errors: whatever pickling it raises."""
    stream = io.BytesIO()
    pickler = _Pickler(stream)
    pickler.dump(value)
    descriptions = pickle.dumps(pickler.descriptions, protocol=5)
    return Packed(descriptions, stream.getbuffer(), pickler.blocks)


class _SharedFile:
    """An anonymous memory file, mapped; `frame` is the last frame that was written to it."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.descriptor, self.size, self.frame = descriptor, size, 0
        self.memory = memoryview(mmap.mmap(descriptor, size))

    @classmethod
    def create(cls, size: int) -> _SharedFile | None:
        """A file with room for `size` bytes and some more, or None where there cannot be one."""
        if not hasattr(os, "memfd_create"):
            return None
        size += size // 4
        try:
            descriptor = os.memfd_create("rushlight-batch", os.MFD_CLOEXEC)
        except OSError:
            return None
        try:
            # Reserves the pages now: writing to a page that cannot be had would kill the process.
            os.posix_fallocate(descriptor, 0, size)
            return cls(descriptor, size)
        except OSError:
            os.close(descriptor)
            return None


class Sender:
    """Writes frames to a socket, their large blocks to memory files that it reuses."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._files: list[_SharedFile] = []
        self._sent = 0
        self._taken = 0

    def acknowledge(self, taken: int) -> None:
        """The receiver has taken that many frames: the files of those are free again."""
        self._taken = taken

    def send(self, packed: Packed) -> None:
        """Write one frame and wait until it is out.

        Errors: OSError when the other side is gone.
        """
        self._sent += 1
        index, new = self._choose_file(packed.size)
        if index == _IN_STREAM:
            parts: list[bytes | memoryview] = [packed.head(), packed.content, *packed.blocks]
            for part in parts:
                self.connection.sendall(part)
            return
        file, offset = self._files[index], 0
        file.frame = self._sent
        for block in packed.blocks:
            file.memory[offset : offset + block.nbytes] = block
            offset += block.nbytes
        head, sent = packed.head(index, new), 0
        if new:
            sent = socket.send_fds(self.connection, [head], [file.descriptor])
        self.connection.sendall(head[sent:])
        self.connection.sendall(packed.content)

    def _choose_file(self, size: int) -> tuple[int, bool]:
        """The number of a free file with room for `size` bytes, and whether it is a new one."""
        if size < _SMALLEST_FILE:
            return _IN_STREAM, False
        free = [index for index, file in enumerate(self._files) if file.frame <= self._taken]
        for index in free:
            if self._files[index].size >= size:
                return index, False
        made = _SharedFile.create(size)
        if made is None:
            return _IN_STREAM, False
        if not free:
            self._files.append(made)
            return len(self._files) - 1, True
        os.close(self._files[free[0]].descriptor)
        self._files[free[0]] = made
        return free[0], True


class Receiver:
    """Reads frames from a socket without waiting for the rest of one.

    `frames` holds the values of all frames that are complete, `taken` counts them since the start,
    and `closed` says that no more will come.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.frames: deque[Any] = deque()
        self.closed = False
        self.taken = 0
        self._pending = bytearray()
        self._descriptors: deque[int] = deque()
        self._files: dict[int, memoryview] = {}
        _open_receivers.add(self)

    def read(self) -> None:
        """Take what has arrived; in blocking mode wait until something does.

        Errors: BlockingIOError in non-blocking mode when nothing has arrived.
        """
        try:
            data, files = self._receive()
        except BlockingIOError:
            raise
        except OSError:
            data, files = b"", []
        self._descriptors.extend(files)
        self._pending += data
        self.closed = not data
        while self._take_frame():
            pass

    def _receive(self) -> tuple[bytes, list[int]]:
        if not hasattr(socket, "recv_fds"):
            return self.connection.recv(_READ_AT_ONCE), []
        data, files, _, _ = socket.recv_fds(self.connection, _READ_AT_ONCE, 1)
        return data, list(files)

    def _take_frame(self) -> bool:
        """Move one complete frame from the pending bytes to `frames`; say whether there was one."""
        if len(self._pending) < _HEADER.size:
            return False
        described, content, size, file, new = _HEADER.unpack_from(self._pending)
        content_at = _HEADER.size + described
        blocks_at = content_at + content
        end = blocks_at + (size if file == _IN_STREAM else 0)
        if len(self._pending) < end:
            return False
        if new:
            self._map_file(file)
        with memoryview(self._pending) as pending:
            descriptions = pickle.loads(pending[_HEADER.size : content_at])
            pickled = bytes(pending[content_at:blocks_at])
            blocks = [_make_block(each) for each in descriptions]
            source = pending[blocks_at:end] if file == _IN_STREAM else self._files[file]
            _fill(blocks, source)
            del source
        del self._pending[:end]
        self.taken += 1
        self.frames.append(_Unpickler(pickled, descriptions, blocks).load())
        return True

    def _map_file(self, file: int) -> None:
        """Map the memory file whose descriptor has arrived in place of an older one."""
        if not self._descriptors:
            raise RuntimeError(
                "a batch arrived without its memory file: this process probably has too many open "
                "files; raise the limit with `ulimit -n`"
            )
        descriptor = self._descriptors.popleft()
        try:
            self._files[file] = memoryview(mmap.mmap(descriptor, 0))
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close the socket, and let go of all memory files."""
        self.closed = True
        self.connection.close()
        self._files.clear()
        while self._descriptors:
            os.close(self._descriptors.popleft())


def _fill(blocks: list[Any], source: memoryview) -> None:
    """Copy the bytes of all blocks, which follow one another in `source`."""
    offset = 0
    for block in blocks:
        target = _bytes_of(block)
        target[:] = source[offset : offset + target.nbytes]
        offset += target.nbytes


_open_receivers: weakref.WeakSet[Receiver] = weakref.WeakSet()


def close_inherited() -> None:
    """In a forked child: close the parent's ends, so that their other sides see the parent die."""
    for receiver in list(_open_receivers):
        receiver.close()
