"""DLPack: the same memory here, in NumPy and in PyTorch."""

import numpy
import pytest

import rushlight as rl

DTYPES = [
    "bool",
    "uint8",
    "int16",
    "uint32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "complex64",
]


@pytest.mark.parametrize("name", DTYPES)
def test_memory_is_shared_with_torch_both_ways(name):
    """Writes on either side are seen on the other, for every dtype."""
    torch = pytest.importorskip("torch")
    ours = rl.zeros(2, 3, dtype=getattr(rl, name))
    theirs = torch.from_dlpack(ours)
    assert str(theirs.dtype) == str(ours.dtype)
    ours[0, 1] = 1
    assert theirs[0, 1].item() == 1
    theirs = torch.zeros(2, 3, dtype=getattr(torch, name))
    ours = rl.from_dlpack(theirs.t())
    assert ours.stride() == (1, 3)
    ours[1, 0] = 1
    assert theirs[0, 1].item() == 1


def test_memory_is_shared_with_numpy():
    """And lives as long as anybody needs it."""
    x = rl.arange(6).reshape(2, 3)
    array = numpy.from_dlpack(x[:, 1:])
    x[0, 1] = 9
    del x
    assert array.tolist() == [[9, 2], [4, 5]]
    back = rl.from_dlpack(array)
    assert back.tolist() == [[9, 2], [4, 5]]


def test_copies_and_capsules():
    """`copy=True` shares nothing; a capsule is taken once."""
    array = numpy.zeros(2)
    copy = rl.from_dlpack(array, copy=True)
    copy[0] = 1
    assert array[0] == 0
    capsule = rl.utils.dlpack.to_dlpack(rl.ones(2))
    assert rl.utils.dlpack.from_dlpack(capsule).tolist() == [1, 1]
    with pytest.raises((RuntimeError, ValueError, TypeError)):
        rl.utils.dlpack.from_dlpack(capsule)


def test_refusals():
    """Tensors on the tape, other devices, negative strides."""
    with pytest.raises(BufferError, match="detach"):
        rl.ones(2, requires_grad=True).__dlpack__()
    with pytest.raises(BufferError):
        rl.from_dlpack(numpy.ones(2), device="cuda")
    with pytest.raises(BufferError):
        rl.ones(2, device="meta").__dlpack__()
    with pytest.raises(ValueError, match="negative"):
        rl.from_dlpack(numpy.arange(3)[::-1])
    assert rl.ones(2).__dlpack_device__() == (1, 0)
