"""Buffers: aligned, recycled, counted, and alive as long as anybody outside can reach them."""

import gc
import threading
import weakref
from itertools import pairwise

import numpy as np
import pytest

from rushlight.base.errors import OutOfMemoryError
from rushlight.runtime import buffer as module
from rushlight.runtime.buffer import Buffer, empty_cache, memory_statistics, size_class


@pytest.fixture(autouse=True)
def clean_cache():
    empty_cache()
    yield
    empty_cache()


@pytest.mark.parametrize("nbytes", [1, 63, 64, 65, 1000, 1025, 4097, 100_001, 3_000_000])
def test_memory_is_aligned_and_usable_to_the_last_byte(nbytes):
    buffer = Buffer(nbytes)
    assert buffer.nbytes == nbytes
    assert buffer.address % (64 if nbytes < 2**21 else 2**21) == 0
    view = buffer.numpy()
    view[:] = 7
    assert view.shape == (nbytes,)
    assert int(view.sum(dtype=np.int64)) == 7 * nbytes


def test_no_two_living_buffers_overlap():
    generator = np.random.default_rng(0)
    buffers: list[Buffer] = []
    for _ in range(2000):
        if len(buffers) > 50:
            del buffers[int(generator.integers(50))]
        buffers.append(Buffer(int(generator.integers(1, 5000))))
        ranges = sorted((item.address, item.address + item.nbytes) for item in buffers)
        assert all(end <= start for (_, end), (start, _) in pairwise(ranges))


@pytest.mark.parametrize("nbytes", [1, 64, 1024, 1025, 2**20, 2**20 + 1, 2**31 + 5])
def test_a_size_class_wastes_at_most_an_eighth(nbytes):
    capacity = size_class(nbytes)
    assert capacity % 64 == 0
    assert nbytes <= capacity <= max(nbytes + 63, nbytes * 9 // 8)


def test_a_freed_block_is_reused():
    first = Buffer(5000)
    address = first.address
    del first
    assert Buffer(4999).address == address


def test_statistics():
    module.reset_peak()
    before = memory_statistics()
    first = Buffer(1000)
    second = Buffer(10_000)
    held = size_class(1000) + size_class(10_000)
    assert memory_statistics()["current"] == before["current"] + held
    del first, second
    after = memory_statistics()
    assert after["current"] == before["current"]
    assert after["peak"] >= before["current"] + held
    assert after["cached"] == held
    empty_cache()
    assert memory_statistics()["cached"] == 0
    module.reset_peak()
    assert memory_statistics()["peak"] == memory_statistics()["current"]


def test_the_cache_keeps_no_more_than_its_limit():
    Buffer(1)
    previous = module._cache.limit
    try:
        module.set_cache_limit(10_000)
        buffers = [Buffer(4096) for _ in range(10)]
        del buffers
        assert 0 < memory_statistics()["cached"] <= 10_000
        module.set_cache_limit(0)
        assert memory_statistics()["cached"] == 0
        Buffer(3_000_000)
        assert memory_statistics()["cached"] == 0
        assert module._cache.system.mappings == {}
    finally:
        module._cache.limit = previous
    with pytest.raises(ValueError, match="negative"):
        module.set_cache_limit(-1)


def test_no_bytes():
    buffer = Buffer(0)
    assert buffer.address % 64 == 0
    assert buffer.numpy(np.float32).shape == (0,)
    assert buffer.export(np.float32, (3, 0)).shape == (3, 0)
    assert buffer.exported == 0
    with pytest.raises(ValueError, match="-1"):
        Buffer(-1)


def test_memory_that_the_machine_does_not_have():
    before = memory_statistics()["current"]
    with pytest.raises(OutOfMemoryError, match=r"cannot allocate 1,000,000,000,000,000 bytes"):
        Buffer(10**15)
    with pytest.raises(MemoryError):
        Buffer(2**62)
    with pytest.raises(RuntimeError):
        Buffer(2**70)
    assert memory_statistics()["current"] == before
    assert Buffer(100).nbytes == 100


def test_the_cache_is_given_back_before_memory_is_refused(monkeypatch):
    Buffer(100_000)
    assert memory_statistics()["cached"] > 0
    monkeypatch.setattr(module, "available_memory", lambda: 100_000_000)
    with pytest.raises(OutOfMemoryError, match="100,000,000 bytes are available"):
        Buffer(100_000_001)
    assert memory_statistics()["cached"] == 0


def test_a_flat_view_keeps_the_buffer_alive():
    buffer = Buffer(64)
    view = buffer.numpy(np.int64)
    assert view.shape == (8,)
    view[:] = 3
    gone = weakref.ref(buffer)
    del buffer
    assert gone() is not None
    assert view.sum() == 24
    del view
    assert gone() is None


def test_exports_are_counted_until_the_last_view_dies():
    buffer = Buffer(96)
    buffer.numpy(np.float32)[:] = np.arange(24)
    exported = buffer.export(np.float32, (2, 3), (32, 8), 4)
    assert exported.tolist() == [[1, 3, 5], [9, 11, 13]]
    assert exported.flags.writeable
    second = buffer.export(np.uint8, (96,))
    assert buffer.exported == 2
    del second
    assert buffer.exported == 1
    view = exported[1:].T.reshape(3)[::2]
    raw = memoryview(view)
    del exported
    assert buffer.exported == 1
    del view
    assert buffer.exported == 1
    del raw
    assert buffer.exported == 0


def test_an_export_in_a_cycle_is_counted_until_it_is_collected():
    buffer = Buffer(8)
    cycle: list[object] = [buffer.export(np.int64, ())]
    cycle.append(cycle)
    del cycle
    assert buffer.exported == 1
    gc.collect()
    assert buffer.exported == 0


def test_an_export_outlives_its_buffer():
    exported = Buffer(80).export(np.int64, (10,))
    exported[:] = 5
    others = [Buffer(80) for _ in range(10)]
    for other in others:
        other.numpy()[:] = 0
    assert exported.tolist() == [5] * 10


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((9,), None, 0), ((8,), None, 8), ((2,), (64,), 0), ((2,), (-8,), 0), ((), None, -8)],
)
def test_an_export_stays_inside(shape, strides, offset):
    with pytest.raises(ValueError, match="of a buffer of 64"):
        Buffer(64).export(np.int64, shape, strides, offset)


