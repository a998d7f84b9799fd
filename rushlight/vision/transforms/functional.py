"""The transforms as functions, on Pillow images and on tensors alike.

In: an image, either a Pillow image or a tensor (..., C, H, W). Out: an image of the same kind.
Invariant: a function checks its arguments here, once; what it does to pixels stands in `on_images`
or `on_tensors`, one function of the same name in each. Names and arguments are torchvision's.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from types import ModuleType
from typing import Any, TypeVar

import numpy
from PIL import Image

import rushlight
from rushlight import Tensor

from . import on_images, on_tensors
from .geometry import output_size, perspective_coefficients
from .tones import adjust_sharpness, autocontrast, equalize, posterize, solarize

__all__ = [
    "InterpolationMode",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "affine",
    "autocontrast",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "equalize",
    "erase",
    "five_crop",
    "gaussian_blur",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "hflip",
    "invert",
    "normalize",
    "pad",
    "perspective",
    "pil_to_tensor",
    "posterize",
    "resize",
    "resized_crop",
    "rgb_to_grayscale",
    "rotate",
    "solarize",
    "ten_crop",
    "to_grayscale",
    "to_pil_image",
    "to_tensor",
    "vflip",
]

Picture = TypeVar("Picture", Image.Image, Tensor)
Fill = float | Sequence[float] | None


class InterpolationMode(enum.Enum):
    """How values between pixels are found; the last three work on Pillow images only."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


def _pixels(image: Any) -> ModuleType:
    """Choose the module that works on this kind of image."""
    if isinstance(image, Tensor):
        if image.dim() < 2:
            raise TypeError(
                f"Tensor is not a torch image: {image.dim()} dimensions, at least 2 needed"
            )
        return _companion_pixels(image)
    if isinstance(image, Image.Image):
        return on_images
    raise TypeError(f"img should be PIL Image or Tensor. Got {type(image)}")


def _companion_pixels(image: Tensor) -> ModuleType:
    """Masks and boxes go with their image, each in its own way."""
    if type(image) is Tensor:
        return on_tensors
    from .. import tv_tensors

    if isinstance(image, tv_tensors.BoundingBoxes):
        from . import on_boxes

        return on_boxes
    if isinstance(image, tv_tensors.Mask):
        from . import on_masks

        return on_masks
    return on_tensors


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    """One number, or a sequence of one or two, as (height, width)."""
    values = [size] if isinstance(size, int) else list(size)
    if len(values) not in (1, 2):
        raise ValueError(f"size should have one or two values, got {values}")
    return int(values[0]), int(values[-1])


def get_dimensions(img: Image.Image | Tensor) -> list[int]:
    """Return [channels, height, width]."""
    return list(_pixels(img).dimensions(img))


def get_image_size(img: Image.Image | Tensor) -> list[int]:
    """Return [width, height]."""
    _, height, width = get_dimensions(img)
    return [width, height]


def get_image_num_channels(img: Image.Image | Tensor) -> int:
    """Return the number of channels."""
    return get_dimensions(img)[0]


def _as_array(pic: Image.Image | numpy.ndarray) -> numpy.ndarray:
    """A Pillow image or (H, W[, C]) array as an (H, W, C) array of our own."""
    if isinstance(pic, Image.Image):
        pixels = numpy.array(pic.convert("L") if pic.mode == "1" else pic)
        if pic.mode.startswith("I;16"):
            pixels = pixels.astype(numpy.int16)
    else:
        pixels = pic
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def pil_to_tensor(pic: Image.Image) -> Tensor:
    """Return the pixels as a (C, H, W) tensor of the image's own depth, uint8 by rule."""
    if not isinstance(pic, Image.Image):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    return rushlight.from_numpy(numpy.ascontiguousarray(_as_array(pic).transpose(2, 0, 1)))


def to_tensor(pic: Image.Image | numpy.ndarray) -> Tensor:
    """Return a (C, H, W) tensor; 8-bit values 0 to 255 become float32 0 to 1.

    Takes a Pillow image or an (H, W) or (H, W, C) array. Other depths keep their values.
    """
    if not isinstance(pic, (Image.Image, numpy.ndarray)):
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    if isinstance(pic, numpy.ndarray) and pic.ndim not in (2, 3):
        raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
    pixels = rushlight.from_numpy(numpy.ascontiguousarray(_as_array(pic).transpose(2, 0, 1)))
    if pixels.dtype == rushlight.uint8:
        return pixels.to(rushlight.get_default_dtype()).div(255)
    return pixels


