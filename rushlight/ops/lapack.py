"""What LAPACK has and NumPy does not offer: LU and LDL^H factors, triangular systems.

In: NumPy arrays (..., m, n) of float32, float64 or their complex kinds. Out: arrays. Invariants:
nothing here fails; a matrix without inverse or factor is told by `info`, which counts from 1 as
LAPACK's does (0: all is well). Work goes into matrix products wherever a matrix is large.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

BLOCK = 32  # below this order a column at a time, over the whole batch at once
BUNCH_KAUFMAN = (1 + 17**0.5) / 8


def magnitude(x: np.ndarray) -> np.ndarray:
    """|re| + |im|, by which LAPACK compares pivots."""
    return np.abs(x.real) + np.abs(x.imag) if np.iscomplexobj(x) else np.abs(x)


def turned(x: np.ndarray) -> np.ndarray:
    """The conjugate transpose."""
    return np.conj(np.swapaxes(x, -1, -2))


# --- triangular systems -------------------------------------------------------------------------


def substitute(t: np.ndarray, y: np.ndarray, upper: bool, unit: bool) -> np.ndarray:
    """X with T X = Y, T the triangle of t; a zero on the diagonal divides, as in BLAS."""
    lead = np.broadcast_shapes(t.shape[:-2], y.shape[:-2])
    x = np.broadcast_to(y, (*lead, *y.shape[-2:])).copy()
    with np.errstate(all="ignore"):
        _substitute_into(t, x, upper, unit)
    return x


def _substitute_into(t: np.ndarray, x: np.ndarray, upper: bool, unit: bool) -> None:
    n = t.shape[-1]
    if n > BLOCK:  # the half that depends on nothing first, then what is left of the other half
        half = n // 2
        first, last = (slice(half, n), slice(half)) if upper else (slice(half), slice(half, n))
        _substitute_into(t[..., first, first], x[..., first, :], upper, unit)
        x[..., last, :] -= t[..., last, first] @ x[..., first, :]
        _substitute_into(t[..., last, last], x[..., last, :], upper, unit)
        return
    for k in reversed(range(n)) if upper else range(n):
        known = slice(k + 1, n) if upper else slice(k)
        row = x[..., k, :]
        row -= (t[..., k, None, known] @ x[..., known, :])[..., 0, :]
        if not unit:
            row /= t[..., k, k, None]


# --- LU factors ---------------------------------------------------------------------------------


def eliminate(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian elimination with partial pivoting: L and U in one matrix, row exchanges from 1.

    Recursive over the columns (Toledo, SIAM Journal on Matrix Analysis 18, 1997).
    """
    *lead, m, n = x.shape
    work = x.reshape(prod(lead), m, n).copy()
    pivots = np.zeros((len(work), min(m, n)), np.int64)
    with np.errstate(all="ignore"):
        _eliminate_into(work, pivots)
    return work.reshape(x.shape), (pivots + 1).astype(np.int32).reshape(*lead, min(m, n))


def _eliminate_into(work: np.ndarray, pivots: np.ndarray) -> None:
    count = min(work.shape[1:])
    if count <= BLOCK:
        _eliminate_columns(work, pivots)
        return
    half = count // 2
    left, right = work[:, :, :half], work[:, :, half:]
    _eliminate_into(left, pivots[:, :half])
    _exchange(right, pivots[:, :half])
    _substitute_into(left[:, :half], right[:, :half], False, True)
    right[:, half:] -= left[:, half:] @ right[:, :half]
    _eliminate_into(right[:, half:], pivots[:, half:])
    _exchange(left[:, half:], pivots[:, half:])
    pivots[:, half:] += half


def _eliminate_columns(work: np.ndarray, pivots: np.ndarray) -> None:
    batch = np.arange(len(work))
    for k in range(pivots.shape[1]):
        chosen = k + np.argmax(magnitude(work[:, k:, k]), 1)
        pivots[:, k] = chosen
        rows = work[batch, chosen]
        work[batch, chosen] = work[:, k]
        work[:, k] = rows
        head = work[:, k, k, None]
        work[:, k + 1 :, k] /= np.where(head == 0, 1, head)
        work[:, k + 1 :, k + 1 :] -= work[:, k + 1 :, k, None] * work[:, k, None, k + 1 :]


def _exchange(x: np.ndarray, pivots: np.ndarray) -> None:
    """The rows of x exchanged in place, in the order of the pivots (from 0)."""
    order = row_order(pivots, x.shape[1])
    x[...] = np.take_along_axis(x, order[:, :, None], 1)


def row_order(pivots: np.ndarray, rows: int) -> np.ndarray:
    """For every row of the exchanged matrix the row that it comes from; pivots (batch, k) count
    from 0.
    """
    order = np.tile(np.arange(rows), (len(pivots), 1))
    batch = np.arange(len(pivots))
    for k in range(pivots.shape[1]):
        chosen = pivots[:, k]
        there = order[batch, chosen]
        order[batch, chosen] = order[:, k]
        order[:, k] = there
    return order


