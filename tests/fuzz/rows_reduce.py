"""What the fuzzer may write: reductions, scans, sorting, contractions and layers of nets."""

from __future__ import annotations

from collections.abc import Callable

from fuzz.generator import Draft, Generator, Row

REDUCTIONS = (
    "sum",
    "mean",
    "nansum",
    "nanmean",
    "logsumexp",
    "softmax",
    "log_softmax",
    "cumsum",
    "logcumsumexp",
    "norm",
)
SPREADS = ("var", "std", "var_mean", "std_mean")


def _where(g: Generator, x: str, several: bool = True) -> list[str]:
    """The arguments that say along which dimensions, if any."""
    if not g[x].ndim:
        return []
    choice = g.random.random()
    if choice < 0.3:
        return []
    if choice < 0.5 and several:
        return [str(g.axes(g[x])), f"keepdim={g.chance(0.5)}"]
    return [str(g.axis(g[x])), f"keepdim={g.chance(0.5)}"]


def reduction(g: Generator) -> Draft | None:
    name = g.random.choice(REDUCTIONS)
    x = g.pick(kinds="float int bool" if name in ("sum", "cumsum") and g.chance(0.3) else "float")
    if x is None or (name != "sum" and not g[x].numel()):
        return None
    arguments = _where(g, x)
    if name in ("softmax", "log_softmax", "cumsum", "logcumsumexp"):
        if not g[x].ndim:
            return None
        arguments = [str(g.axis(g[x]))]
    elif name == "logsumexp":
        arguments = arguments or ([str(g.axis(g[x]))] if g[x].ndim else ["0"])
    elif name == "norm":
        if float(g[x].detach().double().abs().min()) < 0.05:
            return None
        arguments = [g.random.choice(("2", "1", "3")), *arguments[:1]]
    elif name == "sum" and g.chance(0.2):
        arguments.append("dtype=m.float64")
    out = g.fresh()
    return Draft(f"{out} = {g.call(name, x, *arguments)}", (x,), (out,), exact=False)


def spread(g: Generator) -> Draft | None:
    name = g.random.choice(SPREADS)
    x = g.pick(lambda x: x.ndim and x.numel() > 2)
    if x is None or not g.distinct(x):
        return None
    axes = g.axes(g[x])
    count = 1
    for axis in axes:
        count *= g[x].shape[axis]
    if count < 2:
        return None
    arguments = f"{axes}, correction={g.random.choice((0, 1))}, keepdim={g.chance(0.5)}"
    outs = tuple(g.fresh() for _ in range(2 if "_" in name else 1))
    return Draft(f"{', '.join(outs)} = m.{name}({x}, {arguments})", (x,), outs, exact=False)


def product(g: Generator) -> Draft | None:
    x = g.pick(lambda x: 0 < x.numel() <= 64)
    if x is None:
        return None
    out = g.fresh()
    name = g.random.choice(("prod", "cumprod")) if g[x].ndim else "prod"
    arguments = [str(g.axis(g[x]))] if name == "cumprod" or (g[x].ndim and g.chance(0.6)) else []
    return Draft(f"{out} = {g.call(name, x, *arguments)}", (x,), (out,), exact=False)


def extreme(g: Generator) -> Draft | None:
    """amax, amin, max, min and the like, also of values that tie."""
    name = g.random.choice(("amax", "amin", "argmax", "argmin", "max", "min", "aminmax"))
    x = g.pick(lambda x: x.numel() > 0, "float int" if g.chance(0.2) else "float")
    if x is None or (g.noise_of(x) and not g.distinct(x)):
        return None
    out = g.fresh()
    if name in ("amax", "amin"):
        return Draft(f"{out} = {g.call(name, x, *_where(g, x))}", (x,), (out,))
    if name in ("argmax", "argmin"):
        return Draft(f"{out} = {g.call(name, x, *_where(g, x, several=False))}", (x,), (out,))
    if name == "aminmax":
        other = g.fresh()
        axis = f"dim={g.axis(g[x])}" if g[x].ndim else ""
        return Draft(f"{out}, {other} = {x}.aminmax({axis})", (x,), (out, other))
    if not g[x].ndim or g.chance(0.3):
        return Draft(f"{out} = {g.call(name, x)}", (x,), (out,))
    other = g.fresh()
    return Draft(
        f"{out}, {other} = {g.call(name, x, str(g.axis(g[x])), f'keepdim={g.chance(0.5)}')}",
        (x,),
        (out, other),
    )


