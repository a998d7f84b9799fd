"""Attention whose scores and mask a program writes itself: `torch.nn.attention.flex_attention`.

In: queries, keys, values, a function of scores, a function that says which keys a query sees. Out:
weighted sums of the values. Invariant: both functions are called once, on index tensors that
broadcast to (batch, head, query, key), and mean what they say for each element.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import rushlight
from rushlight import Tensor

__all__ = [
    "AuxOutput",
    "AuxRequest",
    "BlockMask",
    "and_masks",
    "create_block_mask",
    "create_mask",
    "flex_attention",
    "noop_mask",
    "or_masks",
]

MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
ScoreMod = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
_mask_mod_signature, _score_mod_signature = MaskMod, ScoreMod
_DEFAULT_SPARSE_BLOCK_SIZE = 128


class AuxRequest(NamedTuple):
    """Which further results `flex_attention` shall give."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """The logarithm of the sum of exponentials of each query's scores, and their maximum."""

    lse: Tensor | None = None
    max_scores: Tensor | None = None


def noop_mask(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
    """Every query sees every key."""
    return (b + h + q_idx + kv_idx) >= 0


def and_masks(*mask_mods: MaskMod) -> MaskMod:
    """A key is seen where all of them say so."""

    def both(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        seen = noop_mask(b, h, q_idx, kv_idx)
        for mod in mask_mods:
            seen = seen & mod(b, h, q_idx, kv_idx)
        return seen

    return both


def or_masks(*mask_mods: MaskMod) -> MaskMod:
    """A key is seen where one of them says so."""

    def either(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        seen = ~noop_mask(b, h, q_idx, kv_idx)
        for mod in mask_mods:
            seen = seen | mod(b, h, q_idx, kv_idx)
        return seen

    return either


def _indices(*sizes: int) -> list[Tensor]:
    """For each dimension its indices, shaped to broadcast against the others."""
    count = len(sizes)
    return [
        rushlight.arange(size).view([-1 if d == axis else 1 for d in range(count)])
        for axis, size in enumerate(sizes)
    ]


def create_mask(
    mod_fn: Callable[..., Tensor],
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = "cpu",
) -> Tensor:
    """The mask as a tensor of booleans, shape (B, H, Q_LEN, KV_LEN)."""
    sizes = (B or 1, H or 1, Q_LEN, KV_LEN)
    return rushlight.as_tensor(mod_fn(*_indices(*sizes))).expand(sizes)


class BlockMask:
    """Which keys each query sees, by a function; made by `create_block_mask`."""

    def __init__(
        self, shape: tuple[int, int, int, int], mask_mod: MaskMod, block: tuple[int, int]
    ) -> None:
        self.shape, self.mask_mod, self.BLOCK_SIZE = shape, mask_mod, block
        self.seq_lengths = shape[2:]

    def _blocks(self) -> Tensor:
        """The share of seen keys in each block of queries and keys."""
        batch, heads, queries, keys = self.shape
        rows, columns = (math.ceil(n / b) for n, b in zip((queries, keys), self.BLOCK_SIZE))
        mask = create_mask(self.mask_mod, *self.shape).float()
        padded = rushlight.nn.functional.pad(
            mask,
            (0, columns * self.BLOCK_SIZE[1] - keys, 0, rows * self.BLOCK_SIZE[0] - queries),
        )
        cut = padded.view(batch, heads, rows, self.BLOCK_SIZE[0], columns, self.BLOCK_SIZE[1])
        return cut.mean(dim=(3, 5))

    def to_dense(self) -> Tensor:
        """1 for each block in which some query sees some key, else 0."""
        return (self._blocks() > 0).to(rushlight.int32)

    def sparsity(self) -> float:
        """The percentage of blocks in which no query sees any key."""
        return 100.0 * (1 - self.to_dense().float().mean().item())

    def to(self, device: Any) -> BlockMask:
        """The same mask: it holds no tensors."""
        return self

    def numel(self) -> int:
        """The number of pairs that it speaks of."""
        return math.prod(self.shape)

    def __repr__(self) -> str:
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%)"


def create_block_mask(
    mask_mod: MaskMod,
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = None,
    BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
    _compile: bool = False,
) -> BlockMask:
    """A mask from `mask_mod(b, h, q_idx, kv_idx)`, True where the query sees the key.

    `B` and `H` are None where the mask does not depend on them.
    """
    block = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else tuple(BLOCK_SIZE)
    return BlockMask((B or 1, H or 1, Q_LEN, KV_LEN), mask_mod, (block[0], block[1]))


def flex_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: ScoreMod | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: dict[str, Any] | None = None,
    *,
    return_aux: AuxRequest | None = None,
) -> Any:
    """softmax(score_mod(Q K^T scale)) V over the keys that the mask lets each query see.

    Shapes: query (B, Hq, L, E), key (B, Hkv, S, E), value (B, Hkv, S, Ev), result (B, Hq, L, Ev).
    `score_mod(score, b, h, q_idx, kv_idx)` changes a score. A query that sees no key gives zeros.
    Errors: ValueError for other numbers of dimensions, or of heads without `enable_gqa`.

    Follows `torch.nn.attention.flex_attention.flex_attention`.

    >>> import rushlight as rl
    >>> from rushlight.nn.attention.flex_attention import flex_attention
    >>> x = rl.ones(1, 1, 3, 4)
    >>> flex_attention(x, x, x, lambda s, b, h, q, k: s - (q - k).abs()).shape
    torch.Size([1, 1, 3, 4])
    """
    if query.dim() != 4 or key.dim() != 4 or value.dim() != 4:
        raise NotImplementedError("flex_attention: query, key and value must be 4 dimensional")
    groups, rest = divmod(query.size(1), key.size(1))
    if (groups != 1 and not enable_gqa) or rest:
        raise ValueError(
            f"flex_attention: query has {query.size(1)} heads and key {key.size(1)}; they must be "
            "equal, or a multiple with enable_gqa=True"
        )
    if groups > 1:
        key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
    factor = 1.0 / math.sqrt(query.size(-1)) if scale is None else scale
    scores = (query @ key.transpose(-2, -1)).float() * factor
    places = _indices(*scores.shape)
    if score_mod is not None:
        scores = score_mod(scores, *places)
    if block_mask is not None:
        scores = scores.masked_fill(~block_mask.mask_mod(*places), -math.inf)
    highest = scores.amax(-1, keepdim=True)
    shift = highest.detach().masked_fill(highest.detach() == -math.inf, 0.0)
    weights = (scores - shift).exp()
    total = weights.sum(-1, keepdim=True)
    result = ((weights / total.masked_fill(total == 0, 1.0)).to(value.dtype)) @ value
    lse = (total.log() + shift).squeeze(-1)
    if return_aux is not None:
        wanted = (lse if return_aux.lse else None, highest.squeeze(-1))
        return result, AuxOutput(wanted[0], wanted[1] if return_aux.max_scores else None)
    return (result, lse) if return_lse else result
