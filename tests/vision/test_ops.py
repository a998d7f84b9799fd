"""Boxes, blocks, stored data sets and torchvision's model names."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

import rushlight as rl
from rushlight.serialization import FileFormatError
from rushlight.vision import datasets, ops
from rushlight.vision.stored import read_idx


def test_overlaps() -> None:
    a = rl.tensor([[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 4.0]])
    b = rl.tensor([[1.0, 0.0, 3.0, 2.0]])
    assert ops.box_area(a).tolist() == [4.0, 6.0]
    rl.testing.assert_close(ops.box_iou(a, b), rl.tensor([[1 / 3], [2 / 8]]))
    # hulls 3x2 and 2x4: IoU less the empty part of the hull
    rl.testing.assert_close(ops.generalized_box_iou(a, b), rl.tensor([[1 / 3], [2 / 8]]))
    # middles 1 apart, hull's diagonal squared 13; the same sides
    expected = 1 / 3 - 1 / 13
    assert ops.distance_box_iou(a, b)[0, 0].item() == pytest.approx(expected, abs=1e-6)
    assert ops.complete_box_iou(a, b)[0, 0].item() == pytest.approx(expected, abs=1e-6)
    assert ops.complete_box_iou(a, b)[1, 0].item() < ops.distance_box_iou(a, b)[1, 0].item()


@pytest.mark.parametrize("fmt", ["xyxy", "xywh", "cxcywh"])
def test_conversions_go_back(fmt: str) -> None:
    boxes = rl.tensor([[1.0, 2.0, 5.0, 8.0]])
    there = ops.box_convert(boxes, "xyxy", fmt)
    rl.testing.assert_close(ops.box_convert(there, fmt, "xyxy"), boxes)
    assert ops.box_convert(boxes, "xyxy", "cxcywh").tolist() == [[3.0, 5.0, 4.0, 6.0]]
    with pytest.raises(ValueError, match="yxyx"):
        ops.box_convert(boxes, "yxyx", fmt)


def test_suppression() -> None:
    boxes = rl.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2.1], [5, 5, 6, 6], [0, 0, 2, 1.9]])
    scores = rl.tensor([0.5, 0.9, 0.1, 0.7])
    assert ops.nms(boxes, scores, 0.5).tolist() == [1, 2]
    assert ops.nms(boxes, scores, 1.0).tolist() == [1, 3, 0, 2]
    kinds = rl.tensor([0, 1, 0, 1])
    assert ops.batched_nms(boxes, scores, kinds, 0.5).tolist() == [1, 0, 2]
    assert ops.nms(boxes[:0], scores[:0], 0.5).tolist() == []
    with pytest.raises(RuntimeError, match="scores"):
        ops.nms(boxes, scores[:2], 0.5)


def test_boxes_and_images() -> None:
    boxes = rl.tensor([[-1.0, 2.0, 50.0, 8.0], [0.0, 0.0, 0.5, 9.0]])
    assert ops.clip_boxes_to_image(boxes, (6, 10)).tolist()[0] == [0.0, 2.0, 10.0, 6.0]
    assert ops.remove_small_boxes(boxes, 1.0).tolist() == [0]
    masks = rl.zeros(1, 5, 6)
    masks[0, 1:4, 2:5] = 1
    assert ops.masks_to_boxes(masks).tolist() == [[2.0, 1.0, 4.0, 3.0]]


def test_frozen_normalisation_is_batch_norm_in_eval() -> None:
    rl.manual_seed(0)
    norm, frozen = rl.nn.BatchNorm2d(3), ops.FrozenBatchNorm2d(3)
    norm(rl.randn(4, 3, 5, 5))
    frozen.load_state_dict(norm.state_dict())
    x = rl.randn(2, 3, 4, 4)
    rl.testing.assert_close(frozen(x), norm.eval()(x))
    assert not list(frozen.parameters())


def test_stochastic_depth() -> None:
    rl.manual_seed(0)
    x = rl.ones(1000, 2)
    rows = ops.stochastic_depth(x, 0.25, "row")
    assert rows.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert rows.mean().item() == pytest.approx(1.0, abs=0.1)
    assert ops.StochasticDepth(0.9, "batch").eval()(x) is x
    with pytest.raises(ValueError, match="mode"):
        ops.stochastic_depth(x, 0.5, "column")


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return head + array.astype("u1").tobytes()


def test_mnist_files(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    images = np.arange(2 * 28 * 28).reshape(2, 28, 28) % 256
    (raw / "t10k-images-idx3-ubyte").write_bytes(idx(images))
    (raw / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.array([7, 2]))))
    data = datasets.MNIST(tmp_path, train=False, transform=np.asarray)
    assert len(data) == 2 and data.targets.tolist() == [7, 2]
    np.testing.assert_array_equal(data[1][0], images[1])
    with pytest.raises(RuntimeError, match="train-images-idx3-ubyte"):
        datasets.MNIST(tmp_path, train=True)


@pytest.mark.parametrize("wrong", [b"", b"\0\0\x08", b"PK\x03\x04rest", idx(np.zeros(9))[:-1]])
def test_damaged_idx_files_name_themselves(tmp_path: Path, wrong: bytes) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(wrong)
    with pytest.raises(FileFormatError, match="damaged"):
        read_idx(path)


def test_cifar_files(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rows = (np.arange(2 * 3072).reshape(2, 3072) % 256).astype("u1")
    batch = {b"data": rows, b"labels": [3, 1]}
    (folder / "test_batch").write_bytes(pickle.dumps(batch, protocol=2))
    names = {b"label_names": [b"a", b"b", b"c", b"d"]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names, protocol=2))
    data = datasets.CIFAR10(tmp_path, train=False)
    image, label = data[0]
    assert label == 3 and data.class_to_idx["d"] == 3
    np.testing.assert_array_equal(np.asarray(image), rows[0].reshape(3, 32, 32).transpose(1, 2, 0))
    (folder / "test_batch").write_bytes(pickle.dumps({b"data": print}, protocol=2))
    with pytest.raises(FileFormatError, match=r"test_batch.*print"):
        datasets.CIFAR10(tmp_path, train=False)


def test_torchvision_models() -> None:
    models = rl.vision.models
    model = models.resnet18(num_classes=3)
    assert next(iter(model.state_dict())) == "conv1.weight" and model.fc.out_features == 3
    layers = models.vgg.make_layers([8, "M", 16], batch_norm=True)
    assert list(layers.state_dict())[-1] == "5.num_batches_tracked"
    assert layers(rl.ones(1, 3, 8, 8)).shape == (1, 16, 4, 4)
    assert models.VGG16_Weights.verify("IMAGENET1K_V1") is models.VGG16_Weights.DEFAULT
    with pytest.raises(ValueError, match="IMAGENET1K_V1"):
        models.resnet18(weights="IMAGENET22K")


def test_regions() -> None:
    """On a plane, the mean of bilinear samples is the plane at the middle of the cell."""
    y, x = rl.meshgrid(rl.arange(8.0), rl.arange(10.0), indexing="ij")
    plane = (2 * x + 3 * y).reshape(1, 1, 8, 10).requires_grad_()
    box = rl.tensor([[0.0, 1.0, 2.0, 7.0, 5.0]])
    for ratio in (-1, 1, 3):
        cells = ops.roi_align(plane, box, (1, 2), sampling_ratio=ratio)
        rl.testing.assert_close(cells, rl.tensor([[[[2 * 2.5 + 10.5, 2 * 5.5 + 10.5]]]]))
    half = ops.roi_align(plane, [box[:, 1:] * 2], 1, spatial_scale=0.5, aligned=True)
    rl.testing.assert_close(half, rl.tensor([[[[2 * 3.5 + 3 * 3.0]]]]))
    half.sum().backward()
    assert plane.grad is not None
    assert plane.grad.sum().item() == pytest.approx(1.0)
    pooled = ops.roi_pool(plane.detach(), box, (2, 1))
    assert pooled.flatten().tolist() == [2 * 7 + 3 * 3, 2 * 7 + 3 * 5]
    assert ops.roi_pool(plane, [box[:0, 1:]], 2).shape == (0, 1, 2, 2)
    with pytest.raises(ValueError, match=r"\(K, 5\)"):
        ops.roi_align(plane, box[:, 1:], 1)


def test_losses_of_detectors() -> None:
    a, b = rl.tensor([[0.0, 0.0, 2.0, 2.0]]), rl.tensor([[1.0, 0.0, 3.0, 2.0]])
    for name in ("generalized_box_iou", "distance_box_iou", "complete_box_iou"):
        loss = getattr(ops, f"{name}_loss")(a, b)
        rl.testing.assert_close(loss, 1 - getattr(ops, name)(a, b)[0], rtol=1e-4, atol=1e-5)
    logits, targets = rl.tensor([0.0, 2.0]), rl.tensor([1.0, 0.0])
    plain = rl.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    focal = ops.sigmoid_focal_loss(logits, targets, alpha=-1, gamma=0, reduction="mean")
    rl.testing.assert_close(focal, plain)
    with pytest.raises(ValueError, match="reduction"):
        ops.sigmoid_focal_loss(logits, targets, reduction="max")


def test_dropped_blocks() -> None:
    rl.manual_seed(0)
    x = rl.ones(4, 3, 12, 12)
    dropped = ops.DropBlock2d(0.2, 3)(x)
    share = (dropped == 0).float().mean().item()
    assert 0.05 < share < 0.4
    assert dropped.mean().item() == pytest.approx(1.0, abs=1e-3)
    assert ops.DropBlock2d(0.2, 3).eval()(x) is x
    assert ops.drop_block3d(rl.ones(1, 2, 6, 6, 6), 0.3, 3).shape == (1, 2, 6, 6, 6)
    with pytest.raises(ValueError, match="4 dimensional"):
        ops.drop_block2d(rl.ones(3, 4, 4), 0.1, 3)


def test_hostile_batches_are_refused(tmp_path: Path) -> None:
    """Pickles that name other things, or arrays larger than their bytes."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for content in (b"cos\nsystem\n(U\x04truetR.", b"]" * 1000 + b".", b"", b"\x80\x02}."):
        (folder / "test_batch").write_bytes(content)
        with pytest.raises(FileFormatError):
            datasets.CIFAR10(str(tmp_path), train=False)
