"""Transforms as objects: their random draws are torchvision's, their printed forms too."""

import numpy
import pytest
from PIL import Image

import rushlight as rl
from rushlight.vision import transforms as T


@pytest.fixture
def image():
    values = numpy.random.default_rng(1).integers(0, 256, (3, 12, 16), dtype=numpy.uint8)
    return rl.from_numpy(values)


def test_random_crop_draws_as_torchvision_does(image):
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    top = int(torch.randint(0, 12 - 5 + 1, size=(1,)).item())
    left = int(torch.randint(0, 16 - 6 + 1, size=(1,)).item())
    rl.manual_seed(3)
    cut = T.RandomCrop((5, 6))(image)
    assert rl.equal(cut, image[:, top : top + 5, left : left + 6])


def test_random_rotation_draws_as_torchvision_does():
    torch = pytest.importorskip("torch")
    torch.manual_seed(5)
    expected = torch.empty(1).uniform_(-10.0, 30.0).item()
    rl.manual_seed(5)
    assert T.RandomRotation.get_params((-10.0, 30.0)) == expected


def test_random_flip_draws_as_torchvision_does(image):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    expected = [bool(torch.rand(1) < 0.5) for _ in range(8)]
    rl.manual_seed(0)
    flip = T.RandomHorizontalFlip()
    assert [not rl.equal(flip(image), image) for _ in range(8)] == expected


def test_random_affine_draws_as_torchvision_does():
    torch = pytest.importorskip("torch")
    ranges = ((-10.0, 10.0), (-1.6, 1.6), (-1.2, 1.2), (0.9, 1.1), (-3.0, 5.0), (-1.0, 1.0))
    change = T.RandomAffine(10, (0.1, 0.1), (0.9, 1.1), (-3, 5, -1, 1))
    torch.manual_seed(2)
    rl.manual_seed(2)
    for _ in range(50):
        angle, x, y, scale, *shear = (torch.empty(1).uniform_(*r).item() for r in ranges)
        expected = (angle, (round(x), round(y)), scale, tuple(shear))
        assert change.get_params((16, 12)) == expected


def test_same_seed_same_picture():
    picture = Image.fromarray(numpy.arange(600, dtype=numpy.uint8).reshape(10, 20, 3))
    steps = T.Compose(
        [
            T.RandomResizedCrop(8),
            T.ColorJitter(0.4, 0.4, 0.4, 0.1),
            T.RandomAffine(10, (0.1, 0.1), (0.9, 1.1), 5),
            T.RandomGrayscale(0.5),
            T.ToTensor(),
            T.RandomErasing(1.0, value="random"),
        ]
    )
    results = []
    for seed in (1, 1, 2):
        rl.manual_seed(seed)
        results.append(steps(picture))
    assert rl.equal(results[0], results[1])
    assert not rl.equal(results[0], results[2])


def test_crop_larger_than_the_image_is_refused(image):
    with pytest.raises(ValueError, match=r"\(20, 20\) is larger than input image size \(12, 16\)"):
        T.RandomCrop(20)(image)
    assert tuple(T.RandomCrop(20, pad_if_needed=True)(image).shape) == (3, 20, 20)


def test_erasing_covers_one_rectangle(image):
    rl.manual_seed(0)
    erased = T.RandomErasing(1.0, value=300.0)(image.float()).numpy()[0] == 300.0
    rows, columns = numpy.flatnonzero(erased.any(1)), numpy.flatnonzero(erased.any(0))
    assert erased.sum() == len(rows) * len(columns) > 0


def test_printed_forms_are_torchvisions():
    steps = T.Compose([T.Resize(8), T.ToTensor(), T.Normalize((0.5,), (0.5,))])
    assert repr(steps) == (
        "Compose(\n"
        "    Resize(size=8, interpolation=bilinear, max_size=None, antialias=True)\n"
        "    ToTensor()\n"
        "    Normalize(mean=(0.5,), std=(0.5,))\n"
        ")"
    )
    assert repr(T.RandomCrop(4, padding=1)) == "RandomCrop(size=(4, 4), padding=1)"


@pytest.mark.parametrize(
    "make",
    [
        lambda: T.RandomRotation(-3),
        lambda: T.RandomErasing(2.0),
        lambda: T.ColorJitter(hue=0.7),
        lambda: T.RandomAffine(0, translate=(2, 0)),
        lambda: T.GaussianBlur(4),
        lambda: T.Pad((1, 2, 3)),
    ],
)
def test_impossible_arguments_are_refused_when_made(make):
    with pytest.raises(ValueError):
        make()
