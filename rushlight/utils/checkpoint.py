"""Checkpointing: memory traded for time, as `torch.utils.checkpoint`.

In: a function and its arguments. Out: its result, of which the tape keeps no intermediate value:
backward runs the function again. Invariants: the second run draws the random numbers of the first,
and must save values of the same shapes and dtypes (CheckpointError).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import rushlight

__all__ = [
    "CheckpointError",
    "checkpoint",
    "checkpoint_sequential",
    "noop_context_fn",
    "set_checkpoint_early_stop",
]

Context = AbstractContextManager[Any]


class CheckpointError(RuntimeError):
    """The second run of a checkpointed function was not like the first."""


class _EarlyStop(Exception):
    """All that backward needs has been computed again."""


class _Settings:
    """Whether the second run ends as soon as all that was saved is there again."""

    early_stop = True


@contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Within the block, whether second runs end early, as
    `torch.utils.checkpoint.set_checkpoint_early_stop`.
    """
    before, _Settings.early_stop = _Settings.early_stop, enable
    try:
        yield
    finally:
        _Settings.early_stop = before


def noop_context_fn() -> tuple[Context, Context]:
    """Contexts for the two runs that do nothing."""
    return nullcontext(), nullcontext()


def checkpoint(
    function: Callable,
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Context, Context]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """function(*args, **kwargs), computed again in backward instead of kept for it, as
    `torch.utils.checkpoint.checkpoint`.

    use_reentrant: False recomputes inside the backward pass that needs it, works with
    `autograd.grad`, keyword arguments and nesting, and is recommended; True runs a backward pass of
    its own and wants an argument that requires gradients. context_fn gives the contexts of the two
    runs. preserve_rng_state: the second run draws the same random numbers. determinism_check: with
    "default", shapes and dtypes of what is saved must agree (CheckpointError), with "none" not.

    >>> import rushlight as rl
    >>> from rushlight.utils.checkpoint import checkpoint
    >>> x = rl.tensor(2.0, requires_grad=True)
    >>> checkpoint(lambda x: x.exp().sin(), x, use_reentrant=False).backward()
    >>> bool(x.grad == x.exp().cos() * x.exp())
    True
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. "
            "use_reentrant=False is recommended, but if you need to preserve the current default "
            "behavior, you can pass use_reentrant=True.",
            stacklevel=2,
        )
        use_reentrant = True
    if determinism_check not in ("default", "none"):
        raise ValueError(
            f"determinism_check should be one of 'default', 'none', but got {determinism_check!r}"
        )
    if not use_reentrant:
        frame = _Frame(
            function, args, kwargs, context_fn, preserve_rng_state, determinism_check == "default"
        )
        return frame.run(early_stop and _Settings.early_stop, debug)
    if kwargs:
        raise ValueError(f"Unexpected keyword arguments: {','.join(kwargs)}")
    if context_fn is not noop_context_fn or debug:
        raise ValueError(
            "Passing `context_fn` or `debug` is only supported when use_reentrant=False."
        )
    return _Reentrant.apply(function, preserve_rng_state, *args)


class _Random:
    """The state of the default generator, to draw from again."""

    def __init__(self, keep: bool) -> None:
        self.state = rushlight.get_rng_state() if keep else None

    @contextmanager
    def again(self) -> Iterator[None]:
        """The generator as it was, and afterwards as it is now."""
        if self.state is None:
            yield
            return
        with rushlight.random.fork_rng():
            rushlight.set_rng_state(self.state)
            yield


class _Frame:
    """One call of a checkpointed function: how to run it again, and what the second run saved."""

    def __init__(
        self,
        function: Callable,
        args: tuple,
        kwargs: dict,
        context_fn: Callable,
        preserve_rng_state: bool,
        check: bool,
    ) -> None:
        self.call = (function, args, kwargs)
        self.first, self.second = context_fn()
        self.random = _Random(preserve_rng_state)
        self.check = check
        self.facts: list[tuple] = []  # shape, dtype and device of each value saved
        self.values: dict[int, Any] = {}
        self.early_stop = True
        self.debug = False

    def run(self, early_stop: bool, debug: bool) -> Any:
        """The first run: of what is saved only the number is kept."""
        self.early_stop, self.debug = early_stop, debug
        function, args, kwargs = self.call
        hooks = rushlight.autograd.graph.saved_tensors_hooks(self.pack, self.unpack)
        with hooks, self.first:
            return function(*args, **kwargs)

    def pack(self, tensor: Any) -> int:
        self.facts.append(_facts(tensor))
        return len(self.facts) - 1

    def unpack(self, number: int) -> Any:
        """A value from the second run, which is made when the first one is asked for (and again
        where the graph is walked again).
        """
        if number not in self.values:
            self.recompute()
        return self.values.pop(number)

    def recompute(self) -> None:
        """The second run, on detached arguments."""
        function, args, kwargs = self.call
        own = [_detached(x) for x in args]
        own_named = {name: _detached(x) for name, x in kwargs.items()}
        found: dict[int, Any] = {}
        hooks = rushlight.autograd.graph.saved_tensors_hooks(
            lambda tensor: self._kept(found, tensor), lambda number: found[number]
        )
        try:
            with rushlight.enable_grad(), self.random.again(), hooks, self.second:
                function(*own, **own_named)
        except _EarlyStop:
            pass
        if self.check and len(found) != len(self.facts):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the "
                "original forward and recomputation.\n"
                f"Number of tensors saved during forward: {len(self.facts)}\n"
                f"Number of tensors saved during recomputation: {len(found)}."
            )
        self.values = found

    def _kept(self, found: dict[int, Any], tensor: Any) -> int:
        number = len(found)
        if number >= len(self.facts):
            if not self.check:
                raise _EarlyStop
            raise CheckpointError(
                "torch.utils.checkpoint: trying to save more tensors during recomputation than "
                "during the original forward pass."
            )
        if self.check and _facts(tensor) != self.facts[number]:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have "
                "different metadata than during the forward pass.\n"
                f"tensor at position {number}:\nsaved metadata: {self.facts[number]}\n"
                f"recomputed metadata: {_facts(tensor)}"
            )
        found[number] = tensor
        if self.early_stop and len(found) == len(self.facts):
            raise _EarlyStop
        return number


def _facts(tensor: Any) -> tuple:
    return tuple(tensor.shape), tensor.dtype, tensor.device


def _detached(value: Any) -> Any:
    """A tensor off the tape that asks for gradients as the given one does."""
    if not isinstance(value, rushlight.Tensor):
        return value
    return value.detach().requires_grad_(value.requires_grad)


class _Reentrant(rushlight.autograd.Function):
    """The function as one entry of the tape, whose backward is a pass of its own."""

    @staticmethod
    def forward(ctx: Any, function: Callable, preserve_rng_state: bool, *args: Any) -> Any:
        ctx.function = function
        ctx.random = _Random(preserve_rng_state)
        tensors = [isinstance(x, rushlight.Tensor) for x in args]
        ctx.plain = [None if is_tensor else x for x, is_tensor in zip(args, tensors)]
        ctx.places = [k for k, is_tensor in enumerate(tensors) if is_tensor]
        if not any(x.requires_grad for x in args if isinstance(x, rushlight.Tensor)):
            warnings.warn(
                "None of the inputs have requires_grad=True. Gradients will be None", stacklevel=4
            )
        ctx.save_for_backward(*(args[k] for k in ctx.places))
        return function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple:
        args = list(ctx.plain)
        for place, tensor in zip(ctx.places, ctx.saved_tensors):
            args[place] = _detached(tensor)
        with rushlight.enable_grad(), ctx.random.again():
            made = ctx.function(*args)
        outputs = made if isinstance(made, (tuple, list)) else (made,)
        pairs = [
            (out, grad)
            for out, grad in zip(outputs, grads)
            if isinstance(out, rushlight.Tensor) and out.requires_grad
        ]
        if not pairs:
            raise RuntimeError(
                "none of output has requires_grad=True, this checkpoint() is not necessary"
            )
        rushlight.autograd.backward([out for out, _ in pairs], [grad for _, grad in pairs])
        slopes = [x.grad if isinstance(x, rushlight.Tensor) else None for x in args]
        return (None, None, *slopes)


def checkpoint_sequential(
    functions: Iterable[Callable],
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    **kwargs: Any,
) -> Any:
    """Functions (or a Sequential) one after the other in `segments` parts, all but the last one
    checkpointed. As `torch.utils.checkpoint.checkpoint_sequential`.

    >>> import rushlight as rl
    >>> from rushlight.utils.checkpoint import checkpoint_sequential
    >>> x = rl.tensor(1.0, requires_grad=True)
    >>> checkpoint_sequential([rl.exp] * 4, 2, x, use_reentrant=False).requires_grad
    True
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be "
            "passed explicitly. use_reentrant=False is recommended.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", kwargs.pop("preserve", True))
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    steps: Sequence[Callable] = list(functions)
    size = len(steps) // segments
    start = 0
    for _ in range(segments - 1):
        part = _chain(steps[start : start + size])
        input = checkpoint(part, input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
        start += size
    return _chain(steps[start:])(input)


def _chain(functions: Sequence[Callable]) -> Callable:
    def run(value: Any) -> Any:
        for function in functions:
            value = function(value)
        return value

    return run
