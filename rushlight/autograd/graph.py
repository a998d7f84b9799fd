"""The tape from outside: its entries, its edges, and hooks on what it saves, as
`torch.autograd.graph`.

In: tensors and functions. Out: entries and edges. Invariant: hooks are per thread, the innermost
counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .modes import MODE
from .tape import GradFn as Node
from .tape import gradient_edge


class saved_tensors_hooks:
    """Within the block, what the tape saves goes through `pack`, and through `unpack` when it is
    needed.

    As `torch.autograd.graph.saved_tensors_hooks`: to keep saved values elsewhere, or smaller.

    >>> import rushlight as rl
    >>> x = rl.tensor(3.0, requires_grad=True)
    >>> with rl.autograd.graph.saved_tensors_hooks(lambda t: t.half(), lambda t: t.float()):
    ...     y = x * x
    >>> y.backward()
    >>> x.grad
    tensor(6.)
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        MODE.saved_hooks = (*MODE.saved_hooks, (self.pack_hook, self.unpack_hook))

    def __exit__(self, *exception: object) -> None:
        MODE.saved_hooks = MODE.saved_hooks[:-1]


class GradientEdge(NamedTuple):
    """Where the gradient of a tensor goes: an entry of the tape, and which of its outputs."""

    node: Node
    output_nr: int


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """The edge that the gradient of a tensor flows along, as
    `torch.autograd.graph.get_gradient_edge`.
    """
    if not tensor.requires_grad:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require "
            "gradients"
        )
    edge = gradient_edge(tensor)
    return GradientEdge(edge.function, edge.number)
