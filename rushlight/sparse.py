"""`torch.sparse`: products and sums of tensors that keep only some of their elements.

In: tensors of `sparse_coo_tensor`, `sparse_csr_tensor` or `to_sparse`. Out: sparse tensors, dense
ones where a dense operand takes part. Invariant: nothing is computed here; see
`tensor/functions/sparse.py`.
"""

from __future__ import annotations

from typing import Any

from .tensor.functions import sparse as _sparse
from .tensor.functions.sparse import softmax
from .tensor.tensor import Tensor

__all__ = ["addmm", "log_softmax", "mm", "softmax", "sum"]


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices of which one at least is sparse, as `torch.sparse.mm`.

    Sparse times sparse is sparse, with a dense operand it is dense. Errors: RuntimeError for other
    than matrices, or where the inner dimensions differ.

    >>> import rushlight as rl
    >>> s = rl.tensor([[0.0, 2.0], [0.0, 0.0]]).to_sparse()
    >>> rl.sparse.mm(s, rl.ones(2, 1)).tolist()
    [[2.0], [0.0]]
    """
    return _sparse._matmul(input, mat2)


def addmm(mat: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta mat + alpha mat1 @ mat2, mat1 sparse, as `torch.sparse.addmm`."""
    return _sparse._addmm(mat, mat1, mat2, beta=beta, alpha=alpha)


def sum(input: Tensor, dim: Any = None, dtype: Any = None) -> Tensor:
    """The sum of all elements, or over `dim` as a sparse tensor, as `torch.sparse.sum`."""
    return _sparse._sum(input, dim, dtype=dtype)  # type: ignore[arg-type]


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax` over the entries along a dimension."""
    made = softmax(input, dim, dtype=dtype)
    return _sparse._with(made, values=made._parts.values.log())  # type: ignore[arg-type,attr-defined]
