"""In-place operations: a result recorded as usual takes the place of a tensor's value.

In: a tensor and the tensor that it is to become. Out: the tensor, its version bumped and its tape
entry replaced. Invariants: every alias of the memory sees the new value; a write through a partial
view is recorded as a pure `write_slice` of the whole storage; memory that the outside can see is
written at once.
"""

from __future__ import annotations

import sys
from types import CodeType, FrameType

from ..autograd.modes import MODE
from ..base.dtype import TYPE_NAMES
from ..base.layout import Layout, layout_of
from ..base.promotion import can_cast
from ..graph.trace import LOCK
from ..ops import core
from ..runtime.buffer import Buffer
from .storage import Storage
from .tensor import Tensor, make_tensor

PACKAGE = __name__.split(".", 1)[0]


def overwrite(target: Tensor, value: Tensor, check: bool = True) -> Tensor:
    """target's elements become value's (its shape, its dtype converted); returns target.

    RuntimeError: a leaf that requires grad, a shape that would grow, a dtype of a lower kind,
    overlapping memory.
    """
    layout = target._layout
    if check:
        check_writable(target)
    if value._layout.shape != layout.shape:
        raise RuntimeError(
            f"output with shape {list(layout.shape)} doesn't match the broadcast shape "
            f"{list(value._layout.shape)}"
        )
    if value._layout.dtype is not layout.dtype:
        if not can_cast(value._layout.dtype, layout.dtype):
            raise RuntimeError(
                f"result type {TYPE_NAMES[value._layout.dtype.name]} can't be cast to the desired "
                f"output type {TYPE_NAMES[layout.dtype.name]}"
            )
        value = core.cast(value, layout.dtype)
    if layout.device.type == "meta":
        return target
    return replace(target, value)


def check_writable(target: Tensor, repeats: bool = False) -> None:
    """RuntimeError where an in-place operation on the tensor would not mean anything; one value for
    every element means the same for elements that `repeats` stand for together.
    """
    if MODE.grad:
        if target.requires_grad and target.grad_fn is None:
            raise RuntimeError(
                "a leaf Variable that requires grad is being used in an in-place operation."
            )
        base = target._base
        if base is not None and base._requires_grad and base._grad_fn is None:
            raise RuntimeError(
                "a view of a leaf Variable that requires grad is being used in an in-place "
                "operation."
            )
    layout = target._layout
    if (
        layout.numel
        and not repeats
        and any(st == 0 and n > 1 for n, st in zip(layout.shape, layout.strides))
    ):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            "single memory location. Please clone() the tensor before performing the operation."
        )


def check_overlap(target: Tensor, operands: tuple) -> None:
    """RuntimeError where an operand shares some, but not all, of the memory that is written."""
    own = target._layout
    first, last = own.offset, own.reach()
    for operand in operands:
        if (
            not isinstance(operand, Tensor)
            or operand._storage is not target._storage
            or operand is target
        ):
            continue
        other = operand._layout
        if not own.numel or not other.numel or last <= other.offset or other.reach() <= first:
            continue
        spans = own.reach() - own.offset == own.numel, other.reach() - other.offset == other.numel
        if all(spans) and (own.strides, own.offset, own.shape) != (
            other.strides,
            other.offset,
            other.shape,
        ):
            raise RuntimeError(
                "unsupported operation: some elements of the input tensor and the written-to "
                "tensor refer to a single memory location. Please clone() the tensor before "
                "performing the operation."
            )


def is_taped(target: Tensor, operands: tuple) -> bool:
    """Whether an in-place operation on these operands goes on the tape."""
    return MODE.grad and any(isinstance(x, Tensor) and x.requires_grad for x in (target, *operands))


def replace(target: Tensor, value: Tensor) -> Tensor:
    """The value takes target's place in memory and on the tape (no checks)."""
    with LOCK:
        storage = target._storage
        taped = MODE.grad and (value.requires_grad or target.requires_grad)
        if taped and target._base is not None:
            refuse_piece(target, "is a view and is being modified inplace")
        for saver in storage.savers:
            saved = saver()
            if saved is not None:
                saved.thaw()
        storage.savers = ()
        kept = storage.buffer if storage.outside() else None
        store(storage, target._layout, value)
        count_write(target)
        storage.writer = _line()
        if kept is not None:
            write_through(storage, kept)
    if taped:
        rebase(target, value)
    else:
        storage.rebased += 1  # views lead to their base anew, as after a write on the tape
    return target


