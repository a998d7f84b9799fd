"""User-defined operations on the tape: `Function` with its own forward and backward, as
`torch.autograd.Function`.

In: a class with static `forward` and `backward`. Out: `apply`. Invariants: forward runs off the
tape; what it saves is checked for later overwriting like any saved value; backward gives one
gradient for each argument of forward.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import ref

from .entries import TAPE_HOOKS, Edge, GradFn, gradient_edge
from .modes import MODE, no_grad
from .names import class_named
from .saved import SavedTensor


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "_storage") and hasattr(value, "_layout")


class FunctionCtx:
    """What `forward` and `backward` share: saved tensors, which inputs need gradients, any
    attribute of the user's.
    """

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self._to_save: tuple = ()
        self._for_forward: tuple | None = None
        self._pushing = False
        self._saved: list | None = []
        self._dirty: tuple = ()
        self._plain: tuple = ()
        self._materialize = True
        self._function: ref[FunctionGradFn] | None = None  # weak: the entry holds the context

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (inputs or outputs, or None) for backward.

        TypeError for what is no tensor.
        """
        self._to_save = _checked(tensors, "save_for_backward")

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors for `jvp`, where `saved_tensors` gives them."""
        self._for_forward = _checked(tensors, "save_for_forward")

    @property
    def saved_tensors(self) -> tuple:
        """What was saved; RuntimeError after it was freed, or where it was overwritten since."""
        if self._pushing and self._for_forward is not None:
            return self._for_forward
        if self._function is None:
            return self._to_save
        if self._saved is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved "
                "tensors after they have already been freed). Specify retain_graph=True if you "
                "need to."
            )
        function = self._function()
        assert function is not None
        return tuple(
            s.unpack(function, TAPE_HOOKS.make_tensor) if isinstance(s, SavedTensor) else s
            for s in self._saved
        )

    saved_variables = saved_tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """State which inputs forward overwrote."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """State which outputs have no gradient."""
        self._plain = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether missing gradients reach backward as zeros (the default) or as None."""
        self._materialize = value


def _checked(tensors: tuple, name: str) -> tuple:
    for value in tensors:
        if value is not None and not _is_tensor(value):
            raise TypeError(
                f"{name} can only save variables, but argument is of type {type(value).__name__}"
            )
    return tensors


class FunctionGradFn(GradFn):
    """The tape entry of a user's Function."""

    __slots__ = ("context", "operands", "owner", "slots")

    def __init__(
        self,
        owner: type,
        context: FunctionCtx,
        args: tuple,
        edges: list[Edge | None],
        places: list[int | None],
        layouts: tuple,
    ) -> None:
        super().__init__(edges, layouts)
        self.operands = [a._layout if _is_tensor(a) else None for a in args]
        self.owner = owner
        self.context = context
        self.slots = places  # for each argument of forward, its edge
        self.__class__ = class_named(FunctionGradFn, f"{owner.__name__}Backward")

    def __repr__(self) -> str:
        return f"<torch.autograd.function.{self.name()} object at {id(self):#x}>"

    def places(self) -> list[int | None]:
        """The edges of the arguments that are tensors."""
        return [slot for slot, layout in zip(self.slots, self.operands) if layout is not None]

    def release(self) -> None:
        self.context._saved = None
        self.context._for_forward = None

    @property
    def saved_tensors(self) -> tuple:
        return self.context.saved_tensors

    def __getattr__(self, name: str) -> Any:
        return getattr(self.context, name)

    def apply(self, grads: list) -> Sequence:
        if self.context._materialize:
            grads = [
                TAPE_HOOKS.zeros(layout) if g is None else g
                for g, layout in zip(grads, self.layouts)
            ]
        made = _backward_of(self.owner)(self.context, *grads)
        results = list(made) if isinstance(made, (tuple, list)) else [made]
        while len(results) > len(self.slots) and results[-1] is None:
            results.pop()
        if len(results) != len(self.slots):
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected "
                f"{len(self.slots)}, got {len(results)})"
            )
        found: list = [None] * len(self.edges)
        for number, (grad, place) in enumerate(zip(results, self.slots)):
            self._check(number, grad)
            if place is not None:
                found[place] = grad
        return found

    def push(self, tangents: list, create_graph: bool) -> Sequence:
        """The tangents of the outputs, by the user's `jvp`."""
        given: list = []
        for place, layout in zip(self.slots, self.operands):
            tangent = None if place is None else tangents[place]
            if tangent is None and layout is not None and self.context._materialize:
                tangent = TAPE_HOOKS.zeros(layout)
            given.append(tangent)
        before, MODE.grad = MODE.grad, MODE.grad and create_graph
        self.context._pushing = True
        try:
            made = self.owner.jvp(self.context, *given)  # type: ignore[attr-defined]
        finally:
            MODE.grad = before
            self.context._pushing = False
        results = list(made) if isinstance(made, (tuple, list)) else [made]
        if len(results) < len(self.layouts):
            raise RuntimeError(
                f"{self.owner.__name__}.jvp returned an incorrect number of tangents (expected "
                f"{len(self.layouts)}, got {len(results)})"
            )
        return results

    def _check(self, number: int, grad: Any) -> None:
        """RuntimeError for what cannot be the gradient of argument `number` of forward."""
        if grad is None:
            return
        if not _is_tensor(grad):
            raise RuntimeError(
                f"{self.name()}: expected Variable or None (got {type(grad).__name__}) as gradient "
                f"{number}"
            )
        if self.operands[number] is None:
            raise RuntimeError(
                f"function {self.name()} returned a gradient different from None at position "
                f"{number + 1}, but the corresponding forward input was not a Variable"
            )


