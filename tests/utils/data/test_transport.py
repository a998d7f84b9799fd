"""Frames over a socket: whole values, reused memory files, and nothing left behind."""

import os
import socket

import numpy
import pytest

import rushlight as rl
from rushlight.utils.data import transport

LARGE = 50_000


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    receiver = transport.Receiver(ours)
    yield transport.Sender(theirs), receiver
    receiver.close()
    theirs.close()


def take(receiver):
    """The next value, read as it arrives."""
    while not receiver.frames:
        receiver.read()
    return receiver.frames.popleft()


def same(a, b):
    if isinstance(a, rl.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and a.tolist() == b.tolist()
    if isinstance(a, numpy.ndarray):
        return a.dtype == b.dtype and numpy.array_equal(a, b)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and all(map(same, a, b))
    return a == b


VALUES = {
    "plain": [1, "x", None, {"a": (2.5,)}],
    "tensors": [rl.arange(5), rl.ones(2, 3).t(), rl.tensor(3.0), rl.zeros(0, 2)],
    "dtypes": [rl.ones(2, dtype=getattr(rl, name)) for name in ("bfloat16", "bool", "complex64")],
    "arrays": (numpy.arange(4)[::2], numpy.array("text"), numpy.float32(2)),
    "large": [rl.arange(LARGE), numpy.ones(LARGE), rl.ones(3)],
}


@pytest.mark.parametrize("name", VALUES)
def test_values_arrive_equal(ends, name):
    """Tensors as tensors, arrays as arrays, with dtype and shape."""
    sender, receiver = ends
    sender.send(transport.pack(VALUES[name]))
    assert same(VALUES[name], take(receiver))


def test_the_same_tensor_twice_is_one_tensor(ends):
    """Identity inside a value survives."""
    sender, receiver = ends
    tensor = rl.ones(2)
    sender.send(transport.pack([tensor, tensor]))
    first, second = take(receiver)
    assert first is second


def test_files_are_reused_once_acknowledged(ends):
    """Without acknowledgement a new file for each frame, with it always the same."""
    sender, receiver = ends
    values = [rl.full((LARGE,), float(n)) for n in range(6)]
    for value in values[:3]:
        sender.send(transport.pack(value))
    assert len(sender._files) == 3
    received = [take(receiver) for _ in range(3)]
    for value in values[3:]:
        sender.acknowledge(receiver.taken)
        sender.send(transport.pack(value))
        received.append(take(receiver))
    assert len(sender._files) == 3
    assert all(map(same, values, received))


def test_a_file_that_is_too_small_is_replaced(ends):
    """Growing batches do not collect files, nor descriptors."""
    sender, receiver = ends
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    for n in range(1, 8):
        value = rl.full((LARGE * n,), float(n))
        sender.send(transport.pack(value))
        assert same(value, take(receiver))
        sender.acknowledge(receiver.taken)
    assert len(sender._files) == 1 and len(receiver._files) == 1
    if descriptors:
        assert len(os.listdir("/proc/self/fd")) <= descriptors + 3


def test_without_memory_files_the_socket_carries_everything(ends, monkeypatch):
    """No room for a memory file is no error."""
    monkeypatch.setattr(transport._SharedFile, "create", classmethod(lambda cls, size: None))
    monkeypatch.setattr(transport, "_READ_AT_ONCE", 1000)
    sender, receiver = ends
    value = [rl.arange(5000), numpy.arange(4000.0)]
    sender.send(transport.pack(value))
    assert same(value, take(receiver))


def test_no_memory_is_an_ordinary_failure(monkeypatch):
    """A file that cannot be had is None, and its descriptor is closed."""
    if not hasattr(os, "memfd_create"):
        pytest.skip("no memory files here")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "posix_fallocate", full)
    assert transport._SharedFile.create(1 << 20) is None
    monkeypatch.setattr(os, "memfd_create", full)
    assert transport._SharedFile.create(1 << 20) is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_frames_are_complete_or_not_there(ends):
    """Bytes may arrive in any portions; half a frame before the end is nothing."""
    sender, receiver = ends
    frame = transport.pack([rl.arange(10), "x"]).frame()
    for position in range(0, 2 * len(frame) - 1, 7):
        sender.connection.sendall((frame * 2)[position : min(position + 7, 2 * len(frame) - 1)])
        receiver.read()
    assert len(receiver.frames) == 1 and not receiver.closed
    sender.connection.close()
    receiver.read()
    assert receiver.closed and len(receiver.frames) == 1


def test_received_tensors_are_ordinary(ends):
    """They own their memory: in-place changes and further recording work as usual."""
    sender, receiver = ends
    sender.send(transport.pack(rl.ones(LARGE)))
    value = take(receiver)
    value += 1
    sender.acknowledge(receiver.taken)
    sender.send(transport.pack(rl.zeros(LARGE)))
    take(receiver)
    assert value.sum().item() == 2 * LARGE
