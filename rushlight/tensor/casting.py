"""Automatic mixed precision: which operations cast their operands, and to what.

In: a call of a row, or of a public function made of several rows, in a thread that has autocast on.
Out: the same call with its floating-point operands in the dtype that the policy of PyTorch's device
asks for. Invariants: a thread without autocast sees the plain dispatcher's results; while no thread
of the process has it on, rows are dispatched without passing here at all; float64 and integers are
never cast.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

from ..autograd.modes import MODE
from ..base import dtype as dtypes
from ..ops import core
from ..ops.families import FAMILY_OF
from ..ops.registry import Op
from .tensor import Tensor

LOWER, FLOAT, WIDEST, PLAIN = "lower", "float", "widest", "plain"

_PRODUCTS = """
    addbmm addmm baddbmm bmm conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d
    conv_transpose3d linalg_vecdot linear matmul mm prelu scaled_dot_product_attention
"""
_LOSSES = """
    binary_cross_entropy_with_logits cosine_embedding_loss hinge_embedding_loss huber_loss kl_div
    l1_loss margin_ranking_loss mse_loss multi_margin_loss multilabel_margin_loss nll_loss
    poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss
"""
# device type -> policy -> the names that PyTorch's documentation of torch.amp lists for it (or that
# PyTorch makes of such). PLAIN: PyTorch lists no policy for a function that is made here of rows
# that have one.
_LISTS: dict[str, dict[str, str]] = {
    "cpu": {
        LOWER: _PRODUCTS + " einsum inner tensordot",
        FLOAT: _LOSSES
        + """
    adaptive_avg_pool3d adaptive_max_pool3d avg_pool3d binary_cross_entropy cdist cholesky
    cholesky_inverse cholesky_solve cross_entropy ctc_loss fft_fft fft_fft2 fft_fftn fft_hfft
    fft_ifft fft_ifft2 fft_ifftn fft_ihfft fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2
    fft_rfftn fractional_max_pool2d fractional_max_pool3d geqrf grid_sample inverse linalg_cholesky
    linalg_cholesky_ex linalg_cond linalg_eig linalg_eigh linalg_eigvals linalg_eigvalsh
    linalg_householder_product linalg_inv linalg_inv_ex linalg_lstsq linalg_matrix_rank linalg_qr
    linalg_solve linalg_svd linalg_svdvals linalg_tensorinv linalg_tensorsolve lu_solve max_pool3d
    max_unpool1d max_unpool2d max_unpool3d nanquantile orgqr ormqr pinverse polar prod qr quantile
    stft svd trace reflection_pad1d reflection_pad2d replication_pad1d
    replication_pad2d replication_pad3d triangular_solve
    """,
        WIDEST: "cat index_copy stack",
        PLAIN: "addmv bilinear dot mv vdot",
    },
    "cuda": {
        LOWER: _PRODUCTS + " addmv addr chain_matmul einsum linalg_multi_dot mv",
        FLOAT: _LOSSES
        + """
    acos asin cdist cosh cosine_similarity cumprod cumsum dist erfinv exp expm1 group_norm
    layer_norm linalg_matrix_norm linalg_vector_norm log log10 log1p log2 log_softmax logsumexp norm
    nuclear_norm pdist pow prod reciprocal renorm rms_norm rsqrt sinh softmax softplus sum tan
    interpolate
    """,
        WIDEST: """
    addcdiv addcmul atan2 bilinear cross dot grid_sample index_put scatter_add tensordot vdot
    """,
        PLAIN: "",
    },
}
POLICIES: dict[str, dict[str, str]] = {
    device: {name: policy for policy, names in lists.items() for name in names.split()}
    for device, lists in _LISTS.items()
}
NAMES = frozenset(name for policies in POLICIES.values() for name in policies)
LOW_PRECISION = (dtypes.bfloat16, dtypes.float16)


class _Autocast(threading.local):
    """Autocast of this thread; the class attributes are what a new thread starts with."""

    enabled: frozenset[str] = frozenset()  # types of devices
    suspended = 0  # how many functions that were cast as a whole are running
    nesting = 0
    caching = True

    def __init__(self) -> None:
        self.dtype = {"cpu": dtypes.bfloat16, "cuda": dtypes.float16}
        self.cache: dict[int, tuple[Tensor, int, dtypes.dtype, Tensor]] = {}


STATE = _Autocast()
_LOCK = threading.Lock()
_threads_enabled = 0
_plain: Callable[[Op, tuple], Any] | None = None


def enable(device: str, enabled: bool) -> None:
    """Turn autocast for a type of device on or off in this thread.

    While any thread has it on, rows are dispatched through `dispatch_casting`.
    """
    before = STATE.enabled
    after = before | {device} if enabled else before - {device}
    STATE.enabled = after
    if bool(before) == bool(after):
        return
    global _threads_enabled, _plain
    with _LOCK:
        _plain = _plain or Op.dispatcher
        _threads_enabled += 1 if after else -1
        chosen = dispatch_casting if _threads_enabled else _plain
        Op.dispatcher = staticmethod(chosen)  # type: ignore[assignment]


def dispatch_casting(row: Op, args: tuple) -> Any:
    """The dispatcher while some thread has autocast on."""
    assert _plain is not None
    if STATE.enabled and not STATE.suspended and row.__name__ in NAMES:
        policy = _policy(row.__name__, args)
        if policy not in (None, PLAIN):
            args = tuple(_cast(policy, args, args))
    return _plain(row, args)


def around(name: str, function: Any) -> Any:
    """A public function made of several rows, cast as one operation called `name`.

    Rows, and functions without a policy, come back as they are: their rows cast for themselves.
    """
    if name not in NAMES or name in FAMILY_OF or isinstance(function, Op):
        return function

    @wraps(function)
    def casting(*args: Any, **kwargs: Any) -> Any:
        if not STATE.enabled or STATE.suspended:
            return function(*args, **kwargs)
        operands = (*args, *kwargs.values())
        policy = _policy(name, operands)
        if policy is None:
            return function(*args, **kwargs)
        if policy != PLAIN:
            args = tuple(_cast(policy, args, operands))
            kwargs = dict(zip(kwargs, _cast(policy, kwargs.values(), operands)))
        with suspended():
            return function(*args, **kwargs)

    return casting


@contextmanager
def suspended() -> Iterator[None]:
    """Inside, this thread's operations are not cast: they belong to one that was."""
    STATE.suspended += 1
    try:
        yield
    finally:
        STATE.suspended -= 1