def to_pil_image(pic: Tensor | numpy.ndarray, mode: str | None = None) -> Image.Image:
    """Return a Pillow image of a (C, H, W) tensor or an (H, W[, C]) array.

    Floating point tensors are taken as 0 to 1. The mode follows from the number of channels
    (1: L, 2: LA, 3: RGB, 4: RGBA) unless it is given.
    """
    if isinstance(pic, Tensor):
        if pic.dim() not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.dim()} dimensions.")
        if pic.is_floating_point() and mode != "F":
            pic = pic.mul(255).to(rushlight.uint8)
        pixels = pic.detach().numpy()
        pixels = pixels if pixels.ndim == 2 else pixels.transpose(1, 2, 0)
    elif isinstance(pic, numpy.ndarray):
        pixels = pic
    else:
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    if pixels.ndim == 3 and pixels.shape[2] > 4:
        raise ValueError(f"pic should not have > 4 channels. Got {pixels.shape[2]} channels.")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    image = Image.fromarray(numpy.ascontiguousarray(pixels))
    return image if mode is None or mode == image.mode else image.convert(mode)


def convert_image_dtype(image: Tensor, dtype: rushlight.dtype | None = None) -> Tensor:
    """Convert to `dtype`, float32 by rule, scaling values so that white stays white."""
    dtype = rushlight.float32 if dtype is None else dtype
    if image.dtype == dtype:
        return image
    white_before = on_tensors.largest(image)
    white_after = on_tensors.largest(rushlight.empty(0, dtype=dtype))
    if dtype.is_floating_point:
        return image.to(dtype) / white_before if white_before != 1.0 else image.to(dtype)
    if image.is_floating_point():
        return image.mul(white_after + 1.0 - 1e-3).to(dtype)
    if white_before > white_after:
        step = int((white_before + 1) // (white_after + 1))
        return rushlight.div(image, step, rounding_mode="floor").to(dtype)
    return image.to(dtype) * int((white_after + 1) // (white_before + 1))


def normalize(
    tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False
) -> Tensor:
    """Return `(tensor - mean) / std`, channel by channel, for a float (..., C, H, W) tensor."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.dim() < 3:
        raise ValueError(
            "Expected tensor to be a tensor image of size (..., C, H, W). "
            f"Got tensor.size() = {tensor.size()}"
        )
    if any(value == 0 for value in std):
        raise ValueError(f"std evaluated to zero: {list(std)}, leading to division by zero.")
    centre = rushlight.tensor(list(mean), dtype=tensor.dtype, device=tensor.device)[:, None, None]
    spread = rushlight.tensor(list(std), dtype=tensor.dtype, device=tensor.device)[:, None, None]
    if inplace:
        return tensor.sub_(centre).div_(spread)
    return (tensor - centre) / spread


def resize(
    img: Picture,
    size: int | Sequence[int],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Picture:
    """Resize to (height, width), or, for one number, so that the shorter side is `size`."""
    values = [size] if isinstance(size, int) else list(size)
    if len(values) not in (1, 2):
        raise ValueError(f"Size must be an int or a 1 or 2 element tuple/list, not {size}")
    if max_size is not None and len(values) != 1:
        raise ValueError("max_size should only be passed if size specifies the smaller edge")
    pixels = _pixels(img)
    _, height, width = pixels.dimensions(img)
    target = output_size((height, width), values, max_size)
    if target == (height, width):
        return img
    result: Picture = pixels.resize(img, target, interpolation.value, bool(antialias))
    return result


def _borders(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """One number for all sides, (left-right, top-bottom), or (left, top, right, bottom)."""
    values = [padding] if isinstance(padding, int) else list(padding)
    if len(values) == 1:
        return (values[0],) * 4
    if len(values) == 2:
        return values[0], values[1], values[0], values[1]
    if len(values) == 4:
        return values[0], values[1], values[2], values[3]
    raise ValueError(
        f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(values)} element tuple"
    )


def pad(
    img: Picture, padding: int | Sequence[int], fill: Fill = 0, padding_mode: str = "constant"
) -> Picture:
    """Add borders, filled with `fill` or by `padding_mode` edge, reflect or symmetric."""
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError(
            "Padding mode should be either constant, edge, reflect or symmetric, "
            f"got {padding_mode!r}"
        )
    result: Picture = _pixels(img).pad(img, _borders(padding), fill, padding_mode)
    return result


def crop(img: Picture, top: int, left: int, height: int, width: int) -> Picture:
    """Cut out a rectangle; what lies outside of the image is 0."""
    result: Picture = _pixels(img).crop(img, top, left, height, width)
    return result


def center_crop(img: Picture, output_size: int | Sequence[int]) -> Picture:
    """Cut out the middle, padding with 0 where the image is smaller."""
    height, width = _pair(output_size)
    _, full_height, full_width = get_dimensions(img)
    if width > full_width or height > full_height:
        wide, high = max(width - full_width, 0), max(height - full_height, 0)
        img = pad(img, [wide // 2, high // 2, (wide + 1) // 2, (high + 1) // 2])
        _, full_height, full_width = get_dimensions(img)
    top = round((full_height - height) / 2.0)
    left = round((full_width - width) / 2.0)
    return crop(img, top, left, height, width)


def resized_crop(
    img: Picture,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Picture:
    """Cut out a rectangle and resize it."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def hflip(img: Picture) -> Picture:
    """Mirror left and right."""
    result: Picture = _pixels(img).hflip(img)
    return result


def vflip(img: Picture) -> Picture:
    """Mirror top and bottom."""
    result: Picture = _pixels(img).vflip(img)
    return result


def five_crop(img: Picture, size: int | Sequence[int]) -> tuple[Picture, ...]:
    """Cut out the four corners and the middle: top left, top right, bottom left, bottom right."""
    height, width = _pair(size)
    _, full_height, full_width = get_dimensions(img)
    if width > full_width or height > full_height:
        raise ValueError(
            f"Requested crop size {(height, width)} is bigger than input size "
            f"{(full_height, full_width)}"
        )
    bottom, right = full_height - height, full_width - width
    corners = ((0, 0), (0, right), (bottom, 0), (bottom, right))
    parts: list[Any] = [crop(img, top, left, height, width) for top, left in corners]
    return (*parts, center_crop(img, (height, width)))


def ten_crop(
    img: Picture, size: int | Sequence[int], vertical_flip: bool = False
) -> tuple[Picture, ...]:
    """The five crops of the image, then those of its mirror image."""
    mirrored = vflip(img) if vertical_flip else hflip(img)
    return five_crop(img, size) + five_crop(mirrored, size)


def rotate(
    img: Picture,
    angle: float,
    interpolation: InterpolationMode = InterpolationMode.NEAREST,
    expand: bool = False,
    center: tuple[float, float] | None = None,
    fill: Fill = None,
) -> Picture:
    """Turn counter-clockwise by `angle` degrees about the middle or `center` (x, y)."""
    result: Picture = _pixels(img).rotate(
        img, float(angle), interpolation.value, expand, center, fill
    )
    return result


def _shears(shear: float | Sequence[float]) -> tuple[float, float]:
    """One angle for x, or one for x and one for y."""
    if isinstance(shear, (int, float)):
        return float(shear), 0.0
    return float(shear[0]), float(shear[1]) if len(shear) > 1 else 0.0


def affine(
    img: Picture,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: float | Sequence[float],
    interpolation: InterpolationMode = InterpolationMode.NEAREST,
    fill: Fill = None,
    center: tuple[float, float] | None = None,
) -> Picture:
    """Turn clockwise, shift by (x, y) pixels, scale and shear (degrees), keeping the middle."""
    if scale <= 0.0:
        raise ValueError("Argument scale should be positive")
    result: Picture = _pixels(img).affine(
        img,
        float(angle),
        (float(translate[0]), float(translate[1])),
        scale,
        _shears(shear),
        interpolation.value,
        fill,
        center,
    )
    return result


def perspective(
    img: Picture,
    startpoints: Sequence[Sequence[int]],
    endpoints: Sequence[Sequence[int]],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    fill: Fill = None,
) -> Picture:
    """Draw the image so that four points (x, y) of it come to lie on four others."""
    coefficients = perspective_coefficients(startpoints, endpoints)
    result: Picture = _pixels(img).perspective(img, coefficients, interpolation.value, fill)
    return result


def adjust_brightness(img: Picture, brightness_factor: float) -> Picture:
    """Multiply by a factor: 0 is black, 1 the image, 2 twice as bright."""
    _check_factor("brightness_factor", brightness_factor)
    result: Picture = _pixels(img).adjust_brightness(img, brightness_factor)
    return result


def adjust_contrast(img: Picture, contrast_factor: float) -> Picture:
    """Move away from the mean grey: 0 is that grey, 1 the image, 2 twice the contrast."""
    _check_factor("contrast_factor", contrast_factor)
    result: Picture = _pixels(img).adjust_contrast(img, contrast_factor)
    return result


def adjust_saturation(img: Picture, saturation_factor: float) -> Picture:
    """Move away from the grey image: 0 is grey, 1 the image, 2 twice as colourful."""
    _check_factor("saturation_factor", saturation_factor)
    result: Picture = _pixels(img).adjust_saturation(img, saturation_factor)
    return result


def _check_factor(name: str, factor: float) -> None:
    if factor < 0:
        raise ValueError(f"{name} ({factor}) is not non-negative.")


def adjust_hue(img: Picture, hue_factor: float) -> Picture:
    """Turn the hue by `hue_factor` of the colour circle, from -0.5 to 0.5."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    result: Picture = _pixels(img).adjust_hue(img, hue_factor)
    return result


def adjust_gamma(img: Picture, gamma: float, gain: float = 1) -> Picture:
    """Return white * gain * (image / white) ** gamma."""
    _check_factor("gamma", gamma)
    result: Picture = _pixels(img).adjust_gamma(img, gamma, gain)
    return result


def rgb_to_grayscale(img: Picture, num_output_channels: int = 1) -> Picture:
    """Return the luma of a colour image, in one channel or in three equal ones."""
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    result: Picture = _pixels(img).grayscale(img, num_output_channels)
    return result


to_grayscale = rgb_to_grayscale


def invert(img: Picture) -> Picture:
    """Turn black into white and white into black."""
    result: Picture = _pixels(img).invert(img)
    return result


def erase(
    img: Tensor, i: int, j: int, h: int, w: int, v: Tensor | float, inplace: bool = False
) -> Tensor:
    """Put `v` into the rectangle of height `h` and width `w` at row `i`, column `j`."""
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be Tensor image. Got {type(img)}")
    result = img if inplace else img.clone()
    result[..., i : i + h, j : j + w] = v
    return result


def _blur_weights(size: int, sigma: float) -> Tensor:
    offsets = numpy.arange(size) - (size - 1) / 2
    weights = numpy.exp(-0.5 * (offsets / sigma) ** 2)
    return rushlight.from_numpy((weights / weights.sum()).astype(numpy.float32))


def gaussian_blur(
    img: Picture, kernel_size: int | Sequence[int], sigma: float | Sequence[float] | None = None
) -> Picture:
    """Blur by a Gaussian over `kernel_size` (x, y) pixels; sigma is 0.3 ((k - 1) / 2 - 1) + 0.8."""
    size_y, size_x = reversed(_pair(kernel_size))
    if size_x % 2 == 0 or size_y % 2 == 0 or min(size_x, size_y) < 1:
        raise ValueError(f"kernel_size should have odd and positive integers. Got {kernel_size}")
    if sigma is None:
        sigma = [0.3 * ((size - 1) * 0.5 - 1) + 0.8 for size in (size_x, size_y)]
    sigmas = [sigma] * 2 if isinstance(sigma, (int, float)) else [sigma[0], sigma[-1]]
    if min(sigmas) <= 0:
        raise ValueError(f"sigma should have positive values. Got {sigma}")
    if isinstance(img, Image.Image):
        blurred = gaussian_blur(pil_to_tensor(img), (size_x, size_y), sigmas)
        return to_pil_image(blurred, img.mode)
    kernel_x, kernel_y = _blur_weights(size_x, sigmas[0]), _blur_weights(size_y, sigmas[1])
    borders = [size_x // 2, size_y // 2]
    padded = on_tensors.pad(img, _borders(borders), None, "reflect")

    def compute(pixels: Tensor) -> Tensor:
        windows = pixels.unfold(-2, size_y, 1) @ kernel_y.to(pixels.dtype)
        return windows.unfold(-1, size_x, 1) @ kernel_x.to(pixels.dtype)

    return on_tensors.in_float(padded, compute)
