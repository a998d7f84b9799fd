"""autocast: results' dtypes as PyTorch's, nesting, decorators, the cache, and that it is free when
off.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import rushlight as rl
from rushlight.ops.registry import Op

torch = pytest.importorskip("torch")

CALLS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "linear": lambda t, x, b: t.nn.functional.linear(x, x),
    "mixed_linear": lambda t, x, b: t.nn.functional.linear(b, x),
    "double": lambda t, x, b: t.nn.functional.linear(x.double(), x.double()),
    "operator": lambda t, x, b: x @ x,
    "addmm": lambda t, x, b: t.addmm(x, x, x),
    "addmm_method": lambda t, x, b: x.addmm(x, x),
    "baddbmm": lambda t, x, b: t.baddbmm(x[None], x[None], x[None]),
    "conv1d": lambda t, x, b: t.nn.functional.conv1d(x[None], x[:, :, None]),
    "vecdot": lambda t, x, b: t.linalg.vecdot(x, x),
    "attention": lambda t, x, b: t.nn.functional.scaled_dot_product_attention(
        x[None], x[None], x[None]
    ),
    "einsum": lambda t, x, b: t.einsum("ij,jk->ik", x, x),
    "transposed": lambda t, x, b: t.einsum("ij->ji", x),
    "prelu": lambda t, x, b: t.nn.functional.prelu(x, t.ones(1)),
    "mv": lambda t, x, b: t.mv(x, x[0]),
    "dot": lambda t, x, b: t.dot(x[0], x[0]),
    "bilinear": lambda t, x, b: t.nn.functional.bilinear(x, x, t.ones(2, 4, 4)),
    "softmax": lambda t, x, b: b.softmax(-1),
    "layer_norm": lambda t, x, b: t.nn.functional.layer_norm(b, (4,)),
    "sum": lambda t, x, b: b.sum(),
    "prod": lambda t, x, b: b.prod(),
    "trace": lambda t, x, b: b.trace(),
    "cdist": lambda t, x, b: t.cdist(b, b),
    "mse_loss": lambda t, x, b: t.nn.functional.mse_loss(b, b),
    "cross_entropy": lambda t, x, b: t.nn.functional.cross_entropy(b, t.tensor([0, 1, 2, 3])),
    "soft_margin": lambda t, x, b: t.nn.functional.multilabel_soft_margin_loss(b, b.sigmoid()),
    "triplet": lambda t, x, b: t.nn.functional.triplet_margin_loss(b, b, b),
    "reflected": lambda t, x, b: t.nn.functional.pad(b, (1, 1), mode="reflect"),
    "padded": lambda t, x, b: t.nn.functional.pad(b, (1, 1)),
    "fft": lambda t, x, b: t.fft.rfft(b),
    "cond": lambda t, x, b: t.linalg.cond(b + 4 * t.eye(4)),
    "cat": lambda t, x, b: t.cat([x, b]),
    "cat_low": lambda t, x, b: t.cat([b, b]),
    "stack": lambda t, x, b: t.stack([b, x]),
    "index_copy": lambda t, x, b: t.index_copy(x, 0, t.tensor([0]), b[:1]),
    "out": lambda t, x, b: t.mm(x, x, out=t.empty(4, 4)),
    "in_place": lambda t, x, b: x.clone().addmm_(x, x),
    "linear_layer": lambda t, x, b: t.nn.Linear(4, 2)(x),
    "attention_layer": lambda t, x, b: t.nn.MultiheadAttention(4, 1)(x, x, x)[0],
    "cell": lambda t, x, b: t.nn.RNNCell(4, 4)(x),
}


def result(library: Any, name: str, dtype: str) -> Any:
    x = library.arange(16.0).reshape(4, 4) / 16
    low = x.to(getattr(library, dtype))
    with library.autocast("cpu", dtype=getattr(library, dtype)):
        return CALLS[name](library, x, low)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_dtypes_are_pytorchs(name: str) -> None:
    assert str(result(rl, name, "bfloat16").dtype) == str(result(torch, name, "bfloat16").dtype)


def test_values_are_those_of_the_lower_precision() -> None:
    ours, theirs = result(rl, "linear", "bfloat16"), result(torch, "linear", "bfloat16")
    wanted = rl.tensor(theirs.float().tolist())
    assert rl.allclose(ours.float(), wanted, rtol=1e-2)


def test_a_third_dtype_cannot_be_promoted() -> None:
    with rl.autocast("cpu"), pytest.raises(RuntimeError, match="Unexpected floating ScalarType"):
        rl.cat([rl.ones(2), rl.ones(2).half()])


def test_regions_nest_and_restore() -> None:
    x = rl.ones(2, 2)
    with rl.autocast("cpu", dtype=rl.bfloat16):
        with rl.autocast("cpu", enabled=False):
            assert (x @ x).dtype is rl.float32
            assert not rl.is_autocast_enabled("cpu")
        with rl.autocast("cpu", dtype=rl.float16):
            assert (x @ x).dtype is rl.float16
            assert rl.get_autocast_dtype("cpu") is rl.float16
        assert (x @ x).dtype is rl.bfloat16
    assert (x @ x).dtype is rl.float32
    assert rl.get_autocast_dtype("cpu") is rl.bfloat16


def test_it_is_a_decorator_and_survives_errors() -> None:
    @rl.amp.autocast("cpu")
    def product(x: Any) -> Any:
        if x.ndim != 2:
            raise ValueError(x.ndim)
        return x @ x

    assert product(rl.ones(2, 2)).dtype is rl.bfloat16
    with pytest.raises(ValueError):
        product(rl.ones(2))
    assert not rl.is_autocast_enabled("cpu")


def test_nothing_is_in_the_way_when_it_is_off() -> None:
    plain = Op.dispatcher
    with rl.autocast("cpu"):
        assert Op.dispatcher is not plain
    assert Op.dispatcher is plain


def test_another_thread_is_not_affected() -> None:
    seen = []
    with rl.autocast("cpu"):
        thread = threading.Thread(target=lambda: seen.append((rl.ones(2, 2) @ rl.ones(2, 2)).dtype))
        thread.start()
        thread.join()
    assert seen == [rl.float32]


def test_parameters_are_cast_once_per_region_unless_they_change() -> None:
    from rushlight.tensor.casting import STATE

    layer = rl.nn.Linear(2, 2)
    with rl.autocast("cpu"):
        first = layer(rl.ones(1, 2))
        assert len(STATE.cache) == 2
        with rl.no_grad():
            layer.weight.zero_()
            layer.bias.fill_(3.0)
        again = layer(rl.ones(1, 2))
    assert not STATE.cache
    assert again.tolist() == [[3.0, 3.0]] and first.tolist() != again.tolist()
    with rl.autocast("cpu", cache_enabled=False):
        layer(rl.ones(1, 2))
        assert not STATE.cache


def test_gradients_arrive_in_float32() -> None:
    def gradient(library: Any) -> Any:
        layer = library.nn.Linear(3, 2)
        with library.no_grad():
            layer.weight.fill_(0.5)
            layer.bias.zero_()
        with library.autocast("cpu"):
            loss = library.nn.functional.mse_loss(layer(library.ones(4, 3)), library.zeros(4, 2))
        loss.backward()
        return layer.weight.grad

    assert gradient(rl).dtype is rl.float32
    assert gradient(rl).tolist() == gradient(torch).tolist()


@pytest.mark.parametrize("cast", [None, "float32"])
def test_custom_functions_keep_their_mode_in_backward(cast: str | None) -> None:
    seen: dict[str, list[Any]] = {"rl": [], "torch": []}

    def run(library: Any, log: list[Any]) -> None:
        options = {} if cast is None else {"cast_inputs": getattr(library, cast)}

        class Product(library.autograd.Function):
            @staticmethod
            @library.amp.custom_fwd(device_type="cpu", **options)
            def forward(ctx: Any, x: Any) -> Any:
                ctx.save_for_backward(x)
                log.append(str((x @ x).dtype))
                return x * 1

            @staticmethod
            @library.amp.custom_bwd(device_type="cpu")
            def backward(ctx: Any, g: Any) -> Any:
                (x,) = ctx.saved_tensors
                log.append(str((x @ x).dtype))
                return g

        x = library.ones(2, 2, requires_grad=True)
        with library.autocast("cpu"):
            y = Product.apply(x)
        y.sum().backward()

    run(rl, seen["rl"])
    run(torch, seen["torch"])
    assert seen["rl"] == seen["torch"]


def test_what_cannot_be_is_off_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="target dtype is not supported"):
        region = rl.autocast("cpu", dtype=rl.float64)
    with region:
        assert not rl.is_autocast_enabled("cpu")
    with pytest.raises(ValueError, match="Expected `device_type` of type `str`"):
        rl.autocast(3)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="device"):
        rl.autocast("toaster")
