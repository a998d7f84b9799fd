"""The backward walk: gradients flow along the tape, latest operation first.

In: tensors, their gradients, and either leaves to accumulate into or inputs to report on. Out:
`.grad` or a tuple. Invariant: iterative, each tape entry runs once, after everything that uses its
outputs (larger `sequence` first).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from ..ops.registry import TABLE
from .entries import TAPE_HOOKS, AccumulateGrad, Anomaly, Edge, GradFn, fit_to, gradient_edge
from .modes import MODE


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Accumulate the gradients of tensors into the leaves' `.grad`, as `torch.autograd.backward`.

    >>> import rushlight as rl
    >>> x = rl.tensor(3.0, requires_grad=True)
    >>> rl.autograd.backward(x * x)
    >>> x.grad
    tensor(6.)
    """
    tensors = _listed(tensors)
    grads = _listed(grad_tensors if grad_tensors is not None else grad_variables)
    grads = grads or [None] * len(tensors)
    if inputs is not None:
        inputs = _listed(inputs)
        if not inputs:
            raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    keep = create_graph if retain_graph is None else retain_graph
    roots = _start(tensors, grads, create_graph)
    _Walk(roots, keep, create_graph, inputs, accumulate=True).run()


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple:
    """The gradients of outputs with respect to inputs, as `torch.autograd.grad`.

    Nothing is accumulated.
    """
    outputs, inputs = _listed(outputs), _listed(inputs)
    if is_grads_batched:
        return _batched(
            outputs, inputs, _listed(grad_outputs), create_graph, allow_unused, materialize_grads
        )
    for x in inputs:
        if not _is_edge(x) and not x.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    if MODE.forward:  # tangents may have to be pushed along this very walk
        create_graph = retain_graph = True
    keep = create_graph if retain_graph is None else retain_graph
    if allow_unused is None:
        allow_unused = materialize_grads
    roots = _start(outputs, _listed(grad_outputs) or [None] * len(outputs), create_graph)
    found = _Walk(roots, keep, create_graph, inputs, accumulate=False).run()
    results = []
    for x, g in zip(inputs, found):
        if g is None and not allow_unused:
            raise RuntimeError(
                "One of the differentiated Tensors appears to not have been used in the graph. "
                "Set allow_unused=True if this is the desired behavior."
            )
        results.append(TAPE_HOOKS.zeros(_layout_of(x)) if g is None and materialize_grads else g)
    return tuple(results)


def _batched(
    outputs: list,
    inputs: list,
    rows: list,
    create_graph: bool,
    allow_unused: bool | None,
    materialize_grads: bool,
) -> tuple:
    """The gradients for every row of a batch of cotangents, in one walk."""
    missing: list[bool] = []

    def one(*weights: Any) -> tuple:
        found = grad(
            outputs,
            inputs,
            list(weights),
            True,
            create_graph,
            allow_unused=allow_unused,
            materialize_grads=materialize_grads,
        )
        missing.extend(g is None for g in found)
        return tuple(g for g in found if g is not None)

    given = tuple(0 if g is not None else None for g in rows)
    made = iter(TAPE_HOOKS.vmap(one, in_dims=given)(*rows))
    return tuple(None if lost else next(made) for lost in missing)


def _listed(value: Any) -> list:
    if value is None:
        return []
    several = isinstance(value, (list, tuple)) and not hasattr(value, "node")  # a GradientEdge
    return list(value) if several else [value]


def _is_edge(x: Any) -> bool:
    """Whether a GradientEdge stands for a tensor."""
    return isinstance(x, tuple)


def _edge_of(x: Any) -> Edge:
    return Edge(x.node, x.output_nr) if _is_edge(x) else gradient_edge(x)


def _layout_of(x: Any) -> Any:
    return x.node.layouts[x.output_nr] if _is_edge(x) else x._layout


def _watched(function: GradFn, grads: list) -> Sequence:
    """apply, with the forward line where it fails or makes NaN."""
    from .anomaly_mode import watched

    return watched(function, grads)


def _start(tensors: list, grads: list, create_graph: bool) -> list:
    """(edge, gradient) of every output.

    RuntimeError where one cannot be differentiated or shapes differ.
    """
    if len(grads) != len(tensors):
        raise RuntimeError(f"got {len(tensors)} tensors and {len(grads)} gradients")
    roots = []
    for k, (tensor, g) in enumerate(zip(tensors, grads)):
        if not _is_edge(tensor) and not tensor.requires_grad:
            raise RuntimeError(
                f"element {k} of tensors does not require grad and does not have a grad_fn"
            )
        layout = _layout_of(tensor)
        if g is None:
            if layout.numel != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            if not layout.dtype.is_floating_point:
                raise RuntimeError(
                    "grad can be implicitly created only for real scalar outputs but got "
                    f"{layout.dtype}"
                )
            g = TAPE_HOOKS.ones(layout)
        elif g._layout.shape != layout.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{k}] has a shape of {g._layout.shape} and "
                f"output[{k}] has a shape of {layout.shape}."
            )
        roots.append((_edge_of(tensor), g))
    return roots


