"""Files that are no proper images are refused with their name; proper ones come out as asked."""

import numpy
import pytest
from PIL import Image

from rushlight.vision.images import ImageProblem, read_image


@pytest.fixture
def picture():
    values = numpy.arange(6 * 5 * 3, dtype=numpy.uint8).reshape(6, 5, 3)
    return Image.fromarray(values)


def test_a_proper_file_keeps_its_pixels(tmp_path, picture):
    picture.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tobytes() == picture.tobytes()
    assert read_image(tmp_path / "a.png", "L").mode == "L"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b"hello, this is text", "not an image file"),
        (None, "no such file"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, content, reason):
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageProblem, match=reason) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_every_truncation_is_refused_or_complete(tmp_path, picture, ending):
    whole = tmp_path / f"whole.{ending}"
    picture.resize((64, 64)).save(whole)
    content = whole.read_bytes()
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageProblem, match="cut"):
        read_image(cut)


def test_too_many_pixels_are_refused_by_the_header_alone(tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("L", (3000, 2000)).save(path)
    # Only the header is left: decoding would fail differently.
    path.write_bytes(path.read_bytes()[:64])
    with pytest.raises(ImageProblem, match=r"3000x2000 = 6000000 pixels, more than the limit"):
        read_image(path, max_pixels=1000)


def test_transparency_lies_over_white(tmp_path):
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_image(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bits_that_would_be_clipped_are_refused(tmp_path):
    deep = numpy.full((4, 4), 40_000, dtype=numpy.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    with pytest.raises(ImageProblem, match="8 bits would clip it"):
        read_image(tmp_path / "deep.png")


def test_orientation_of_the_camera_is_undone(tmp_path):
    picture = Image.new("RGB", (4, 2), "teal")
    exif = picture.getexif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").size == (2, 4)
