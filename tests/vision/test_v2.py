"""Transforms of whole samples: images with masks, boxes and labels."""

import numpy
import pytest
from PIL import Image

import rushlight as rl
from rushlight.vision import transforms, tv_tensors
from rushlight.vision.transforms import v2


def sample():
    """An image whose only white pixels are those of its mask and of its box."""
    pixels = rl.zeros(3, 20, 30, dtype=rl.uint8)
    pixels[:, 4:10, 6:18] = 255
    mask = (pixels[0] > 0).to(rl.uint8)
    return {
        "image": tv_tensors.Image(pixels),
        "mask": tv_tensors.Mask(mask),
        "boxes": tv_tensors.BoundingBoxes([[6, 4, 18, 10]], format="XYXY", canvas_size=(20, 30)),
        "label": 3,
        "name": "x",
        "other": rl.ones(2),
    }


@pytest.mark.parametrize(
    "transform",
    [
        v2.RandomHorizontalFlip(1.0),
        v2.RandomVerticalFlip(1.0),
        v2.RandomCrop((12, 20)),
        v2.CenterCrop((12, 22)),
        v2.Pad(3),
        v2.Resize((40, 60), v2.InterpolationMode.NEAREST),
        v2.RandomResizedCrop((20, 30), interpolation=v2.InterpolationMode.NEAREST),
        v2.Compose([v2.RandomCrop(16), v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]),
        v2.RandomApply([v2.RandomHorizontalFlip(1.0)], p=1.0),
        v2.RandomOrder([v2.RandomHorizontalFlip(), v2.CenterCrop(14)]),
        v2.RandomChoice([v2.CenterCrop(14), v2.RandomVerticalFlip(1.0)]),
    ],
    ids=lambda transform: type(transform).__name__,
)
def test_masks_and_boxes_go_with_their_image(transform):
    """The white pixels, the mask and the box stay the same places."""
    for seed in range(8):
        rl.manual_seed(seed)
        made = transform(sample())
        assert [type(made[name]) for name in ("image", "mask", "boxes")] == [
            tv_tensors.Image,
            tv_tensors.Mask,
            tv_tensors.BoundingBoxes,
        ]
        white = (made["image"].numpy()[0] > 127).astype(int)
        assert (white == made["mask"].numpy()).all()
        assert made["boxes"].canvas_size == white.shape == tuple(made["image"].shape[-2:])
        rows, columns = numpy.nonzero(white)
        if len(rows):
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert abs(made["boxes"].numpy()[0] - numpy.array(box)).max() <= 1
        assert (made["label"], made["name"], made["other"].tolist()) == (3, "x", [1, 1])


def test_turns_move_masks_too():
    """By nearest pixels; boxes are refused."""
    rl.manual_seed(0)
    without = {name: value for name, value in sample().items() if name != "boxes"}
    for transform in (
        v2.RandomRotation(30),
        v2.RandomAffine(20, (0.1, 0.1)),
        v2.RandomPerspective(p=1),
    ):
        made = transform(without)
        white = made["image"].numpy()[0] > 127
        assert (white == (made["mask"].numpy() > 0)).mean() > 0.98
        assert set(numpy.unique(made["mask"].numpy())) <= {0, 1}
        assert 0 < white.sum() < white.size
        with pytest.raises(NotImplementedError, match="bounding boxes"):
            transform(sample())


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ColorJitter", (0.4, 0.4, 0.4, 0.1)),
        ("RandomCrop", (9,)),
        ("RandomResizedCrop", (9,)),
        ("RandomHorizontalFlip", ()),
        ("RandomRotation", (20,)),
        ("RandAugment", ()),
        ("GaussianBlur", (3,)),
        ("Grayscale", ()),
        ("ToTensor", ()),
    ],
)
def test_one_image_is_changed_as_by_the_first_version(name, arguments):
    """The same draws, the same pixels; a label beside it changes nothing."""
    pixels = numpy.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=numpy.uint8)
    image = Image.fromarray(pixels)
    made = []
    for module, given in ((transforms, (image,)), (v2, (image,)), (v2, (image, 7))):
        rl.manual_seed(3)
        result = getattr(module, name)(*arguments)(*given)
        made.append(numpy.asarray(result[0] if len(given) == 2 else result))
    assert (made[0] == made[1]).all()
    assert (made[0] == made[2]).all()


