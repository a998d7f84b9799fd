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
from .modes import MODE
from .tape import TAPE_HOOKS, AccumulateGrad, GradFn, fit_to, gradient_edge


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
        rows = _listed(grad_outputs)
        each = [
            grad(
                outputs,
                inputs,
                [g[k] for g in rows],
                True,
                create_graph,
                allow_unused=allow_unused,
                materialize_grads=materialize_grads,
            )
            for k in range(rows[0].shape[0])
        ]
        return tuple(None if g[0] is None else TABLE["stack"](list(g), 0) for g in zip(*each))
    for x in inputs:
        if not x.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
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
        results.append(TAPE_HOOKS.zeros(x._layout) if g is None and materialize_grads else g)
    return tuple(results)


def _listed(value: Any) -> list:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _start(tensors: list, grads: list, create_graph: bool) -> list:
    """(edge, gradient) of every output.

    RuntimeError where one cannot be differentiated or shapes differ.
    """
    if len(grads) != len(tensors):
        raise RuntimeError(f"got {len(tensors)} tensors and {len(grads)} gradients")
    roots = []
    for k, (tensor, g) in enumerate(zip(tensors, grads)):
        if not tensor.requires_grad:
            raise RuntimeError(
                f"element {k} of tensors does not require grad and does not have a grad_fn"
            )
        if g is None:
            if tensor._layout.numel != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            if not tensor._layout.dtype.is_floating_point:
                raise RuntimeError(
                    "grad can be implicitly created only for real scalar outputs but got "
                    f"{tensor._layout.dtype}"
                )
            g = TAPE_HOOKS.ones(tensor._layout)
        elif g._layout.shape != tensor._layout.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{k}] has a shape of {g._layout.shape} and "
                f"output[{k}] has a shape of {tensor._layout.shape}."
            )
        roots.append((gradient_edge(tensor), g))
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
        self.edges = [gradient_edge(x) for x in inputs] if inputs is not None else []
        for edge in self.edges:
            self.wanted.setdefault(edge.function, []).append(edge.number)
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

    def _send(self, edge: Any, g: Any) -> None:
        """Add a gradient to what waits at an edge."""
        function = edge.function
        if self.needed is not None and function not in self.needed:
            return
        waiting = self.pending.get(function)
        if waiting is None:
            waiting = self.pending[function] = [None] * len(function.layouts)
            heapq.heappush(self.heap, (-function.sequence, len(self.pending), function))
        g = fit_to(g, function.layouts[edge.number])
        have = waiting[edge.number]
        waiting[edge.number] = g if have is None else TABLE["add"](have, g)

    def run(self) -> list:
        before = MODE.grad
        MODE.grad = self.create_graph
        try:
            while self.heap:
                self._step(heapq.heappop(self.heap)[2])
        finally:
            MODE.grad = before
        if self.accumulate and self.inputs is not None:
            for x, edge in zip(self.inputs, self.edges):
                g = self.captured.pop((id(edge.function), edge.number), None)
                if g is not None:
                    x._accumulate(g)
        return [self.captured.get((id(e.function), e.number)) for e in self.edges]

    def _step(self, function: GradFn) -> None:
        grads = self.pending.pop(function)
        if function._prehooks:
            for hook in list(function._prehooks.values()):
                changed = hook(tuple(grads))
                if changed is not None:
                    grads = list(changed) if isinstance(changed, (tuple, list)) else [changed]
        for number in self.wanted.get(function, ()):
            if grads[number] is not None:
                self.captured[(id(function), number)] = grads[number]
        if self.needed is not None and isinstance(function, AccumulateGrad):
            return
        if self.needed is not None and not any(
            e is not None and e.function in self.needed for e in function.edges
        ):
            return
        results = function.apply(grads)
        if function._hooks:
            for hook in list(function._hooks.values()):
                changed = hook(tuple(results), tuple(grads))
                if changed is not None:
                    results = changed if isinstance(changed, (tuple, list)) else (changed,)
        if not self.keep:
            function.release()
        for edge, g in zip(function.edges, results):
            if edge is not None and g is not None:
                self._send(edge, g)
