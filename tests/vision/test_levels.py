"""Levels, sharpness, perspective, and the policies: against Pillow and against plain NumPy."""

import numpy
import pytest
from PIL import Image

import rushlight as rl
from rushlight.vision import transforms
from rushlight.vision.transforms import functional as F


@pytest.fixture
def pixels():
    return numpy.random.default_rng(0).integers(30, 220, (24, 31, 3), dtype=numpy.uint8)


def both(pixels, change):
    """The change made to a Pillow image and to a tensor, as arrays (H, W, C)."""
    tensor = rl.from_numpy(pixels.transpose(2, 0, 1).copy())
    return (
        numpy.asarray(change(Image.fromarray(pixels))).astype(int),
        change(tensor).permute(1, 2, 0).numpy().astype(int),
    )


@pytest.mark.parametrize(
    ("name", "argument", "apart"),
    [
        ("posterize", 3, 0),
        ("solarize", 100, 0),
        ("equalize", None, 0),
        ("autocontrast", None, 1),
        ("adjust_sharpness", 0.3, 1),
        ("adjust_sharpness", 2.0, 1),
    ],
)
def test_tensors_and_images_agree(pixels, name, argument, apart):
    """To a rounding."""
    function = getattr(F, name)
    change = function if argument is None else lambda image: function(image, argument)
    image, tensor = both(pixels, change)
    if name == "adjust_sharpness":  # Pillow smooths what is then cut off at the border
        image, tensor = image[1:-1, 1:-1], tensor[1:-1, 1:-1]
    assert abs(image - tensor).max() <= apart
    assert (tensor != (pixels[1:-1, 1:-1] if name == "adjust_sharpness" else pixels)).any()


def test_levels_by_hand(pixels):
    """Against NumPy."""
    tensor = rl.from_numpy(pixels.transpose(2, 0, 1).copy())
    assert (F.posterize(tensor, 2).numpy() == (tensor.numpy() & 0b11000000)).all()
    inverted = numpy.where(tensor.numpy() >= 100, 255 - tensor.numpy(), tensor.numpy())
    assert (F.solarize(tensor, 100).numpy() == inverted).all()
    real = tensor.float() / 255
    low, high = real.numpy().min((1, 2)), real.numpy().max((1, 2))
    wanted = (real.numpy() - low[:, None, None]) / (high - low)[:, None, None]
    numpy.testing.assert_allclose(F.autocontrast(real).numpy(), wanted, atol=1e-6)
    flat = rl.full((1, 4, 4), 7, dtype=rl.uint8)
    assert F.autocontrast(flat).tolist() == flat.tolist()
    assert F.equalize(flat).tolist() == flat.tolist()
    for function in (F.equalize, lambda image: F.posterize(image, 2)):
        with pytest.raises(TypeError, match="uint8"):
            function(real)


@pytest.mark.parametrize("mode", [F.InterpolationMode.NEAREST, F.InterpolationMode.BILINEAR])
def test_perspective(pixels, mode):
    """Pillow and tensors agree; corners that stay give the image; a shift is a shift."""
    height, width = pixels.shape[:2]
    corners = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
    image, tensor = both(pixels, lambda x: F.perspective(x, corners, corners, mode))
    for same in (image, tensor):  # at the border a rounding decides what is outside
        assert abs(same[1:-1, 1:-1] - pixels[1:-1, 1:-1].astype(int)).max() <= 1
    moved = [[x + 3, y + 2] for x, y in corners]
    _, tensor = both(pixels, lambda x: F.perspective(x, corners, moved, mode))
    assert abs(tensor[3:-1, 4:-1] - pixels[1:-3, 1:-4].astype(int)).max() <= 1
    drawn = [[4, 2], [width - 3, 1], [width - 6, height - 4], [1, height - 2]]
    image, tensor = both(pixels, lambda x: F.perspective(x, corners, drawn, mode))
    assert (abs(image - tensor)[4:-4, 6:-6] <= 2).mean() > 0.97
    with pytest.raises(ValueError, match="four corners"):
        F.perspective(Image.fromarray(pixels), corners[:3], corners[:3])


@pytest.mark.parametrize(
    "transform",
    [
        transforms.RandomInvert(1.0),
        transforms.RandomPosterize(2, 1.0),
        transforms.RandomSolarize(100, 1.0),
        transforms.RandomAdjustSharpness(2, 1.0),
        transforms.RandomAutocontrast(1.0),
        transforms.RandomEqualize(1.0),
        transforms.RandomPerspective(0.5, 1.0),
    ],
    ids=lambda transform: type(transform).__name__,
)
def test_with_certainty_and_never(pixels, transform):
    """p = 1 changes, p = 0 does not, both kinds of image."""
    for image in both(pixels, transform):
        assert image.shape == pixels.shape
        assert (image != pixels).any()
    transform.p = 0.0
    for image in both(pixels, transform):
        assert (image == pixels).all()
    assert "p=0.0" in repr(transform) or "Perspective" in repr(transform)


@pytest.mark.parametrize("policy", [transforms.RandAugment(), transforms.TrivialAugmentWide()])
def test_policies(pixels, policy):
    """The same seed, the same picture, on images and tensors; different seeds, different ones."""
    seen = set()
    for seed in range(30):
        made = []
        for _ in range(2):
            rl.manual_seed(seed)
            made.append(numpy.asarray(policy(Image.fromarray(pixels))))
        assert (made[0] == made[1]).all()
        assert made[0].shape == pixels.shape
        seen.add(made[0].tobytes())
        tensor = rl.from_numpy(pixels.transpose(2, 0, 1).copy())
        assert policy(tensor).dtype == rl.uint8
    assert len(seen) > 15


def test_policy_draws_are_in_torchvision_s_order(pixels):
    """An operation, then its sign: the documented order, drawn by hand."""
    names = ["Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness"]
    image = Image.fromarray(pixels)
    checked = 0
    for seed in range(200):
        rl.manual_seed(seed)
        index, sign = int(rl.randint(14, (1,)).item()), int(rl.randint(2, (1,)).item())
        if index >= len(names) or names[index] not in ("Rotate", "Brightness"):
            continue
        amount = {"Rotate": 9.0, "Brightness": 0.27}[names[index]] * (-1 if sign else 1)
        change = {"Rotate": F.rotate, "Brightness": lambda x, a: F.adjust_brightness(x, 1 + a)}
        rl.manual_seed(seed)
        made = transforms.RandAugment(num_ops=1, magnitude=9)(image)
        assert made.tobytes() == change[names[index]](image, amount).tobytes()
        checked += 1
    assert checked > 5


def test_linear_transformation():
    """Whitening is a matrix on the flattened image."""
    generator = numpy.random.default_rng(1)
    matrix, mean = generator.standard_normal((12, 12)), generator.standard_normal(12)
    image = generator.standard_normal((3, 2, 2))
    made = transforms.LinearTransformation(rl.tensor(matrix), rl.tensor(mean))(rl.tensor(image))
    numpy.testing.assert_allclose(
        made.numpy(), ((image.reshape(1, -1) - mean) @ matrix).reshape(3, 2, 2)
    )
    with pytest.raises(ValueError, match="square"):
        transforms.LinearTransformation(rl.ones(2, 3), rl.ones(2))
    with pytest.raises(ValueError, match="incompatible"):
        transforms.LinearTransformation(rl.ones(2, 2), rl.ones(2))(rl.ones(3, 2, 2))
