"""Memory formats and strides, against PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest
from agreement import agree

import rushlight as rl
from rushlight.base.layout import channels_last_strides, contiguous_strides, suggests_channels_last


def picture(t: Any, *shape: int) -> Any:
    """Ones in channels-last order."""
    return t.ones(*(shape or (2, 3, 4, 5))).to(memory_format=t.channels_last)


def volume(t: Any) -> Any:
    return t.ones(2, 4, 4, 4, 4).to(memory_format=t.channels_last_3d)


PROGRAMS: dict[str, Any] = {
    "clone": lambda t: picture(t).clone(),
    "clone of a slice": lambda t: t.ones(3, 4)[:, ::2].clone(),
    "clone of a permuted slice": lambda t: t.ones(2, 3, 4)[:, :, ::2].permute(2, 0, 1).clone(),
    "clone in a format": lambda t: t.ones(2, 3, 4, 5).clone(memory_format=t.channels_last),
    "another dtype": lambda t: picture(t).double(),
    "another dtype and format": lambda t: picture(t).to(
        t.float64, memory_format=t.contiguous_format
    ),
    "empty_like": lambda t: t.zeros_like(t.empty_like(picture(t))),
    "zeros_like in a format": lambda t: t.zeros_like(picture(t), memory_format=t.contiguous_format),
    "contiguous": lambda t: picture(t).contiguous(),
    "to, five dimensions": lambda t: volume(t),
    "sum of two orders": lambda t: t.ones(2, 3, 4, 5) + picture(t),
    "sum with channels": lambda t: picture(t) + t.ones(3, 1, 1),
    "concatenation": lambda t: t.cat([picture(t), picture(t)], 1),
    "concatenation of one channel": lambda t: t.cat([picture(t, 2, 1, 4, 5)] * 2, 1),
    "concatenation of two orders": lambda t: t.cat([picture(t), t.ones(2, 3, 4, 5)], 1),
    "roll": lambda t: picture(t).roll(1, 1),
    "pad": lambda t: t.nn.functional.pad(picture(t), (1, 1, 1, 1)),
    "reflect": lambda t: t.nn.functional.pad(picture(t), (1, 1, 1, 1), mode="reflect"),
    "circular": lambda t: t.nn.functional.pad(picture(t), (1, 1, 1, 1), mode="circular"),
    "nearest": lambda t: t.nn.functional.interpolate(picture(t), scale_factor=2),
    "bilinear": lambda t: t.nn.functional.interpolate(
        picture(t), scale_factor=2, mode="bilinear", align_corners=False
    ),
    "trilinear": lambda t: t.nn.functional.interpolate(
        volume(t), scale_factor=2, mode="trilinear", align_corners=False
    ),
    "convolution of one channel": lambda t: t.nn.functional.conv2d(
        picture(t, 2, 1, 8, 8), t.ones(4, 1, 3, 3)
    ),
    "convolution, the weight in the format": lambda t: t.nn.functional.conv2d(
        t.ones(2, 3, 8, 8), picture(t, 4, 3, 1, 1)
    ),
    "convolution of one example": lambda t: t.nn.functional.conv2d(
        t.ones(3, 8, 8), picture(t, 4, 3, 3, 3)
    ),
    "max pool": lambda t: t.nn.functional.max_pool2d(picture(t), 2),
    "average of volumes": lambda t: t.nn.functional.avg_pool3d(volume(t), 2),
    "instance norm": lambda t: t.nn.functional.instance_norm(picture(t)),
    "group norm": lambda t: t.nn.functional.group_norm(picture(t, 2, 4, 4, 4), 2),
    "pixel_unshuffle": lambda t: t.nn.functional.pixel_unshuffle(picture(t, 2, 4, 8, 8), 2),
    "channel_shuffle": lambda t: t.nn.functional.channel_shuffle(picture(t, 2, 4, 8, 8), 2),
    "resize_as_": lambda t: t.ones(2, 3, 4, 5).resize_as_(
        picture(t), memory_format=t.preserve_format
    ),
    "a wrong rank": lambda t: t.empty(2, 3, 4, memory_format=t.channels_last),
    "a wrong rank, like": lambda t: t.empty_like(t.ones(2, 3), memory_format=t.channels_last),
    "nothing to preserve": lambda t: t.empty(2, 3, memory_format=t.preserve_format),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_strides(program: Any) -> None:
    agree(program)


EXACT: dict[str, Any] = {
    "one channel": lambda t: picture(t, 2, 1, 4, 5),
    "one pixel": lambda t: picture(t, 2, 3, 1, 1),
    "clone of one channel": lambda t: t.ones(2, 1, 4, 5).clone(memory_format=t.channels_last),
    "already in the format": lambda t: t.ones(2, 1, 4, 5).contiguous(memory_format=t.channels_last),
    "empty_like": lambda t: t.empty_like(picture(t, 2, 1, 4, 5)),
    "first row": lambda t: t.ones(3, 4)[:1].clone(),
    "a layer of one channel": lambda t: (
        t.nn.Conv2d(1, 4, 3).to(memory_format=t.channels_last).weight
    ),
    "a layer of one pixel": lambda t: t.nn.Conv2d(3, 4, 1).to(memory_format=t.channels_last).weight,
}


@pytest.mark.parametrize("program", EXACT.values(), ids=EXACT.keys())
def test_strides_of_dimensions_of_length_one(program: Any) -> None:
    torch = pytest.importorskip("torch")
    assert program(rl).stride() == program(torch).stride()


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 1, 4, 5), (2, 3, 1, 1), (1, 3, 4, 5)])
def test_the_formats_are_told_apart(shape: tuple[int, ...]) -> None:
    assert suggests_channels_last(shape, channels_last_strides(shape))
    assert not suggests_channels_last(shape, contiguous_strides(shape))


def test_is_contiguous() -> None:
    x = rl.ones(2, 1, 4, 5)
    assert x.is_contiguous() and x.is_contiguous(memory_format=rl.channels_last)
    assert not rl.ones(2, 3, 4).is_contiguous(memory_format=rl.channels_last)
    assert not picture(rl).is_contiguous()


def _normalised(m: Any) -> Any:
    """The gradient of a picture has its layout, whatever that of the result's."""
    x = m.arange(240.0).reshape(8, 2, 3, 5).requires_grad_()
    y = m.nn.functional.batch_norm(x, m.zeros(2), m.ones(2))
    z = m.nn.functional.batch_norm(x, m.zeros(2), m.ones(2), training=True)
    g = m.ones(8, 2, 3, 5).to(memory_format=m.channels_last)
    gaps = m.ones(240).as_strided((8, 2, 3, 5), (30, 5, 10, 1))
    return [m.autograd.grad(r, x, c, retain_graph=True)[0] for r in (y, z) for c in (g, gaps)]


LAYOUTS = {
    "averages over lines": lambda m: [
        m.nn.functional.avg_pool1d(m.arange(12.0).as_strided((1, 4, 3), (12, 1, 4)), 2, padding=1)
    ],
    "one line enlarged": lambda m: [
        m.nn.functional.interpolate(
            m.arange(40.0).as_strided((1, 5, 1, 2), (5, 1, 10, 5)), scale_factor=2
        )
    ],
    "gradients of normalised pictures": _normalised,
}


@pytest.mark.parametrize("title", LAYOUTS)
def test_layouts_that_programs_met(title: str) -> None:
    torch = pytest.importorskip("torch")
    mine, theirs = ([x.stride() for x in LAYOUTS[title](m)] for m in (rl, torch))
    assert mine == theirs
