"""The corners of `torch.nn`: gradients of convolutions, masks, wrappers, older names."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import rushlight as rl
from rushlight import nn
from rushlight.nn.attention import SDPBackend, sdpa_kernel
from rushlight.nn.attention.bias import CausalBias, causal_lower_right, causal_upper_left

torch = pytest.importorskip("torch")


def both(*shape: int) -> tuple[Any, Any]:
    values = np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)
    return rl.tensor(values), torch.tensor(values)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_gradients_of_convolutions(rank: int) -> None:
    theirs = pytest.importorskip("torch.nn.grad")
    size, kernel, out = (2, 4) + (7,) * rank, (6, 2) + (3,) * rank, (2, 6) + (4,) * rank
    (x, their_x), (w, their_w), (g, their_g) = both(*size), both(*kernel), both(*out)
    way = {"stride": 2, "padding": 1, "groups": 2}
    ours = getattr(nn.grad, f"conv{rank}d_input")(size, w, g, **way)
    other = getattr(theirs, f"conv{rank}d_input")(size, their_w, their_g, **way)
    np.testing.assert_allclose(ours.numpy(), other.numpy(), rtol=1e-4, atol=1e-5)
    ours = getattr(nn.grad, f"conv{rank}d_weight")(x, kernel, g, **way)
    other = getattr(theirs, f"conv{rank}d_weight")(their_x, kernel, their_g, **way)
    np.testing.assert_allclose(ours.numpy(), other.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 13])
def test_cross_map_normalisation(size: int) -> None:
    x, their_x = both(2, 6, 3, 3)
    ours = nn.CrossMapLRN2d(size, 0.3, 0.6, 1.5)(x)
    other = torch.nn.CrossMapLRN2d(size, 0.3, 0.6, 1.5)(their_x)
    np.testing.assert_allclose(ours.numpy(), other.numpy(), rtol=1e-5)
    with pytest.raises(ValueError, match="Expected input to be 4D"):
        nn.CrossMapLRN2d(size)(rl.ones(2, 2))


def test_data_parallel_without_an_accelerator() -> None:
    layer = nn.Linear(2, 3)
    wrapped = nn.DataParallel(layer)
    assert list(wrapped.state_dict()) == ["module.weight", "module.bias"]
    assert wrapped.device_ids == [] and wrapped.module is layer
    x = rl.ones(4, 2)
    assert rl.equal(wrapped(x), layer(x))
    assert rl.equal(nn.parallel.data_parallel(layer, x), layer(x))


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (3, 3)])
def test_causal_masks(shape: tuple[int, int]) -> None:
    theirs = pytest.importorskip("torch.nn.attention.bias")
    (q, their_q), (k, their_k) = both(1, 2, shape[0], 4), both(1, 2, shape[1], 4)
    attend, their_attend = (
        nn.functional.scaled_dot_product_attention,
        (torch.nn.functional.scaled_dot_product_attention),
    )
    for ours, other in (
        (causal_upper_left, theirs.causal_upper_left),
        (causal_lower_right, theirs.causal_lower_right),
    ):
        if ours is causal_lower_right and shape[0] > shape[1]:
            continue  # the first queries see nothing
        mask = ours(*shape)
        assert isinstance(mask, CausalBias) and (mask.seq_len_q, mask.seq_len_kv) == shape
        found = attend(q, k, k, attn_mask=mask)
        wanted = their_attend(their_q, their_k, their_k, attn_mask=other(*shape))
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-4, atol=1e-5)


def test_choosing_an_implementation_checks_the_names() -> None:
    x = rl.ones(1, 1, 2, 4)
    plain = nn.functional.scaled_dot_product_attention(x, x, x)
    with sdpa_kernel(SDPBackend.MATH):
        assert rl.equal(nn.functional.scaled_dot_product_attention(x, x, x), plain)
    with pytest.raises(AssertionError, match="SDPBackend"), sdpa_kernel("flash"):  # type: ignore
        pass


def test_synchronised_batch_norm_takes_over_a_model() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Sequential(nn.BatchNorm2d(2, momentum=None)))
    before = model[1][0]
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    after = converted[1][0]
    assert type(after) is nn.SyncBatchNorm and after.weight is before.weight
    assert after.running_mean is before.running_mean and after.momentum is None
    assert type(nn.SyncBatchNorm.convert_sync_batchnorm(before)) is nn.SyncBatchNorm


def test_factory_arguments() -> None:
    assert nn.factory_kwargs(None) == {}
    with pytest.raises(TypeError, match="specified twice"):
        nn.factory_kwargs({"dtype": rl.float64, "factory_kwargs": {"dtype": rl.float32}})
    with pytest.raises(TypeError, match="unexpected kwargs"):
        nn.factory_kwargs({"color": "red"})


def test_options_of_the_linear_cross_entropy() -> None:
    loss = nn.LinearCrossEntropyLoss(3, 4, options=nn.LinearCrossEntropyOptions())
    assert loss(rl.ones(2, 3), rl.tensor([0, 3])).shape == ()
    for wrong in ({"acc_policy": "x"}, {"chunking_method": "x"}, {"batch_chunk_size": 0}):
        with pytest.raises(ValueError):
            nn.LinearCrossEntropyOptions(**wrong)  # type: ignore[arg-type]


def test_members_of_modules_are_announced() -> None:
    from rushlight.nn.modules import module as place

    seen: list[Any] = []
    hooks = [
        getattr(place, f"register_module_{kind}_registration_hook")(
            lambda m, name, member, kind=kind: seen.append((kind, name))
        )
        for kind in ("parameter", "buffer", "module")
    ]
    model = nn.Sequential(nn.BatchNorm1d(1))
    for hook in hooks:
        hook.remove()
    model.append(nn.ReLU())
    assert seen == [
        ("parameter", "weight"),
        ("parameter", "bias"),
        ("buffer", "running_mean"),
        ("buffer", "running_var"),
        ("buffer", "num_batches_tracked"),
        ("module", "0"),
    ]


def test_kinds_of_backward_hooks_do_not_mix() -> None:
    layer = nn.Linear(1, 1)
    layer.register_full_backward_hook(lambda *given: None)
    with pytest.raises(RuntimeError, match="Cannot use both regular backward hooks and full"):
        layer.register_backward_hook(lambda *given: None)
    with pytest.warns(UserWarning, match="no inputs require gradient"):
        layer(rl.ones(1, 1)).sum().backward()


def test_modules_without_memory() -> None:
    layer = nn.Linear(2, 2, device="meta")
    with pytest.raises(NotImplementedError, match="to_empty"):
        layer.to("cpu")
    with pytest.warns(UserWarning, match="which is a no-op"):
        layer.load_state_dict(nn.Linear(2, 2).state_dict())
    assert layer.weight.is_meta
    with pytest.raises(RuntimeError, match="Cannot copy out of meta tensor"):
        nn.Linear(2, 2).load_state_dict(layer.state_dict())
    layer.load_state_dict(nn.Linear(2, 2).state_dict(), assign=True)
    assert layer.weight.device.type == "cpu"


def test_packed_rows_convert() -> None:
    packed = nn.utils.rnn.pack_sequence([rl.ones(2), rl.ones(1)])
    for name, dtype in (("long", rl.int64), ("int", rl.int32), ("short", rl.int16)):
        assert getattr(packed, name)().data.dtype is dtype
    assert packed.cpu() is packed and not packed.is_pinned()


def test_container_is_deprecated() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        box = nn.Container(a=nn.ReLU())
    assert seen[0].category is FutureWarning and isinstance(box.a, nn.ReLU)
