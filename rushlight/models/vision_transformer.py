"""Vision transformers and DeiT, with timm's parameter names.

In: (N, C, H, W) of the one size that the model was built for. Out: (N, num_classes) scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import rushlight
from rushlight import Tensor, nn
from rushlight.nn import functional

from .common import DropPath, ImageModel, Mlp, initialise_tokens, linear_rates
from .registry import ModelConfig, register_variants

__all__ = ["Attention", "PatchEmbed", "VisionTransformer"]

EPSILON = 1e-6


class PatchEmbed(nn.Module):
    """An image as a row of tokens: one for every patch, by a linear map of its pixels."""

    def __init__(self, in_chans: int, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_chans, width, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, H / patch * W / patch, width)."""
        out: Tensor = self.proj(x).flatten(2).transpose(1, 2)
        return out


class Attention(nn.Module):
    """Multi-head self-attention with one matrix for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(N, tokens, width) -> the same; `mask` is added to the scores before the softmax."""
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return out


class LayerScale(nn.Module):
    """Each channel multiplied by a learned factor that starts near zero
    (Touvron et al. 2021, arXiv:2103.17239).
    """

    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(rushlight.full((width,), start))

    def forward(self, x: Tensor) -> Tensor:
        """The shape stays."""
        return x * self.gamma


