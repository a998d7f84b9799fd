"""What families of image models share: the outer shape of a classifier, and a few layers.

In and out: as `ImageModel.forward`. Invariant: nothing here owns a parameter under a name of its
own choosing; names are those that the family's published weights use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import rushlight
from rushlight import Tensor, nn
from rushlight.nn import functional

__all__ = ["DropPath", "ImageModel", "Mlp", "SameConv2d", "linear_rates", "round_channels"]


class ImageModel(nn.Module):
    """A classifier of images: features of the image, then a head that pools and scores them.

    A family defines `forward_features` and `forward_head`; `classifier_names` are the linear
    layers whose outputs are classes. The division follows timm's models.
    """

    classifier_names: tuple[str, ...] = ("fc",)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, num_classes)."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> what the head takes: a smaller image or a row of tokens."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward_features")

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Features -> (N, num_classes); with `pre_logits`, what the classifier would be given."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward_head")

    def get_classifier(self) -> nn.Module:
        """The (first) layer that scores classes."""
        return self.get_submodule(self.classifier_names[0])

    def reset_classifier(self, num_classes: int) -> None:
        """Put fresh classifiers for `num_classes` classes in place; 0 leaves the pooled features.

        >>> import rushlight as rl
        >>> model = rl.models.create_model("mobilenetv3_small_050")
        >>> model.reset_classifier(3)
        >>> model(rl.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 3])
        """
        for name in self.classifier_names:
            old = self.get_submodule(name)
            if not isinstance(old, nn.Linear):
                raise RuntimeError(f"reset_classifier: {name} is no linear layer any more")
            device, dtype = old.weight.device, old.weight.dtype
            new: nn.Module = nn.Identity()
            if num_classes > 0:
                new = nn.Linear(old.in_features, num_classes, device=device, dtype=dtype)
            parent, _, leaf = name.rpartition(".")
            setattr(self.get_submodule(parent), leaf, new)

    def adapted_weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A checkpoint's tensors as this model wants them; families whose tensors depend on the
        image's size resample theirs here.
        """
        return dict(state)


class DropPath(nn.Module):
    """Stochastic depth: in training, each sample's branch is dropped with probability `rate`, and
    the others are divided by `1 - rate` (Huang et al. 2016, arXiv:1603.09382).
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) -> (N, ...)."""
        if self.rate == 0.0 or not self.training:
            return x
        keep = 1.0 - self.rate
        mask = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * mask.div_(keep) if keep > 0 else x * mask

    def extra_repr(self) -> str:
        """What `print` shows in the brackets."""
        return f"rate={self.rate}"


class Mlp(nn.Module):
    """`fc2(gelu(fc1(x)))` on the last axis; with `convolutional`, as 1x1 convolutions."""

    def __init__(
        self, width: int, hidden: int, drop: float = 0.0, convolutional: bool = False
    ) -> None:
        super().__init__()
        self.fc1: nn.Module
        self.fc2: nn.Module
        if convolutional:
            self.fc1, self.fc2 = nn.Conv2d(width, hidden, 1), nn.Conv2d(hidden, width, 1)
        else:
            self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        """The shape stays."""
        x = self.drop(functional.gelu(self.fc1(x)))
        out: Tensor = self.drop(self.fc2(x))
        return out


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME": ceil(size / stride) positions, the odd pixel of
    padding below and to the right. How much that is depends on the image.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        padding: list[int] = []
        for axis in (1, 0):  # `pad` begins at the last axis
            size, kernel, stride = x.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            total = max((-(size // -stride) - 1) * stride + kernel - size, 0)
            padding += [total // 2, total - total // 2]
        out: Tensor = super().forward(functional.pad(x, padding))
        return out


def round_channels(channels: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `channels`, but never less than nine tenths of it."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def linear_rates(last: float, count: int) -> Iterator[float]:
    """Rates that rise evenly from 0 to `last`, for the `count` blocks of a network in order."""
    return (last * index / max(count - 1, 1) for index in range(count))


def initialise_tokens(model: nn.Module, deviation: float = 0.02) -> None:
    """The initial values of transformers: matrices from a truncated normal, biases zero."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def initialise_convolutions(model: nn.Module) -> None:
    """The initial values of convolution nets: Kaiming's normal over the fan-out, biases zero."""
    with rushlight.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.weight[:, 0].numel() // module.groups
                module.weight.normal_(0.0, (2.0 / fan_out) ** 0.5)
                if module.bias is not None:
                    module.bias.zero_()
