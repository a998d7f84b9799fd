"""MLP-Mixer, with timm's parameter names.

In: (N, C, H, W) of the one size that the model was built for. Out: (N, num_classes) scores.
"""

from __future__ import annotations

from typing import Any

from rushlight import Tensor, nn
from rushlight.nn import functional

from .common import DropPath, ImageModel, Mlp, initialise_tokens, linear_rates
from .registry import ModelConfig, register_variants
from .vision_transformer import PatchEmbed

__all__ = ["MlpMixer"]

EPSILON = 1e-6


class MixerBlock(nn.Module):
    """An mlp across the tokens of each channel, then one across the channels of each token."""

    def __init__(self, width: int, tokens: int, drop: float, rate: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp_tokens = Mlp(tokens, width // 2, drop)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp_channels = Mlp(width, 4 * width, drop)
        self.drop_path = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:
        """(N, tokens, width) -> the same."""
        across = self.mlp_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.drop_path(across)
        out: Tensor = x + self.drop_path(self.mlp_channels(self.norm2(x)))
        return out


class MlpMixer(ImageModel):
    """Patches mixed by two kinds of mlp alone.

    Follows Tolstikhin et al., "MLP-Mixer: an all-MLP architecture for vision" (2021).

    >>> import rushlight as rl
    >>> model = rl.models.create_model("mixer_s32_224", num_classes=3, image_size=64)
    >>> model.blocks[0].mlp_tokens.fc1.weight.shape
    torch.Size([256, 4])
    """

    classifier_names = ("head",)

    def __init__(
        self,
        num_classes: int = 1000,
        in_chans: int = 3,
        image_size: int = 224,
        patch: int = 16,
        width: int = 512,
        depth: int = 8,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if image_size % patch:
            raise ValueError(f"image_size {image_size} is no multiple of the patch, {patch}")
        self.image_size, self.drop_rate = image_size, drop_rate
        self.stem = PatchEmbed(in_chans, width, patch)
        tokens = (image_size // patch) ** 2
        rates = linear_rates(drop_path_rate, depth)
        self.blocks = nn.Sequential(
            *(MixerBlock(width, tokens, drop_rate, next(rates)) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.head = nn.Linear(width, num_classes)
        initialise_tokens(self)

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, tokens, width), normalised."""
        if x.shape[2] != self.image_size or x.shape[3] != self.image_size:
            raise RuntimeError(
                f"the model takes images of {self.image_size}x{self.image_size} pixels, "
                f"got {x.shape[2]}x{x.shape[3]}; build it with image_size={x.shape[2]}"
            )
        out: Tensor = self.norm(self.blocks(self.stem(x)))
        return out

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The mean of the tokens, and its scores."""
        x = functional.dropout(x.mean(1), self.drop_rate, self.training)
        return x if pre_logits else self.head(x)


CONFIG = ModelConfig(
    fixed_input_size=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    first_conv="stem.proj",
    classifier="head",
    paper="Tolstikhin et al. 2021, arXiv:2105.01601",
)
_SIZES: dict[str, dict[str, Any]] = {
    "s": {"width": 512, "depth": 8},
    "b": {"width": 768, "depth": 12},
    "l": {"width": 1024, "depth": 24},
}
_PUBLISHED = {"mixer_b16_224", "mixer_l16_224"}
register_variants(
    MlpMixer,
    CONFIG,
    {
        name: (
            {**_SIZES[size], "patch": patch},
            {"tag": "goog_in21k_ft_in1k"} if name in _PUBLISHED else {},
        )
        for size in _SIZES
        for patch in (32, 16)
        for name in [f"mixer_{size}{patch}_224"]
    },
)
