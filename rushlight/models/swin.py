"""Swin transformers, with timm's parameter names.

In: (N, C, H, W) of the one size that the model was built for, a multiple of 32 pixels.
Out: (N, num_classes) scores. Invariant: images between stages are (N, H, W, width).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import rushlight
from rushlight import Tensor, nn
from rushlight.nn import functional

from .common import DropPath, ImageModel, Mlp, initialise_tokens, linear_rates
from .registry import ModelConfig, register_variants

__all__ = ["SwinTransformer"]


def relative_positions(window: int) -> Tensor:
    """(w^2, w^2): for each pair of pixels of a window, the row of its distance in a bias table.

    >>> import rushlight as rl
    >>> relative_positions(2)[0].tolist()
    [4, 3, 1, 0]
    """
    axis = rushlight.arange(window)
    rows, columns = (part.flatten() for part in rushlight.meshgrid(axis, axis, indexing="ij"))
    down = rows[:, None] - rows[None, :] + window - 1
    right = columns[:, None] - columns[None, :] + window - 1
    return down * (2 * window - 1) + right


def window_mask(size: int, window: int, shift: int) -> Tensor:
    """(windows, w^2, w^2): -100 between pixels that lie together only because the image was rolled
    by `shift`, 0 elsewhere.
    """
    bands = rushlight.zeros(size, dtype=rushlight.int64)
    bands[size - window : size - shift] = 1
    bands[size - shift :] = 2
    regions = (bands[:, None] * 3 + bands[None, :])[None, :, :, None]
    regions = split_windows(regions, window)[..., 0]
    apart = regions[:, :, None] != regions[:, None, :]
    return apart.to(rushlight.float32) * -100.0


def split_windows(x: Tensor, window: int) -> Tensor:
    """(N, H, W, C) -> (N * H / w * W / w, w^2, C)."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // window, window, width // window, window, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, window * window, channels)


def join_windows(windows: Tensor, size: int, window: int) -> Tensor:
    """The inverse of `split_windows` for square images."""
    across = size // window
    x = windows.reshape(-1, across, across, window, window, windows.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, size, size, windows.shape[-1])


class WindowAttention(nn.Module):
    """Multi-head self-attention inside windows, with a learned bias for every distance."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        distances = (2 * window - 1) ** 2
        self.relative_position_bias_table = nn.Parameter(rushlight.zeros(distances, heads))
        self.register_buffer(
            "relative_position_index", relative_positions(window), persistent=False
        )
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def bias(self) -> Tensor:
        """(1, heads, w^2, w^2)."""
        table = self.relative_position_bias_table[self.relative_position_index.flatten()]
        pixels = self.window**2
        return table.reshape(pixels, pixels, self.heads).permute(2, 0, 1)[None]

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(N * windows, w^2, width) -> the same."""
        batch, pixels, width = x.shape
        qkv = self.qkv(x).reshape(batch, pixels, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.bias()
        if mask is not None:
            repeats = batch // mask.shape[0]
            bias = bias + mask.to(bias.dtype)[:, None].repeat(repeats, 1, 1, 1)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, pixels, width))
        return out


class Block(nn.Module):
    """Attention inside windows of the image, rolled by `shift` first, then an mlp."""

    mask: Tensor | None

    def __init__(
        self, width: int, heads: int, size: int, window: int, shift: int, drop: float, rate: float
    ) -> None:
        super().__init__()
        if size <= window:  # one window holds the whole image
            window, shift = size, 0
        if size % window:
            raise ValueError(f"an image of {size} patches cannot be cut into windows of {window}")
        self.size, self.window, self.shift = size, window, shift
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, window)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, 4 * width, drop)
        self.drop_path = DropPath(rate)
        mask = window_mask(size, window, shift) if shift else None
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, width) -> the same."""
        normed = self.norm1(x)
        if self.shift:
            normed = normed.roll((-self.shift, -self.shift), (1, 2))
        mixed = self.attn(split_windows(normed, self.window), self.mask)
        mixed = join_windows(mixed, self.size, self.window)
        if self.shift:
            mixed = mixed.roll((self.shift, self.shift), (1, 2))
        x = x + self.drop_path(mixed)
        out: Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return out


class PatchMerging(nn.Module):
    """Four neighbours become one pixel of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, width) -> (N, H / 2, W / 2, 2 * width)."""
        batch, height, width, channels = x.shape
        x = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
        x = x.permute(0, 1, 3, 4, 2, 5).flatten(3)
        out: Tensor = self.reduction(self.norm(x))
        return out


class SwinStage(nn.Module):
    """Half the size where `halve` says so, then blocks of which every second one is shifted."""

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        size: int,
        window: int,
        halve: bool,
        drop: float,
        rates: Iterator[float],
    ) -> None:
        super().__init__()
        self.downsample = PatchMerging(width // 2) if halve else nn.Identity()
        self.blocks = nn.Sequential(
            *(
                Block(width, heads, size, window, window // 2 * (index % 2), drop, next(rates))
                for index in range(depth)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) -> (N, size, size, width)."""
        out: Tensor = self.blocks(self.downsample(x))
        return out


