"""The tape: one GradFn per differentiable operation, linked to those of its operands.

In: made while recording (`record_op`) or by views, in-place writes and user functions. Out: walked
by `autograd/walk.py`. Invariants: an entry keeps alive exactly the
values that its active rules name; a saved value is (storage, version), checked when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..base.layout import Layout
from ..ops.registry import STATIC, VALUES, Op, Rule
from .entries import TAPE_HOOKS, Anomaly, Edge, GradFn, fit_to, gradient_edge
from .names import class_named, next_sequence
from .saved import Guard, SavedTensor

_PLAIN = frozenset({int, float, bool, complex})


class Plan:
    """What an op's tape entry does for one set of operands that need gradients: made once per (op,
    set).
    """

    __slots__ = ("entry", "frozen", "guards", "keep_args", "keep_outputs", "rules")

    def __init__(self, row: Op, needs: tuple[bool, ...]) -> None:
        name = row.grad_name  # one name, or a function of the operands: asked at every call
        self.entry = class_named(OpGradFn, name) if isinstance(name, str) else None
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
        self.guards = [name for name in row.guarded if row._by_name.get(name) not in self.keep_args]
        self.frozen = {row._by_name[name] for name in row.frozen}
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
        self.guards = None
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

    def places(self) -> list[int | None]:
        """For every operand with a gradient rule, its edge. Numbers count where PyTorch wraps them
        in tensors: in arithmetic of two operands.
        """
        targets = {name for rule in self.row.rules for name in rule.targets}
        wraps = len(self.row.names) == 2 and isinstance(self.row.grad_name, str)
        found: list[int | None] = []
        for place in self.row.tensor_places:
            slot, value = self.slots[place], None if self.args is None else self.args[place]
            if slot is None and (value.__class__ in _PLAIN and not wraps):
                continue
            if slot is not None or self.row.names[place] in targets:
                found.extend(slot if isinstance(slot, list) else [slot])
        return found

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

    def __dir__(self) -> list[str]:
        """What there is, the names of what was saved included."""
        saved = ["result"] if self.outputs else []
        for name, value in zip(self.row.names, self.args or ()):
            title = "self" if name == "input" else name
            if isinstance(value, Layout):
                saved.append(f"{title}_sym_sizes")
            elif value is not None:
                saved.append(title)
        return [*object.__dir__(self), *(f"_saved_{name}" for name in saved)]

    def __getattr__(self, name: str) -> Any:
        """`_saved_x`: what was kept of the operand x (`self` for the first, `result` for the
        output); `_raw_saved_x`: its SavedTensor; `_saved_x_sym_sizes`: its shape.
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
        parameter, sizes, _ = parameter.partition("_sym_sizes")
        if parameter in ("result", "out") and self.outputs:
            value: Any = self.outputs[0]
        else:
            place = self.row._by_name.get({"self": "input"}.get(parameter, parameter))
            value = None if place is None else self.args[place]
            if place is None or (isinstance(value, Layout) and not sizes):
                raise AttributeError(f"'{self.name()}' did not save '{parameter}'")
        if sizes:
            return tuple(_layout(value).shape)
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


def guard_outputs(function: OpGradFn, outs: Sequence) -> None:
    """Watch the outputs that a row names among what it guards."""
    assert function.guards is not None
    for name in function.plan.guards:
        if name not in function.row._by_name:
            function.guards.append(Guard(outs[int(name[3:] or 0)]))


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
            if needed and k in plan.frozen:
                kept[k].freeze()
    entry = plan.entry or class_named(OpGradFn, row.title(args))
    made = entry(row, plan, kept, edges, slots, layouts)
    if plan.guards:
        made.guards = [
            Guard(args[row._by_name[name]])
            for name in plan.guards
            if hasattr(args[row._by_name[name]] if name in row._by_name else None, "_storage")
        ]
    return made
