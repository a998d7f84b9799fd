"""`torchvision.transforms.v2`: the transforms on whole samples, images with boxes, masks, labels.

In: any nesting of tuples, lists and dictionaries. Out: the same, its images transformed, its masks
and boxes with them, by the same random choices; everything else is left alone. Where no image says
that it is one (a Pillow image, `tv_tensors.Image` or `Video`), the first plain tensor is taken for
it. Invariant: on one image a transform does what the one of the same name in `transforms` does;
that one does the work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import PIL.Image

import rushlight
from rushlight import Tensor, nn
from rushlight.utils._pytree import tree_flatten, tree_unflatten

from ... import tv_tensors
from .. import chance, fixed, levels
from ..functional import InterpolationMode
from . import functional
from .mixing import CutMix, MixUp

# Of those that change what pixels say, not where they are: masks and boxes stay as they are.
_OF_PIXELS = {
    "ColorJitter",
    "ConvertImageDtype",
    "GaussianBlur",
    "Grayscale",
    "LinearTransformation",
    "Normalize",
    "PILToTensor",
    "RandAugment",
    "RandomAdjustSharpness",
    "RandomAutocontrast",
    "RandomEqualize",
    "RandomErasing",
    "RandomGrayscale",
    "RandomInvert",
    "RandomPosterize",
    "RandomSolarize",
    "ToPILImage",
    "ToTensor",
    "TrivialAugmentWide",
}
_OF_PLACES = {
    "CenterCrop",
    "FiveCrop",
    "Pad",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomPerspective",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "TenCrop",
}
_OWN = (
    "Compose",
    "CutMix",
    "Identity",
    "InterpolationMode",
    "Lambda",
    "MixUp",
    "RandomApply",
    "RandomChoice",
    "RandomOrder",
    "ToDtype",
    "ToImage",
    "ToPureTensor",
    "Transform",
    "functional",
)
__all__ = sorted({*_OF_PIXELS, *_OF_PLACES, *_OWN})

_IMAGES = (PIL.Image.Image, tv_tensors.Image, tv_tensors.Video)
_COMPANIONS = (tv_tensors.Mask, tv_tensors.BoundingBoxes)


def _places(leaves: list[Any], companions: bool) -> list[int]:
    """Which of the values of a sample a transform takes."""
    said = any(isinstance(leaf, _IMAGES) for leaf in leaves)
    chosen, plain = [], False
    for place, leaf in enumerate(leaves):
        if isinstance(leaf, _COMPANIONS):
            taken = companions
        elif isinstance(leaf, Tensor) and not isinstance(leaf, tv_tensors.TVTensor):
            taken = not said and not plain
            plain = True
        else:
            taken = isinstance(leaf, _IMAGES)
        if taken:
            chosen.append(place)
    return chosen


def _apply(change: Callable[[Any], Any], inputs: tuple[Any, ...], companions: bool) -> Any:
    """A change of one image, made to a whole sample: the same draws for each of its parts."""
    sample = inputs if len(inputs) > 1 else inputs[0]
    leaves, structure = tree_flatten(sample)
    places = _places(leaves, companions)
    state = rushlight.get_rng_state()
    for number, place in enumerate(places):
        if number:
            rushlight.set_rng_state(state)
        before = leaves[place]
        after = change(before)
        again = isinstance(before, tv_tensors.TVTensor) and type(after) is Tensor
        leaves[place] = tv_tensors.wrap(after, like=before) if again else after
    return tree_unflatten(leaves, structure)


class Transform(nn.Module):
    """A transform of whole samples: `transform(image, params)` says what happens to each image.

    For classes of one's own; `make_params(leaves)` draws what all parts of a sample share.
    """

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """What is drawn once for a sample."""
        return {}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One image, mask or boxes changed."""
        raise NotImplementedError

    def forward(self, *inputs: Any) -> Any:
        sample = inputs if len(inputs) > 1 else inputs[0]
        leaves, structure = tree_flatten(sample)
        places = _places(leaves, companions=True)
        params = self.make_params([leaves[place] for place in places])
        for place in places:
            leaves[place] = self.transform(leaves[place], params)
        return tree_unflatten(leaves, structure)


def _on_samples(name: str, companions: bool) -> type:
    """The class of the same name in `transforms`, taking whole samples."""
    modules = (fixed, chance, levels)
    base = next(getattr(module, name) for module in modules if hasattr(module, name))
    method = "forward" if issubclass(base, nn.Module) else "__call__"
    once = getattr(base, method)

    def call(self: Any, *inputs: Any) -> Any:
        return _apply(lambda image: once(self, image), inputs, companions)

    text = f"{base.__doc__}\n\nTakes whole samples."
    return type(name, (base,), {method: call, "__doc__": text, "__module__": __name__})


