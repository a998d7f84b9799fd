"""Functions of the torch namespace that nn.functional stands on: `torch.kl_div`,
`torch.grid_sampler`, ...

In: tensors, and numbers where nn.functional takes words (reduction 0 none, 1 mean, 2 sum). Out:
tensors. Invariant: each is the function of nn.functional, called with the word that the number
stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn import functional as F

_REDUCTIONS = ("none", "mean", "sum")
_INTERPOLATIONS = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")
_BAGS = ("sum", "mean", "max")
_CONVOLUTIONS = {
    (False, 1): "conv1d",
    (False, 2): "conv2d",
    (False, 3): "conv3d",
    (True, 1): "conv_transpose1d",
    (True, 2): "conv_transpose2d",
    (True, 3): "conv_transpose3d",
}


def _word(role: str, words: Sequence[str], number: int) -> str:
    """The word that a number stands for; RuntimeError for another number."""
    if isinstance(number, str):
        raise TypeError(f"{role} must be int, not str: {dict(enumerate(words))}")
    if not 0 <= number < len(words):
        raise RuntimeError(f"{role} must be one of {dict(enumerate(words))}, but got {number}")
    return words[number]


def _loss(name: str, defaults: dict[str, Any], keywords: tuple[str, ...] = ()) -> Callable:
    """torch.<name>: the loss of nn.functional, its reduction given as a number.

    `defaults`: the parameters behind the tensors, in order; `keywords`: those that only a name
    reaches.
    """

    def function(*args: Any, **kwargs: Any) -> Tensor:
        positional = [n for n in defaults if n not in keywords]
        tensors = args[: TENSORS[name]]
        given = dict(zip(positional, args[TENSORS[name] :], strict=False))
        clash = [n for n in given if n in kwargs]
        if clash or len(args) > TENSORS[name] + len(positional):
            raise TypeError(f"{name}() got too many values for {clash or positional}")
        chosen = {**defaults, **given, **kwargs}
        chosen["reduction"] = _word("reduction", _REDUCTIONS, chosen["reduction"])
        return getattr(F, name)(*tensors, **chosen)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"nn.functional.{name}, the reduction as a number: 0 none, 1 mean, 2 sum. Follows "
        f"`torch.{name}`."
    )
    return function


# how many leading parameters are tensors that must be given
TENSORS = {
    "binary_cross_entropy_with_logits": 2,
    "cosine_embedding_loss": 3,
    "ctc_loss": 4,
    "hinge_embedding_loss": 2,
    "kl_div": 2,
    "margin_ranking_loss": 3,
    "poisson_nll_loss": 2,
    "triplet_margin_loss": 3,
}
binary_cross_entropy_with_logits = _loss(
    "binary_cross_entropy_with_logits", {"weight": None, "pos_weight": None, "reduction": 1}
)
cosine_embedding_loss = _loss("cosine_embedding_loss", {"margin": 0.0, "reduction": 1})
ctc_loss = _loss("ctc_loss", {"blank": 0, "reduction": 1, "zero_infinity": False})
hinge_embedding_loss = _loss("hinge_embedding_loss", {"margin": 1.0, "reduction": 1})
kl_div = _loss("kl_div", {"reduction": 1, "log_target": False}, keywords=("log_target",))
margin_ranking_loss = _loss("margin_ranking_loss", {"margin": 0.0, "reduction": 1})
triplet_margin_loss = _loss(
    "triplet_margin_loss", {"margin": 1.0, "p": 2.0, "eps": 1e-6, "swap": False, "reduction": 1}
)


def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int
) -> Tensor:
    """nn.functional.poisson_nll_loss, the reduction as a number. Follows
    `torch.poisson_nll_loss`.
    """
    word = _word("reduction", _REDUCTIONS, reduction)
    return F.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=word)


def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """nn.functional.grid_sample with numbers for its words: interpolation 0 bilinear, 1 nearest,
    2 bicubic; padding 0 zeros, 1 border, 2 reflection. Follows `torch.grid_sampler`.
    """
    mode = _word("interpolation_mode", _INTERPOLATIONS, interpolation_mode)
    outside = _word("padding_mode", _PADDINGS, padding_mode)
    return F.grid_sample(input, grid, mode, outside, align_corners)


def _sampler(rank: int) -> Callable:
    """grid_sampler of images (rank 4) or volumes (rank 5) only."""
    name = f"grid_sampler_{rank - 2}d"

    def function(
        input: Tensor,
        grid: Tensor,
        interpolation_mode: int,
        padding_mode: int,
        align_corners: bool,
    ) -> Tensor:
        if input.dim() != rank or grid.dim() != rank:
            raise RuntimeError(
                f"{name}(): expected {rank}D input and grid, but got input with sizes "
                f"{list(input.shape)} and grid with sizes {list(grid.shape)}"
            )
        return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"grid_sampler of {rank}-dimensional tensors. Follows `torch.{name}`."
    return function


grid_sampler_2d, grid_sampler_3d = _sampler(4), _sampler(5)


def affine_grid_generator(theta: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """nn.functional.affine_grid. Follows `torch.affine_grid_generator`."""
    return F.affine_grid(theta, size, align_corners)


def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Tensor:
    """The convolution, or with `transposed` its transpose, over as many dimensions as the weight
    has beside its channels. RuntimeError for other than one to three. Follows `torch.convolution`.

    >>> import rushlight as rl
    >>> x, w = rl.ones(1, 1, 4), rl.ones(1, 1, 2)
    >>> rl.convolution(x, w, None, [1], [0], [1], False, [0], 1)
    tensor([[[2., 2., 2.]]])
    """
    name = _CONVOLUTIONS.get((bool(transposed), weight.dim() - 2))
    if name is None:
        raise RuntimeError(
            "convolution: expected a weight of 3 to 5 dimensions, but got one of shape "
            f"{list(weight.shape)} for input {list(input.shape)}"
        )
    if transposed:
        return getattr(F, name)(
            input, weight, bias, stride, padding, output_padding, groups, dilation
        )
    return getattr(F, name)(input, weight, bias, stride, padding, dilation, groups)


def embedding_bag(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """nn.functional.embedding_bag with the mode as a number (0 sum, 1 mean, 2 max), the bag of each
    index, the number of indices in each bag that count, and for mode 2 the indices of the maxima
    (else an empty tensor). Follows `torch.embedding_bag`.
    """
    word = _word("mode", _BAGS, mode)
    made = F.embedding_bag(
        indices,
        weight,
        offsets,
        scale_grad_by_freq=scale_grad_by_freq,
        mode=word,
        sparse=sparse,
        per_sample_weights=per_sample_weights,
        include_last_offset=include_last_offset,
        padding_idx=padding_idx,
    )
    count = made.size(0)
    starts = offsets[:count]
    bags = rushlight.bucketize(
        rushlight.arange(indices.numel()), starts.contiguous(), right=True
    ).sub(1)
    row = -1 if padding_idx is None else padding_idx % weight.size(0)
    counted = indices != row
    sizes = rushlight.zeros(count, dtype=offsets.dtype)
    sizes = sizes.index_add(0, bags, counted.to(offsets.dtype))
    if word != "max":
        return made, bags, sizes, offsets.new_empty(0)
    # of each maximum the first place where it stands, then the index at that place
    is_maximum = (weight.detach()[indices] == made.detach()[bags]) & counted.unsqueeze(1)
    places = rushlight.arange(indices.numel()).unsqueeze(1)
    last = indices.numel() - 1
    first = rushlight.full(made.shape, last, dtype=rushlight.int64).scatter_reduce(
        0,
        bags.unsqueeze(1).expand(is_maximum.shape),
        rushlight.where(is_maximum, places, last),
        "amin",
    )
    return made, bags, sizes, indices[first]


def embedding_renorm_(input: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """The rows of a matrix that are named in `indices` scaled down, in place, to the norm
    `max_norm` where theirs is larger. Follows `torch.embedding_renorm_`.

    >>> import rushlight as rl
    >>> rl.embedding_renorm_(rl.tensor([[3., 4.], [6., 8.]]), rl.tensor([0]), 1.0, 2.0)
    tensor([[0.6000, 0.8000],
            [6.0000, 8.0000]])
    """
    rows = indices.reshape(-1).unique()
    with rushlight.no_grad():
        input[rows] = input[rows].renorm(norm_type, 0, max_norm)
    return input


def native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    """dropout, and the mask of what is kept. Follows `torch.native_dropout`.

    >>> import rushlight as rl
    >>> rl.native_dropout(rl.ones(2), 0.5, False)
    (tensor([1., 1.]), tensor([True, True]))
    """
    if not input.numel() or train is False:
        return input.clone(), rushlight.ones_like(input, dtype=rushlight.bool)
    mask = rushlight.empty_like(input, dtype=rushlight.bool).bernoulli_(1 - p)
    scale = 0.0 if p == 1 else 1.0 / (1.0 - p)
    return input * mask * scale, mask


def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norm over all dimensions but one, which are kept with length one; over all of them for
    dim -1. Follows `torch.norm_except_dim`.

    >>> import rushlight as rl
    >>> rl.norm_except_dim(rl.tensor([[3., 4.], [0., 2.]]))
    tensor([[5.],
            [2.]])
    """
    if dim == -1:
        return rushlight.linalg.vector_norm(v, pow)
    if not -v.dim() <= dim < v.dim():
        raise IndexError(
            f"norm_except_dim: dim {dim} is out of range for a tensor of shape {list(v.shape)}"
        )
    others = tuple(d for d in range(v.dim()) if d != dim % v.dim())
    return rushlight.linalg.vector_norm(v, pow, others, keepdim=True) if others else v.abs()
