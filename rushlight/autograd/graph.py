"""The tape from outside: its entries, its edges, and hooks on what it saves, as
`torch.autograd.graph`.

In: tensors and functions. Out: entries and edges. Invariant: hooks are per thread, the innermost
counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from .entries import GradFn as Node
from .entries import gradient_edge
from .modes import MODE

__all__ = [
    "GradientEdge",
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]


class saved_tensors_hooks:
    """Within the block, what the tape saves goes through `pack`, and through `unpack` when it is
    needed.

    As `torch.autograd.graph.saved_tensors_hooks`: to keep saved values elsewhere, or smaller. Both
    are called off the tape; pack must not overwrite what it is given (RuntimeError), unpack must
    give a tensor (TypeError) of the same elements.

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
        if MODE.hooks_refused is not None:
            raise RuntimeError(MODE.hooks_refused)
        MODE.saved_hooks = (*MODE.saved_hooks, (self.pack_hook, self.unpack_hook))

    def __exit__(self, *exception: object) -> None:
        MODE.saved_hooks = MODE.saved_hooks[:-1]


class save_on_cpu(saved_tensors_hooks):
    """Within the block, what the tape saves is kept in the CPU's memory and brought back to its
    device for backward, as `torch.autograd.graph.save_on_cpu`. On the CPU nothing is moved.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(
            lambda tensor: (tensor.device, tensor.to("cpu")),
            lambda packed: packed[1].to(packed[0]),
        )


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Within the block, setting saved-tensor hooks is a RuntimeError of that message; RuntimeError
    too where hooks are set already. As `torch.autograd.graph.disable_saved_tensors_hooks`.
    """
    if MODE.saved_hooks:
        raise RuntimeError(error_message)
    before, MODE.hooks_refused = MODE.hooks_refused, error_message
    try:
        yield
    finally:
        MODE.hooks_refused = before


class _Copies:
    """What `allow_mutation_on_saved_tensors` hands out."""

    def __init__(self) -> None:
        self.kept: list[list] = []

    def pack(self, tensor: Any) -> list:
        """A holder of a copy: copies are recorded like anything else, and those that no write
        makes necessary are not stored.
        """
        holder = [tensor.clone()]
        self.kept.append(holder)
        return holder

    @staticmethod
    def unpack(holder: list) -> Any:
        if not holder:
            raise RuntimeError(
                "Trying to backward outside of the 'allow_mutation_on_saved_tensors' context in "
                "which the graph was originally recorded."
            )
        return holder[0]

    def clear(self) -> None:
        """Let go of the copies."""
        for holder in self.kept:
            holder.clear()
        self.kept.clear()


@contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[_Copies]:
    """Within the block, overwriting what was saved for backward is fine: the tape keeps copies. As
    `torch.autograd.graph.allow_mutation_on_saved_tensors`; backward must run inside too.

    >>> import rushlight as rl
    >>> x = rl.tensor(3.0, requires_grad=True)
    >>> with rl.autograd.graph.allow_mutation_on_saved_tensors():
    ...     y = x.clone()
    ...     out = y * y
    ...     _ = y.zero_()
    ...     out.backward()
    >>> x.grad
    tensor(6.)
    """
    copies = _Copies()
    try:
        with saved_tensors_hooks(copies.pack, copies.unpack):
            yield copies
    finally:
        copies.clear()


def increment_version(tensor: Any) -> None:
    """Count a write that nobody saw (to memory shared with others), for one tensor or several, as
    `torch.autograd.graph.increment_version`.
    """
    for each in tensor if isinstance(tensor, (list, tuple)) else (tensor,):
        if each._cell is None:
            each._storage.version += 1
        else:
            each._cell[0] += 1


class GradientEdge(NamedTuple):
    """Where the gradient of a tensor goes: an entry of the tape, and which of its outputs."""

    node: Node
    output_nr: int


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """The edge that the gradient of a tensor flows along, as
    `torch.autograd.graph.get_gradient_edge`. `grad` and `backward` take one in place of a tensor.
    """
    if not tensor.requires_grad:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require "
            "gradients"
        )
    edge = gradient_edge(tensor)
    return GradientEdge(edge.function, edge.number)


class _Handles:
    """Several handles removed as one."""

    def __init__(self, handles: list) -> None:
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _Handles:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def register_multi_grad_hook(
    tensors: Sequence, fn: Callable[..., None], *, mode: str = "all"
) -> _Handles:
    """fn is called once in a backward pass: with mode "all" as fn([gradients]) when those of all
    tensors that this pass reaches are there (None for the others), with "any" as fn(gradient) for
    the first. As `torch.autograd.graph.register_multi_grad_hook`.

    >>> import rushlight as rl
    >>> x, y = (rl.tensor(v, requires_grad=True) for v in (2.0, 3.0))
    >>> handle = rl.autograd.graph.register_multi_grad_hook([x, y], print)
    >>> (x * y).backward()
    [tensor(3.), tensor(2.)]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    listed = list(tensors)
    gathered: dict[Any, list] = {}  # for the walk that is going on, the gradients so far

    def hook(place: int, gradient: Any) -> None:
        walk = MODE.walk
        if walk not in gathered:
            gathered.clear()  # of a walk that failed half way
            gathered[walk] = [None] * len(listed)
            if mode == "any":
                fn(gradient)
        if mode == "any":
            return
        found = gathered[walk]
        found[place] = gradient
        expected = sum(walk.will_run(gradient_edge(x).function) for x in listed)
        if sum(g is not None for g in found) == expected:
            del gathered[walk]
            fn(found)

    def at(place: int) -> Callable:
        return lambda gradient: hook(place, gradient)

    return _Handles([x.register_hook(at(k)) for k, x in enumerate(listed)])
