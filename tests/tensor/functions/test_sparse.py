"""Sparse tensors against PyTorch: what they print, hold, add, multiply, and their gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rushlight as rl

torch = pytest.importorskip("torch")

COORDINATES = np.array([[0, 0, 1, 2], [2, 2, 0, 1]])
VALUES = np.array([1.0, 2.0, 3.0, -4.0], dtype=np.float32)
DENSE = np.arange(12, dtype=np.float32).reshape(3, 4) / 7


def inputs(lib: Any) -> dict[str, Any]:
    """s (3, 3) with a repeated entry, c coalesced, r kept by rows, h with dense rows, d dense."""
    warnings.simplefilter("ignore")
    places, values = lib.tensor(COORDINATES), lib.tensor(VALUES)
    s = lib.sparse_coo_tensor(places, values, (3, 3))
    rows = lib.sparse_csr_tensor(
        lib.tensor([0, 1, 1, 3]), lib.tensor([2, 0, 2]), values[:3], (3, 3)
    )
    hybrid = lib.sparse_coo_tensor(lib.tensor([[0, 2, 0]]), lib.tensor(DENSE), (3, 4))
    return {"s": s, "c": s.coalesce(), "r": rows, "h": hybrid, "d": lib.tensor(DENSE), "lib": lib}


def dense(value: Any) -> np.ndarray:
    if isinstance(value, (bool, int, str, tuple)):
        return np.array(value)
    return value.detach().to_dense().numpy()


CASES: dict[str, Callable[..., Any]] = {
    "to_dense": lambda s, **_: s,
    "rows": lambda r, **_: r,
    "hybrid": lambda h, **_: h.coalesce(),
    "indices": lambda c, **_: c.indices(),
    "values": lambda c, **_: c.values(),
    "_values": lambda s, **_: s._values(),
    "facts": lambda s, c, **_: (s._nnz(), c._nnz(), s.is_coalesced(), c.is_coalesced()),
    "dims": lambda h, **_: (h.sparse_dim(), h.dense_dim(), h.dim(), *h.shape),
    "text": lambda s, c, r, h, **_: "".join(map(str, (s, c, r, h, s.double(), s.to_dense()))),
    "kept": lambda r, **_: r.crow_indices(),
    "columns": lambda r, **_: r.col_indices(),
    "empty": lambda lib, **_: lib.sparse_coo_tensor((2, 3)),
    "guess": lambda lib, **_: lib.sparse_coo_tensor([[0, 4]], [1.0, 2.0]),
    "from dense": lambda d, **_: d.to_sparse().indices(),
    "from dense, rows": lambda d, **_: d.to_sparse(1).values(),
    "csr": lambda d, **_: d.to_sparse_csr().crow_indices(),
    "sum of two": lambda s, c, **_: s + c,
    "difference": lambda s, c, **_: s - c,
    "dense + sparse": lambda s, d, **_: d[:, :3] + s,
    "times two": lambda s, **_: s * 2,
    "half": lambda s, **_: s / 2,
    "times dense": lambda c, d, **_: c * d[:, :3],
    "times sparse": lambda c, lib, **_: c * lib.eye(3).to_sparse(),
    "sine": lambda s, lib, **_: lib.sin(s),
    "relu": lambda s, lib, **_: lib.relu(s),
    "minus": lambda s, **_: -s,
    "mm": lambda s, d, **_: s @ d,
    "torch.mm": lambda s, d, lib, **_: lib.mm(s, d),
    "mv": lambda s, d, **_: s @ d[:, 0],
    "rows mm": lambda r, d, **_: r @ d,
    "dense mm": lambda s, d, **_: d.t() @ s,
    "sparse.mm": lambda s, d, lib, **_: lib.sparse.mm(s, d),
    "sparse.mm of two": lambda s, lib, **_: lib.sparse.mm(s, s.t()),
    "addmm": lambda s, d, lib, **_: lib.sparse.addmm(d, s, d, beta=0.5, alpha=2.0),
    "turned": lambda s, **_: s.t(),
    "total": lambda s, **_: s.sum(),
    "sum of rows": lambda s, lib, **_: lib.sparse.sum(s, 1),
    "softmax": lambda c, lib, **_: lib.sparse.softmax(c, 1),
    "log_softmax": lambda c, lib, **_: lib.sparse.log_softmax(c, 0),
    "one row": lambda s, **_: s[0],
    "joined": lambda s, lib, **_: lib.cat([s, s], 1),
    "converted": lambda s, lib, **_: s.to(lib.float64),
}


@pytest.mark.parametrize("name", CASES)
def test_same_as_pytorch(name: str) -> None:
    mine, theirs = (dense(CASES[name](**inputs(lib))) for lib in (rl, torch))
    assert mine.dtype == theirs.dtype
    if mine.dtype.kind == "U":
        assert str(mine) == str(theirs)
    else:
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)


GRADIENTS: dict[str, Callable[..., Any]] = {
    "mm": lambda lib, s, d: lib.sparse.mm(s, d),
    "coalesce": lambda lib, s, d: s.coalesce().to_dense(),
    "of two": lambda lib, s, d: lib.sparse.mm(s, s.t()).to_dense(),
    "times": lambda lib, s, d: (s.coalesce() * 3 + s.coalesce()).to_dense(),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_reach_the_values(name: str) -> None:
    found = []
    for lib in (rl, torch):
        values = lib.tensor(VALUES, requires_grad=True)
        d = lib.tensor(DENSE, requires_grad=True)
        s = lib.sparse_coo_tensor(lib.tensor(COORDINATES), values, (3, 3))
        (GRADIENTS[name](lib, s, d) ** 2).sum().backward()
        found.append([t.grad.numpy() for t in (values, d) if t.grad is not None])
    assert len(found[0]) == len(found[1])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4)


REFUSED: dict[str, Callable[..., Any]] = {
    "sparse + dense": lambda s, d, **_: s + d[:, :3],
    "sparse + 1": lambda s, **_: s + 1,
    "indices uncoalesced": lambda s, **_: s.indices(),
    "values of dense": lambda d, **_: d.values(),
    "numpy": lambda s, **_: s.numpy(),
    "exp": lambda s, lib, **_: lib.exp(s),
    "nnz": lambda lib, **_: lib.sparse_coo_tensor([[0, 1]], [1.0]),
    "shapes": lambda s, lib, **_: lib.sparse.mm(s, lib.ones(2, 2)),
    "sizes": lambda s, lib, **_: s + lib.eye(4).to_sparse(),
    "index": lambda s, **_: s[3],
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_as_pytorch_refuses(name: str) -> None:
    with pytest.raises(Exception) as theirs:
        REFUSED[name](**inputs(torch))
    with pytest.raises(theirs.type):
        REFUSED[name](**inputs(rl))


def test_outside_indices_are_refused() -> None:
    with pytest.raises(RuntimeError, match="for dim 0, size is 1 but found index 1"):
        rl.sparse_coo_tensor(COORDINATES[:, :3], VALUES[:3], (1, 3))
    with pytest.raises(NotImplementedError, match="to_dense"):
        inputs(rl)["s"].cumsum(0)
    with pytest.raises(RuntimeError, match="on the values"):
        inputs(rl)["s"].requires_grad_()
