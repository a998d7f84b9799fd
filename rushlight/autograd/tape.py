"""The tape: one GradFn per differentiable operation, linked to those of its operands.

In: made while recording (`record_op`) or by views, in-place writes and user functions. Out: walked
by `autograd/walk.py`. Invariants: a GradFn's `sequence` is larger than that of every GradFn it
points to; it keeps alive exactly the values that its active rules name; a saved value is (storage,
version), checked when it is used.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from sys import getrefcount
from typing import Any

from ..base.layout import Layout
from ..ops.registry import STATIC, TABLE, VALUES, Op, Rule
from .modes import MODE

next_sequence = itertools.count(1).__next__
_PLAIN = frozenset({int, float, bool, complex})


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

    __slots__ = ("__weakref__", "_hooks", "_metadata", "_prehooks", "edges", "layouts", "sequence")

    edges: list[Edge | None]
    layouts: tuple[Layout, ...]  # of the outputs

    def __init__(self, edges: list[Edge | None], layouts: tuple[Layout, ...]) -> None:
        self.edges = edges
        self.layouts = layouts
        self.sequence = next_sequence()
        self._hooks: dict | None = None
        self._prehooks: dict | None = None
        self._metadata: dict | None = None
        if Anomaly.on:
            self._metadata = {"traceback_": Anomaly.trace()}

    def name(self) -> str:
        """PyTorch's name of the function, such as AddBackward0."""
        return type(self).__name__

    def apply(self, grads: list) -> Sequence:
        raise NotImplementedError

    def release(self) -> None:
        """Let go of what was saved for backward."""

    @property
    def next_functions(self) -> tuple:
        return tuple((None, 0) if e is None else (e.function, e.number) for e in self.edges)

    @property
    def metadata(self) -> dict:
        if self._metadata is None:
            self._metadata = {}
        return self._metadata

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
        return f"<{self.name()} object at {id(self):#x}>"


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


class SavedTensor:
    """A value kept for backward: the tensor (or, for an output, its storage) and the version it
    had.
    """

    __slots__ = (
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
                        owner, tensor._storage, self.layout, tensor._version, self.version
                    )
                )
            if tensor._grad_fn is not self.function and self.function is not None:
                return maker(self.storage, self.layout, self.function, tensor._output_nr)
            return tensor
        if self.storage.version != self.version:
            raise RuntimeError(
                modified_message(
                    owner, self.storage, self.layout, self.storage.version, self.version
                )
            )
        return maker(self.storage, self.layout, owner, self.number)


def modified_message(
    owner: GradFn, storage: Any, layout: Layout, version: int, expected: int
) -> str:
    """PyTorch's words, then what they leave out: the line that overwrote the value and the function
    that needs it.
    """
    line = f" It was overwritten at {storage.writer}." if storage.writer else ""
    kind = layout.dtype.name
    return (
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: [{kind} {list(layout.shape)}], saved for {owner.name()}, is at version "
        f"{version}; expected version {expected} instead.{line} Clone it before overwriting it, or "
        "use the out-of-place operation."
    )


class Plan:
    """What an op's tape entry does for one set of operands that need gradients: made once per (op,
    set).
    """

    __slots__ = ("keep_args", "keep_outputs", "rules")

    def __init__(self, row: Op, needs: tuple[bool, ...]) -> None:
        self.rules: list[Rule] = []
        self.keep_args: set[int] = set()
        self.keep_outputs = False
        covered: set[str] = set()
        wanted = {name for name, need in zip(row.names, needs) if need}
        for rule in row.rules:
            if not covered.isdisjoint(rule.targets) or wanted.isdisjoint(rule.targets):
                continue
            covered.update(rule.targets)
            self.rules.append(rule)
            for name in rule.names:
                if name in row._by_name:
                    self.keep_args.add(row._by_name[name])
                elif name.startswith("out"):
                    self.keep_outputs = True
        missing = wanted - covered
        if missing:
            raise NotImplementedError(
                f"the derivative for '{row.__name__}' with respect to {sorted(missing)} is not "
                "implemented"
            )


