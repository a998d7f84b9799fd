"""What the fuzzer may write: in-place operations, assignments, the tape, branches on values, reads
that force a flush.
"""

from __future__ import annotations

from fuzz.generator import Draft, Generator, Row, kind_of
from fuzz.rows_shape import index_text

# text after the target; {y} stands for another variable that broadcasts into it
IN_PLACE_EXACT = (
    "add_(0.5)", "mul_(0.5)", "sub_({y})", "add_({y})", "mul_({y})", "div_(2)", "neg_()", "zero_()",
    "fill_(1.25)", "copy_({y})", "clamp_(-2, 2)", "abs_()", "square_()", "relu_()",
)  # fmt: skip
IN_PLACE_SMOOTH = (
    "tanh_()", "sigmoid_()", "sin_()", "exp_()", "add_({y}, alpha=0.5)",
    "addcmul_({y}, {y}, value=0.5)", "lerp_({y}, 0.5)", "atan_()",
)  # fmt: skip
IN_PLACE_SHAPE = ("unsqueeze_(0)", "squeeze_()", "t_()", "transpose_(0, -1)")


def _target(g: Generator, kinds: str = "float") -> str | None:
    """A variable to write to; mostly one on which that is allowed."""
    good = g.chance(0.93)
    x = g.pick(lambda x: not good or not (x.requires_grad and x.is_leaf), kinds)
    return x if x is not None and g.writable(x) else None


def in_place(g: Generator) -> Draft | None:
    """A method with an underscore, on a variable or through a view that is made in the line."""
    x = _target(g, "float int" if g.chance(0.2) else "float")
    if x is None or not g[x].numel():
        return None
    exact = g.chance(0.65)
    method = g.random.choice(IN_PLACE_EXACT if exact else IN_PLACE_SMOOTH)
    target = x
    shape = tuple(g[x].shape)
    if g[x].ndim and g.chance(0.4):
        target = f"{x}[{index_text(g, x)}]"
    elif g[x].ndim and g.chance(0.2):
        target = f"{x}.transpose(0, -1)"
        shape = (shape[-1], *shape[1:-1], shape[0]) if len(shape) > 1 else shape
    uses: tuple[str, ...] = (x,)
    if "{y}" in method:
        if target.startswith(f"{x}["):
            y = g.pick(lambda y: y.ndim == 0 and kind_of(y) == kind_of(g[x]), "float int")
        else:
            y = g.pick(
                lambda y: _into(tuple(y.shape), shape),
                "float int" if kind_of(g[x]) == "float" else "int",
            )
        if y is None or g.entangled(x, y):
            return None
        uses = (x, y)
        method = method.format(y=y)
    if ("abs" in method or "clamp" in method or "relu" in method) and not g.clear(
        x, 0.0, 2.0, -2.0
    ):
        return None
    if kind_of(g[x]) == "int" and not exact:
        return None
    if "exp_" in method and not g.within(x, -3, 3):
        return None
    grows = "mul_({" in method or "square" in method or "mul_(v" in method
    if grows and not all(g.within(n, -7, 7) for n in uses):
        return None
    return Draft(f"{target}.{method}", uses, exact=exact, writes=(x,))


def _into(y: tuple[int, ...], x: tuple[int, ...]) -> bool:
    return len(y) <= len(x) and all(
        n in (1, m) for n, m in zip(reversed(y), reversed(x), strict=False)
    )


def assignment(g: Generator) -> Draft | None:
    """x[...] = value with basic, integer and boolean indices."""
    x = _target(g, "float int" if g.chance(0.25) else "float")
    if x is None or not g[x].ndim or not g[x].numel():
        return None
    extent = g[x].shape[0]
    number = g.random.choice(("1.5", "-2", "0"))
    choice = g.random.random()
    if choice < 0.4:
        text = f"{x}[{index_text(g, x)}] = {number}"
    elif choice < 0.55:
        target, source = (g.random.randint(-extent, extent - 1) for _ in range(2))
        text = f"{x}[{target}] = {x}[{source}] * 0.5"
    elif choice < 0.7:
        text = f"{x}[{[g.random.randint(-extent, extent - 1) for _ in range(2)]}] = {number}"
    elif choice < 0.8:
        text = f"{x}[{g.random.sample(range(extent), min(2, extent))}] += 0.5"
    elif g.clear(x, 0.25):
        text = g.random.choice(
            (
                f"{x}[{x} > 0.25] = {number}",
                f"{x}[{x} > 0.25] *= 0.5",
                f"{x}.masked_fill_({x} > 0.25, {number})",
            )
        )
    else:
        return None
    return Draft(text, (x,), writes=(x,))