def truth(g: Generator) -> Draft | None:
    name = g.random.choice(("any", "all", "count_nonzero"))
    x = g.pick(kinds="bool int float", certain=True)
    if x is None:
        return None
    out = g.fresh()
    arguments = _where(g, x, several=False)
    return Draft(
        f"{out} = {g.call(name, x, *(arguments[:1] if name == 'count_nonzero' else arguments))}",
        (x,),
        (out,),
    )


def running_extreme(g: Generator) -> Draft | None:
    x = g.pick(lambda x: x.ndim and x.numel())
    if x is None or not g.distinct(x):
        return None
    outs = (g.fresh(), g.fresh())
    return Draft(
        f"{', '.join(outs)} = m.{g.random.choice(('cummax', 'cummin'))}({x}, {g.axis(g[x])})",
        (x,),
        outs,
    )


def ordering(g: Generator) -> Draft | None:
    """sort, topk and their relatives, of values that differ."""
    x = g.pick(lambda x: x.ndim and x.numel())
    if x is None or not g.distinct(x):
        return None
    axis = g.axis(g[x])
    extent = g[x].shape[axis]
    name = g.random.choice(("sort", "topk", "kthvalue", "median", "argsort", "msort"))
    outs = (g.fresh(), g.fresh())
    text = {
        "sort": f"{x}.sort({axis}, descending={g.chance(0.5)})",
        "topk": f"{x}.topk({g.random.randint(1, extent)}, {axis})",
        "kthvalue": f"{x}.kthvalue({g.random.randint(1, extent)}, {axis})",
        "median": f"{x}.median({axis})",
        "argsort": f"{x}.argsort({axis})",
        "msort": f"m.msort({x})",
    }[name]
    if name in ("argsort", "msort"):
        return Draft(f"{outs[0]} = {text}", (x,), outs[:1])
    return Draft(f"{', '.join(outs)} = {text}", (x,), outs)


def matmul(g: Generator) -> Draft | None:
    """@ of everything that fits, and what is written in terms of it."""
    x = g.pick(lambda x: x.ndim >= 1 and x.numel() > 0)
    if x is None:
        return None
    inner = g[x].shape[-1]
    fits = [
        n
        for n in g.tensors
        if g[n].dtype == g[x].dtype
        and 1 <= g[n].ndim <= 3
        and g[n].shape[0 if g[n].ndim == 1 else -2] == inner
    ]
    y = g.random.choice(fits) if fits and g.chance(0.7) else x
    right = y if fits and y != x else f"{x}.transpose(-1, {max(-2, -g[x].ndim)})"
    text = f"{x} @ {right}" if g.chance(0.6) else f"m.matmul({x}, {right})"
    ranks = (g[x].ndim, g[x].ndim if y == x else g[y].ndim)
    if ranks == (2, 2) and g.chance(0.4):
        text = g.random.choice(
            (
                f"m.mm({x}, {right})",
                f"m.einsum('ij,jk->ik', {x}, {right})",
                f"m.addmm(m.ones(()), {x}.float(), ({right}).float())",
            )
        )
    elif ranks == (3, 3) and g.chance(0.4):
        text = g.random.choice(
            (f"m.bmm({x}, {right})", f"m.baddbmm({x}.new_ones(1, 1, 1), {x}, {right}, alpha=0.5)")
        )
    elif ranks == (1, 1) and g.chance(0.5):
        text = g.random.choice(
            (f"m.dot({x}, {right})", f"m.outer({x}, {right})", f"m.inner({x}, {right})")
        )
    elif ranks == (2, 1) and g.chance(0.5):
        text = f"m.mv({x}, {right})"
    out = g.fresh()
    return Draft(f"{out} = {text}", (x, y) if y != x else (x,), (out,), exact=False)


def products(g: Generator) -> Draft | None:
    x = g.pick(lambda x: x.ndim == 2 and 0 < x.numel() <= 30)
    out = g.fresh()
    if x is None:
        return None
    text = g.random.choice(
        (
            f"m.kron({x}, {x})",
            f"m.tensordot({x}, {x}, 2)",
            f"m.einsum('ij,ij->i', {x}, {x})",
            f"m.trace({x})",
            f"m.vdot({x}.flatten(), {x}.flatten())",
        )
    )
    return Draft(f"{out} = {text}", (x,), (out,), exact=False)


def weights(g: Generator, shape: tuple[int, ...], scale: float = 0.3) -> str:
    """The expression of a fixed weight of a layer."""
    return f"leaf({g.random.randrange(10**6)}, {shape}, 'float32', 'normal') * {scale}"


