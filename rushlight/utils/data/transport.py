"""Moving batches between processes over one socket.

In: any picklable value; tensors and arrays anywhere inside it. Out: an equal value.
Invariant: a frame is either complete or not there. Nothing in it has a name, so nothing is left
behind when a process dies at any moment, and no lock is shared, so nobody can die holding one.

A frame is a header (length of the pickle, place and number of the buffers), the length of each
buffer, the pickle, and the buffers when they are small. The memory of large arrays travels beside
the pickle, in an anonymous memory file whose descriptor is sent along: the sender has finished a
batch as soon as it is written, however busy the receiver is, and the receiver copies it once into
memory of its own. Where the system has no such files, or no room for one more, the buffers go
through the socket.
"""

from __future__ import annotations

import io
import os
import pickle
import socket
import struct
import weakref
from collections import deque
from typing import Any, NamedTuple

import numpy

import rushlight

_HEADER = struct.Struct("<QQB")
_LENGTH = struct.Struct("<Q")
_IN_STREAM, _IN_FILE = 0, 1
# Below this many bytes a memory file costs more than it saves (creating and sending one: 30 us).
_SMALLEST_FILE = 1 << 16
_READ_AT_ONCE = 1 << 20
_BUFFERS_AT_ONCE = 512


def _rebuild_tensor(array: numpy.ndarray, dtype: str) -> Any:
    """The tensor that `_Pickler` took apart; `dtype` names the meaning of the array's bits."""
    tensor = rushlight.from_numpy(array)
    wanted = getattr(rushlight, dtype)
    return tensor if tensor.dtype == wanted else tensor.view(wanted)


class _Pickler(pickle.Pickler):
    """Pickles a tensor as the array of its values, so that both sides need no engine for it."""

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, rushlight.Tensor):
            return NotImplemented
        tensor = value.detach()
        dtype = str(tensor.dtype).removeprefix("torch.")
        if dtype == "bfloat16":
            tensor = tensor.view(rushlight.int16)
        # Only C order travels beside the pickle; `ascontiguousarray` would lose a 0-d shape.
        return _rebuild_tensor, (numpy.asarray(tensor.numpy(), order="C"), dtype)


class Packed(NamedTuple):
    """A value as the bytes of its pickle and the memory that travels beside it."""

    content: memoryview
    buffers: list[memoryview]

    def head(self, place: int) -> bytes:
        lengths = b"".join(_LENGTH.pack(view.nbytes) for view in self.buffers)
        return _HEADER.pack(self.content.nbytes, len(self.buffers), place) + lengths

    def frame(self) -> bytes:
        """The whole frame, everything in the stream."""
        return b"".join((self.head(_IN_STREAM), self.content, *self.buffers))


def pack(value: Any) -> Packed:
    """Pickle a value. Errors: whatever pickling it raises."""
    stream = io.BytesIO()
    buffers: list[pickle.PickleBuffer] = []
    _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(value)
    return Packed(stream.getbuffer(), [buffer.raw() for buffer in buffers])


def send(connection: socket.socket, packed: Packed) -> None:
    """Write one frame and wait until it is out, its large buffers in a memory file.

    Errors: OSError when the other side is gone.
    """
    file = _memory_file(packed.buffers)
    if file is None:
        for part in (packed.head(_IN_STREAM), packed.content, *packed.buffers):
            connection.sendall(part)
        return
    head = packed.head(_IN_FILE)
    try:
        sent = socket.send_fds(connection, [head], [file])
        connection.sendall(head[sent:])
        connection.sendall(packed.content)
    finally:
        os.close(file)


def _memory_file(views: list[memoryview]) -> int | None:
    """An anonymous file holding all buffers in a row, or None if the stream has to do."""
    if sum(view.nbytes for view in views) < _SMALLEST_FILE or not hasattr(os, "memfd_create"):
        return None
    try:
        file = os.memfd_create("rushlight-batch", os.MFD_CLOEXEC)
    except OSError:
        return None
    try:
        for view in views:
            while view.nbytes:
                # A write fails with an error where touching mapped memory would kill the process.
                view = view[os.write(file, view) :]
    except OSError:
        os.close(file)
        return None
    return file


class Receiver:
    """Reads frames from a socket without waiting for the rest of one.

    `frames` holds the values of all frames that are complete; `closed` says that no more will come.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.frames: deque[Any] = deque()
        self.closed = False
        self._pending = bytearray()
        self._files: deque[int] = deque()
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
        self._files.extend(files)
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
        pending = memoryview(self._pending)
        try:
            if len(pending) < _HEADER.size:
                return False
            size, count, place = _HEADER.unpack_from(pending)
            content_at = _HEADER.size + count * _LENGTH.size
            if len(pending) < content_at:
                return False
            lengths = [
                _LENGTH.unpack_from(pending, _HEADER.size + each * _LENGTH.size)[0]
                for each in range(count)
            ]
            end = content_at + size
            frame_end = end + (sum(lengths) if place == _IN_STREAM else 0)
            if len(pending) < frame_end:
                return False
            content = bytes(pending[content_at:end])
            buffers = [numpy.empty(length, numpy.uint8) for length in lengths]
            if place == _IN_FILE:
                self._fill_from_file(buffers)
            else:
                _fill_from_stream(buffers, pending[end:frame_end])
        finally:
            pending.release()
        del self._pending[:frame_end]
        self.frames.append(pickle.loads(content, buffers=buffers))
        return True

    def _fill_from_file(self, buffers: list[numpy.ndarray]) -> None:
        if not self._files:
            raise RuntimeError(
                "a batch arrived without its memory file: this process probably has too many open "
                "files; raise the limit with `ulimit -n`"
            )
        file, offset = self._files.popleft(), 0
        views = [memoryview(buffer) for buffer in buffers if buffer.nbytes]
        try:
            while views:
                read = os.preadv(file, views[:_BUFFERS_AT_ONCE], offset)
                if read == 0:
                    raise RuntimeError("the memory file of a batch is shorter than announced")
                offset += read
                while views and read >= views[0].nbytes:
                    read -= views.pop(0).nbytes
                if read:
                    views[0] = views[0][read:]
        finally:
            os.close(file)

    def close(self) -> None:
        """Close the socket and every memory file that arrived for a frame that never did."""
        self.closed = True
        self.connection.close()
        while self._files:
            os.close(self._files.popleft())


def _fill_from_stream(buffers: list[numpy.ndarray], stream: memoryview) -> None:
    offset = 0
    for buffer in buffers:
        memoryview(buffer)[:] = stream[offset : offset + buffer.nbytes]
        offset += buffer.nbytes


_open_receivers: weakref.WeakSet[Receiver] = weakref.WeakSet()


def close_inherited() -> None:
    """In a forked child: close the parent's ends, so that their other sides see the parent die."""
    for receiver in list(_open_receivers):
        receiver.close()