def test_negative_strides_export():
    buffer = Buffer(64)
    buffer.numpy(np.int64)[:] = np.arange(8)
    assert buffer.export(np.int64, (8,), (-8,), 56).tolist() == list(range(7, -1, -1))


def test_foreign_memory_is_shared_and_kept():
    array = np.arange(12, dtype=np.int32).reshape(3, 4)
    buffer = Buffer.from_array(array)
    assert buffer.foreign
    assert buffer.owner is array
    assert (buffer.address, buffer.nbytes) == (array.ctypes.data, 48)
    buffer.numpy(np.int32)[5] = 100
    assert array[1, 1] == 100
    current = memory_statistics()["current"]
    owner = weakref.ref(array)
    del array
    assert owner() is not None
    del buffer
    assert owner() is None
    assert memory_statistics()["current"] == current


def test_a_strided_foreign_array_is_covered_from_end_to_end():
    base = np.arange(20, dtype=np.int16)
    buffer = Buffer.from_array(base[15:3:-3])
    assert buffer.address == base.ctypes.data + 2 * 6
    assert buffer.numpy(np.int16).tolist() == list(range(6, 16))
    assert Buffer.from_array(base[:0]).nbytes == 0


def test_several_threads_allocate_at_once():
    wrong = []

    def work(mark: int) -> None:
        for turn in range(2000):
            buffer = Buffer(64 + turn % 7)
            view = buffer.numpy()
            view[:] = mark
            if (view != mark).any():
                wrong.append(mark)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
