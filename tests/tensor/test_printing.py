"""The printed form of tensors against PyTorch's, character for character."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushlight.tensor import printing

torch = pytest.importorskip("torch")

FLOATS = ("float32", "float64", "bfloat16", "float16")
COMPLEX = ("complex64", "complex128")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")


@pytest.fixture(autouse=True)
def default_options() -> Iterator[None]:
    yield
    set_options(profile="default")


def set_options(**options: object) -> None:
    """The same options on both sides."""
    torch.set_printoptions(**options)
    printing.set_printoptions(**options)


def ours(tensor: torch.Tensor) -> str:
    """Our text for a tensor of PyTorch's."""
    values = tensor.detach()
    array = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return printing.format_tensor(
        array,
        dtype_name=str(tensor.dtype).removeprefix("torch."),
        default_dtype_name=str(torch.get_default_dtype()).removeprefix("torch."),
        requires_grad=tensor.requires_grad,
        grad_fn_name=None if tensor.grad_fn is None else type(tensor.grad_fn).__name__,
        is_parameter=isinstance(tensor, torch.nn.Parameter),
    )


def check(tensor: torch.Tensor) -> None:
    assert ours(tensor) == repr(tensor)


SHAPES = st.lists(st.integers(0, 8), max_size=4).map(tuple)
SPECIAL = (
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    1.0,
    -1.0,
    0.5,
    1e-5,
    1e9,
    123456.0,
    0.00012,
    999.99995,
)


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    dtype = draw(st.sampled_from(FLOATS + COMPLEX + INTEGERS))
    shape = draw(SHAPES)
    source = np.random.default_rng(draw(st.integers(0, 2**32)))
    if dtype in INTEGERS:
        least, most = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        most = draw(st.sampled_from((1, 9, 1000, most)))
        least = max(least, -most)
        drawn = source.integers(
            min(least, most),
            most,
            shape,
            endpoint=True,
            dtype=dtype if dtype == "uint64" else "int64",
        )
        return torch.from_numpy(np.asarray(drawn)).to(getattr(torch, dtype))
    parts = [draw_floats(draw, source, shape) for _ in range(2 if dtype in COMPLEX else 1)]
    values = parts[0].astype(np.complex128) if len(parts) == 2 else parts[0]
    if len(parts) == 2:
        values.imag = parts[1]
    with np.errstate(all="ignore"):
        return torch.from_numpy(np.asarray(values)).to(getattr(torch, dtype))


def draw_floats(draw: st.DrawFn, source: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    values = source.standard_normal(shape) * 10.0 ** draw(st.integers(-6, 9))
    if draw(st.booleans()):
        values = np.round(values)
    special = source.choice(SPECIAL, shape)
    return np.where(source.random(shape) < draw(st.sampled_from((0.0, 0.1, 0.9))), special, values)


@settings(max_examples=400, deadline=None)
@given(tensors())
def test_random_tensors(tensor: torch.Tensor) -> None:
    check(tensor)


@settings(max_examples=300, deadline=None)
@given(
    tensors(),
    st.fixed_dictionaries(
        {
            "precision": st.integers(0, 8),
            "threshold": st.sampled_from((0, 5, 100, float("inf"))),
            "edgeitems": st.integers(0, 4),
            "linewidth": st.sampled_from((1, 20, 80, 200)),
            "sci_mode": st.sampled_from((None, True, False)),
        }
    ),
)
def test_options(tensor: torch.Tensor, options: dict[str, object]) -> None:
    set_options(**options)
    assert printing.get_printoptions() == torch._tensor_str.get_printoptions()
    check(tensor)


@pytest.mark.parametrize("profile", ["default", "short", "full"])
def test_profiles(profile: str) -> None:
    set_options(profile=profile)
    check(torch.linspace(0, 1, 1200))
    with printing.printoptions(precision=1), torch._tensor_str.printoptions(precision=1):
        check(torch.rand(3))
    check(torch.rand(3))


@pytest.mark.parametrize("dtype", FLOATS + COMPLEX + INTEGERS)
@pytest.mark.parametrize(
    "shape", [(), (0,), (0, 3), (1,), (7, 1, 2), (40, 40), (2, 3, 4, 200), (1001,)]
)
def test_dtypes_and_shapes(dtype: str, shape: tuple[int, ...]) -> None:
    source = torch.Generator().manual_seed(len(shape))
    tensor = (torch.rand(shape, generator=source) * 100).to(getattr(torch, dtype))
    check(tensor)


def test_other_default_dtype() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        for dtype in (*FLOATS, *COMPLEX, "int64", "bool"):
            check(torch.ones(3, dtype=getattr(torch, dtype)))
            check(torch.ones(0, dtype=getattr(torch, dtype)))
    finally:
        torch.set_default_dtype(torch.float32)


def test_gradients() -> None:
    leaf = torch.rand(3, requires_grad=True)
    check(leaf)
    check(leaf * 2)
    check(torch.rand(5, 5, requires_grad=True).exp().sum(0))
    check(torch.nn.Parameter(torch.rand(2, 30)))
    check(torch.rand(9, dtype=torch.float64, requires_grad=True) + 1)


def test_meta() -> None:
    for tensor in (
        torch.empty(2, 3, device="meta"),
        torch.empty(2, device="meta", dtype=torch.int64),
    ):
        name = str(tensor.dtype).removeprefix("torch.")
        text = printing.format_tensor(None, shape=tensor.shape, device="meta", dtype_name=name)
        assert text == repr(tensor)


def test_device() -> None:
    text = printing.format_tensor(np.ones(2, np.float32), dtype_name="float32", device="cuda:0")
    assert text == "tensor([1., 1.], device='cuda:0')"


def test_summary_reads_edges_only() -> None:
    class Edges(np.ndarray):
        """An array that refuses to be read as a whole."""

        def astype(self, *_: object, **__: object) -> np.ndarray:
            assert self.size <= 36
            return np.asarray(self).astype(np.float64)

    array = np.broadcast_to(np.float32(1.5), (10**6, 10**6)).view(Edges)
    text = printing.format_tensor(array, dtype_name="float32")
    row = "[1.5000, 1.5000, 1.5000,  ..., 1.5000, 1.5000, 1.5000]"
    rows = [row] * 3 + ["..."] + [row] * 3
    assert text == "tensor([" + ",\n        ".join(rows) + "])"
