"""Entries of the tape: what every kind of them has, the ends, and where gradients flow.

In: edges to the entries of the operands. Out: `GradFn`, walked by `autograd/walk.py`. Invariant: an
entry's `sequence` is larger than that of every entry it points to.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from sys import getrefcount
from typing import TYPE_CHECKING, Any

from ..base.layout import Layout
from ..ops.registry import TABLE
from .names import next_sequence

if TYPE_CHECKING:
    from .saved import Guard


class Anomaly:
    """Whether entries remember where they were made and walks look for NaN, as
    `torch.autograd.detect_anomaly` (autograd/anomaly_mode.py); for the whole process.
    """

    on = False
    check_nan = True
    trace: Callable  # the user's stack as text


class Edge:
    """Where a gradient flows next: output `number` of a GradFn."""

    __slots__ = ("function", "number")

    def __init__(self, function: GradFn, number: int) -> None:
        self.function = function
        self.number = number


class GradFn:
    """One entry of the tape, `tensor.grad_fn`.

    `apply` maps the gradients of the outputs to those of the edges.
    """

    __slots__ = (
        "__weakref__",
        "_hooks",
        "_metadata",
        "_prehooks",
        "edges",
        "guards",
        "layouts",
        "sequence",
    )

    edges: list[Edge | None]
    layouts: tuple[Layout, ...]  # of the outputs
    guards: list[Guard] | None  # what must not be overwritten though nothing reads it

    def __init__(self, edges: list[Edge | None], layouts: tuple[Layout, ...]) -> None:
        self.edges = edges
        self.layouts = layouts
        self.guards = None
        self.sequence = next_sequence()
        self._hooks: dict | None = None
        self._prehooks: dict | None = None
        self._metadata: dict | None = None
        if Anomaly.on:
            self._metadata = {"traceback_": Anomaly.trace()}

    def name(self) -> str:
        """PyTorch's name of the function, such as AddBackward0."""
        name = type(self).__name__
        return "torch::autograd::" + name if name in _QUALIFIED else name

    def apply(self, grads: list) -> Sequence:
        raise NotImplementedError

    def release(self) -> None:
        """Let go of what was saved for backward."""

    def places(self) -> list[int | None]:
        """For every operand that could have a gradient, its edge; None where none is wanted."""
        return list(range(len(self.edges)))

    @property
    def next_functions(self) -> tuple:
        """(entry, number of its output) of every operand; (None, 0) where no gradient is wanted."""
        edges = [None if place is None else self.edges[place] for place in self.places()]
        return tuple((None, 0) if e is None else (e.function, e.number) for e in edges)

    def call_hooks(self, results: Sequence, grads: list) -> Sequence:
        """The gradients of the edges after the hooks, which see one for every operand."""
        places = self.places()
        shown = tuple(None if place is None else results[place] for place in places)
        for hook in list((self._hooks or {}).values()):
            changed = hook(shown, tuple(grads))
            if changed is not None:
                shown = tuple(changed) if isinstance(changed, (tuple, list)) else (changed,)
        found = list(results)
        for place, grad in zip(places, shown):
            if place is not None:
                found[place] = grad
        return found

    def call_prehooks(self, grads: list) -> list:
        """The gradients of the outputs after the hooks: first those of the tensors, as registered,
        then what keeps `.grad`, then those of the entry.
        """
        hooks = self._prehooks or {}
        for key in sorted(hooks, key=lambda key: (getattr(hooks[key], "rank", 2), key)):
            changed = hooks[key](tuple(grads))
            if changed is not None:
                grads = list(changed) if isinstance(changed, (tuple, list)) else [changed]
        return grads

    @property
    def metadata(self) -> dict:
        if self._metadata is None:
            self._metadata = {}
        return self._metadata

    @property
    def requires_grad(self) -> bool:
        """True: an entry is made only where a gradient is wanted."""
        return True

    def _sequence_nr(self) -> int:
        return self.sequence

    def __call__(self, *grads: Any) -> Any:
        """The gradients of the edges from those of the outputs; one comes without a tuple."""
        results = tuple(self.apply(list(grads)))
        return results[0] if len(results) == 1 else results

    def push(self, tangents: list, create_graph: bool) -> Sequence:
        """The tangents of the outputs from those of the edges (None for zero): `apply`
        transposed.
        """
        from .forward import transposed

        return transposed(self, tangents, create_graph)

    def register_hook(self, hook: Callable) -> Any:
        """hook(grad_inputs, grad_outputs), called after the function; may return new
        grad_inputs.
        """
        if self._hooks is None:
            self._hooks = {}
        return RemovableHandle(self._hooks, hook)

    def register_prehook(self, hook: Callable) -> Any:
        """hook(grad_outputs), called before the function; may return new grad_outputs."""
        if self._prehooks is None:
            self._prehooks = {}
        return RemovableHandle(self._prehooks, hook)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at {id(self):#x}>"


_QUALIFIED = frozenset({"AccumulateGrad", "CopyBackwards", "CopySlices", "NotImplemented"})


class RemovableHandle:
    """What registering a hook returns; `remove()` takes the hook away, also as a context
    manager.
    """

    __slots__ = ("hooks", "id")
    _next = itertools.count().__next__

    def __init__(self, hooks: dict, hook: Callable) -> None:
        self.hooks = hooks
        self.id = RemovableHandle._next()
        hooks[self.id] = hook

    def remove(self) -> None:
        self.hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class AccumulateGrad(GradFn):
    """The end of the tape: adds the gradient into a leaf's `.grad`."""

    __slots__ = ("variable",)

    def __init__(self, variable: Any) -> None:
        super().__init__([], (variable._layout,))
        self.variable = variable

    def apply(self, grads: list) -> Sequence:
        # only the list refers to the gradient, and only the gradient to its memory: the leaf may
        # have it as it is
        unshared = getrefcount(grads[0]) == 2 and getrefcount(grads[0]._storage) == 2
        self.variable._accumulate(grads[0], unshared)
        return ()


class SourceGradFn(GradFn):
    """Where a transform starts: an alias of its input, with a place of its own on the tape."""

    __slots__ = ()

    def name(self) -> str:
        return "AliasBackward0"

    def apply(self, grads: list) -> Sequence:
        return grads

    @staticmethod
    def alias(tensor: Any) -> Any:
        """The tensor again, as the output of a source of its own."""
        edge = gradient_edge(tensor) if tensor.requires_grad else None
        made = tensor.detach()
        made._grad_fn = SourceGradFn([edge], (tensor._layout,))
        made._requires_grad = True
        return made


class TAPE_HOOKS:
    """What the tape needs of the tensor layer above it, filled in by tensor/dispatch.py."""

    make_tensor: Callable
    alias: Callable
    zeros: Callable
    ones: Callable
    leave: Callable
    vmap: Callable
    map_function: Callable


def gradient_edge(tensor: Any) -> Edge:
    """Where the gradient of a tensor that requires one goes."""
    function = tensor._grad_fn if tensor._base is None else tensor.grad_fn
    if function is not None:
        return Edge(function, tensor._output_nr)
    accumulator = tensor._accumulator
    function = accumulator() if accumulator is not None else None
    if function is None:
        function = AccumulateGrad(tensor)
        tensor._set_accumulator(function)
    return Edge(function, 0)


def fit_to(grad: Any, layout: Layout) -> Any:
    """Undo broadcasting (sum), complex extension (real part) and promotion (cast)."""
    have = grad._layout
    if have.shape != layout.shape:
        grad = TABLE["sum_to"](grad, layout.shape)
    if have.dtype is not layout.dtype:
        if have.dtype.is_complex and not layout.dtype.is_complex:
            grad = TABLE["real_part"](grad)
        if grad._layout.dtype is not layout.dtype:
            grad = TABLE["cast"](grad, layout.dtype)
    return grad
