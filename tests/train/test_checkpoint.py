"""Checkpoints come back as they were written, or are refused by name."""

import dataclasses

import numpy
import pytest

import rushlight as rl
from rushlight import nn, optim
from rushlight.train import files
from rushlight.train.checkpoint import (
    Checkpoint,
    load_checkpoint,
    pack_optimizer,
    save_checkpoint,
    unpack_optimizer,
)
from rushlight.train.preprocessing import Preprocessing
from rushlight.train.problems import RunError


@pytest.fixture
def checkpoint():
    arrays = {
        "model.weight": numpy.arange(6, dtype=numpy.float32).reshape(2, 3),
        "model.count": numpy.array(7),
        "rng": numpy.arange(5, dtype=numpy.uint8),
    }
    shape = Preprocessing(8, 1, (0.5,), (0.25,))
    return Checkpoint(
        arrays, {"epochs": 3}, ["猫", "dog"], shape, 1, 4, {"loss": 0.1}, [{"epoch": 1}], {"0.n": 2}
    )


def test_everything_comes_back(tmp_path, checkpoint):
    save_checkpoint(tmp_path / "a.safetensors", checkpoint)
    read = load_checkpoint(tmp_path / "a.safetensors")
    for item in dataclasses.fields(Checkpoint):
        if item.name != "arrays":
            assert getattr(read, item.name) == getattr(checkpoint, item.name)
    assert set(read.arrays) == set(checkpoint.arrays)
    for name, array in checkpoint.arrays.items():
        assert read.arrays[name].dtype == array.dtype
        assert (read.arrays[name] == array).all()
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_every_truncation_is_refused(tmp_path, checkpoint):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, checkpoint)
    content = path.read_bytes()
    for length in [*range(0, len(content), 37), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(RunError, match="a.safetensors"):
            load_checkpoint(path)


def test_every_flipped_byte_is_refused(tmp_path, checkpoint):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, checkpoint)
    content = path.read_bytes()
    for place in range(0, len(content), 11):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(RunError, match="a.safetensors"):
            load_checkpoint(path)


def test_other_files_are_refused(tmp_path):
    from safetensors.numpy import save_file

    with pytest.raises(RunError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none")
    save_file({"x": numpy.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(RunError, match="not a checkpoint of rushlight train"):
        load_checkpoint(tmp_path / "x.safetensors")


@pytest.mark.parametrize("build", [optim.SGD, optim.Adam, optim.Adagrad, optim.RMSprop])
def test_an_optimizer_goes_on_as_if_never_stored(tmp_path, checkpoint, build):
    more = {"momentum": 0.9} if build is optim.SGD else {}

    def fresh():
        rl.manual_seed(0)
        layer = nn.Linear(3, 2)
        return layer, build(layer.parameters(), lr=0.1, **more)

    def step(layer, optimizer):
        optimizer.zero_grad()
        layer(rl.ones(4, 3)).square().sum().backward()
        optimizer.step()

    layer, optimizer = fresh()
    for _ in range(3):
        step(layer, optimizer)
    arrays, values = pack_optimizer(optimizer)
    save_checkpoint(
        tmp_path / "a", dataclasses.replace(checkpoint, arrays=arrays, optimizer_values=values)
    )
    other, restored = fresh()
    other.load_state_dict(layer.state_dict())
    unpack_optimizer(restored, load_checkpoint(tmp_path / "a"))
    for one, two in ((layer, optimizer), (other, restored)):
        step(one, two)
        step(one, two)
    assert rl.equal(layer.weight, other.weight)


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, checkpoint, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, checkpoint)
    before = path.read_bytes()
    newer = dataclasses.replace(checkpoint, epoch=2)
    for name in ("_force", "os.replace"):
        with monkeypatch.context() as patch:
            owner, _, attribute = name.rpartition(".")
            patch.setattr(getattr(files, owner) if owner else files, attribute, _crash)
            with pytest.raises(RunError, match=r"a.safetensors: cannot be written \(disk full\)"):
                save_checkpoint(path, newer)
        assert path.read_bytes() == before
        assert [item.name for item in tmp_path.iterdir()] == ["a.safetensors"]


def _crash(*_):
    raise OSError(28, "disk full")
