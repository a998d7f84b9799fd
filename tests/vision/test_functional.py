"""Transforms as functions: on tensors against PyTorch and NumPy, on images against tensors."""

import numpy
import pytest
from PIL import Image

import rushlight as rl
from rushlight.vision.transforms import InterpolationMode
from rushlight.vision.transforms import functional as F


@pytest.fixture
def picture():
    values = numpy.random.default_rng(0).integers(0, 256, (17, 23, 3), dtype=numpy.uint8)
    return Image.fromarray(values)


@pytest.fixture
def pixels(picture):
    return F.pil_to_tensor(picture)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(9, 11), (40, 50), (17, 8)])
def test_resize_agrees_with_the_oracle(pixels, mode, size, antialias):
    torch = pytest.importorskip("torch")
    ours = F.resize(pixels.float(), size, InterpolationMode(mode), antialias=antialias)
    source = torch.from_numpy(pixels.numpy()).float()[None]
    expected = torch.nn.functional.interpolate(
        source, size=size, mode=mode, antialias=antialias, align_corners=False
    )[0]
    numpy.testing.assert_allclose(ours.numpy(), expected.numpy(), atol=5e-3)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_nearest_agrees_with_the_oracle(pixels, mode):
    torch = pytest.importorskip("torch")
    ours = F.resize(pixels, (7, 31), InterpolationMode(mode))
    source = torch.from_numpy(pixels.numpy()).float()[None]
    expected = torch.nn.functional.interpolate(source, size=(7, 31), mode=mode)[0]
    assert (ours.numpy() == expected.numpy()).all()


def test_one_number_is_the_shorter_side():
    assert F.get_dimensions(F.resize(rl.zeros(3, 40, 60), 20)) == [3, 20, 30]
    assert F.get_dimensions(F.resize(rl.zeros(3, 60, 40), 20, max_size=25)) == [3, 25, 16]


GEOMETRY = {
    "crop": lambda image: F.crop(image, -2, 3, 9, 30),
    "center_crop": lambda image: F.center_crop(image, (20, 9)),
    "hflip": F.hflip,
    "vflip": F.vflip,
    "pad": lambda image: F.pad(image, (1, 2, 3, 4), fill=7),
    "pad_reflect": lambda image: F.pad(image, 3, padding_mode="reflect"),
    "pad_symmetric": lambda image: F.pad(image, (2, 1), padding_mode="symmetric"),
    "pad_edge": lambda image: F.pad(image, 2, padding_mode="edge"),
    "rotate_90": lambda image: F.rotate(image, 90, expand=True),
    "rotate_180": lambda image: F.rotate(image, 180),
    "invert": F.invert,
    "brightness": lambda image: F.adjust_brightness(image, 1.4),
    "gamma": lambda image: F.adjust_gamma(image, 0.7),
}


@pytest.mark.parametrize("name", GEOMETRY)
def test_images_and_tensors_get_the_same_bytes(name, picture, pixels):
    change = GEOMETRY[name]
    expected = F.pil_to_tensor(change(picture))
    assert rl.equal(change(pixels), expected)


CLOSE = {
    "rotate": lambda image: F.rotate(image, 25, InterpolationMode.BILINEAR),
    "affine": lambda image: F.affine(image, 20, (3, -2), 1.2, (5, 3), InterpolationMode.BILINEAR),
    "contrast": lambda image: F.adjust_contrast(image, 0.6),
    "saturation": lambda image: F.adjust_saturation(image, 1.7),
    "grayscale": lambda image: F.rgb_to_grayscale(image, 3),
}


@pytest.mark.parametrize("name", CLOSE)
def test_images_and_tensors_agree_within_rounding(name, picture, pixels):
    change = CLOSE[name]
    apart = (change(pixels).float() - F.pil_to_tensor(change(picture)).float()).abs().numpy()
    # Pillow computes in fixed point and draws nothing at the last half pixel of an edge.
    assert (apart <= 1.5).mean() > 0.9


def test_a_quarter_turn_is_numpys(pixels):
    turned = F.rotate(pixels, 90, expand=True).numpy()
    assert (turned == numpy.rot90(pixels.numpy(), axes=(1, 2))).all()


def test_hue_goes_round_and_comes_back(pixels):
    image = pixels.float() / 255
    there = F.adjust_hue(F.adjust_hue(image, 0.3), -0.3)
    numpy.testing.assert_allclose(there.numpy(), image.numpy(), atol=1e-5)
    red = rl.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1)
    assert F.adjust_hue(red, 1 / 3).reshape(3).tolist() == pytest.approx([0, 1, 0], abs=1e-5)


def test_dtype_conversion_keeps_white_white():
    white = rl.full((1, 1, 1), 255, dtype=rl.uint8)
    assert F.convert_image_dtype(white, rl.float32).item() == 1.0
    assert F.convert_image_dtype(white.float() / 255, rl.uint8).item() == 255
    assert F.convert_image_dtype(white, rl.int32).item() == 255 << 23


def test_to_tensor_scales_bytes_and_leaves_other_depths(picture):
    assert F.to_tensor(picture).numpy().max() <= 1.0
    assert F.to_tensor(numpy.full((2, 2), 7, dtype=numpy.int32)).tolist() == [[[7, 7], [7, 7]]]
    back = F.to_pil_image(F.to_tensor(picture))
    assert abs(numpy.asarray(back).astype(int) - numpy.asarray(picture)).max() <= 1


def test_normalise_is_channelwise_and_refuses_bytes(pixels):
    ours = F.normalize(pixels.float(), (1.0, 2.0, 3.0), (2.0, 4.0, 8.0)).numpy()
    expected = (pixels.numpy() - numpy.array([1, 2, 3]).reshape(3, 1, 1)) / numpy.array(
        [2, 4, 8]
    ).reshape(3, 1, 1)
    numpy.testing.assert_allclose(ours, expected, rtol=1e-6)
    with pytest.raises(TypeError, match="should be a float tensor"):
        F.normalize(pixels, (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(ValueError, match="std evaluated to zero"):
        F.normalize(pixels.float(), (0.5,) * 3, (0.5, 0.0, 0.5))


def test_blur_keeps_a_flat_image_and_spreads_a_point():
    flat = rl.full((1, 9, 9), 3.0)
    numpy.testing.assert_allclose(F.gaussian_blur(flat, 5).numpy(), flat.numpy(), rtol=1e-6)
    point = rl.zeros(1, 9, 9)
    point[0, 4, 4] = 1.0
    blurred = F.gaussian_blur(point, (3, 5), 1.0).numpy()[0]
    assert blurred.sum() == pytest.approx(1.0)
    assert (blurred != 0).sum() == 3 * 5
    assert blurred[4, 4] == blurred.max()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: F.hflip("picture"), TypeError),
        (lambda: F.pad(rl.zeros(1, 2, 2), (1, 2, 3)), ValueError),
        (lambda: F.adjust_hue(rl.zeros(3, 2, 2), 0.6), ValueError),
        (lambda: F.affine(rl.zeros(3, 2, 2), 0, (0, 0), 0.0, 0), ValueError),
        (lambda: F.five_crop(rl.zeros(3, 2, 2), 5), ValueError),
        (lambda: F.gaussian_blur(rl.zeros(3, 8, 8), 4), ValueError),
    ],
)
def test_wrong_arguments_are_refused(call, error):
    with pytest.raises(error):
        call()
