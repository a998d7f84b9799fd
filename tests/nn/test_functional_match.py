"""Functions of rushlight.nn.functional against PyTorch: values and gradients."""

from __future__ import annotations

from typing import Any

import pytest

import rushlight as rl

torch = pytest.importorskip("torch")

from nn.oracle import assert_close, assert_same_call, integers, rand  # noqa: E402

IMAGE = (2, 4, 7, 6)


def case(name: str, *args: Any, **kwargs: Any) -> Any:
    shown = [name]
    for value in [*args, *kwargs.values()]:
        shape = getattr(value, "shape", None)
        shown.append(str(value) if shape is None else "x".join(map(str, shape)))
    return pytest.param(name, args, kwargs, id="-".join(shown)[:70].replace(" ", ""))


def losses() -> list[Any]:
    """Every loss under every reduction."""
    scores, labels = rand(5, 4), integers(5, high=4)
    pixels, classes = rand(2, 4, 3, 3), integers(2, 3, 3, high=4)
    positive = rand(5, 4, low=0.05, high=0.95)
    targets = rand(5, 4, grad=False, seed=1, low=0.05, high=0.95)
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])
    weight = rand(4, grad=False, low=0.5, high=2.0)
    lengths = (torch.tensor([9, 7, 8]), torch.tensor([4, 0, 2]))
    cases = []
    for reduction in ("none", "mean", "sum"):
        how = {"reduction": reduction}
        cases += [
            case("cross_entropy", scores, labels, **how),
            case("cross_entropy", scores, labels, weight, label_smoothing=0.1, **how),
            case("cross_entropy", pixels, classes, weight, ignore_index=2, **how),
            case("cross_entropy", scores, targets, weight, label_smoothing=0.2, **how),
            case("cross_entropy", rand(4), torch.tensor(2), **how),
            case("nll_loss", scores, labels, weight, ignore_index=1, **how),
            case("nll_loss", pixels, classes, **how),
            case("linear_cross_entropy", rand(5, 3), rand(4, 3), labels, **how),
            case("mse_loss", scores, targets, **how),
            case("mse_loss", scores, targets, weight=positive.detach(), **how),
            case("l1_loss", scores, targets, **how),
            case("smooth_l1_loss", scores, targets, beta=0.5, **how),
            case("smooth_l1_loss", scores, targets, beta=0.0, **how),
            case("huber_loss", scores, targets, delta=0.7, **how),
            case("binary_cross_entropy", positive, targets, **how),
            case("binary_cross_entropy", positive, targets, targets, **how),
            case("binary_cross_entropy_with_logits", scores, targets, pos_weight=weight, **how),
            case("binary_cross_entropy_with_logits", scores, targets, targets, **how),
            case("kl_div", scores, targets, **how),
            case("kl_div", scores, targets, log_target=True, **how),
            case("poisson_nll_loss", scores, targets, full=True, **how),
            case("poisson_nll_loss", positive, targets * 4, log_input=False, full=True, **how),
            case("gaussian_nll_loss", scores, targets, positive, full=True, **how),
            case("gaussian_nll_loss", scores, targets, rand(5, low=0.1), **how),
            case("gaussian_nll_loss", scores, targets, 0.5, **how),
            case("hinge_embedding_loss", scores, targets.round() * 2 - 1, 0.5, **how),
            case("soft_margin_loss", scores, targets.round() * 2 - 1, **how),
            case("margin_ranking_loss", rand(5), rand(5, seed=2), signs, 0.2, **how),
            case("cosine_embedding_loss", scores, rand(5, 4, seed=3), signs, 0.1, **how),
            case("multi_margin_loss", scores, labels, 2, 0.5, weight, **how),
            case("multi_margin_loss", rand(4), torch.tensor(2), **how),
            case("multilabel_margin_loss", scores, integers(5, 4, high=4, low=-1), **how),
            case("multilabel_soft_margin_loss", scores, targets, weight, **how),
            case("triplet_margin_loss", scores, rand(5, 4, seed=4), positive, swap=True, **how),
            case("triplet_margin_with_distance_loss", scores, positive, rand(5, 4), **how),
            case("ctc_loss", rand(9, 3, 5), integers(3, 4, high=5, low=1), *lengths, **how),
        ]
    cases += [
        case("kl_div", scores, targets, reduction="batchmean"),
        case("ctc_loss", rand(5, 3), torch.tensor([1, 1, 1]), (5,), (3,), zero_infinity=True),
        case("ctc_loss", rand(4, 2, 3), torch.tensor([1, 2, 2]), (4, 3), (2, 1), blank=0),
        case("ctc_loss", rand(2, 1, 3), torch.tensor([[1, 1, 2]]), (2,), (3,), 0, "sum", True),
    ]
    return cases