def _policy(name: str, operands: Sequence) -> str | None:
    """The policy for an operation on these operands: that of the first device with autocast on.

    One tensor alone (an einsum that only transposes) makes no product.
    """
    tensors = list(_tensors(operands))
    device = next((x.device.type for x in tensors if x.device.type in STATE.enabled), None)
    policy = None if device is None else POLICIES[device].get(name)
    return None if policy == LOWER and len(tensors) < 2 else policy


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _eligible(tensor: Tensor) -> bool:
    dtype = tensor.dtype
    return (
        dtype.kind == "float"
        and dtype is not dtypes.float64
        and tensor.device.type in STATE.enabled
    )


def _cast(policy: str | None, values: Any, operands: Sequence) -> Iterator[Any]:
    """Arguments with the tensors among them in the policy's dtype."""
    device = next(x.device.type for x in _tensors(operands) if x.device.type in STATE.enabled)
    target = STATE.dtype[device] if policy == LOWER else dtypes.float32
    if policy == WIDEST:
        target = _widest(STATE.dtype[device], operands)
    return (_converted(value, target) for value in values)


def _widest(lower: Any, operands: Sequence) -> Any:
    """float32 where an operand is, else the lower precision; no third dtype is allowed."""
    found = {tensor.dtype for tensor in _tensors(operands) if _eligible(tensor)}
    odd = found - {lower, dtypes.float32}
    if odd:
        raise RuntimeError(
            f"Unexpected floating ScalarType in autocast: {odd.pop()} among operands that are "
            f"promoted to the widest of {lower} and torch.float32; convert it first"
        )
    return dtypes.float32 if dtypes.float32 in found else lower


def _converted(value: Any, target: Any) -> Any:
    if isinstance(value, (list, tuple)) and any(isinstance(each, Tensor) for each in value):
        return type(value)([_converted(each, target) for each in value])
    if not isinstance(value, Tensor) or not _eligible(value) or value.dtype is target:
        return value
    keep = (
        STATE.caching
        and MODE.grad
        and target in LOW_PRECISION
        and value.dtype is dtypes.float32
        and value.requires_grad
        and value.is_leaf
        and value._base is None
    )
    if not keep:
        return core.cast(value, target)
    found = STATE.cache.get(id(value))
    if found is not None and found[1] == value._version and found[2] is target:
        return found[3]
    cast = core.cast(value, target)
    STATE.cache[id(value)] = (value, value._version, target, cast)
    return cast