def refuse_piece(view: Tensor, what: str) -> None:
    """RuntimeError for one of several views that one call returned (or a view of such a one): the
    tape has no way to give it another entry.
    """
    from .views import PiecesGradFn, ViewGradFn

    function = view._grad_fn
    while isinstance(function, ViewGradFn):
        function = function.edges[0].function
    if isinstance(function, PiecesGradFn):
        raise RuntimeError(
            f"Output {view._output_nr} of {function.title} {what}. This view is the output of a "
            "function that returns multiple views. Such functions do not allow the output views to "
            "be modified inplace. You should replace the inplace operation by an out-of-place one."
        )


def count_write(target: Tensor) -> None:
    """Count a write: with its storage, or where the tensor counts apart (see `Tensor.data`)."""
    if target._cell is None:
        target._storage.version += 1
    else:
        target._cell[0] += 1


def store(storage: Storage, layout: Layout, value: Tensor) -> None:
    """Make the storage's value what it is after `value` was stored through `layout`."""
    if layout.whole.numel == 0:
        return
    if layout.batch or value._layout.batch:
        from .batching import whole_values

        layout, value = layout.whole, whole_values(value.detach(), layout)
    covers = layout.numel == storage.numel and layout.dense() and layout.dtype is storage.dtype
    if covers:
        fresh = (
            value._layout.strides == layout.strides
            and not value._layout.offset
            and value._storage.pending()
        )
        if not fresh or value._storage.numel != layout.numel:
            value = core.restride(value.detach(), layout.strides)
        storage.take(value._storage)
        return
    numel = storage.nbytes() // layout.dtype.itemsize
    flat = make_tensor(storage, layout_of((numel,), (1,), 0, layout.dtype, layout.device))
    result = core.write_slice(flat, value.detach(), layout.strides, layout.offset)
    if layout.dtype is storage.dtype:
        storage.take(result._storage)
    else:  # such memory is shared: what it holds is its bytes
        fresh = result._storage.realize()
        storage.realize().numpy("uint8")[: storage.nbytes()] = fresh.numpy("uint8")[
            : storage.nbytes()
        ]


def write_through(storage: Storage, kept: Buffer) -> None:
    """Put a new value into the very bytes that the outside looks at."""
    try:
        storage.realize()
    finally:  # something else may have failed in that flush: what there is still goes there
        fresh = storage.buffer
        if fresh is not None:
            count = storage.nbytes()
            kept.numpy("uint8")[:count] = fresh.numpy("uint8")[:count]
            storage.buffer = kept
            storage.epoch = -1


def rebase(target: Tensor, value: Tensor) -> None:
    """Move target's place on the tape to the new value; a view moves its base's along."""
    base = target._base
    storage = target._storage
    if base is None:
        target._grad_fn = value.grad_fn
        target._output_nr = value._output_nr
        target._requires_grad = value.requires_grad
        storage.rebased += 1
        return
    from .views import CopySlices

    function = CopySlices(base, target._layout, value)
    base._grad_fn = function
    base._output_nr = 0
    base._requires_grad = True
    storage.rebased += 1
    target.grad_fn  # noqa: B018 - reattach now, so that the tape is made in program order


def user_frame() -> FrameType | None:
    """The first frame outside this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").split(".", 1)[0] == PACKAGE:
        frame = frame.f_back
    return frame


def _line() -> tuple[CodeType, int] | None:
    """The user's code and line."""
    frame = user_frame()
    return None if frame is None else (frame.f_code, frame.f_lineno)


def assign(target: Tensor, value: Tensor) -> Tensor:
    """target's storage takes the value of a tensor of the same shape and dtype, off the tape (for
    optimizers).
    """
    return replace(target, value.detach() if value.requires_grad else value)