class _Walk:
    """One backward pass."""

    def __init__(
        self, roots: list, keep: bool, create_graph: bool, inputs: list | None, accumulate: bool
    ) -> None:
        self.keep = keep
        self.create_graph = create_graph
        self.pending: dict[GradFn, list] = {}
        self.heap: list[tuple[int, int, GradFn]] = []
        self.captured: dict[tuple[int, int], Any] = {}
        self.wanted: dict[GradFn, list[int]] = {}
        self.inputs = inputs
        self.accumulate = accumulate
        self.edges = [_edge_of(x) for x in inputs] if inputs is not None else []
        for edge in self.edges:
            self.wanted.setdefault(edge.function, []).append(edge.number)
        self.roots = [edge.function for edge, _ in roots]
        self.reached: set[GradFn] | None = None
        self.needed = (
            self._reaching([edge.function for edge, _ in roots]) if inputs is not None else None
        )
        for edge, g in roots:
            self._send(edge, g)

    def _reaching(self, starts: Sequence[GradFn]) -> set[GradFn]:
        """The tape entries from which an input can be reached."""
        order: list[GradFn] = []
        seen: set[GradFn] = set(starts)
        stack = list(seen)
        while stack:
            function = stack.pop()
            order.append(function)
            for edge in function.edges:
                if edge is not None and edge.function not in seen:
                    seen.add(edge.function)
                    stack.append(edge.function)
        needed: set[GradFn] = set()
        for function in sorted(order, key=lambda f: f.sequence):
            if function in self.wanted or any(
                e is not None and e.function in needed for e in function.edges
            ):
                needed.add(function)
        return needed

    def will_run(self, function: GradFn) -> bool:
        """Whether gradients reach a tape entry in this walk."""
        if self.needed is not None:
            return function in self.needed
        if self.reached is None:
            self.reached = set(self.roots)
            stack = list(self.roots)
            while stack:
                for edge in stack.pop().edges:
                    if edge is not None and edge.function not in self.reached:
                        self.reached.add(edge.function)
                        stack.append(edge.function)
        return function in self.reached

    def _send(self, edge: Any, g: Any) -> None:
        """Add a gradient to what waits at an edge."""
        function = edge.function
        if self.needed is not None and function not in self.needed:
            return
        waiting = self.pending.get(function)
        if waiting is None:
            waiting = self.pending[function] = [None] * len(function.layouts)
            heapq.heappush(self.heap, (-function.sequence, len(self.pending), function))
        if g._layout.batch:
            g = TAPE_HOOKS.leave(g, function)
        g = fit_to(g, function.layouts[edge.number])
        have = waiting[edge.number]
        waiting[edge.number] = g if have is None else TABLE["add"](have, g)

    def run(self) -> list:
        before, outer = MODE.grad, MODE.walk
        MODE.grad, MODE.walk = self.create_graph, self
        try:
            while self.heap:
                self._step(heapq.heappop(self.heap)[2])
        finally:
            MODE.grad, MODE.walk = before, outer
        if self.accumulate and self.inputs is not None:
            for x, edge in zip(self.inputs, self.edges):
                g = self.captured.pop((id(edge.function), edge.number), None)
                if g is not None:
                    x._accumulate(g)
        return [self.captured.get((id(e.function), e.number)) for e in self.edges]

    def _step(self, function: GradFn) -> None:
        grads = self.pending.pop(function)
        if function._prehooks:
            grads = function.call_prehooks(grads)
        for number in self.wanted.get(function, ()):
            if grads[number] is not None:
                self.captured[(id(function), number)] = grads[number]
        if self.needed is not None and isinstance(function, AccumulateGrad):
            return
        if self.needed is not None and not any(
            e is not None and e.function in self.needed for e in function.edges
        ):
            return
        for guard in function.guards or ():
            guard.check(function)
        if Anomaly.on:
            results = _watched(function, grads)
        else:
            results = function.apply(grads)
        if function._hooks:
            results = function.call_hooks(results, grads)
        if not self.keep:
            function.release()
        for edge, g in zip(function.edges, results):
            if edge is not None and g is not None:
                self._send(edge, g)
