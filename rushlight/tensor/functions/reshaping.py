"""Tensors that take another shape in place, and small functions around shapes and dtypes.

In: tensors. Out: the same tensors as another window on their memory, or facts. Invariant: a tensor
that changes its shape in place takes the place on the tape of the view that it becomes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...base import layout as layouts
from ...base.dtype import dtype
from ...base.layout import Size
from ...base.promotion import result_dtype, scalar_dtype
from ...ops import core, padding
from .. import views
from ..composed_views import split
from ..inplace import check_writable, count_write
from ..tensor import Tensor


def _in_place(function: Callable, name: str | None = None) -> Callable:
    """`name_`: the tensor becomes the view that a function makes of it."""
    name = name or function.__name__
    overloads = 3 if name == "squeeze" else 1

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        check_writable(self)
        made = function(self, *args, **kwargs)
        self._layout = made._layout
        count_write(self)
        if made.grad_fn is not None:
            title = type(made._grad_fn).__name__  # in place, PyTorch counts on from the others
            made._grad_fn.entitle(f"{title[:-1]}{int(title[-1]) + overloads}")
            self._grad_fn, self._output_nr, self._requires_grad = made._grad_fn, 0, True
        return self

    method.__name__ = f"{name}_"
    method.__doc__ = f"{name}, in place: the tensor itself becomes that view of its memory."
    return method


unsqueeze_, squeeze_, transpose_, t_, as_strided_ = (
    _in_place(function)
    for function in (views.unsqueeze, views.squeeze, views.transpose, views.t, views.as_strided)
)


swapaxes_, swapdims_ = (_in_place(views.transpose, name) for name in ("swapaxes", "swapdims"))


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Fill the main diagonal (x[i, i, ...]) with a number, as `torch.Tensor.fill_diagonal_`.

    `wrap` starts again below the square of a tall matrix.

    >>> import rushlight as rl
    >>> rl.zeros(2, 2).fill_diagonal_(5)
    tensor([[5., 0.],
            [0., 5.]])
    """
    if self.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    shape, strides = self.shape, self.stride()
    if self.ndim > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    self.as_strided((min(shape),), (sum(strides),), self.storage_offset()).fill_(fill_value)
    if wrap and self.ndim == 2 and shape[0] > shape[1] + 1:
        self[shape[1] + 1 :].fill_diagonal_(fill_value, wrap=True)
    return self


def split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """split into pieces of listed sizes, as `torch.split_with_sizes`."""
    return split(input, list(split_sizes), dim)


def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """The sum over the dimensions along which `size` would be broadcast to this shape, as
    `torch.Tensor.sum_to_size`.
    """
    wanted = views.sizes(size)
    lead = self.ndim - len(wanted)
    if lead < 0 or any(n not in (1, m) for n, m in zip(wanted, self.shape[lead:])):
        raise RuntimeError(f"size {list(wanted)} is not expandable to size {list(self.shape)}.")
    if wanted and tuple(self.shape) == wanted:
        return self
    return core.sum_to(self.long() if self.dtype.kind in ("bool", "int") else self, wanted)


def _chunk_cat(tensors: Sequence[Tensor], dim: int, num_chunks: int) -> Tensor:
    """Each tensor padded with zeros to a multiple of `num_chunks` along `dim`, parted into that
    many chunks, these flattened from `dim` on and joined chunk by chunk, as `torch._chunk_cat`.

    The result has the leading dimensions, then `num_chunks`, then the elements of a chunk of every
    tensor. RuntimeError for no tensors, no chunks, a `dim` outside a tensor, or leading dimensions
    that differ.
    """
    if not tensors:
        raise RuntimeError("_chunk_cat expects a non-empty input tensor list")
    if num_chunks < 1:
        raise RuntimeError(f"_chunk_cat expects positive num_chunks, got {num_chunks}")
    axis = layouts.normalize_axis(dim, tensors[0].ndim)
    lead = tensors[0].shape[:axis]
    parts = []
    for tensor in tensors:
        if not tensor.numel() or tensor.ndim <= axis or tensor.shape[:axis] != lead:
            raise RuntimeError(
                f"_chunk_cat expects tensors with elements and the sizes {list(lead)} before dim "
                f"{axis}, but one has the shape {list(tensor.shape)}"
            )
        missing = -tensor.shape[axis] % num_chunks
        widths = (0, 0) * (tensor.ndim - axis - 1) + (0, missing)
        whole = padding.constant_pad_nd(tensor, widths) if missing else tensor
        parts.append(whole.reshape((*lead, num_chunks, -1)))
    return core.cat(parts, axis + 1)


# --- facts ----------------------------------------------------------------------------------------


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of these shapes (or lengths) broadcast to, as
    `torch.broadcast_shapes`.

    >>> import rushlight as rl
    >>> rl.broadcast_shapes((2, 1), (3,))
    torch.Size([2, 3])
    """
    return Size(
        layouts.broadcast_shapes(*[(s,) if isinstance(s, int) else tuple(s) for s in shapes])
    )


def result_type(tensor1: Any, tensor2: Any) -> dtype:
    """The dtype that two tensors or numbers have in common, as `torch.result_type`.

    >>> import rushlight as rl
    >>> rl.result_type(rl.tensor([1, 2]), 1.0)
    torch.float32
    """
    operands = []
    for value in (tensor1, tensor2):
        if isinstance(value, Tensor):
            operands.append((value.dtype, 2 if value.ndim else 1))
        else:
            operands.append((scalar_dtype(type(value)), 0))
    return result_dtype(operands)


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero, as `torch.is_nonzero`; RuntimeError for several."""
    return bool(input)


FUNCTIONS = (split_with_sizes, _chunk_cat, broadcast_shapes, result_type, is_nonzero)
METHODS = (
    unsqueeze_,
    squeeze_,
    transpose_,
    swapaxes_,
    swapdims_,
    t_,
    as_strided_,
    fill_diagonal_,
    split_with_sizes,
    sum_to_size,
    is_nonzero,
)
