"""What the fuzzer may write: views of views, joining and splitting, indexing, gathering."""

from __future__ import annotations

from collections.abc import Callable

from fuzz.generator import Draft, Generator, Row

ANY = "float int bool complex"


def unary(
    text: Callable[[Generator, str], str | None], least: int = 0, kinds: str = ANY
) -> Callable[[Generator], Draft | None]:
    """A row of one operand of at least so many dimensions; `text` may decline."""

    def draw(g: Generator) -> Draft | None:
        x = g.pick(lambda x: x.ndim >= least, kinds if g.chance(0.3) else "float")
        if x is None:
            return None
        made = text(g, x)
        out = g.fresh()
        return None if made is None else Draft(f"{out} = {made}", (x,), (out,))

    return draw


def _permute(g: Generator, x: str) -> str:
    order = list(range(g[x].ndim))
    g.random.shuffle(order)
    return (
        f"{x}.permute({', '.join(map(str, order))})"
        if order and g.chance(0.5)
        else f"m.permute({x}, {tuple(order)})"
    )


def _factors(g: Generator, count: int) -> list[int]:
    found = []
    while count > 1 and (len(found) < 1 or g.chance(0.7)):
        factor = g.random.choice([d for d in range(2, count + 1) if count % d == 0])
        found.append(factor)
        count //= factor
    if count > 1:
        found.append(count)
    if g.chance(0.3):
        found.insert(g.random.randint(0, len(found)), 1)
    return found


def _reshape(g: Generator, x: str) -> str:
    shape = _factors(g, g[x].numel()) if g[x].numel() else list(g[x].shape)
    if shape and g[x].numel() and g.chance(0.3):
        shape[g.random.randrange(len(shape))] = -1
    name = g.random.choice(("reshape", "reshape", "view"))
    return f"{x}.{name}({tuple(shape)})"


def _expand(g: Generator, x: str) -> str:
    wanted = [g.random.choice((1, 3)) if n == 1 else g.random.choice((n, -1)) for n in g[x].shape]
    lead = [g.random.choice((1, 2))] if g.chance(0.4) else []
    return f"{x}.expand({tuple(lead + wanted)})"


def _slice(g: Generator, extent: int) -> str:
    start, stop = g.random.randint(-extent, extent), g.random.randint(0, extent + 1)
    step = g.random.choice(("", "", ":1", ":2", ":3"))
    return g.random.choice(
        (
            ":",
            f"{start}:{step}",
            f":{stop}{step}",
            f"{start}:{stop}{step}",
            f"::{g.random.randint(1, 3)}",
        )
    )


def index_text(g: Generator, x: str) -> str:
    """A basic index of a tensor: ints, slices, None and an ellipsis."""
    parts = []
    for extent in g[x].shape[: g.random.randint(1, max(1, g[x].ndim))]:
        choice = g.random.random()
        if choice < 0.3 and extent:
            parts.append(str(g.random.randint(-extent, extent - 1)))
        elif choice < 0.85:
            parts.append(_slice(g, extent))
        else:
            parts.append("None")
    if g.chance(0.25):
        parts.insert(g.random.randint(0, len(parts)), "...")
    return ", ".join(parts) or "..."


def _dims(g: Generator, x: str) -> str:
    return f"{g.axis(g[x])}, {g.axis(g[x])}"


def _narrow(g: Generator, x: str) -> str:
    axis = g.axis(g[x])
    extent = g[x].shape[axis]
    start = g.random.randint(0, extent)
    return g.call(
        "narrow",
        x,
        (
            f"{axis}, {start}, "
            f"{g.random.randint(0 if g.chance(0.1) else min(1, extent - start), extent - start)}"
        ),
    )


def _select(g: Generator, x: str) -> str | None:
    axis = g.axis(g[x])
    extent = g[x].shape[axis]
    return (
        g.call("select", x, f"{axis}, {g.random.randint(-extent, extent - 1)}") if extent else None
    )


def _unfold(g: Generator, x: str) -> str | None:
    axis = g.axis(g[x])
    extent = g[x].shape[axis]
    return (
        f"{x}.unfold({axis}, {g.random.randint(1, extent)}, {g.random.randint(1, 3)})"
        if extent
        else None
    )


def _diagonal(g: Generator, x: str) -> str | None:
    a, b = g.random.sample(range(g[x].ndim), 2)
    return g.call("diagonal", x, f"{g.random.randint(-1, 1)}, {a}, {b}")


def _squeeze(g: Generator, x: str) -> str:
    return g.call("squeeze", x, *([str(g.axis(g[x]))] if g[x].ndim and g.chance(0.6) else []))