class Block(nn.Module):
    """`x + attention(norm(x))`, then `x + mlp(norm(x))`."""

    def __init__(self, width: int, heads: int, scale: float, drop: float, rate: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.attn = Attention(width, heads)
        self.ls1 = LayerScale(width, scale) if scale else nn.Identity()
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = Mlp(width, 4 * width, drop)
        self.ls2 = LayerScale(width, scale) if scale else nn.Identity()
        self.drop_path = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:
        """(N, tokens, width) -> the same."""
        x = x + self.drop_path(self.ls1(self.attn(self.norm1(x))))
        out: Tensor = x + self.drop_path(self.ls2(self.mlp(self.norm2(x))))
        return out


class VisionTransformer(ImageModel):
    """A transformer over the patches of an image.

    Follows Dosovitskiy et al., "An image is worth 16x16 words" (2020); `distilled` adds the token
    and the second classifier of Touvron et al. (DeiT, 2020), whose scores are averaged with the
    first's; `layer_scale` and `plain_class_token`
    (no position for the class token) are DeiT III's (2022).

    >>> import rushlight as rl
    >>> model = rl.models.create_model("vit_tiny_patch16_224", num_classes=3, image_size=32)
    >>> model.pos_embed.shape
    torch.Size([1, 5, 192])
    """

    classifier_names: tuple[str, ...] = ("head",)

    def __init__(
        self,
        num_classes: int = 1000,
        in_chans: int = 3,
        image_size: int = 224,
        patch: int = 16,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        distilled: bool = False,
        layer_scale: float = 0.0,
        plain_class_token: bool = False,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if image_size % patch:
            raise ValueError(f"image_size {image_size} is no multiple of the patch, {patch}")
        self.image_size, self.drop_rate = image_size, drop_rate
        self.prefix = 0 if plain_class_token else 1 + distilled
        self.cls_token = nn.Parameter(rushlight.zeros(1, 1, width))
        positions = self.prefix + (image_size // patch) ** 2
        self.pos_embed = nn.Parameter(rushlight.zeros(1, positions, width))
        if distilled:
            self.dist_token = nn.Parameter(rushlight.zeros(1, 1, width))
            self.classifier_names = ("head", "head_dist")
        self.patch_embed = PatchEmbed(in_chans, width, patch)
        rates = linear_rates(drop_path_rate, depth)
        self.blocks = nn.Sequential(
            *(Block(width, heads, layer_scale, drop_rate, next(rates)) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.head = nn.Linear(width, num_classes)
        if distilled:
            self.head_dist = nn.Linear(width, num_classes)
        self.distilled = distilled
        initialise_tokens(self)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)
        if distilled:
            nn.init.trunc_normal_(self.dist_token, std=0.02)

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, tokens, width), normalised."""
        if x.shape[2] != self.image_size or x.shape[3] != self.image_size:
            raise RuntimeError(
                f"the model takes images of {self.image_size}x{self.image_size} pixels, "
                f"got {x.shape[2]}x{x.shape[3]}; build it with image_size={x.shape[2]}"
            )
        x = self.patch_embed(x)
        special = [self.cls_token.expand(x.shape[0], -1, -1)]
        if self.distilled:
            special.append(self.dist_token.expand(x.shape[0], -1, -1))
        if self.prefix:
            x = rushlight.cat([*special, x], 1) + self.pos_embed
        else:
            x = rushlight.cat([*special, x + self.pos_embed], 1)
        x = functional.dropout(x, self.drop_rate, self.training)
        out: Tensor = self.norm(self.blocks(x))
        return out

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Any:
        """The class token's scores; distilled, the mean with the second token's."""
        if not self.distilled:
            pooled = functional.dropout(x[:, 0], self.drop_rate, self.training)
            return pooled if pre_logits else self.head(pooled)
        pooled, second = x[:, 0], x[:, 1]
        if pre_logits:
            return (pooled + second) / 2
        return (self.head(pooled) + self.head_dist(second)) / 2

    def adapted_weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The positions of a checkpoint for another image size, by bicubic interpolation."""
        adapted = dict(state)
        stored = adapted.get("pos_embed")
        if stored is not None and stored.shape[1] != self.pos_embed.shape[1]:
            adapted["pos_embed"] = resized_positions(stored, self.pos_embed.shape[1], self.prefix)
        return adapted


def resized_positions(positions: Tensor, count: int, prefix: int) -> Tensor:
    """(1, prefix + s^2, width) -> (1, count, width): the square part stretched, bicubic with
    antialiasing.

    >>> import rushlight as rl
    >>> resized_positions(rl.zeros(1, 1 + 16, 8), 1 + 9, 1).shape
    torch.Size([1, 10, 8])
    """
    old, new = math.isqrt(positions.shape[1] - prefix), math.isqrt(count - prefix)
    grid = positions[:, prefix:].reshape(1, old, old, -1).permute(0, 3, 1, 2).float()
    grid = functional.interpolate(grid, size=(new, new), mode="bicubic", antialias=True)
    grid = grid.permute(0, 2, 3, 1).reshape(1, new * new, -1).to(positions.dtype)
    return rushlight.cat([positions[:, :prefix], grid], 1)


SIZES: dict[str, dict[str, int]] = {
    "tiny": {"width": 192, "heads": 3},
    "small": {"width": 384, "heads": 6},
    "base": {"width": 768, "heads": 12},
    "large": {"width": 1024, "heads": 16, "depth": 24},
}
CONFIG = ModelConfig(
    fixed_input_size=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    crop_pct=0.9,
    first_conv="patch_embed.proj",
    classifier="head",
    paper="Dosovitskiy et al. 2020, arXiv:2010.11929",
)
_DEIT: dict[str, Any] = {
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "tag": "fb_in1k",
    "paper": "Touvron et al. 2020, arXiv:2012.12877",
}
_DEIT3: dict[str, Any] = {**_DEIT, "paper": "Touvron et al. 2022, arXiv:2204.07118"}
# size, patch, image, tag
_VIT = (
    ("tiny", 16, 224, "augreg_in21k_ft_in1k"),
    ("small", 32, 224, "augreg_in21k_ft_in1k"),
    ("small", 16, 224, "augreg_in21k_ft_in1k"),
    ("base", 32, 224, "augreg_in21k_ft_in1k"),
    ("base", 16, 224, "augreg2_in21k_ft_in1k"),
    ("base", 16, 384, "augreg_in21k_ft_in1k"),
    ("base", 8, 224, "augreg2_in21k_ft_in1k"),
    ("large", 16, 224, "augreg_in21k_ft_in1k"),
    ("large", 32, 384, "orig_in21k_ft_in1k"),
)
register_variants(
    VisionTransformer,
    CONFIG,
    {
        f"vit_{size}_patch{patch}_{image}": (
            {**SIZES[size], "patch": patch, "image_size": image},
            {
                "tag": tag,
                "input_size": (3, image, image),
                "crop_pct": 1.0 if image == 384 else 0.9,
            },
        )
        for size, patch, image, tag in _VIT
    }
    | {f"deit_{size}_patch16_224": (SIZES[size], _DEIT) for size in ("tiny", "small", "base")}
    | {
        f"deit_{size}_distilled_patch16_224": (
            {**SIZES[size], "distilled": True},
            {**_DEIT, "classifier": ("head", "head_dist")},
        )
        for size in ("tiny", "small", "base")
    }
    | {
        f"deit3_{size}_patch16_224": (
            {**SIZES[size], "layer_scale": 1e-6, "plain_class_token": True},
            _DEIT3,
        )
        for size in ("small", "base")
    },
)
