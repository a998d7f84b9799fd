"""The table of operators: one row per op, made by the `@op` decorator on its body.

In: bodies (what an op means, in words of `graph/build.py` or of other rows) and gradient rules.
Out: `TABLE`, from which the namespaces, the methods, the documentation and the tests are made.
Invariant: a row is complete in one place; a body is the op's shape check, its dtype rule and its
meaning at once, and is run once per new combination of layouts.

A body's parameters say by their annotations what they are:

    Value          a tensor (a Python number is taken as a zero-dimensional one that may change from
                   run to run)
    TensorValue    a tensor only: a Python number is a TypeError, where PyTorch's function takes
                   none
    Value | None   the same, or absent
    Values         a sequence of tensors
    Scalar         a Python number that may change from run to run; the body sees a
                   zero-dimensional node
    anything else  static: part of the operation, hashable
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ..base.layout import Layout
from ..base.names import OTHER_NAMES
from ..graph.node import Node, ordered

STATIC, VALUE, SCALAR, VALUES = range(4)
_KINDS = {
    "Value": VALUE,
    "TensorValue": VALUE,
    "Value | None": VALUE,
    "Scalar": SCALAR,
    "Values": VALUES,
}
_REQUIRED = object()

Value = Node
TensorValue = Node
Values = Sequence[Node]
Scalar = Any  # a node in bodies, a Python number as a default


class Rule:
    """A gradient rule: `function` gives the gradients of the parameters named `targets`.

    Its own parameters name what it needs: `g` (or `g0`, `g1`... with several outputs), `out`
    (`out0`...), any parameter of the op, or `<parameter>_layout` where only shape and dtype are
    needed. Only what is named is kept alive.
    """

    __slots__ = ("function", "names", "targets")

    def __init__(self, targets: tuple[str, ...], function: Callable) -> None:
        self.targets = targets
        self.function = function
        code = function.__code__
        self.names = code.co_varnames[: code.co_argcount]


def _default_grad_name(name: str, surface: str) -> str:
    """LogSoftmaxBackward0 for log_softmax; letters behind digits are capitals (Log1PBackward0),
    and what only torch.special or torch.linalg has is prefixed, as in PyTorch's own table.
    """
    if surface in ("special", "linalg"):
        name = f"{surface}_{name}"
    return re.sub(r"(?:^|_|(?<=[0-9]))([a-z])", lambda m: m[1].upper(), name) + "Backward0"


class Op:
    # A row of the table; calling it applies the op to tensors (recording it) or to nodes (inside a
    # body).

    __slots__ = (
        "__doc__",
        "__name__",
        "__qualname__",
        "_by_name",
        "body",
        "defaults",
        "elementwise",
        "frozen",
        "grad_name",
        "guarded",
        "inplace",
        "kinds",
        "names",
        "nondifferentiable",
        "numberless",
        "plan_cache",
        "reference",
        "rules",
        "samples",
        "strides",
        "surface",
        "tensor_places",
    )

    dispatcher: Callable[[Op, tuple], Any]  # set by tensor/dispatch.py: how tensors are recorded
    into: Callable[[Op, tuple, dict], Any]  # set by tensor/outputs.py: what `out=` means

    def __init__(
        self,
        body: Callable,
        surface: str,
        inplace: bool,
        elementwise: bool,
        strides: Callable | tuple | None,
    ) -> None:
        code = body.__code__
        count = code.co_argcount + code.co_kwonlyargcount
        self.__name__ = self.__qualname__ = (
            body.__name__.rstrip("_") if body.__name__ != "__" else body.__name__
        )
        self.__doc__ = body.__doc__
        self.body = body
        self.names = code.co_varnames[:count]
        self._by_name = {name: k for k, name in enumerate(self.names)}
        annotations = body.__annotations__
        self.kinds = tuple(_KINDS.get(annotations.get(name, ""), STATIC) for name in self.names)
        self.numberless = tuple(annotations.get(name) == "TensorValue" for name in self.names)
        self.tensor_places = tuple(
            k for k, kind in enumerate(self.kinds) if kind in (VALUE, VALUES)
        )
        positional = body.__defaults__ or ()
        lead = code.co_argcount - len(positional)
        keyword = body.__kwdefaults__ or {}
        self.defaults = (
            (_REQUIRED,) * lead
            + positional
            + tuple(keyword.get(n, _REQUIRED) for n in self.names[code.co_argcount :])
        )
        self.surface = surface
        self.inplace = inplace
        self.elementwise = elementwise
        self.strides = strides
        self.rules: list[Rule] = []
        self.nondifferentiable = False
        self.guarded: tuple[str, ...] = ()
        self.frozen: tuple[str, ...] = ()
        self.plan_cache: dict[tuple, Any] = {}
        self.samples: Callable | None = None
        self.reference: Callable | None = None
        self.grad_name: str | Rule = _default_grad_name(self.__name__, surface)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != len(self.names):
            if "out" in kwargs:
                return Op.into(self, args, kwargs)
            args = self.bind(args, kwargs)
        return Op.dispatcher(self, args)

    def bind(self, args: tuple, kwargs: dict) -> tuple:
        """Arguments in the order of the row's parameters, defaults filled in.

        TypeError as Python's own.
        """
        if len(args) > len(self.names):
            raise TypeError(
                f"{self.__name__}() takes {len(self.names)} positional arguments but {len(args)} "
                "were given"
            )
        bound = list(args) + list(self.defaults[len(args) :])
        for name, value in kwargs.items():
            place = self._by_name.get(name, self._by_name.get(OTHER_NAMES.get(name, name)))
            if place is None:
                raise TypeError(f"{self.__name__}() got an unexpected keyword argument '{name}'")
            if place < len(args):
                raise TypeError(f"{self.__name__}() got multiple values for argument '{name}'")
            bound[place] = value
        missing = next((name for name, value in zip(self.names, bound) if value is _REQUIRED), None)
        if missing is not None:
            raise TypeError(
                f"{self.__name__}() missing 1 required positional argument: '{missing}'"
            )
        return tuple(bound)

    def given(self, args: tuple) -> tuple:
        """Bound arguments without those at the end that are the defaults."""
        count = len(args)
        while count and args[count - 1] is self.defaults[count - 1]:
            count -= 1
        return args[:count]

    def vjp(self, *targets: str) -> Callable[[Callable], Callable]:
        """Register a gradient rule for the named parameters (all tensor parameters in order if none
        is named).

        The rule returns one gradient, or for several targets a tuple of them; None means zero. What
        broadcasting and promotion did to an operand is undone for it.
        """

        def register(function: Callable) -> Callable:
            names = targets or tuple(
                n for n, k in zip(self.names, self.kinds) if k in (VALUE, VALUES)
            )
            unknown = [n for n in names if n not in self._by_name]
            if unknown:
                raise ValueError(f"{self.__name__} has no parameter {unknown[0]!r}")
            self.rules.append(Rule(names, function))
            return function

        return register

    def title(self, args: tuple) -> str:
        """What the tape entry of a call with these (bound) arguments is called."""
        name = self.grad_name
        if isinstance(name, str):
            return name
        return name.function(*[args[self._by_name[operand]] for operand in name.names])

    def test(self, samples: Callable, reference: Callable | None = None) -> None:
        """What the suite checks the row with.

        `samples(make)` yields (args, kwargs); `make(*shape, dtype=, low=, high=)` is a seeded
        random NumPy array. `reference` is an independent NumPy meaning of the same arguments (None
        only where another row's covers it).
        """
        self.samples, self.reference = samples, reference

    def __repr__(self) -> str:
        return f"<op {self.__name__}>"


TABLE: dict[str, Op] = {}


def op(
    surface: str = "torch Tensor",
    *,
    inplace: bool = False,
    elementwise: bool = False,
    strides: Callable | tuple | None = None,
    differentiable: bool = True,
    name: str | None = None,
    grad_name: str | Callable[..., str] | None = None,
    guarded: tuple[str, ...] = (),
    frozen: tuple[str, ...] = (),
) -> Callable[[Callable], Op]:
    """Make a function the body of a row.

    surface: where the row is public: any of "torch", "Tensor", "nn.functional", "special",
    "linalg", "fft"; "" for rows
        that only other code uses. inplace: also offer `name_`, which overwrites its first argument.
    elementwise: output strides follow the operands as in PyTorch's TensorIterator; else row-major,
    or what
        `strides(output shape, operand layouts)` says (a tuple of such, or of None, for several
        outputs). differentiable=False states that no gradient
        exists. grad_name: what `grad_fn` is called where that is not the row's own name, or a
        function of the operands that it names. guarded: operands (or `out`, `out1`...) that PyTorch
        saves though no rule here needs them: overwriting one before backward is an error all the
        same. frozen: operands of which PyTorch saves something computed: overwriting these is
        allowed, and the rules see what they were.
    """

    def register(body: Callable) -> Op:
        row = Op(body, surface, inplace, elementwise, strides)
        row.nondifferentiable = not differentiable
        if name:
            row.__name__ = row.__qualname__ = name
            row.grad_name = _default_grad_name(name, surface)
        row.guarded, row.frozen = guarded, frozen
        if grad_name:
            row.grad_name = grad_name if isinstance(grad_name, str) else Rule((), grad_name)
        if row.__name__ in TABLE:
            raise ValueError(f"op {row.__name__} is registered twice")
        TABLE[row.__name__] = row
        return row

    return register


def can_fail(node: Node) -> bool:
    """Whether computing a node may fail: indices, integer division, functions on the host."""
    if node.op in ("floor_divide", "trunc_divide", "remainder", "fmod"):
        return node.dtype.kind == "int"
    return node.op in ("gather", "scatter", "host")


class Signature:
    """An op met with particular layouts and static arguments: its expansion into nodes, done once.

    `arguments` are the call's, with layouts for tensors and types for Python numbers;
    `inputs` and `scalars` are the placeholders of the tensors and Python numbers, in the order they
    are recorded; `inside` is everything else that the outputs are made of, operands first;
    `differentiable` the numbers of the outputs that have a gradient; `fallible` whether computing
    it may fail while running.
    """

    __slots__ = (
        "arguments",
        "arity",
        "bytes",
        "count",
        "differentiable",
        "fallible",
        "inputs",
        "inside",
        "layouts",
        "op",
        "outputs",
        "scalars",
    )

    def __init__(
        self,
        row: Op,
        inputs: list[Node],
        scalars: list[Node],
        outputs: tuple[Node, ...],
        layouts: tuple[Layout, ...],
        arguments: tuple[Any, ...] = (),
    ) -> None:
        self.op = row
        self.arguments = arguments
        self.inputs = inputs
        self.scalars = scalars
        self.outputs = outputs
        self.layouts = layouts
        self.arity = len(inputs)
        self.count = len(outputs)
        self.differentiable = (
            ()
            if row.nondifferentiable
            else tuple(
                k for k, layout in enumerate(layouts) if layout.dtype.kind in ("float", "complex")
            )
        )
        given = {id(x) for x in (*inputs, *scalars)}
        self.inside = [x for x in ordered(outputs) if id(x) not in given]
        self.fallible = any(map(can_fail, self.inside))
        self.bytes = sum(layout.whole.numel * layout.dtype.itemsize for layout in layouts)

    def __repr__(self) -> str:
        inputs, outputs = (", ".join(map(repr, some)) for some in (self.inputs, self.layouts))
        return f"<{self.op.__name__} {inputs} -> {outputs}>"
