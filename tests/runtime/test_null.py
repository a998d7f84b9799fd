"""The device that only counts takes the same tables as the CPU."""

import struct

import pytest

from rushlight.runtime.cpu import StepTable
from rushlight.runtime.null import NullDevice


def test_it_counts_and_does_not_compute():
    device = NullDevice()
    addresses = device.compile_module("not even a module", ["first", "second"])
    steps = [[addresses["first"], 0, 1, 10, 1, 0], [addresses["second"], 0, 1, 5, 2, 0]]
    table = StepTable(steps, [[0, 0]], 1, "d")
    buffer = device.allocate(40)
    buffer.numpy()[:] = 9
    for _ in range(3):
        assert device.run(table, [buffer.address], [0.5]) is None
    assert (device.modules, device.allocations, device.bytes_allocated) == (1, 1, 40)
    assert (device.runs, device.steps, device.tasks) == (3, 6, 45)
    assert buffer.numpy().tolist() == [9] * 40
    device.reset()
    assert device.runs == device.steps == device.modules == 0


def test_it_checks_a_run_as_the_cpu_does():
    table = StepTable([[1, 0, 1, 1, 1, 0]], [[0, 0]], 1, "q")
    with pytest.raises(struct.error):
        NullDevice().run(table, [], [1])
    with pytest.raises(struct.error):
        NullDevice().run(table, [64], [])
