"""Householder reflections: the raw form of QR factors, and products with what they stand for.

In: (..., m, k) matrices whose columns below the diagonal are vectors v_i (with a one on the
diagonal), and factors tau_i. Out: products of Q = (I - tau_1 v_1 v_1^H) ... (I - tau_k v_k v_k^H).
Invariant: Q itself is never formed; the gradients are made of the same products one vector at a
time, and can be differentiated again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import build as b
from ..graph.host import host_function
from . import lapack
from .common import conjugate
from .core import cat, full
from .linalg import adjoint, require_matrices
from .matmul import matmul
from .movement import tril, triu
from .registry import Value, op
from .signature import strides_of_columns


@host_function
def raw_factors(x: np.ndarray) -> tuple:
    reflections, factors = np.linalg.qr(x, "raw")
    return np.swapaxes(reflections, -1, -2), factors


@op("", grad_name="GeqrfBackward0", strides=(strides_of_columns, None))
def raw_qr(A: Value) -> tuple:
    """(R on and above the diagonal with the vectors of Q's reflections below it, their factors)."""
    require_matrices("geqrf", A)
    *lead, m, n = A.shape
    facts = [(A.shape, A.dtype), ((*lead, min(m, n)), A.dtype)]
    return tuple(b.host("raw_factors", [A], facts))


@raw_qr.vjp("A")
def _(g0, g1):  # type: ignore[no-untyped-def]
    raise NotImplementedError("the derivative for 'geqrf' is not implemented: use linalg.qr")


def _vectors(reflections: np.ndarray, count: int) -> np.ndarray:
    """The vectors as columns: ones on the diagonal, zeros above it."""
    m = reflections.shape[-2]
    return np.tril(reflections[..., :count], -1) + np.eye(m, count, dtype=reflections.dtype)


@host_function
def reflected(a: np.ndarray, tau: np.ndarray, c: np.ndarray, left: bool, turned: bool) -> tuple:
    if not left:  # C Q = (Q^H C^H)^H
        return (lapack.turned(reflected(a, tau, lapack.turned(c), True, not turned)[0]),)
    count = tau.shape[-1]
    vectors, made = _vectors(a, count), c.copy()
    for k in range(count) if turned else reversed(range(count)):
        vector, factor = vectors[..., k, None], tau[..., k, None, None]
        share = lapack.turned(vector) @ made
        made -= (np.conj(factor) if turned else factor) * vector * share
    return (made,)


@op("", grad_name="OrmqrBackward0", strides=strides_of_columns)
def reflect(A: Value, tau: Value, C: Value, left: bool, turned: bool) -> Value:
    """Q C, C Q if not left, with Q^H instead of Q if turned."""
    return b.host("reflected", [A, tau, C], [(C.shape, C.dtype)], (left, turned))[0]


@reflect.vjp("C")
def _(g, A, tau, left, turned):  # type: ignore[no-untyped-def]
    return reflect(A, tau, g, left, not turned)


@reflect.vjp("A", "tau")
def _(g, A, tau, C, left, turned):  # type: ignore[no-untyped-def]
    if not left:
        g, C, turned = adjoint(g), adjoint(C), not turned
    if turned:  # <G, Q^H C> = <C, Q G> with the parts exchanged
        g, C = C, g
    return towards_reflections(g, A, tau, C)


def towards_reflections(g: Any, A: Any, tau: Any, C: Any) -> tuple[Any, Any]:
    """The gradients of A and tau where g is that of Q C.

    The product is split at every reflection: `behind` is what it acts on, `ahead` the gradient of
    what it gives.
    """
    (m, columns), count = A.shape[-2:], tau.shape[-1]
    ones = full((m, count), 1.0, A.dtype)
    vectors = tril(A.narrow(-1, 0, count), -1) + triu(tril(ones))
    pairs = [(vectors.narrow(-1, k, 1), tau.narrow(-1, k, 1).unsqueeze(-1)) for k in range(count)]
    behind = [C]
    for vector, factor in reversed(pairs[1:]):
        behind.append(_reflect_once(behind[-1], vector, factor))
    to_vectors, to_tau, ahead = [], [], g
    for (vector, factor), acted in zip(pairs, reversed(behind)):
        turned = adjoint(vector)
        inward, outward = matmul(turned, acted), matmul(turned, ahead)
        to_tau.append(-(outward * conjugate(inward)).sum(-1))
        seen = conjugate(factor) * matmul(ahead, adjoint(inward))
        to_vectors.append(-(seen + factor * matmul(acted, adjoint(outward))))
        ahead = _reflect_once(ahead, vector, conjugate(factor))
    beyond = full((*A.shape[:-1], columns - count), 0.0, A.dtype)
    return tril(cat([*to_vectors, beyond], A.ndim - 1), -1), _joined(to_tau, tau)


def _reflect_once(x: Any, vector: Any, factor: Any) -> Any:
    return x - factor * matmul(vector, matmul(adjoint(vector), x))


def _joined(parts: list, like: Any) -> Any:
    """One tensor (..., k) of k tensors (..., 1); of none, an empty one."""
    return cat(parts, like.ndim - 1) if parts else full(tuple(like.shape), 0.0, like.dtype)


# --- references ---------------------------------------------------------------------------------


def _numpy_reflect(
    a: np.ndarray, tau: np.ndarray, c: np.ndarray, left: bool, turned: bool
) -> np.ndarray:
    """Through Q itself."""
    m = a.shape[-2]
    made = np.empty_like(c)
    for at in np.ndindex(*c.shape[:-2]):
        q = np.eye(m)
        for k, factor in enumerate(tau[at]):
            vector = np.concatenate([np.zeros(k), [1.0], a[at][k + 1 :, k]])
            q = q @ (np.eye(m) - factor * np.outer(vector, vector))
        q = q.T if turned else q
        made[at] = q @ c[at] if left else c[at] @ q
    return made


raw_qr.test(
    lambda make: [((make(2, 4, 3),), {}), ((make(3, 5),), {})],
    lambda x: tuple(
        np.swapaxes(part, -1, -2) if part.ndim == x.ndim else part
        for part in np.linalg.qr(x, "raw")
    ),
)
reflect.test(
    lambda make: [
        ((make(2, 4, 3), make(2, 3), make(2, 4, 2), True, False), {}),
        ((make(4, 3), make(2), make(4, 2), True, True), {}),
        ((make(4, 4), make(4), make(3, 4), False, False), {}),
        ((make(4, 1), make(1), make(2, 4), False, True), {}),
    ],
    _numpy_reflect,
)