def zero_pivot(packed: np.ndarray) -> np.ndarray:
    """Which diagonal element of U, from 1, is the first that is zero (0 where none is)."""
    zero = np.diagonal(packed, 0, -2, -1) == 0
    first = np.argmax(zero, -1) + 1 if zero.shape[-1] else np.zeros(zero.shape[:-1])
    return np.where(zero.any(-1), first, 0).astype(np.int32)


def forgiving(function: Callable, a: np.ndarray, *rest: np.ndarray) -> tuple:
    """(function(a, *rest), info): NaN for the matrices of the batch that are singular."""
    info = np.zeros(a.shape[:-2], np.int32)
    try:
        return function(a, *rest), info
    except np.linalg.LinAlgError:
        order = a.shape[-1]
        for place in np.ndindex(*info.shape):
            try:
                np.linalg.inv(a[place])
            except np.linalg.LinAlgError:
                info[place] = zero_pivot(eliminate(a[place])[0]) or order
    failed = (info > 0)[..., None, None]
    made = function(np.where(failed, np.eye(order, dtype=a.dtype), a), *rest)
    return np.where(failed, np.nan, made), info


# --- Cholesky factors ---------------------------------------------------------------------------


def cholesky(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(L, info) with x = L L^H, the lower triangle of x being read; where a leading minor is not
    positive-definite info says which, and L is the factor of those before it.
    """
    info = np.zeros(x.shape[:-2], np.int32)
    try:
        return np.linalg.cholesky(x), info
    except np.linalg.LinAlgError:
        made = np.tril(x)
    for place in np.ndindex(*info.shape):
        order = _positive_order(x[place])
        made[place][:order, :order] = np.linalg.cholesky(x[place][:order, :order])
        info[place] = 0 if order == x.shape[-1] else order + 1
    return made, info


def _positive_order(matrix: np.ndarray) -> int:
    """The order of the largest leading minor that is positive-definite."""
    low, high = 0, len(matrix) + 1
    while high - low > 1:
        middle = (low + high) // 2
        try:
            np.linalg.cholesky(matrix[:middle, :middle])
            low = middle
        except np.linalg.LinAlgError:
            high = middle
    return low


# --- LDL^H factors ------------------------------------------------------------------------------


def bunch_kaufman(a: np.ndarray, hermitian: bool) -> tuple[np.ndarray, int]:
    """L D L^T (L D L^H if hermitian) of one symmetric matrix, in place in its lower triangle.

    Returns the exchanges (negative twice for a 2 by 2 block of D) and info. Bunch and Kaufman,
    Mathematics of Computation 31 (1977), as LAPACK's sytf2 and hetf2 store it.
    """
    n = len(a)
    pivots, info, k = np.zeros(n, np.int32), 0, 0
    while k < n:
        if hermitian:
            a[k, k] = a[k, k].real
        chosen, size = _choose_pivot(a, k)
        if not chosen and not size:  # a column of zeros
            info = info or k + 1
            pivots[k], k = k + 1, k + 1
            continue
        moved = k + size - 1
        if chosen != moved:
            _exchange_symmetric(a, k, moved, chosen, hermitian)
        (_remove_one if size == 1 else _remove_two)(a, k, hermitian)
        pivots[k : k + size] = (chosen + 1) * (1 if size == 1 else -1)
        k += size
    return pivots, info


def _choose_pivot(a: np.ndarray, k: int) -> tuple[int, int]:
    """Which row is brought up, and whether a 1 by 1 or a 2 by 2 block is removed (0: neither)."""
    own = magnitude(a[k, k])
    below = magnitude(a[k + 1 :, k])
    largest = below.max(initial=0)
    if max(own, largest) == 0:
        return 0, 0
    if not own < BUNCH_KAUFMAN * largest:
        return k, 1
    best = k + 1 + int(np.argmax(below))
    beside = max(magnitude(a[best, k:best]).max(), magnitude(a[best + 1 :, best]).max(initial=0))
    if own >= BUNCH_KAUFMAN * largest * (largest / beside):
        return k, 1
    return best, 1 if magnitude(a[best, best]) >= BUNCH_KAUFMAN * beside else 2


def _exchange_symmetric(a: np.ndarray, k: int, i: int, j: int, hermitian: bool) -> None:
    """Rows and columns i < j of what is left from k on, of which the lower triangle is stored."""
    turn = np.conj if hermitian else np.positive
    a[j + 1 :, [i, j]] = a[j + 1 :, [j, i]]
    column, row = a[i + 1 : j, i].copy(), a[j, i + 1 : j].copy()
    a[i + 1 : j, i], a[j, i + 1 : j] = turn(row), turn(column)
    a[j, i] = turn(a[j, i])
    a[i, i], a[j, j] = a[j, j], a[i, i]
    a[[i, j], k:i] = a[[j, i], k:i]


def _remove_one(a: np.ndarray, k: int, hermitian: bool) -> None:
    """The part of the pivot a[k, k] taken out of what is left below it."""
    column = a[k + 1 :, k].copy()
    a[k + 1 :, k] /= a[k, k]
    share = np.outer(a[k + 1 :, k], np.conj(column) if hermitian else column)
    a[k + 1 :, k + 1 :] -= np.tril(share)


def _remove_two(a: np.ndarray, k: int, hermitian: bool) -> None:
    """The part of the block a[k : k + 2, k : k + 2] taken out of what is left below it."""
    columns = a[k + 2 :, k : k + 2].copy()
    a[k + 2 :, k : k + 2] = columns @ np.linalg.inv(diagonal_block(a, k, hermitian))
    other = np.conj(columns) if hermitian else columns
    a[k + 2 :, k + 2 :] -= np.tril(a[k + 2 :, k : k + 2] @ other.T)


def diagonal_block(a: np.ndarray, k: int, hermitian: bool) -> np.ndarray:
    """The 2 by 2 block of D that begins at k, of which the lower triangle is stored."""
    above = np.conj(a[k + 1, k]) if hermitian else a[k + 1, k]
    return np.array([[a[k, k], above], [a[k + 1, k], a[k + 1, k + 1]]])


def ldl_substitute(a: np.ndarray, pivots: np.ndarray, y: np.ndarray, hermitian: bool) -> np.ndarray:
    """X with A X = Y from the factors that `bunch_kaufman` leaves of one matrix A."""
    x, n = y.copy(), len(a)
    starts, k = [], 0
    while k < n:
        size = 1 if pivots[k] > 0 else 2
        starts.append((k, size))
        last, chosen = k + size - 1, abs(int(pivots[k])) - 1
        x[[last, chosen]] = x[[chosen, last]]
        block = slice(k, k + size)
        x[k + size :] -= a[k + size :, block] @ x[block]
        x[block] = (
            x[block] / a[k, k]
            if size == 1
            else np.linalg.solve(diagonal_block(a, k, hermitian), x[block])
        )
        k += size
    for k, size in reversed(starts):
        block, last = slice(k, k + size), k + size - 1
        rows = a[k + size :, block].T
        x[block] -= (np.conj(rows) if hermitian else rows) @ x[k + size :]
        chosen = abs(int(pivots[k])) - 1
        x[[last, chosen]] = x[[chosen, last]]
    return x


# --- least squares ------------------------------------------------------------------------------


def pseudo_inverse(
    x: np.ndarray, absolute: np.ndarray, relative: np.ndarray, hermitian: bool
) -> np.ndarray:
    """V diag(1 / s) U^H over the singular values s > max(absolute, relative * the largest)."""
    if x.size == 0:
        return np.zeros((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)
    if hermitian:
        values, u = np.linalg.eigh(x)
        vh = turned(u)
    else:
        u, values, vh = np.linalg.svd(x, full_matrices=False)
    sizes = np.abs(values)
    cut = np.maximum(absolute[..., None], relative[..., None] * sizes.max(-1, keepdims=True))
    kept = sizes > cut
    weights = np.where(kept, 1 / np.where(kept, values, 1), 0)
    return (turned(vh) * weights[..., None, :]) @ turned(u)


def least_squares(a: np.ndarray, y: np.ndarray, rcond: float, full_rank: bool) -> tuple:
    """(X, rank, singular values, info) of min |A X - Y|; through QR factors if A is said to have
    full rank, else through singular values above rcond * the largest.
    """
    m, n = a.shape[-2:]
    rank = np.zeros(a.shape[:-2], np.int64)
    sizes = np.zeros((*a.shape[:-2], min(m, n)), a.real.dtype)
    if a.size == 0:
        return np.zeros((*a.shape[:-2], n, y.shape[-1]), y.dtype), rank, sizes, rank
    if not full_rank:
        u, sizes, vh = np.linalg.svd(a, full_matrices=False)
        kept = sizes > rcond * sizes[..., :1]
        weights = np.where(kept, 1 / np.where(kept, sizes, 1), 0)
        x = turned(vh) @ (weights[..., None] * (turned(u) @ y))
        return x, kept.sum(-1), sizes, rank
    q, r = np.linalg.qr(a if m >= n else turned(a))
    if m >= n:
        x = substitute(r, turned(q) @ y, True, False)
    else:
        x = q @ substitute(turned(r), y, False, False)
    return x, rank, sizes, zero_pivot(r)


# --- exponential --------------------------------------------------------------------------------


def exponential(x: np.ndarray) -> np.ndarray:
    """Scaling and squaring around a Taylor polynomial of degree 18 (Bader, Blanes and Casas,
    Mathematics 7, 2019), in double precision.
    """
    wide = x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)
    size = np.abs(wide).sum(-2).max(-1) if x.size else np.zeros(x.shape[:-2])
    finite = np.where(np.isfinite(size), size, 0)
    squarings = np.maximum(np.ceil(np.log2(np.maximum(finite, 1e-300))), 0).astype(int)
    scaled = wide / (2.0**squarings)[..., None, None]
    term = total = np.broadcast_to(np.eye(x.shape[-1]), x.shape).astype(wide.dtype)
    for k in range(1, 19):
        term = term @ scaled / k
        total = total + term
    for step in range(int(squarings.max(initial=0))):
        total = np.where((squarings > step)[..., None, None], total @ total, total)
    return total