class NormedPatches(nn.Module):
    """Patches of 4x4 pixels, by a linear map, normalised."""

    def __init__(self, in_chans: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_chans, width, 4, stride=4)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, H / 4, W / 4, width)."""
        out: Tensor = self.norm(self.proj(x).permute(0, 2, 3, 1))
        return out


class SwinTransformer(ImageModel):
    """A transformer whose attention stays inside windows, and whose windows shift.

    Follows Liu, Lin, Cao, Hu, Wei, Zhang, Lin and Guo, "Swin transformer: hierarchical vision
    transformer using shifted windows" (2021).

    >>> import rushlight as rl
    >>> model = rl.models.create_model("swin_tiny_patch4_window7_224", num_classes=3)
    >>> model.layers[1].downsample.reduction.weight.shape
    torch.Size([192, 384])
    """

    classifier_names = ("head.fc",)

    def __init__(
        self,
        width: int,
        depths: Sequence[int],
        heads: Sequence[int],
        num_classes: int = 1000,
        in_chans: int = 3,
        image_size: int = 224,
        window: int = 7,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
    ) -> None:
        super().__init__()
        if image_size % 32:
            raise ValueError(f"image_size {image_size} is no multiple of 32")
        self.image_size, self.drop_rate = image_size, drop_rate
        self.patch_embed = NormedPatches(in_chans, width)
        rates = linear_rates(drop_path_rate, sum(depths))
        stages = []
        for index, (depth, count) in enumerate(zip(depths, heads, strict=True)):
            size = image_size // 4 // 2**index
            stages.append(
                SwinStage(width * 2**index, depth, count, size, window, index > 0, drop_rate, rates)
            )
        self.layers = nn.Sequential(*stages)
        channels = width * 2 ** (len(depths) - 1)
        self.norm = nn.LayerNorm(channels)
        self.head = nn.Sequential()
        self.head.add_module("fc", nn.Linear(channels, num_classes))
        initialise_tokens(self)

    def forward_features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, H / 32, W / 32, channels), normalised."""
        if x.shape[2] != self.image_size or x.shape[3] != self.image_size:
            raise RuntimeError(
                f"the model takes images of {self.image_size}x{self.image_size} pixels, "
                f"got {x.shape[2]}x{x.shape[3]}; build it with image_size={x.shape[2]}"
            )
        out: Tensor = self.norm(self.layers(self.patch_embed(x)))
        return out

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The mean over the image, and its scores."""
        x = functional.dropout(x.mean((1, 2)), self.drop_rate, self.training)
        return x if pre_logits else self.head(x)

    def adapted_weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The bias tables of a checkpoint for other windows, by bicubic interpolation."""
        own = self.state_dict()
        adapted = dict(state)
        for name, table in state.items():
            if name.endswith("relative_position_bias_table") and name in own:
                adapted[name] = resized_table(table, own[name].shape[0])
        return adapted


def resized_table(table: Tensor, count: int) -> Tensor:
    """(s^2, heads) -> (count, heads): the square of distances stretched, bicubic."""
    if table.shape[0] == count:
        return table
    old, new = round(table.shape[0] ** 0.5), round(count**0.5)
    square = table.float().permute(1, 0).reshape(1, -1, old, old)
    square = functional.interpolate(square, size=(new, new), mode="bicubic", align_corners=False)
    return square.reshape(-1, count).permute(1, 0).contiguous().to(table.dtype)


CONFIG = ModelConfig(
    fixed_input_size=True,
    smallest_size=32,
    crop_pct=0.9,
    first_conv="patch_embed.proj",
    classifier="head.fc",
    paper="Liu et al. 2021, arXiv:2103.14030",
    tag="ms_in22k_ft_in1k",
)
_TINY = {"width": 96, "depths": (2, 2, 6, 2), "heads": (3, 6, 12, 24)}
_SMALL = {"width": 96, "depths": (2, 2, 18, 2), "heads": (3, 6, 12, 24)}
_BASE = {"width": 128, "depths": (2, 2, 18, 2), "heads": (4, 8, 16, 32)}
_LARGE = {"width": 192, "depths": (2, 2, 18, 2), "heads": (6, 12, 24, 48)}
register_variants(
    SwinTransformer,
    CONFIG,
    {
        "swin_tiny_patch4_window7_224": (_TINY, {"tag": "ms_in1k"}),
        "swin_small_patch4_window7_224": (_SMALL, {}),
        "swin_base_patch4_window7_224": (_BASE, {}),
        "swin_base_patch4_window12_384": (
            {**_BASE, "image_size": 384, "window": 12},
            {"input_size": (3, 384, 384), "crop_pct": 1.0},
        ),
        "swin_large_patch4_window7_224": (_LARGE, {}),
    },
)