class Function:
    """An operation with its own gradient: subclass it, write static `forward(ctx, ...)` and
    `backward(ctx, *grads)`, call `apply`.

    >>> import rushlight as rl
    >>> class Square(rl.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return 2 * x * grad
    >>> x = rl.tensor(3.0, requires_grad=True)
    >>> Square.apply(x).backward()
    >>> x.grad
    tensor(6.)
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The tangents of the outputs from those of the arguments."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with "
            "forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple, *args: Any) -> Any:
        """(outputs, their batch dimensions) for arguments whose batch dimensions are in_dims."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap static method "
            "or set generate_vmap_rule=True."
        )

    generate_vmap_rule = False

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward off the tape and put the whole operation on it as one entry.

        Inside vmap, on tensors that vary: by the `vmap` static method, or, with
        generate_vmap_rule=True, as it is, since every operation in it has a batching rule.
        """
        if kwargs:  # in the order of forward's parameters
            args = _positional(cls, args, kwargs)
        level = _level_of(args)
        if level is not None and not _runs_as_it_is(cls):
            return TAPE_HOOKS.map_function(cls, level, args)
        context = FunctionCtx()
        context.needs_input_grad = tuple(_is_tensor(a) and a.requires_grad for a in args)
        recording = MODE.grad and any(context.needs_input_grad)
        edges: list[Edge | None] = []
        places: list[int | None] = []
        for value, need in zip(args, context.needs_input_grad):
            places.append(len(edges) if need and recording else None)
            if need and recording:
                edges.append(gradient_edge(value))
        with no_grad():
            if cls.setup_context is not Function.setup_context:
                output = cls.forward(*args)
                cls.setup_context(context, args, output)
            else:
                output = cls.forward(context, *args)
        outputs = list(output) if isinstance(output, (tuple, list)) else [output]
        if recording:
            _attach(cls, context, args, outputs, edges, places)
        return type(output)(outputs) if isinstance(output, (tuple, list)) else outputs[0]


def _backward_of(owner: Any) -> Callable:
    """The user's backward, which may be called vjp."""
    if owner.backward is Function.backward and hasattr(owner, "vjp"):
        return owner.vjp
    return owner.backward


def _positional(owner: Any, args: tuple, kwargs: dict) -> tuple:
    """Keyword arguments of apply as positional ones."""
    import inspect

    lead = () if owner.setup_context is not Function.setup_context else (None,)
    bound = inspect.signature(owner.forward).bind(*lead, *args, **kwargs)
    bound.apply_defaults()
    return bound.args[len(lead) :]