def _unsqueeze(g: Generator, x: str) -> str:
    return g.call("unsqueeze", x, str(g.random.randint(-g[x].ndim - 1, g[x].ndim)))


def _flatten(g: Generator, x: str) -> str:
    a, b = sorted((g.axis(g[x], False), g.axis(g[x], False)))
    return g.call("flatten", x, f"{a}, {b}")


def _as_strided(g: Generator, x: str) -> str | None:
    if not g[x].is_contiguous() or g[x].numel() < 4:
        return None
    return f"{x}.as_strided((2, 2), {g.random.choice(('(2, 1)', '(1, 1)', '(1, 2)'))})"


def _movedim(g: Generator, x: str) -> str:
    return g.call(g.random.choice(("movedim", "moveaxis")), x, _dims(g, x))


def _unflatten(g: Generator, x: str) -> str | None:
    axis = g.axis(g[x])
    extent = g[x].shape[axis]
    return f"{x}.unflatten({axis}, ({extent // 2}, 2))" if extent and extent % 2 == 0 else None


VIEWS = {
    "permute": (_permute, 0),
    "reshape": (_reshape, 0),
    "expand": (_expand, 0),
    "narrow": (_narrow, 1),
    "select": (_select, 1),
    "unfold": (_unfold, 1),
    "diagonal": (_diagonal, 2),
    "squeeze": (_squeeze, 0),
    "unsqueeze": (_unsqueeze, 0),
    "flatten": (_flatten, 1),
    "as_strided": (_as_strided, 1),
    "movedim": (_movedim, 1),
    "unflatten": (_unflatten, 1),
    "transpose": (lambda g, x: g.call("transpose", x, _dims(g, x)), 1),
    "swapaxes": (lambda g, x: g.call("swapaxes", x, _dims(g, x)), 1),
    "T": (lambda g, x: f"{x}.t()" if g[x].ndim <= 2 else f"{x}.mT", 0),
    "ravel": (lambda g, x: f"{x}.ravel()", 0),
    "basic_index": (lambda g, x: f"{x}[{index_text(g, x)}]", 1),
    "contiguous": (lambda g, x: f"{x}.contiguous()", 0),
    "clone": (lambda g, x: f"{x}.clone()", 0),
    "detach": (lambda g, x: f"{x}.detach()", 0),
    "broadcast_to": (lambda g, x: f"m.broadcast_to({x}, {(2, *g[x].shape)})", 0),
}

MOVES = {
    "flip": (lambda g, x: g.call("flip", x, str(g.axes(g[x]))), 1),
    "roll": (lambda g, x: g.call("roll", x, str(g.random.randint(-3, 3)), str(g.axis(g[x]))), 1),
    "rot90": (lambda g, x: f"m.rot90({x}, {g.random.randint(-1, 3)}, (0, 1))", 2),
    "tile": (lambda g, x: f"{x}.tile(({g.random.choice(('2', '1, 2'))},))", 0),
    "repeat": (lambda g, x: f"{x}.repeat({(2,) + (1,) * (g[x].ndim - 1)})", 1),
    "repeat_interleave": (lambda g, x: f"{x}.repeat_interleave(2, dim={g.axis(g[x])})", 1),
    "tril": (lambda g, x: g.call("tril", x, str(g.random.randint(-1, 1))), 2),
    "triu": (lambda g, x: g.call("triu", x, str(g.random.randint(-1, 1))), 2),
    "diag_embed": (lambda g, x: f"m.diag_embed({x})", 1),
    "zeros_like": (lambda g, x: f"m.zeros_like({x})", 0),
    "ones_like": (lambda g, x: f"m.ones_like({x})", 0),
    "full_like": (lambda g, x: f"m.full_like({x}, 1.5)", 0),
    "new_full": (lambda g, x: f"{x}.new_full((2, 3), 1)", 0),
    "fliplr": (lambda g, x: f"m.fliplr({x})", 2),
    "diff": (lambda g, x: f"m.diff({x}, dim={g.axis(g[x])})", 1),
}


def several(
    text: Callable[[Generator, str], tuple[str, int] | None], least: int = 1
) -> Callable[[Generator], Draft | None]:
    """A row that defines several variables from one operand; `text` says how many."""

    def draw(g: Generator) -> Draft | None:
        x = g.pick(lambda x: x.ndim >= least, ANY if g.chance(0.2) else "float")
        made = text(g, x) if x is not None else None
        if made is None or made[1] > 6 or made[1] < 1:
            return None
        outs = tuple(g.fresh() for _ in range(made[1]))
        return Draft(f"{', '.join(outs)}, = {made[0]}", (x,), outs, freezes=True)

    return draw