class OpGradFn(GradFn):
    """The tape entry of a row of the op table."""

    __slots__ = ("args", "outputs", "plan", "row", "slots")

    def __init__(
        self,
        row: Op,
        plan: Plan,
        args: list,
        edges: list[Edge | None],
        slots: list,
        layouts: tuple[Layout, ...],
    ) -> None:
        self.edges = edges
        self.layouts = layouts
        self.sequence = next_sequence()
        self._hooks = self._prehooks = None
        self._metadata = {"traceback_": Anomaly.trace()} if Anomaly.on else None
        self.row = row
        self.plan = plan
        self.slots = slots  # for each parameter: None, an edge index, or a list of edge indices
        self.args: list | None = (
            args  # for each parameter: SavedTensor, Layout (not needed), or the plain value
        )
        self.outputs: list = []

    def name(self) -> str:
        return self.row.grad_name

    def release(self) -> None:
        """Forget what was saved; where nothing was, the entry may be walked again."""
        if self.outputs or (self.args is not None and any(map(_is_saved, self.args))):
            self.args = None
            self.outputs = []

    def apply(self, grads: list) -> Sequence:
        if self.args is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved "
                f"tensors after they have already been freed): {self.name()} has been used. "
                "Specify retain_graph=True if you need to."
            )
        maker = TAPE_HOOKS.make_tensor
        row = self.row
        results: list = [None] * len(self.edges)
        for rule in self.plan.rules:
            got = rule.function(*[self._argument(name, grads, maker) for name in rule.names])
            for target, grad in zip(rule.targets, got if len(rule.targets) > 1 else (got,)):
                place = row._by_name[target]
                slot = self.slots[place]
                if slot is None or grad is None:
                    continue
                if isinstance(slot, list):
                    for k, part in zip(slot, grad):
                        if k is not None and part is not None:
                            results[k] = fit(part, self.args[place][slot.index(k)])
                else:
                    results[slot] = fit(grad, self.args[place])
        return results

    def __getattr__(self, name: str) -> Any:
        """`_saved_x`: what was kept of the operand x (`self` for the first, `result` for the
        output); `_raw_saved_x`: its SavedTensor.
        """
        _, found, parameter = name.partition("_saved_")
        if not found:
            raise AttributeError(f"'{self.name()}' object has no attribute '{name}'")
        if self.args is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved "
                f"tensors after they have already been freed): {self.name()} has been used. "
                "Specify retain_graph=True if you need to."
            )
        if parameter in ("result", "out") and self.outputs:
            value: Any = self.outputs[0]
        else:
            place = self.row._by_name.get({"self": "input"}.get(parameter, parameter))
            value = None if place is None else self.args[place]
            if place is None or isinstance(value, Layout):
                raise AttributeError(f"'{self.name()}' did not save '{parameter}'")
        return value if name[:2] == "_r" else _restore(value, self, TAPE_HOOKS.make_tensor)

    def _argument(self, name: str, grads: list, maker: Callable) -> Any:
        """What a rule asked for by the name of its parameter."""
        if name == "g":
            return grads[0]
        place = self.row._by_name.get(name)
        if place is not None:
            return _restore(self.args[place], self, maker)
        if name.endswith("_layout"):
            value = self.args[self.row._by_name[name[:-7]]]
            return [_layout(v) for v in value] if isinstance(value, list) else _layout(value)
        if name == "grads":
            return grads
        number = int(name[-1]) if name[-1].isdigit() else 0
        if name[0] == "g":
            grad = grads[number]
            return grad if grad is not None else TAPE_HOOKS.zeros(self.layouts[number])
        if name.startswith("needs_"):
            return self.slots[self.row._by_name[name[6:]]] is not None
        return self.outputs[number].unpack(self, maker)


class TAPE_HOOKS:
    """What the tape needs of the tensor layer above it, filled in by tensor/dispatch.py."""

    make_tensor: Callable
    alias: Callable
    zeros: Callable
    ones: Callable
    leave: Callable
    vmap: Callable
    map_function: Callable


def _is_saved(value: Any) -> bool:
    return isinstance(value, SavedTensor) or (
        isinstance(value, list) and any(map(_is_saved, value))
    )


def _restore(value: Any, owner: GradFn, maker: Callable) -> Any:
    if isinstance(value, SavedTensor):
        return value.unpack(owner, maker)
    if isinstance(value, list):
        return [_restore(v, owner, maker) for v in value]
    return value


def _layout(value: Any) -> Any:
    return value.layout if isinstance(value, SavedTensor) else value


def fit(grad: Any, operand: Any) -> Any:
    """The gradient brought to the operand's shape, realness and dtype."""
    layout = _layout(operand)
    if not isinstance(layout, Layout):
        return grad
    return fit_to(grad, layout)


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


def record_op(row: Op, args: tuple, layouts: tuple[Layout, ...]) -> OpGradFn:
    """The tape entry of an op applied to `args`, at least one of which needs a gradient."""
    needs: list[bool] = []
    edges: list[Edge | None] = []
    slots: list = []
    for kind, value in zip(row.kinds, args):
        if kind == STATIC or value is None or value.__class__ in _PLAIN:
            slots.append(None)
            needs.append(False)
        elif kind == VALUES:
            inner = []
            for tensor in value:
                need = tensor.requires_grad
                inner.append(len(edges) if need else None)
                if need:
                    edges.append(gradient_edge(tensor))
            slots.append(inner)
            needs.append(any(k is not None for k in inner))
        elif value._requires_grad or (value._base is not None and value.requires_grad):
            slots.append(len(edges))
            edges.append(gradient_edge(value))
            needs.append(True)
        else:
            slots.append(None)
            needs.append(False)
    key = tuple(needs)
    plan = row.plan_cache.get(key)
    if plan is None:
        plan = row.plan_cache[key] = Plan(row, key)
    kept = list(args)
    for k in row.tensor_places:
        value = kept[k]
        if value is None or value.__class__ in _PLAIN:
            continue
        needed = k in plan.keep_args
        if row.kinds[k] == VALUES:
            kept[k] = [SavedTensor(v) if needed else v._layout for v in value]
        else:
            kept[k] = SavedTensor(value) if needed else value._layout
    return OpGradFn(row, plan, kept, edges, slots, layouts)