for _name in sorted(_OF_PIXELS | _OF_PLACES):
    setattr(sys.modules[__name__], _name, _on_samples(_name, _name in _OF_PLACES))


# ---- several transforms as one


class Compose(fixed.Compose):
    """Apply one transform after another to whole samples."""

    def __call__(self, *inputs: Any) -> Any:
        sample = inputs if len(inputs) > 1 else inputs[0]
        for transform in self.transforms:
            sample = transform(*sample) if len(inputs) > 1 else transform(sample)
        return sample


class RandomApply(chance.RandomApply):
    """Apply all of `transforms` to whole samples, or with probability 1 - p none."""

    def forward(self, *inputs: Any) -> Any:
        return super().forward(inputs if len(inputs) > 1 else inputs[0])


class RandomChoice(nn.Module):
    """Apply one of `transforms`, chosen with the weights `p`, by rushlight's generator."""

    def __init__(
        self, transforms: Sequence[Callable[[Any], Any]], p: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        if p is not None and len(p) != len(transforms):
            raise ValueError(f"Length of p doesn't match the number of transforms: {len(p)}")
        weights = [1.0] * len(transforms) if p is None else list(p)
        self.transforms = transforms
        self.p = [weight / sum(weights) for weight in weights]

    def forward(self, *inputs: Any) -> Any:
        index = int(rushlight.multinomial(rushlight.tensor(self.p), 1).item())
        return self.transforms[index](*inputs)


class RandomOrder(nn.Module):
    """Apply all of `transforms` in a random order."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        super().__init__()
        self.transforms = transforms

    def forward(self, *inputs: Any) -> Any:
        sample = inputs if len(inputs) > 1 else inputs[0]
        for index in rushlight.randperm(len(self.transforms)).tolist():
            sample = self.transforms[index](sample)
        return sample


# ---- kinds and dtypes


class Identity(nn.Module):
    """Nothing at all."""

    def forward(self, *inputs: Any) -> Any:
        return inputs if len(inputs) > 1 else inputs[0]


class Lambda(nn.Module):
    """A function of the user's, on the values of the given types in a sample."""

    def __init__(self, lambd: Callable[[Any], Any], *types: type) -> None:
        super().__init__()
        self.lambd, self.types = lambd, types or (object,)

    def forward(self, *inputs: Any) -> Any:
        leaves, structure = tree_flatten(inputs if len(inputs) > 1 else inputs[0])
        made = [self.lambd(leaf) if isinstance(leaf, self.types) else leaf for leaf in leaves]
        return tree_unflatten(made, structure)


class ToImage(nn.Module):
    """Pillow images, arrays and plain tensors as `tv_tensors.Image`, values unchanged.

    >>> import numpy
    >>> from rushlight.vision.transforms import v2
    >>> v2.ToImage()(numpy.zeros((2, 4, 3), numpy.uint8)).shape
    torch.Size([3, 2, 4])
    """

    def forward(self, *inputs: Any) -> Any:
        import numpy

        leaves, structure = tree_flatten(inputs if len(inputs) > 1 else inputs[0])
        for place in range(len(leaves)):
            if isinstance(leaves[place], numpy.ndarray):
                leaves[place] = functional.to_image(leaves[place])
        return _apply(functional.to_image, (tree_unflatten(leaves, structure),), False)


class ToDtype(nn.Module):
    """Images in another dtype, with `scale` so that white stays white.

    `dtype` is for images and plain tensors; or a dictionary from types to dtypes, of which
    "others" is the one for all the rest.
    """

    def __init__(self, dtype: Any, scale: bool = False) -> None:
        super().__init__()
        self.dtype, self.scale = dtype, scale

    def _one(self, value: Any) -> Any:
        dtype = self.dtype
        if isinstance(dtype, Mapping):
            dtype = dtype.get(type(value), dtype.get("others"))
        if dtype is None:
            return value
        picture = not isinstance(value, _COMPANIONS)
        return functional.to_dtype(value, dtype, scale=self.scale and picture)

    def forward(self, *inputs: Any) -> Any:
        return _apply(self._one, inputs, isinstance(self.dtype, Mapping))


class ToPureTensor(nn.Module):
    """Tensors that say what they are as plain ones."""

    def forward(self, *inputs: Any) -> Any:
        leaves, structure = tree_flatten(inputs if len(inputs) > 1 else inputs[0])
        pure = [x.as_subclass(Tensor) if isinstance(x, tv_tensors.TVTensor) else x for x in leaves]
        return tree_unflatten(pure, structure)