def _split(g: Generator, x: str) -> tuple[str, int] | None:
    axis = g.axis(g[x])
    extent = g[x].shape[axis]
    if not extent:
        return None
    size = g.random.randint(1, extent)
    if g.chance(0.3):
        return f"{x}.split(({size}, {extent - size}), {axis})", 2
    return g.call("split", x, str(size), str(axis)), -(-extent // size)


def _chunk(g: Generator, x: str) -> tuple[str, int] | None:
    axis = g.axis(g[x])
    extent = g[x].shape[axis]
    if not extent:
        return None
    return f"{x}.chunk({(count := g.random.randint(1, 4))}, {axis})", -(
        -extent // -(-extent // count)
    )


def _unbind(g: Generator, x: str) -> tuple[str, int]:
    axis = g.axis(g[x])
    return g.call("unbind", x, str(axis)), g[x].shape[axis]


def join(g: Generator) -> Draft | None:
    """cat and stack of a variable with itself, with something computed from it, or with another
    one.
    """
    x = g.pick(lambda x: x.ndim >= 1, ANY if g.chance(0.2) else "float")
    if x is None:
        return None
    others = [n for n in g.tensors if n != x and g[n].shape == g[x].shape]
    y = g.random.choice(others) if others and g.chance(0.7) else None
    right = y or f"{x} * 2"
    out = g.fresh()
    name = g.random.choice(("cat", "cat", "stack", "concat", "vstack", "hstack"))
    axis = "" if name in ("vstack", "hstack") else f", {g.axis(g[x])}"
    return Draft(f"{out} = m.{name}(({x}, {right}){axis})", (x, y) if y else (x,), (out,))


def advanced(g: Generator) -> Draft | None:
    """Indices by lists and tensors of integers, and by masks."""
    x = g.pick(
        lambda x: x.ndim >= 1 and min(x.shape, default=0) > 0, ANY if g.chance(0.3) else "float"
    )
    if x is None:
        return None
    extents = g[x].shape

    def positions(axis: int) -> str:
        found = [g.random.randint(-extents[axis], extents[axis] - 1) for _ in range(3)]
        return g.random.choice((str(found), f"m.tensor({found})", f"m.tensor([{found}])"))

    if g[x].ndim == 1 or g.chance(0.4):
        text = f"{x}[{positions(0)}]"
    elif g.chance(0.5):
        text = f"{x}[{positions(0)}, {positions(1)}]"
    else:
        text = f"{x}[{g.random.choice((':', '::2', '0'))}, {positions(1)}]"
    out = g.fresh()
    return Draft(f"{out} = {text}", (x,), (out,))


def mask(g: Generator) -> Draft | None:
    x = g.pick(lambda x: x.ndim >= 1, "float int")
    if x is None:
        return None
    out = g.fresh()
    c = g.pick(lambda c: c.shape == g[x].shape and c.ndim >= 1, "bool")
    if c and g.chance(0.6):
        return Draft(
            f"{out} = {g.random.choice((f'{x}[{c}]', f'm.masked_select({x}, {c})'))}",
            (x, c),
            (out,),
        )
    if not g.clear(x, 0.25):
        return None
    return Draft(f"{out} = {x}[{x} > 0.25]", (x,), (out,))


def nonzero(g: Generator) -> Draft | None:
    x = g.pick(kinds="bool int")
    out = g.fresh()
    return (
        Draft(f"{out} = {g.random.choice((f'{x}.nonzero()', f'm.argwhere({x})'))}", (x,), (out,))
        if x
        else None
    )


def along(g: Generator) -> Draft | None:
    """gather, index_select, take_along_dim, take: reads by integer tensors."""
    x = g.pick(lambda x: x.ndim >= 1 and min(x.shape) > 0, ANY if g.chance(0.2) else "float")
    if x is None:
        return None
    axis = g.axis(g[x])
    extent = g[x].shape[axis]
    line = [g.random.randint(0, extent - 1) for _ in range(3)]
    out = g.fresh()
    name = g.random.choice(("index_select", "gather", "take_along_dim", "take"))
    if name == "index_select":
        text = g.call(name, x, str(axis), f"m.tensor({line})")
    elif name == "take":
        places = [g.random.randint(-g[x].numel(), g[x].numel() - 1) for _ in range(4)]
        text = f"{x}.take(m.tensor({places}))"
    else:
        shape = [1] * g[x].ndim
        shape[axis] = 3
        index = f"m.tensor({line}).reshape({tuple(shape)})"
        wide = list(g[x].shape)
        wide[axis] = 3
        text = (
            f"m.gather({x}, {axis}, {index}.expand({tuple(wide)}))"
            if name == "gather"
            else f"m.take_along_dim({x}, {index}, {axis})"
        )
    return Draft(f"{out} = {text}", (x,), (out,))


def scatter(g: Generator) -> Draft | None:
    """index_add, index_copy, index_fill, scatter, scatter_add: writes at integer tensors, out of
    place.
    """
    x = g.pick(lambda x: x.ndim >= 1 and min(x.shape) > 0)
    if x is None:
        return None
    axis = g.axis(g[x])
    extent = g[x].shape[axis]
    line = [g.random.randint(0, extent - 1) for _ in range(extent)]
    unique = g.random.sample(range(extent), extent)
    shape = [1] * g[x].ndim
    shape[axis] = extent
    wide = f"m.tensor({{}}).reshape({tuple(shape)}).expand({tuple(g[x].shape)})"
    out = g.fresh()
    name = g.random.choice(("index_add", "index_copy", "index_fill", "scatter", "scatter_add"))
    texts = {
        "index_add": f"{x}.index_add({axis}, m.tensor({line}), {x} * 0.5)",
        "index_copy": f"{x}.index_copy({axis}, m.tensor({unique}), {x} * 0.5)",
        "index_fill": f"{x}.index_fill({axis}, m.tensor({line[:2]}), 0.5)",
        "scatter": f"m.scatter({x}, {axis}, {wide.format(unique)}, {x} * 2)",
        "scatter_add": f"{x}.scatter_add({axis}, {wide.format(line)}, {x} * 0.5)",
    }
    return Draft(
        f"{out} = {texts[name]}", (x,), (out,), exact=name not in ("index_add", "scatter_add")
    )


def creation(g: Generator) -> Draft:
    out = g.fresh()
    shape = g.shape(3)
    text = g.random.choice(
        (
            f"m.zeros({shape})",
            f"m.ones({shape}, dtype=m.float64)",
            f"m.full({shape}, 1.5)",
            "m.arange(6)",
            "m.arange(0.5, 3.0, 0.5)",
            "m.eye(3)",
            "m.linspace(0, 1, 5)",
            "m.tensor([[1, 2], [3, 4]])",
            "m.tensor(1.5)",
            "m.scalar_tensor(2.0)",
            "m.tensor([True, False, True])",
            f"m.zeros({shape}, requires_grad=True)",
        )
    )
    return Draft(f"{out} = {text}", (), (out,), exact="linspace" not in text)


def _rows() -> list[Row]:
    special = {"T": "t", "basic_index": "__getitem__"}
    rows = [
        Row((name,), unary(text, least), (f"Tensor.{special.get(name, name)}",), 0.9)
        for name, (text, least) in VIEWS.items()
    ]
    rows += [
        Row(
            (name,),
            unary(text, least),
            (name if name != "new_full" and name not in ("repeat",) else f"Tensor.{name}",),
            0.35,
        )
        for name, (text, least) in MOVES.items()
    ]
    rows += [
        Row((name,), several(text), (f"Tensor.{name}",), 0.7)
        for name, text in {"split": _split, "chunk": _chunk, "unbind": _unbind}.items()
    ]
    rows += [
        Row(
            ("cat", "stack", "concat", "vstack", "hstack"),
            join,
            ("cat", "stack", "concat", "vstack", "hstack"),
            2,
        ),
        Row(("__getitem__",), advanced, ("Tensor.__getitem__",), 2),
        Row(("masked_select",), mask, ("masked_select",), 1),
        Row(("nonzero", "argwhere"), nonzero, ("Tensor.nonzero", "argwhere"), 0.4),
        Row(
            ("index_select", "gather", "take_along_dim", "take"),
            along,
            ("index_select", "gather", "take_along_dim", "take"),
            2,
        ),
        Row(
            ("index_add", "index_copy", "index_fill", "scatter", "scatter_add"),
            scatter,
            ("index_add", "index_copy", "index_fill", "scatter", "scatter_add"),
            2,
        ),
        Row(
            ("zeros", "ones", "full", "arange", "eye", "linspace", "tensor", "scalar_tensor"),
            creation,
            ("zeros", "ones", "full", "arange", "eye", "linspace", "tensor", "scalar_tensor"),
            1,
        ),
    ]
    return rows


ROWS = _rows()