def layer(name: str) -> Callable[[Generator], Draft | None]:
    def draw(g: Generator) -> Draft | None:
        text_of, ranks = LAYERS[name]
        x = g.pick(lambda x: str(x.dtype) == "torch.float32" and x.ndim in ranks and x.numel() > 0)
        if x is None:
            return None
        text = text_of(g, x)
        out = g.fresh()
        return (
            None
            if text is None
            else Draft(f"{out} = {text}", (x,), (out,), exact=False, freezes=True)
        )

    return draw


def _conv(g: Generator, x: str) -> str | None:
    spatial = g[x].ndim - 2
    channels = g[x].shape[1]
    kernel = tuple(min(g.random.choice((1, 2, 3)), n) for n in g[x].shape[2:])
    weight = weights(g, (g.random.choice((1, 4)), channels, *kernel))
    extra = g.random.choice(
        ("", ", stride=2", ", padding=1", ", padding=1, stride=2", ", bias=m.ones({})")
    )
    if "bias" in extra:
        return None
    # which orders of dimensions the result follows is a backend's affair
    return f"m.nn.functional.conv{spatial}d({x}, {weight}{extra}).contiguous()"


def _conv_transpose(g: Generator, x: str) -> str:
    spatial = g[x].ndim - 2
    weight = weights(g, (g[x].shape[1], 2, *(2,) * spatial))
    arguments = f"{x}, {weight}, stride={g.random.choice((1, 2))}"
    return f"m.nn.functional.conv_transpose{spatial}d({arguments}).contiguous()"


def _pool(g: Generator, x: str) -> str | None:
    if min(g[x].shape[2:]) < 2 or not g.distinct(x):
        return None
    spatial = g[x].ndim - 2
    name = g.random.choice(("max_pool", "avg_pool"))
    options = g.random.choice(("", ", stride=1", ", padding=1"))
    return f"m.nn.functional.{name}{spatial}d({x}, 2{options})"


def _adaptive(g: Generator, x: str) -> str:
    return f"m.nn.functional.adaptive_avg_pool{g[x].ndim - 2}d({x}, {g.random.choice((1, 2))})"


def _layer_norm(g: Generator, x: str) -> str | None:
    extent = g[x].shape[-1]
    affine = f", {weights(g, (extent,))}, {weights(g, (extent,))}" if g.chance(0.5) else ""
    return f"m.nn.functional.layer_norm({x}, ({extent},){affine}, eps=0.1)"


def _batch_norm(g: Generator, x: str) -> str | None:
    channels = g[x].shape[1]
    if g[x].numel() // channels < 2:
        return None
    if g.chance(0.3):
        rest = f"m.zeros({channels}), m.ones({channels}), training=False"
    else:
        affine = f"{weights(g, (channels,))}, {weights(g, (channels,))}"
        rest = f"None, None, {affine}, training=True, eps=0.1"
    return f"m.nn.functional.batch_norm({x}, {rest})"


def _group_norm(g: Generator, x: str) -> str | None:
    return f"m.nn.functional.group_norm({x}, 2, eps=0.1)" if g[x].shape[1] % 2 == 0 else None


def _cross_entropy(g: Generator, x: str) -> str:
    rows, classes = g[x].shape
    target = [g.random.randrange(classes) for _ in range(rows)]
    extra = g.random.choice(
        ("", ", label_smoothing=0.1", ", reduction='sum'", ", reduction='none'", ", ignore_index=0")
    )
    if extra.endswith("=0") and not any(target):
        extra = ""
    return f"m.nn.functional.cross_entropy({x}, m.tensor({target}){extra})"


def _nll(g: Generator, x: str) -> str:
    rows, classes = g[x].shape
    target = [g.random.randrange(classes) for _ in range(rows)]
    return f"m.nn.functional.nll_loss(m.nn.functional.log_softmax({x}, -1), m.tensor({target}))"


def _embedding(g: Generator, x: str) -> str:
    index = [[g.random.randrange(g[x].shape[0]) for _ in range(3)] for _ in range(2)]
    return f"m.nn.functional.embedding(m.tensor({index}), {x})"


def _loss(name: str) -> Callable[[Generator, str], str | None]:
    def text(g: Generator, x: str) -> str | None:
        if name in ("l1_loss", "smooth_l1_loss", "huber_loss") and not g.clear(
            x, -0.63, 0.37, 1.37
        ):
            return None
        inputs = f"{x}.sigmoid()" if name == "binary_cross_entropy" else x
        option = g.random.choice(("", ", reduction='sum'", ", reduction='none'"))
        return f"m.nn.functional.{name}({inputs}, m.full_like({x}, 0.37){option})"

    return text