GRID = rand(2, 5, 4, 2, low=-1.4, high=1.4)
RESIZED = [
    case("interpolate", rand(2, 3, 5), scale_factor=2.5, mode="linear", align_corners=True),
    case("interpolate", rand(2, 3, 5), size=8, mode="nearest-exact"),
    case("interpolate", rand(*IMAGE), size=(4, 9), mode="area"),
    case("interpolate", rand(*IMAGE), scale_factor=(0.6, 1.7), mode="bilinear"),
    case(
        "interpolate",
        rand(*IMAGE),
        scale_factor=(0.6, 1.7),
        mode="bilinear",
        recompute_scale_factor=True,
    ),
    case("interpolate", rand(*IMAGE), size=(9, 5), mode="bicubic"),
    case("interpolate", rand(*IMAGE), size=(9, 5), mode="bicubic", align_corners=True),
    case("interpolate", rand(2, 2, 3, 4, 5), scale_factor=1.5, mode="trilinear"),
    case("interpolate", rand(2, 2, 3, 4, 5), scale_factor=2, mode="nearest"),
    case("interpolate", rand(*IMAGE), size=(3, 4), mode="bilinear", antialias=True),
    case("interpolate", rand(*IMAGE), size=(3, 11), mode="bicubic", antialias=True),
    case("affine_grid", rand(2, 2, 3), (2, 1, 4, 5), align_corners=False),
    case("affine_grid", rand(2, 3, 4), (2, 1, 3, 1, 5), align_corners=True),
]
RESIZED += [
    case("grid_sample", rand(*IMAGE), points, mode, padding, align)
    # The nearest pixel does not depend smoothly on the point.
    for mode, points in (("bilinear", GRID), ("nearest", GRID.detach()), ("bicubic", GRID))
    for padding in ("zeros", "border", "reflection")
    for align in (False, True)
]
RESIZED.append(case("grid_sample", rand(2, 2, 3, 4, 5), rand(2, 3, 2, 2, 3), align_corners=False))
OTHERS = [
    case("linear", rand(4, 5), rand(3, 5)),
    case("bilinear", rand(2, 6, 4), rand(2, 6, 5), rand(3, 4, 5), rand(3)),
    case("normalize", rand(3, 4), 3.0, 1),
    case("cosine_similarity", rand(3, 4), rand(1, 4), dim=-1),
    case("pairwise_distance", rand(3, 4), rand(3, 4, seed=1), 3.0, keepdim=True),
    case("pdist", rand(5, 3)),
    case("one_hot", integers(3, 2, high=5)),
    case("one_hot", integers(3, 2, high=5), 7),
    case("pad", rand(*IMAGE), (1, -2, 0, 3), value=2.5),
    case("pad", rand(*IMAGE), (2, 1, 1, 3), "circular"),
    case("pad", rand(*IMAGE), (-1, 1, -2, 1), "circular"),
    case("pad", rand(3, 5), (2, 4), "reflect"),
    case("conv_tbc", rand(6, 2, 3), rand(2, 3, 4), rand(4), 1),
    case("unfold", rand(3, 5, 6), (2, 3)),
    case("fold", rand(4 * 3, 8), (4, 7), (2, 2), dilation=(2, 1), padding=(0, 1), stride=(1, 2)),
    case("gumbel_softmax", rand(3, 4), 0.7),
    case("gumbel_softmax", rand(3, 4), hard=True),
    case("rrelu", rand(3, 40), training=True),
    case("dropout", rand(50), 0.3),
    case("feature_alpha_dropout", rand(2, 5, 3), 0.3, training=True),
    case("softmax", rand(3, 4), 1, dtype=torch.float64),
    case("scaled_dot_product_attention", rand(2, 3, 5, 4), rand(2, 3, 6, 4), rand(2, 3, 6, 7)),
    case(
        "scaled_dot_product_attention",
        rand(2, 4, 5, 4),
        rand(2, 2, 5, 4),
        rand(2, 2, 5, 4, seed=1),
        is_causal=True,
        enable_gqa=True,
    ),
    case("embedding", integers(3, 4, high=6), rand(6, 2), padding_idx=-2),
    case("lp_pool2d", rand(*IMAGE, low=0.1), 3.0, 2, ceil_mode=True),
    case("local_response_norm", rand(*IMAGE), 4),
    case("glu", rand(3, 6), 1),
    case("hardtanh", rand(3, 6), -0.3, 0.2),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), losses() + RESIZED + OTHERS)
def test_same_values_and_gradients(name: str, args: Any, kwargs: Any) -> None:
    for tensor in [*args, *kwargs.values()]:
        if isinstance(tensor, torch.Tensor):
            tensor.grad = None
    if name == "ctc_loss":
        args = (args[0].detach().requires_grad_(True), *args[1:])
        want: Any = lambda x, *rest, **how: torch.nn.functional.ctc_loss(
            x.log_softmax(-1), *rest, **how
        )
        got: Any = lambda x, *rest, **how: rl.nn.functional.ctc_loss(
            x.log_softmax(-1), *rest, **how
        )
    else:
        want = getattr(torch.nn.functional, name)
        got = getattr(rl.nn.functional, name)
    if kwargs.get("dtype") is torch.float64:
        mine = {**kwargs, "dtype": rl.float64}
        assert_same_call(lambda *a: want(*a, **kwargs), lambda *a: got(*a, **mine), args, {}, 1e-6)
        return
    assert_same_call(want, got, args, kwargs)