def augmented(g: Generator) -> Draft | None:
    """+=, -=, *=, /= on a name."""
    x = _target(g, "float int" if g.chance(0.2) else "float")
    y = x and g.pick(lambda y: _into(tuple(y.shape), tuple(g[x].shape)), "float int")
    if not x:
        return None
    right = (
        y
        if y
        and not g.entangled(x, y)
        and g.chance(0.5)
        and g.within(y, -5, 5)
        and g.within(x, -10, 10)
        else g.random.choice(("0.5", "2", "-1"))
    )
    sign = (
        g.random.choice(("+=", "-=", "*="))
        if right == y
        else g.random.choice(("+=", "-=", "*=", "/="))
    )
    return Draft(f"{x} {sign} {right}", (x, y) if right == y else (x,), writes=(x,))


def scatter_in_place(g: Generator) -> Draft | None:
    x = _target(g)
    if x is None or not g[x].ndim or not g[x].numel():
        return None
    extent = g[x].shape[0]
    line = [g.random.randint(0, extent - 1) for _ in range(extent)]
    text = g.random.choice(
        (
            f"{x}.index_add_(0, m.tensor({line}), {x}.detach() * 0.5)",
            f"{x}.index_fill_(0, m.tensor({line[:1]}), 0.5)",
            f"{x}.index_put_((m.tensor({line[:2]}),), m.tensor(0.5, dtype={x}.dtype))",
        )
    )
    return Draft(text, (x,), exact=False, writes=(x,))


def without_tape(g: Generator) -> Draft | None:
    """A line under no_grad, or one that leaves the tape in another way."""
    x = g.pick()
    if x is None or not g.writable(x):
        return None
    out = g.fresh()
    choice = g.random.randrange(5)
    if choice == 0:
        return Draft(f"with m.no_grad(): {out} = {x} * 2", (x,), (out,))
    if choice == 1 and g[x].numel():
        return Draft(f"with m.no_grad(): {x}.mul_(0.5)", (x,), writes=(x,))
    if choice == 2:
        return Draft(f"{out} = {x}.detach().requires_grad_()", (x,), (out,))
    if choice == 3:
        return Draft(f"{out} = {x}.data * 2", (x,), (out,))
    return Draft(f"{out} = {x}.clone().detach()", (x,), (out,))


def branch(g: Generator) -> Draft | None:
    """A branch on a value, well clear of its threshold."""
    x = g.pick(lambda x: x.numel() > 0)
    if x is None or abs(float(g[x].detach().double().sum()) - 0.3) < 0.2:
        return None
    out = g.fresh()
    return Draft(f"{out} = {x} * 2 if {x}.sum() > 0.3 else {x} - 1", (x,), (out,))


def loop(g: Generator) -> Draft | None:
    x = g.pick()
    if x is None:
        return None
    out = g.fresh()
    return Draft(f"{out} = sum([{x} * k for k in (0.25, 0.5, 0.125)], {x})", (x,), (out,))


def observe(g: Generator) -> Draft | None:
    x = g.pick(kinds="float int bool")
    return Draft(f"observe({x})", (x,)) if x else None


def outside_write(g: Generator) -> Draft | None:
    """Memory shared with NumPy, written from there."""
    x = g.pick(
        lambda x: (
            not x.requires_grad
            and str(x.dtype) in ("torch.float32", "torch.int64")
            and x.numel() > 0
        ),
        "float int",
    )
    if x is None:
        return None
    return Draft(f"{x}.numpy()[...] = 1", (x,), writes=(x,))


def backward(g: Generator) -> Draft | None:
    """Gradients of one or two variables into the leaves, by a weighted sum or by a given
    gradient.
    """
    x = g.pick(lambda x: x.requires_grad)
    if x is None:
        return None
    keep = "retain_graph=True" if g.chance(0.6) else ""
    if g.chance(0.3):
        return Draft(f"{x}.backward(m.ones_like({x}) * 0.5{', ' + keep if keep else ''})", (x,))
    y = g.pick(lambda y: y.requires_grad)
    total = (
        f"({x} * 0.7).sum() + {y}.sum()"
        if y and y != x
        else f"({x} * {x}).mean()"
        if g[x].numel()
        else f"{x}.sum()"
    )
    return Draft(f"({total}).backward({keep})", (x, y) if y and y != x else (x,))


