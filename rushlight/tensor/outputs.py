"""`out=`: the result of a public function stored in a tensor that the caller brings.

In: a function, its call, the tensor (or tuple of tensors) given as `out`. Out: that tensor, resized
to the result's shape where it must be. Invariant: one mechanism for all functions; the dtype stays
the one of `out`, and nothing of it goes on the tape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..autograd.modes import MODE
from ..base.dtype import TYPE_NAMES, uint8
from ..base.layout import layout_of
from ..base.names import parameter_names
from ..base.promotion import can_cast
from ..ops import core
from ..ops.registry import Op
from .casting import suspended
from .inplace import check_overlap, check_writable, overwrite
from .methods import stretch
from .refusal import refusing
from .tensor import Tensor

# what is made without operands
MAKERS = "arange empty eye full linspace logspace ones range zeros"
# what is not converted on its way into `out`: other dtypes are a RuntimeError
UNCONVERTED = """
abs absolute addbmm addmm addmv alias_copy all amax amin aminmax any argmax argmin as_strided_copy
avg_pool2d avg_pool3d baddbmm bitwise_not bmm bucketize ceil clamp cholesky_ex complex conj_physical
cross cummax cummin det diag diagonal_copy diff dot eigh eigvalsh expand_copy float_power
floor frac frexp
gather gelu hardshrink heaviside histc histogram index_add index_copy index_select inner inv inv_ex
isin isneginf isposinf kthvalue ldl_factor ldl_factor_ex ldl_solve linear log_softmax logcumsumexp
logsigmoid lu_factor lu_factor_ex lu_solve lu_unpack masked_select matmul matrix_norm mm mode msort
multi_dot multinomial mv nan_to_num nanquantile narrow_copy neg negative nonzero norm permute_copy
polar qr quantile rand randn renorm round scatter scatter_add searchsorted sgn sign signbit
slice_scatter slogdet softmax softplus softshrink solve solve_ex solve_triangular sort
split_with_sizes_copy squeeze_copy svd svdvals t_copy take take_along_dim tensordot topk
transpose_copy triangular_solve tril triu trunc unbind_copy unfold_copy unsqueeze_copy vdot vecdot
vector_norm view_copy where
"""
# what takes its dtype from `out` where the call names none
TYPED_BY_OUT = frozenset(
    f"{MAKERS} cumprod cumsum nansum normal prod rand randint randn randperm sum".split()
)
EXACT = frozenset(f"{MAKERS} {UNCONVERTED}".split())
# what resizes an output without a word
UNWARNED = frozenset(f"{MAKERS} bernoulli multinomial normal rand randint randn randperm".split())
UNWARNED -= {"arange", "range"}
JOINING = frozenset({"cat", "concat", "concatenate", "hstack", "vstack", "dstack", "stack"})
# what does not resize an output whose elements share memory, but refuses it
UNSTRETCHED = frozenset({"index_select", "masked_select", "nonzero", "scatter", "take"})
UINT8_FOR_BOOL = frozenset({"all", "any"})  # their results from the time before bool


def call_into(function: Callable, args: tuple, kwargs: dict) -> Any:
    """function(*args, **kwargs), `out` among the keywords: the results stored in it.

    RuntimeError: an operand or an output that requires grad, a result that cannot be converted to
    the dtype of its output, another device.
    """
    call = dict(kwargs)
    out = call.pop("out")
    if out is None:
        return function(*args, **call)
    name = function.__name__
    outputs = tuple(out) if isinstance(out, (tuple, list)) else (out,)
    for each in outputs:
        if not isinstance(each, Tensor):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(each).__name__}")
    operands = _tensors((*args, *call.values()))
    if MODE.grad and any(x.requires_grad for x in (*operands, *outputs)):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad."
        )
    for each in outputs:
        check_writable(each, repeats=name not in UNSTRETCHED)  # it may still be resized
        check_overlap(each, operands)
    if name in TYPED_BY_OUT:
        call.setdefault("dtype", outputs[0].dtype)
    with suspended():  # as PyTorch's overloads with out, which autocast leaves alone
        made = function(*args, **call)
    results = (made,) if isinstance(made, Tensor) else tuple(made)
    if len(results) != len(outputs):
        raise TypeError(f"{name}(): out has {len(outputs)} tensors, the result {len(results)}")
    for target, value in zip(outputs, results):
        _check(name, target, value, name in EXACT or len(outputs) > 1)
    for target, value in zip(outputs, results):
        _deposit(target, value, name not in UNWARNED)
    if isinstance(made, Tensor):
        return outputs[0]
    return outputs if type(made) is tuple else type(made)(outputs)


def _tensors(values: Sequence) -> tuple[Tensor, ...]:
    """The tensors among the arguments of a call, also those in sequences."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found.extend(_tensors(value))
    return tuple(found)


def _check(name: str, target: Tensor, value: Tensor, exact: bool) -> None:
    exact = exact and not (name in UINT8_FOR_BOOL and target.dtype is uint8)
    if exact and target.dtype is not value.dtype:
        raise RuntimeError(
            f"{name}(): Expected out tensor to have dtype {value.dtype}, but got {target.dtype} "
            "instead"
        )
    if not can_cast(value.dtype, target.dtype):
        kind = TypeError if name in JOINING else RuntimeError
        raise kind(
            f"{name}(): result type {TYPE_NAMES[value.dtype.name]} can't be cast to the desired "
            f"output type {TYPE_NAMES[target.dtype.name]}: bring an out of dtype {value.dtype}"
        )
    if value.device != target.device:
        raise RuntimeError(
            f"{name}(): expected out on device {value.device}, but it is on {target.device}"
        )


def _deposit(target: Tensor, value: Tensor, warned: bool) -> None:
    """Store a result; an output of another shape becomes as long, and lies, as the result does."""
    if target.shape != value.shape:
        if target.numel() and warned:
            from warnings import warn

            warn(
                f"An output of shape {list(target.shape)} was resized to the shape "
                f"{list(value.shape)} of the result. Give an output of that shape, or empty it "
                "first with resize_(0).",
                stacklevel=4,
            )
        stretch(target, *value.shape)
        if value._layout.dense():
            strides = value._layout.strides
            target._layout = layout_of(
                value.shape, strides, target._layout.offset, target.dtype, target.device
            )
    check_writable(target)
    if value.dtype is not target.dtype:
        value = core.cast(value, target.dtype)
    overwrite(target, value.detach(), check=False)


def with_out(function: Any) -> Any:
    """A public function that also takes `out` and refuses arguments of a wrong kind by name; rows
    as they are.
    """
    if isinstance(function, Op) or not hasattr(function, "__code__"):
        return function
    return refusing(function, None if "out" in parameter_names(function) else call_into)


Op.into = staticmethod(call_into)  # type: ignore[assignment]