LAYERS: dict[str, tuple[Callable[[Generator, str], str | None], tuple[int, ...]]] = {
    "linear": (
        lambda g, x: (
            f"m.nn.functional.linear({x}, {weights(g, (4, g[x].shape[-1]))}, {weights(g, (4,))})"
        ),
        (1, 2, 3),
    ),
    "conv": (_conv, (3, 4)),
    "conv_transpose": (_conv_transpose, (3, 4)),
    "pool": (_pool, (3, 4)),
    "adaptive_avg_pool": (_adaptive, (3, 4)),
    "layer_norm": (_layer_norm, (1, 2, 3, 4)),
    "batch_norm": (_batch_norm, (2, 3, 4)),
    "group_norm": (_group_norm, (2, 3, 4)),
    "cross_entropy": (_cross_entropy, (2,)),
    "nll_loss": (_nll, (2,)),
    "embedding": (_embedding, (2,)),
    "mse_loss": (_loss("mse_loss"), (0, 1, 2, 3)),
    "l1_loss": (_loss("l1_loss"), (1, 2)),
    "smooth_l1_loss": (_loss("smooth_l1_loss"), (1, 2)),
    "huber_loss": (_loss("huber_loss"), (1, 2)),
    "binary_cross_entropy": (_loss("binary_cross_entropy"), (1, 2)),
    "binary_cross_entropy_with_logits": (_loss("binary_cross_entropy_with_logits"), (1, 2)),
    "pad": (
        lambda g, x: f"m.nn.functional.pad({x}, (1, 2){g.random.choice(('', ', value=0.5'))})",
        (1, 2, 3),
    ),
    "one_hot": (
        lambda g, x: (
            f"m.nn.functional.one_hot({x}.detach().abs().long().clamp(max=3), 5) + {x}.sum()"
            if g.clear(x, *range(-4, 5))
            else None
        ),
        (1, 2),
    ),
    "glu": (
        lambda g, x: f"m.nn.functional.glu({x}, -1)" if g[x].shape[-1] % 2 == 0 else None,
        (1, 2, 3),
    ),
    "scaled_dot_product_attention": (
        lambda g, x: (
            f"m.nn.functional.scaled_dot_product_attention({x}, {x} * 0.5, {x}).contiguous()"
        ),
        (3, 4),
    ),
    "interpolate": (lambda g, x: f"m.nn.functional.interpolate({x}, scale_factor=2)", (3, 4)),
    "cosine_similarity": (
        lambda g, x: (
            f"m.nn.functional.cosine_similarity({x} + 0.5, m.ones_like({x}), dim=0, eps=0.1)"
        ),
        (1, 2),
    ),
}
LAYER_NEEDS = {
    "conv": ("conv1d", "conv2d"), "conv_transpose": ("conv_transpose1d", "conv_transpose2d"),
    "pool": ("max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d"),
    "adaptive_avg_pool": ("adaptive_avg_pool1d", "adaptive_avg_pool2d"),
}  # fmt: skip


def _rows() -> list[Row]:
    def needs(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"Tensor.{name}" for name in names)

    extremes = ("amax", "amin", "argmax", "argmin", "max", "min", "aminmax")
    orders = ("sort", "topk", "kthvalue", "median", "argsort", "msort")
    contractions = ("matmul", "mm", "addmm", "bmm", "baddbmm", "dot", "outer", "inner", "mv")
    rows = [
        Row(REDUCTIONS, reduction, needs(REDUCTIONS), 5),
        Row(SPREADS, spread, SPREADS, 1),
        Row(("prod", "cumprod"), product, needs(("prod", "cumprod")), 0.7),
        Row(extremes, extreme, needs(extremes), 2.5),
        Row(("any", "all", "count_nonzero"), truth, needs(("any", "all", "count_nonzero")), 1),
        Row(("cummax", "cummin"), running_extreme, ("cummax", "cummin"), 0.4),
        Row(orders, ordering, needs(orders), 1),
        Row((*contractions, "einsum"), matmul, needs(contractions), 4),
        Row(
            ("kron", "tensordot", "trace", "vdot"),
            products,
            ("kron", "tensordot", "trace", "vdot"),
            0.5,
        ),
    ]
    for name in LAYERS:
        wanted = LAYER_NEEDS.get(name, (name,))
        rows.append(Row(wanted, layer(name), tuple(f"nn.functional.{n}" for n in wanted), 0.6))
    return rows


ROWS = _rows()
