"""What the tape keeps for backward: values with the versions they had, or the versions alone.

In: tensors. Out: the same tensors on their place on the tape, when their gradient is asked for.
Invariant: a value that was overwritten since is never given out: RuntimeError, naming the line that
overwrote it and the function that needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

from ..base.dtype import TYPE_NAMES
from ..base.layout import Layout
from ..ops.registry import TABLE
from .entries import TAPE_HOOKS, AccumulateGrad, GradFn, gradient_edge
from .modes import MODE


class Guard:
    """The version that a tensor had, without its value: PyTorch's function saves it, ours need
    not.
    """

    __slots__ = ("layout", "storage", "version")

    def __init__(self, tensor: Any) -> None:
        self.storage = ref(tensor._storage)  # memory that is gone cannot be overwritten
        self.layout = tensor._layout
        self.version = tensor._storage.version

    def check(self, owner: GradFn) -> None:
        """RuntimeError where the tensor was overwritten since."""
        storage = self.storage()
        if storage is not None and storage.version != self.version:
            raise RuntimeError(
                modified_message(owner, storage, self.layout, storage.version, self.version)
            )


class SavedTensor:
    """A value kept for backward: the tensor (or, for an output, its storage) and the version it
    had.
    """

    __slots__ = (
        "__weakref__",
        "function",
        "is_output",
        "layout",
        "number",
        "packed",
        "storage",
        "tensor",
        "version",
    )

    def __init__(self, tensor: Any, output_of: GradFn | None = None, number: int = 0) -> None:
        self.packed: tuple[Callable, Any] | None = None
        self.storage = tensor._storage
        self.version = tensor._version
        self.layout = tensor._layout
        self.number = number
        self.is_output = output_of is not None
        # an output's own entry is the one that holds this: naming it here would be a cycle
        self.function = tensor._grad_fn if output_of is None else None
        self.tensor = tensor if output_of is None else None
        if MODE.saved_hooks:
            self._pack(tensor, *MODE.saved_hooks[-1])

    def freeze(self) -> SavedTensor:
        """Keep the value as it is now, whatever becomes of the tensor: `thaw` is called before the
        memory is overwritten.
        """
        if self.packed is None and self.tensor is not None:
            storage = self.tensor._storage
            storage.savers = [*(s for s in storage.savers if s() is not None), ref(self)]
        return self

    def thaw(self) -> None:
        """Go on with a copy, recorded before the write that is about to come."""
        tensor = self.tensor
        if tensor is None:
            return
        if self.function is None and tensor.requires_grad:
            edge = gradient_edge(tensor)
            self.function, self.number = edge.function, edge.number
        kept = TABLE["clone"](tensor.detach())
        self.tensor, self.is_output = None, False
        self.packed = (_itself, kept)
        self.storage = kept._storage

    def register_hooks(self, pack: Callable, unpack: Callable) -> None:
        """Keep what `pack` makes of the value instead of the value."""
        if self.packed is not None:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: "
                "only one pair of hooks is allowed at a time."
            )
        kept = self.tensor
        self._pack(
            TAPE_HOOKS.alias(self.storage, self.layout) if kept is None else kept, pack, unpack
        )

    def _pack(self, tensor: Any, pack: Callable, unpack: Callable) -> None:
        if self.tensor is not None and tensor.requires_grad:
            edge = gradient_edge(tensor)  # its place on the tape, which the packed value has not
            self.function, self.number = edge.function, edge.number
        before, version = MODE.grad, tensor._version
        MODE.grad = False
        try:
            self.packed = (unpack, pack(tensor.detach()))
        finally:
            MODE.grad = before
        if tensor._version != version:
            raise RuntimeError(
                "A saved tensor pack hook is modifying its input in place. Tensors passed as input "
                "to pack hook can not be modified in-place."
            )
        self.storage = self.tensor = None

    def _unpacked(self, owner: GradFn | None, maker: Callable) -> Any:
        """What the unpack hook gives, on the place that the saved tensor had on the tape."""
        before = MODE.grad
        MODE.grad = False
        unpack, held = self.packed  # type: ignore[misc]
        try:
            made = unpack(held)
        finally:
            MODE.grad = before
        if not hasattr(made, "_layout"):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                f"{type(made).__name__}"
            )
        if owner is None:
            return made
        if isinstance(owner, AccumulateGrad):
            leaf = TAPE_HOOKS.alias(made._storage, made._layout)
            leaf._requires_grad = True
            leaf._set_accumulator(owner)
            return leaf
        return maker(made._storage, made._layout, owner, self.number)

    def unpack(self, owner: GradFn, maker: Callable) -> Any:
        """The tensor, on the tape as it was; RuntimeError where it was overwritten since."""
        if self.packed is not None:
            return self._unpacked(owner if self.is_output else self.function, maker)
        if self.tensor is not None:
            tensor = self.tensor
            if tensor._version != self.version:
                raise RuntimeError(
                    modified_message(
                        owner,
                        tensor._storage,
                        self.layout,
                        tensor._version,
                        self.version,
                        tensor.grad_fn,
                        tensor._output_nr,
                    )
                )
            if tensor._grad_fn is not self.function and self.function is not None:
                return maker(self.storage, self.layout, self.function, tensor._output_nr)
            return tensor
        if self.storage.version != self.version:
            raise RuntimeError(
                modified_message(
                    owner,
                    self.storage,
                    self.layout,
                    self.storage.version,
                    self.version,
                    owner,
                    self.number,
                )
            )
        return maker(self.storage, self.layout, owner, self.number)


def _itself(tensor: Any) -> Any:
    return tensor


def modified_message(
    owner: GradFn,
    storage: Any,
    layout: Layout,
    version: int,
    expected: int,
    made_by: GradFn | None = None,
    number: int = 0,
) -> str:
    """PyTorch's words, then what they leave out: the function that needs the value, and the line
    that overwrote it. `made_by` is the entry whose output it is.
    """
    writer = storage.writer
    line = f" and was overwritten at {writer[0].co_filename}:{writer[1]}" if writer else ""
    source = ""
    if made_by is not None and not isinstance(made_by, AccumulateGrad):
        source = f", which is output {number} of {made_by.name().partition('Backward')[0]},"
    return (
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: [torch.{TYPE_NAMES[layout.dtype.name]}Tensor {list(layout.shape)}]{source} is "
        f"at version {version}; expected version {expected} instead. It was saved for "
        f"{owner.name()}{line}. Clone it before overwriting it, or use the out-of-place operation."
    )