class VmapInfo(NamedTuple):
    """What a `vmap` static method is told of the vmap around it."""

    batch_size: int
    randomness: str


def _level_of(args: tuple) -> Any:
    """The innermost vmap along which a tensor among the arguments varies."""
    for level in reversed(MODE.levels):
        for x in args:
            if _is_tensor(x) and any(axis[0] == level.number for axis in x._layout.batch):
                return level
    return None


def _runs_as_it_is(owner: Any) -> bool:
    """Whether forward and backward may run on tensors that vary; RuntimeError where the class says
    nothing, or both.
    """
    name = owner.__name__
    own = owner.vmap is not Function.vmap
    if owner.generate_vmap_rule and own:
        raise RuntimeError(
            f"You tried to vmap over {name}, but it has both generate_vmap_rule=True and an "
            "overriden vmap staticmethod. Please set generate_vmap_rule=False or delete the "
            "overriden vmap staticmethod to avoid ambiguity."
        )
    if not owner.generate_vmap_rule and not own:
        raise RuntimeError(
            f"You tried to vmap over {name}, but it does not have vmap support. Please override "
            "and implement the vmap staticmethod or set generate_vmap_rule=True."
        )
    return not own


def _attach(
    owner: type,
    context: FunctionCtx,
    args: tuple,
    outputs: list,
    edges: list[Edge | None],
    places: list[int | None],
) -> None:
    """Make the tape entry, hang it on the differentiable outputs, and keep what was saved."""
    tensors = [(k, value) for k, value in enumerate(outputs) if _is_tensor(value)]
    function = FunctionGradFn(
        owner, context, args, edges, places, tuple(t._layout for _, t in tensors)
    )
    numbers: dict[int, int] = {}
    for number, (k, tensor) in enumerate(tensors):
        if any(tensor is x for x in context._plain) or tensor._layout.dtype.kind not in (
            "float",
            "complex",
        ):
            continue
        numbers[id(tensor)] = number
        dirty = any(tensor is x for x in context._dirty)
        if any(tensor is x for x in args) and not dirty:
            tensor = outputs[k] = tensor.detach()
            numbers[id(tensor)] = number
        elif dirty:
            if tensor.requires_grad and tensor.grad_fn is None:
                raise RuntimeError(
                    "a leaf Variable that requires grad is being used in an in-place operation."
                )
            tensor._storage.rebased += 1
            tensor._attached = tensor._storage.rebased
        tensor._grad_fn, tensor._output_nr, tensor._requires_grad = function, number, True
    context._function = ref(function)
    context._saved = [
        None
        if t is None
        else SavedTensor(t, function, numbers[id(t)])
        if id(t) in numbers and not any(t is x for x in args)
        else SavedTensor(t)
        for t in context._to_save
    ]
    context._to_save = ()


class OnceGradFn(GradFn):
    """The tape entry of a gradient that must not be differentiated again."""

    __slots__ = ()

    def apply(self, grads: list) -> Sequence:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )


def once_differentiable(backward: Callable) -> Callable:
    """A backward that is not to be differentiated: it runs off the tape, and RuntimeError meets who
    differentiates its results all the same, as `torch.autograd.function.once_differentiable`.
    """

    @functools.wraps(backward)
    def wrapped(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            made = backward(ctx, *grads)
        sources = [g for g in grads if _is_tensor(g) and g.requires_grad]
        sources += [t for t in ctx.saved_tensors if t is not None and t.requires_grad]
        if not MODE.grad or not sources:
            return made
        results = list(made) if isinstance(made, (tuple, list)) else [made]
        for k, result in enumerate(results):
            if _is_tensor(result) and result.dtype.kind in ("float", "complex"):
                results[k] = result = result.detach()
                result._grad_fn = OnceGradFn([gradient_edge(t) for t in sources], (result._layout,))
                result._requires_grad = True
        return tuple(results) if isinstance(made, (tuple, list)) else results[0]

    return wrapped