def gradient(g: Generator) -> Draft | None:
    """autograd.grad with respect to a leaf, also as the start of a second derivative.

    Whether a gradient that is the same everywhere is expanded is nobody's promise: hence `* 1`.
    """
    x = g.pick(lambda x: x.requires_grad)
    leaf = g.pick(lambda y: y.requires_grad and y.is_leaf)
    if x is None or leaf is None:
        return None
    out = g.fresh()
    options = f"create_graph={g.chance(0.6)}, retain_graph=True, allow_unused=True"
    text = f"m.autograd.grad(({x} * {x}).sum(), {leaf}, {options})[0]"
    return Draft(
        f"{out} = {text}; {out} = m.zeros_like({leaf}) if {out} is None else {out} * 1",
        (x, leaf),
        (out,),
        exact=False,
    )


def use_gradient(g: Generator) -> Draft | None:
    """A step of gradient descent on a leaf, or a look at its gradient."""
    leaf = g.pick(lambda x: x.requires_grad and x.is_leaf and x.grad is not None)
    if leaf is None or not bool((g[leaf].grad.abs() < 20).all()):
        return None
    choice = g.random.randrange(3)
    if choice == 0:
        return Draft(f"{leaf}.grad = None", (leaf,))
    if choice == 1 and g.writable(leaf):
        return Draft(
            f"with m.no_grad(): {leaf} -= 0.125 * {leaf}.grad", (leaf,), exact=False, writes=(leaf,)
        )
    out = g.fresh()
    return Draft(f"{out} = {leaf}.grad * 2", (leaf,), (out,), exact=False)


def bad_call(g: Generator) -> Draft | None:
    """A line that should fail: shapes that do not fit, dimensions that are not there."""
    x = g.pick(lambda x: x.ndim >= 1)
    if x is None:
        return None
    out = g.fresh()
    rank = g[x].ndim
    text = g.random.choice(
        (
            f"{x} + m.zeros({(*g[x].shape[:-1], g[x].shape[-1] + 7)})",
            f"{x}.sum({rank})",
            f"{x}.reshape(7, 13, -1)",
            f"{x}[{g[x].shape[0]}]",
            f"{x} @ m.ones({g[x].shape[-1] + 1}, 2)",
            f"{x}.permute(0, 0)",
            f"{x}.view(-1, -1)",
            f"m.cat(({x}, m.zeros({(9,) * (rank + 1)})))",
            f"{x}.expand({(11,) * rank})",
            f"{x}.unsqueeze({rank + 2})",
            f"{x}.transpose(0, {rank})",
            f"m.stack(({x}, {x}[None]))",
            f"bool({x}.reshape(-1)[:0])",
            f"{x}.narrow(0, 0, {g[x].shape[0] + 1})",
            f"m.add({x}, 'a')",
            f"m.zeros(2, -3) + {x}",
        )
    )
    return Draft(f"{out} = {text}", (x,), (out,))


ROWS = [
    Row(
        (
            "add_",
            "mul_",
            "sub_",
            "div_",
            "neg_",
            "zero_",
            "fill_",
            "copy_",
            "clamp_",
            "abs_",
            "square_",
            "relu_",
            "tanh_",
            "sigmoid_",
            "sin_",
            "exp_",
            "addcmul_",
            "lerp_",
            "atan_",
        ),
        in_place,
        ("Tensor.add_", "Tensor.lerp_", "Tensor.addcmul_", "Tensor.relu_"),
        5,
    ),
    Row(
        ("__setitem__", "masked_fill_"),
        assignment,
        ("Tensor.__setitem__", "Tensor.masked_fill_"),
        3,
    ),
    Row(("__iadd__", "__isub__", "__imul__", "__itruediv__"), augmented, ("Tensor.add_",), 1.5),
    Row(
        ("index_add_", "index_fill_", "index_put_"),
        scatter_in_place,
        ("Tensor.index_add_", "Tensor.index_fill_", "Tensor.index_put_"),
        0.7,
    ),
    Row(("no_grad", "requires_grad_", "data"), without_tape, (), 1.5),
    Row(("__bool__",), branch, ("sum",), 0.8),
    Row(("__radd__",), loop, (), 0.4),
    Row(("numpy",), observe, (), 1.5),
    Row(("from_numpy",), outside_write, (), 0.15),
    Row(("backward",), backward, (), 3.5),
    Row(("grad",), gradient, ("autograd.grad",), 0.8),
    Row((), use_gradient, (), 0.8),
    Row((), bad_call, (), 0.5),
]