def test_what_is_taken_for_the_image():
    """Images that say so; otherwise the first plain tensor; labels never."""
    flip = v2.RandomHorizontalFlip(1.0)
    first, second = rl.arange(6).reshape(1, 2, 3), rl.arange(6).reshape(1, 2, 3)
    made = flip((first, second))
    assert made[0].tolist() == [[[2, 1, 0], [5, 4, 3]]]
    assert made[1].tolist() == second.tolist()
    made = flip([first, {"image": tv_tensors.Image(second)}])
    assert made[0].tolist() == first.tolist()
    assert made[1]["image"].tolist() == [[[2, 1, 0], [5, 4, 3]]]


def test_kinds_and_dtypes():
    """ToImage, ToDtype, ToPureTensor, Lambda, Normalize."""
    array = numpy.full((2, 3, 3), 255, numpy.uint8)
    steps = v2.Compose(
        [v2.ToImage(), v2.ToDtype(rl.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    )
    for given in (array, Image.fromarray(array)):
        made, label = steps(given, 4)
        assert isinstance(made, tv_tensors.Image)
        assert (made.dtype, made.unique().tolist(), label) == (rl.float32, [1.0], 4)
    assert type(v2.ToPureTensor()(made)) is rl.Tensor
    both = v2.ToDtype({tv_tensors.Image: rl.float32, tv_tensors.Mask: rl.int64, "others": None})
    made = both(sample())
    assert (made["image"].dtype, made["mask"].dtype) == (rl.float32, rl.int64)
    assert made["boxes"].dtype == rl.int64
    assert made["image"].max().item() == 255
    assert v2.Lambda(lambda n: n + 1, int)((1, "a")) == (2, "a")
    with pytest.raises(TypeError, match="to_image|Input can"):
        v2.functional.to_image([1])


def test_transforms_of_one_s_own():
    """`transform(image, params)`, with parameters drawn once."""

    class Shift(v2.Transform):
        def make_params(self, flat_inputs):
            return {"by": int(rl.randint(1, 5, (1,)).item()), "count": len(flat_inputs)}

        def transform(self, inpt, params):
            return tv_tensors.wrap(inpt.roll(params["by"], -1), like=inpt)

    rl.manual_seed(0)
    images = [tv_tensors.Image(rl.arange(6.0).reshape(1, 1, 6)) for _ in range(2)]
    made = Shift()(images, 5)
    assert made[0][0].tolist() == made[0][1].tolist() != images[0].tolist()
    assert made[1] == 5


@pytest.mark.parametrize("mixing", [v2.MixUp, v2.CutMix])
def test_mixed_batches(mixing):
    """Every image is a mixture with the one before; labels say how much of each."""
    rl.manual_seed(1)
    images = rl.arange(4.0).reshape(4, 1, 1, 1).expand(4, 1, 8, 8).contiguous()
    made, shares = mixing(num_classes=4)(images, rl.arange(4))
    assert shares.sum(1).tolist() == pytest.approx([1.0] * 4)
    for k in range(4):
        own = shares[k, k].item()
        wanted = own * k + (1 - own) * ((k - 1) % 4)
        assert made[k].mean().item() == pytest.approx(wanted, abs=1e-5)
    assert 0 < shares[0, 0].item() < 1
    with pytest.raises(ValueError, match="num_classes"):
        mixing()(images, rl.arange(4))


def test_boxes_say_what_they_are():
    """Formats, shapes, printing."""
    boxes = tv_tensors.BoundingBoxes([1, 2, 3, 4], format="XYWH", canvas_size=(9, 9))
    assert boxes.shape == (1, 4)
    assert v2.RandomHorizontalFlip(1.0)(boxes).tolist() == [[5, 2, 3, 4]]
    assert "canvas_size=(9, 9)" in repr(boxes)
    with pytest.raises(ValueError, match="expected"):
        tv_tensors.BoundingBoxes([[1, 2, 3]], format="XYXY", canvas_size=(9, 9))
