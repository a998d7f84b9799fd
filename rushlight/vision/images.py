"""Opening image files that may be anything: the one door through which a file becomes pixels.

What comes in: a path. What goes out: a decoded Pillow image of a wanted mode, or an `ImageProblem`
that names the file and says what is wrong. Invariant: no file is decoded whose header promises
more pixels than the limit, and every error of the decoder leaves with the file's name.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from PIL import Image, ImageOps

__all__ = ["EXTENSIONS", "MAX_PIXELS", "ImageProblem", "read_image"]

# 89 million pixels: Pillow's own threshold of suspicion, about 270 MB once decoded.
MAX_PIXELS = 89_478_485

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif")

# What each mode of a file can become without losing what was painted: a palette may hold colours,
# 16- and 32-bit greys would be clipped by Pillow's own conversion to 8 bits.
_DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


# Our own limit is checked on the size that the header promises, so Pillow's warning says nothing
# new. The filter is set once: changing filters around each call is not safe among threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class ImageProblem(ValueError):
    """An image file that cannot be used; the message is one line that begins with its path."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageProblem], tuple[str, str]]:
        return ImageProblem, (self.path, self.reason)


def read_image(
    path: str | os.PathLike[str], mode: str | None = "RGB", max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Decode one image file, upright by its EXIF orientation, and convert it to `mode`.

    `mode` is Pillow's name (`"RGB"`, `"L"`), or None to keep the file's own. Transparency is laid
    over white. Of an animation the first frame is taken. Raises `ImageProblem` for a file that
    is missing, is no image, is cut short or corrupt, has more than `max_pixels` pixels (found in
    the header, before decoding), or has a depth that 8 bits would clip.

    >>> import rushlight as rl
    >>> rl.vision.read_image("missing.png")
    Traceback (most recent call last):
    rushlight.vision.images.ImageProblem: missing.png: no such file
    """
    try:
        with Image.open(path) as image:
            _check_size(path, image, max_pixels)
            image.load()
            upright = ImageOps.exif_transpose(image)
    except ImageProblem:
        raise
    except FileNotFoundError:
        raise ImageProblem(path, "no such file") from None
    except IsADirectoryError:
        raise ImageProblem(path, "a folder, not an image file") from None
    except Image.UnidentifiedImageError:
        raise ImageProblem(path, _unidentified(path)) from None
    except Image.DecompressionBombError:
        raise ImageProblem(path, f"more than {max_pixels} pixels") from None
    except Exception as error:  # decoders raise every kind: OSError, SyntaxError, struct.error
        raise ImageProblem(path, f"cannot be decoded ({_first_line(error)})") from None
    return upright if mode is None else _convert(path, upright, mode)


def _check_size(path: str | os.PathLike[str], image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageProblem(
            path, f"{width}x{height} = {width * height} pixels, more than the limit of {max_pixels}"
        )
    if width == 0 or height == 0:
        raise ImageProblem(path, f"an empty image ({width}x{height})")


def _unidentified(path: str | os.PathLike[str]) -> str:
    return "an empty file" if Path(path).stat().st_size == 0 else "not an image file"


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _convert(path: str | os.PathLike[str], image: Image.Image, mode: str) -> Image.Image:
    if image.mode == mode:
        return image
    if image.mode in _DEEP_MODES:
        low, high = image.getextrema()
        if not (isinstance(high, (int, float)) and isinstance(low, (int, float))):
            raise ImageProblem(path, f"mode {image.mode} cannot become {mode}")
        if low < 0 or high > 255:
            raise ImageProblem(
                path,
                f"mode {image.mode} with values {low:g} to {high:g}: 8 bits would clip it; "
                "convert the file to 8 bits first",
            )
        image = image.convert("L")
    if "A" in image.getbands() or "transparency" in image.info:
        above = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", above.size, "white"), above)
    return image.convert(mode)