@pytest.mark.parametrize(
    "name",
    [
        "relu",
        "relu6",
        "hardtanh",
        "elu",
        "selu",
        "celu",
        "leaky_relu",
        "silu",
        "mish",
        "hardsigmoid",
        "hardswish",
        "rrelu",
    ],
)
def test_in_place_activations(name: str) -> None:
    values = rand(3, 5)

    def run(library: Any, leaf: Any) -> list[Any]:
        x = leaf * 1.0
        y = getattr(library.nn.functional, name)(x, inplace=True)
        assert y is x
        (y * y).sum().backward()
        return [y, leaf.grad]

    want = run(torch, values)
    got = run(rl, rl.from_numpy(values.detach().numpy().copy()).requires_grad_(True))
    for expected, actual in zip(want, got, strict=True):
        assert_close(expected, actual, name)


def test_max_unpool_inverts_max_pool() -> None:
    x = rl.arange(16.0).reshape(1, 1, 4, 4)
    values, indices = rl.nn.functional.max_pool2d(x, 2, return_indices=True)
    back = rl.nn.functional.max_unpool2d(values, indices, 2)
    assert back.shape == x.shape
    assert float(back.sum()) == float(values.sum())
    again, _ = rl.nn.functional.max_pool2d_with_indices(back, 2)
    assert again.tolist() == values.tolist()
    wider = rl.nn.functional.max_unpool2d(values, indices, 2, output_size=(5, 5))
    assert wider.shape == (1, 1, 5, 5)
    with pytest.raises(ValueError, match="invalid output_size"):
        rl.nn.functional.max_unpool2d(values, indices, 2, output_size=(9, 9))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda F: F.dropout(rl.ones(2), 1.5), ValueError, "between 0 and 1, but got 1.5"),
        (lambda F: F.one_hot(rl.tensor([-1])), RuntimeError, "must be non-negative"),
        (lambda F: F.one_hot(rl.tensor([3]), 2), RuntimeError, "smaller than num_classes"),
        (lambda F: F.pad(rl.ones(3), (1,)), RuntimeError, "divisible by 2"),
        (lambda F: F.pad(rl.ones(1, 3), (3, 0), "reflect"), RuntimeError, "less than the"),
        (lambda F: F.pad(rl.ones(1, 3), (1, 0), "other"), NotImplementedError, "other"),
        (lambda F: F.interpolate(rl.ones(1, 1, 4)), ValueError, "size or scale_factor"),
        (
            lambda F: F.interpolate(rl.ones(1, 1, 4), 2, mode="bilinear"),
            NotImplementedError,
            "Got 3D input, but bilinear mode needs 4D input",
        ),
        (lambda F: F.glu(rl.ones(3)), RuntimeError, "must be even, but dimension -1 is size 3"),
        (
            lambda F: F.binary_cross_entropy(rl.ones(3), rl.ones(2)),
            ValueError,
            "different to the input size",
        ),
        (
            lambda F: F.multi_margin_loss(rl.ones(2, 3), rl.zeros(2), p=3),
            ValueError,
            "only p == 1 and p == 2",
        ),
        (
            lambda F: F.embedding_bag(
                rl.zeros(2, 3, dtype=rl.int64), rl.ones(4, 2), rl.tensor([0])
            ),
            ValueError,
            "offsets has to be None",
        ),
        (
            lambda F: F.batch_norm(rl.ones(1, 3), None, None, training=True),
            ValueError,
            "more than 1 value per channel",
        ),
        (
            lambda F: F.ctc_loss(rl.ones(4, 1, 3), rl.tensor([[1]]), [5], [1]),
            RuntimeError,
            "at most 4",
        ),
        (lambda F: F.pixel_shuffle(rl.ones(1, 3, 2, 2), 2), RuntimeError, "divisible by"),
        (
            lambda F: F.fold(rl.ones(1, 12, 3), (5, 6), 2),
            RuntimeError,
            "number of sliding blocks",
        ),
    ],
)
def test_errors(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(rl.nn.functional)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_batch_of_ignored_targets_has_a_gradient_of_zero(smoothing: float) -> None:
    for library in (torch, rl):
        x = library.arange(6.0).reshape(2, 3).requires_grad_()
        target = library.tensor([1, 1])
        loss = library.nn.functional.cross_entropy(
            x, target, ignore_index=1, label_smoothing=smoothing
        )
        loss.backward()
        assert loss.isnan()
        assert x.grad.tolist() == [[0.0] * 3] * 2
        each = library.nn.functional.cross_entropy(x, target, ignore_index=1, reduction="none")
        assert repr(each.detach()) == "tensor([0., 0.])"
