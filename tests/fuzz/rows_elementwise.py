"""What the fuzzer may write: elementwise functions, comparisons, promotion, dtype conversions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fuzz.generator import Draft, Generator, Row, kind_of

# name -> the interval of arguments on which it is smooth and its derivative moderate
SMOOTH: dict[str, tuple[float, float]] = {
    "exp": (-3, 3), "exp2": (-3, 3), "expm1": (-3, 3), "log": (0.3, 50), "log2": (0.3, 50),
    "log10": (0.3, 50), "log1p": (-0.6, 50), "rsqrt": (0.3, 50), "sin": (-8, 8), "cos": (-8, 8),
    "tan": (-1, 1), "asin": (-0.8, 0.8), "acos": (-0.8, 0.8), "atan": (-50, 50), "sinh": (-3, 3),
    "cosh": (-3, 3), "tanh": (-50, 50), "asinh": (-50, 50), "acosh": (1.3, 50),
    "atanh": (-0.8, 0.8), "sigmoid": (-50, 50), "erf": (-5, 5), "erfc": (-3, 3),
    "erfinv": (-0.8, 0.8), "lgamma": (0.5, 20), "digamma": (0.5, 20), "logit": (0.1, 0.9),
    "sinc": (-3, 3), "softmax_of_line": (-9, 9), "i0": (-3, 3), "deg2rad": (-50, 50),
    "rad2deg": (-0.9, 0.9), "angle": (0.1, 9),
}  # fmt: skip
SMOOTH.pop("softmax_of_line")

# of nn.functional: name -> (further arguments, interval, kinks)
ACTIVATIONS: dict[str, tuple[str, tuple[float, float], tuple[float, ...]]] = {
    "softplus": ("", (-9, 9), ()), "gelu": ("", (-9, 9), ()), "silu": ("", (-9, 9), ()),
    "mish": ("", (-9, 9), ()), "logsigmoid": ("", (-9, 9), ()), "softsign": ("", (-9, 9), (0.0,)),
    "tanhshrink": ("", (-9, 9), ()), "elu": (", 1.0", (-5, 5), (0.0,)),
    "celu": (", 0.75", (-5, 5), (0.0,)), "selu": ("", (-5, 5), (0.0,)),
    "relu": ("", (-50, 50), (0.0,)), "relu6": ("", (-9, 9), (0.0, 6.0)),
    "leaky_relu": (", 0.25", (-50, 50), (0.0,)),
    "hardtanh": (", -1.5, 1.25", (-50, 50), (-1.5, 1.25)),
    "hardsigmoid": ("", (-9, 9), (-3.0, 3.0)), "hardswish": ("", (-9, 9), (-3.0, 3.0)),
    "softshrink": (", 0.5", (-9, 9), (-0.5, 0.5)), "hardshrink": (", 0.5", (-9, 9), (-0.5, 0.5)),
    "threshold": (", 0.25, 0.5", (-9, 9), (0.25,)),
    "normalize": (", dim=0, eps=0.1", (-50, 50), ()),
}  # fmt: skip

EXACT_UNARY = ("neg", "square", "positive", "sqrt_of_abs", "reciprocal_of_large")
JUMPING = (
    "floor", "ceil", "trunc", "round", "frac", "sign", "sgn", "signbit", "isnan", "isinf",
    "isfinite", "fix", "isposinf", "isneginf", "logical_not", "isreal",
)  # fmt: skip
COMPARISONS = (
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "logical_and",
    "logical_or",
    "logical_xor",
    "isclose",
)
OPERATORS = {"add": "+", "sub": "-", "mul": "*", "true_divide": "/"}
INTEGER_BINARY = (
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "gcd",
    "lcm",
    "add",
    "sub",
    "mul",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
)
DTYPES = (
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "uint8",
    "bool",
    "complex64",
)
CASTS = {
    "float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16",
    "long": "int64", "int": "int32", "short": "int16", "char": "int8", "byte": "uint8",
    "bool": "bool",
}  # fmt: skip


def smooth(name: str, low: float, high: float) -> Callable[[Generator], Draft | None]:
    def draw(g: Generator) -> Draft | None:
        found = g.operand(low, high)
        if found is None:
            return None
        variable, expression = found
        out = g.fresh()
        return Draft(f"{out} = {g.call(name, expression)}", (variable,), (out,), exact=False)

    return draw


def activation(
    name: str, more: str, bounds: tuple[float, float], kinks: tuple[float, ...]
) -> Callable[[Generator], Draft | None]:
    # PyTorch's gradient has 1/6 rounded to float32
    left_out = ("torch.float64",) if name == "hardsigmoid" else ()

    def draw(g: Generator) -> Draft | None:
        x = g.pick(lambda x: x.ndim > 0 and str(x.dtype) not in left_out)
        if x is None or not g.within(x, *bounds) or not g.clear(x, *kinks):
            return None
        out = g.fresh()
        return Draft(f"{out} = m.nn.functional.{name}({x}{more})", (x,), (out,), exact=False)

    return draw


def exact_unary(g: Generator) -> Draft | None:
    name = g.random.choice(("neg", "square", "positive", "abs", "sqrt", "reciprocal", "relu"))
    low, high = {"sqrt": (0.2, 60), "reciprocal": (0.2, 60)}.get(name, (-60, 60))
    x = g.pick(kinds="float int" if name not in ("sqrt", "reciprocal") else "float")
    if x is None or not g.within(x, low, high) or not g.clear(x, 0.0):
        return None
    out = g.fresh()
    text = (
        {"neg": f"-{x}", "abs": f"abs({x})", "positive": f"+{x}"}.get(name)
        if g.chance(0.5)
        else None
    )
    # PyTorch's square roots of float32 are not all correctly rounded
    return Draft(f"{out} = {text or g.call(name, x)}", (x,), (out,), exact=name != "sqrt")


def jumping(g: Generator) -> Draft | None:
    name = g.random.choice(JUMPING)
    x = g.pick(kinds="float int bool", certain=True)
    if x is None:
        return None
    out = g.fresh()
    return Draft(f"{out} = {g.call(name, x)}", (x,), (out,))


def nan_to_num(g: Generator) -> Draft | None:
    x = g.pick(kinds="float")
    out = g.fresh()
    return (
        x and Draft(f"{out} = m.nan_to_num({x} / {x}, 0.5, 1.0, -1.0)", (x,), (out,))
        if x and g.clear(x, 0.0)
        else None
    )


def arithmetic(g: Generator) -> Draft | None:
    """+ - * / of two tensors, or of a tensor and a number on either side."""
    x = g.pick(kinds="float int bool complex" if g.chance(0.25) else "float")
    if x is None:
        return None
    name = g.random.choice(tuple(OPERATORS))
    out = g.fresh()
    other: str | None = None
    if g.chance(0.65):
        other = g.partner(x, "float int bool complex" if g.chance(0.3) else "float")
    uses = (x,) if other is None else (x, other)
    right = other or g.random.choice(("2", "-1.5", "0.1", "3", "True", "0.75"))
    left = x
    if other is None and g.chance(0.3):
        left, right = right, x
    if name == "true_divide" and not _divisible(g, right):
        return None
    complex_ = any(kind_of(g[n]) == "complex" for n in uses)
    form = g.random.random()
    if form < 0.7 or left not in g.names:
        text = f"{left} {OPERATORS[name]} {right}"
    elif form < 0.9 or name != "add" or "bool" in (kind_of(g[n]) for n in uses):
        text = f"{left}.{name}({right})"
    else:
        return Draft(f"{out} = m.add({left}, {right}, alpha=2)", uses, (out,), exact=False)
    return Draft(f"{out} = {text}", uses, (out,), exact=not complex_)


def _divisible(g: Generator, text: str) -> bool:
    if text not in g.names:
        return text not in ("0", "False")
    x = g[text]
    if kind_of(x) == "complex":
        return False
    return x.numel() == 0 or float(x.detach().double().abs().min()) > 0.2


def extremes(g: Generator) -> Draft | None:
    name = g.random.choice(("maximum", "minimum", "fmax", "fmin"))
    x = g.pick(certain=True)
    y = x and g.partner(x, "float int", certain=True)
    if not x or not y:
        return None
    out = g.fresh()
    return Draft(f"{out} = m.{name}({x}, {y})", (x, y), (out,))


def comparison(g: Generator) -> Draft | None:
    name = g.random.choice(COMPARISONS)
    x = g.pick(kinds="float int bool", certain=True)
    if x is None:
        return None
    y = g.partner(x, "float int bool", certain=True) if g.chance(0.6) else None
    out = g.fresh()
    if y is None and name in ("logical_and", "logical_or", "logical_xor", "isclose"):
        return None
    if name == "isclose" and g[x].dtype != g[y].dtype:
        return None
    right = y or g.random.choice(("0", "0.5", "-1", "1.25"))
    sign = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}.get(name)
    text = f"{x} {sign} {right}" if sign and g.chance(0.6) else f"{x}.{name}({right})"
    return Draft(f"{out} = {text}", (x, y) if y else (x,), (out,))


def clamp(g: Generator) -> Draft | None:
    x = g.pick(kinds="float int")
    if x is None or not g.clear(x, -0.75, 1.1):
        return None
    text = g.random.choice(
        (
            "clamp(-0.75, 1.1)",
            "clamp(min=-0.75)",
            "clamp(max=1.1)",
            "clip(-0.75, 1.1)",
            "clamp_min(-0.75)",
            "clamp_max(1.1)",
        )
    )
    out = g.fresh()
    return Draft(f"{out} = {x}.{text}", (x,), (out,))


def where(g: Generator) -> Draft | None:
    x = g.pick(kinds="float int")
    y = x and g.partner(x, "float int")
    c = x and g.partner(x, "bool")
    out = g.fresh()
    if x and y and c and g.chance(0.5):
        return Draft(f"{out} = m.where({c}, {x}, {y})", (c, x, y), (out,))
    if x and g.clear(x, 0.25):
        right = g.random.choice((f"{x} * 0.5", "0.5", f"-{x}"))
        return Draft(f"{out} = m.where({x} > 0.25, {x}, {right})", (x,), (out,))
    return None


def masked_fill(g: Generator) -> Draft | None:
    x = g.pick(kinds="float int")
    c = x and g.partner(x, "bool")
    out = g.fresh()
    if not x or not c:
        return None
    text = g.random.choice(
        (f"{x}.masked_fill({c}, 2)", f"m.masked_fill({x}, {c}, 0.5)", f"{x}.where({c}, {x} * 2)")
    )
    return Draft(f"{out} = {text}", (x, c), (out,))


def power(g: Generator) -> Draft | None:
    found = g.operand(0.3, 3)
    if found is None:
        return None
    x, expression = found
    out = g.fresh()
    choice = g.random.randrange(6)
    if choice == 0:
        y = g.partner(x)
        if y is None or not g.within(y, -3, 3):
            return None
        return Draft(f"{out} = m.pow({expression}, {y})", (x, y), (out,), exact=False)
    text = (
        f"{expression} ** 3",
        f"{expression} ** 2",
        f"1.5 ** {expression}",
        f"{expression}.pow(-0.5)",
        f"m.float_power({expression}, 2)",
    )
    return Draft(f"{out} = {text[choice - 1]}", (x,), (out,), exact=False)


BINARY: dict[str, tuple[float, float, float, float]] = {  # the intervals of both operands
    "atan2": (0.2, 50, 0.2, 50), "hypot": (0.2, 50, 0.2, 50), "logaddexp": (-9, 9, -9, 9),
    "logaddexp2": (-9, 9, -9, 9), "xlogy": (-3, 3, 0.3, 9), "copysign": (0.1, 9, 0.1, 9),
    "float_power": (0.3, 3, -2, 2), "dist": (-9, 9, 10, 20),
}  # fmt: skip


def binary(
    name: str, bounds: tuple[float, float, float, float]
) -> Callable[[Generator], Draft | None]:
    def draw(g: Generator) -> Draft | None:
        first = g.operand(*bounds[:2])
        y = first and g.partner(first[0])
        if not first or not y:
            return None
        half, middle = (bounds[3] - bounds[2]) / 2.1, (bounds[3] + bounds[2]) / 2
        second = y if g.within(y, *bounds[2:]) else f"({y}.tanh() * {half:.4g} + {middle:.4g})"
        out = g.fresh()
        return Draft(f"{out} = m.{name}({first[1]}, {second})", (first[0], y), (out,), exact=False)

    return draw


def rounding_binary(g: Generator) -> Draft | None:
    """Remainders and quotients: exact, of exact operands."""
    name = g.random.choice(
        (
            "remainder",
            "fmod",
            "floor_divide",
            "div_floor",
            "div_trunc",
            "copysign",
            "heaviside",
            "nextafter",
        )
    )
    x = g.pick(
        kinds="float" if name in ("copysign", "nextafter", "heaviside") else "float int",
        certain=True,
    )
    if x is None:
        return None
    out = g.fresh()
    if name in ("heaviside", "nextafter"):
        text = f"m.{name}({x}.detach(), m.ones_like({x}))"
    elif name == "floor_divide":  # it has no gradient
        text = f"m.floor_divide({x}.detach(), {g.random.choice(('2', '-3', '0.75', '1.5'))})"
    elif name.startswith("div_"):
        mode = {"div_floor": "floor", "div_trunc": "trunc"}[name]
        text = f"m.div({x}, 1.5, rounding_mode={mode!r})"
    else:
        text = f"m.{name}({x}, {g.random.choice(('2', '-3', '0.75', '1.5'))})"
    return Draft(f"{out} = {text}", (x,), (out,))


def integer_binary(g: Generator) -> Draft | None:
    name = g.random.choice(INTEGER_BINARY)
    x = g.pick(kinds="int bool" if name.startswith("bit") else "int")
    y = x and g.partner(x, "int")
    if not x or not y:
        return None
    out = g.fresh()
    sign = {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^"}.get(name)
    text = f"{x} {sign} {y}" if sign and g.chance(0.5) else f"m.{name}({x}, {y})"
    return Draft(f"{out} = {text}", (x, y), (out,))


def integer_unary(g: Generator) -> Draft | None:
    x = g.pick(kinds="int bool")
    if x is None:
        return None
    out = g.fresh()
    text = g.random.choice(
        (
            f"~{x}",
            f"m.bitwise_not({x})",
            f"{x}.abs()",
            f"{x} % 3",
            f"{x} // 2",
            f"{x} << 1",
            f"{x} >> 1",
            f"{x}.sign()",
        )
    )
    return Draft(f"{out} = {text}", (x,), (out,))


def ternary(g: Generator) -> Draft | None:
    x = g.pick()
    y = x and g.partner(x)
    if not x or not y:
        return None
    out = g.fresh()
    text = g.random.choice(
        (
            f"m.lerp({x}, {y}, 0.25)",
            f"m.addcmul({x}, {y}, {x}, value=0.5)",
            f"m.addcdiv({x}, {y}, {x} * {x} + 1, value=0.5)",
            f"{x}.lerp({y}, 0.75)",
            f"m.rsub({x}, {y})",
            f"m.ldexp({x}, m.tensor(2))",
        )
    )
    return Draft(f"{out} = {text}", (x, y), (out,), exact=False)


def cast(g: Generator) -> Draft | None:
    x = g.pick(kinds="float int bool complex")
    if x is None:
        return None
    dtype = g.random.choice(DTYPES)
    source = kind_of(g[x])
    if dtype in ("int64", "int32", "uint8", "bool") and source in ("float", "complex"):
        unsigned_below = dtype == "uint8" and not g.within(x, 0, 60) if source == "float" else True
        if g.noise_of(x) or unsigned_below:
            return None
    out = g.fresh()
    forms = [f"{x}.to(m.{dtype})", f"{x}.type(m.{dtype})", f"{x}.to({x}.dtype)"]
    forms += [f"{x}.{method}()" for method, target in CASTS.items() if target == dtype]
    return Draft(f"{out} = {g.random.choice(forms)}", (x,), (out,))


def complex_parts(g: Generator) -> Draft | None:
    x = g.pick(kinds="complex")
    out = g.fresh()
    if x is None:
        y = g.pick(lambda x: x.dtype.itemsize in (4, 8))
        z = y and g.pick(lambda x: x.shape == g[y].shape and x.dtype == g[y].dtype)
        return Draft(f"{out} = m.complex({y}, {z})", (y, z), (out,)) if y and z else None
    text = g.random.choice(
        (
            f"{x}.real",
            f"{x}.imag",
            f"{x}.abs()",
            f"m.view_as_real({x})",
            f"m.real({x})",
            f"{x} * {x}",
            f"{x}.exp() * 0.1",
            f"-{x}",
        )
    )
    return Draft(f"{out} = {text}", (x,), (out,), exact=False)


def _rows() -> list[Row]:
    rows = [
        Row((name,), smooth(name, *bounds), (f"Tensor.{name}",), 0.35)
        for name, bounds in SMOOTH.items()
    ]
    for name, (more, bounds, kinks) in ACTIVATIONS.items():
        rows.append(
            Row((name,), activation(name, more, bounds, kinks), (f"nn.functional.{name}",), 0.3)
        )
    rows += [Row((name,), binary(name, bounds), (name,), 0.4) for name, bounds in BINARY.items()]

    def several(names: tuple[str, ...], draw: Any, weight: float, *extra: str) -> None:
        rows.append(Row(names, draw, tuple(f"Tensor.{n}" for n in (*names, *extra)), weight))

    several(("neg", "square", "positive", "abs", "sqrt", "reciprocal", "relu"), exact_unary, 3)
    several(JUMPING, jumping, 2)
    several(("nan_to_num",), nan_to_num, 0.3)
    several(("add", "sub", "mul", "true_divide"), arithmetic, 8)
    several(("maximum", "minimum", "fmax", "fmin"), extremes, 2)
    several(COMPARISONS, comparison, 4)
    several(("clamp", "clip", "clamp_min", "clamp_max"), clamp, 1.5)
    several(("where",), where, 2.5)
    several(("masked_fill",), masked_fill, 1.5)
    several(("pow", "float_power"), power, 1.2)
    several(
        ("remainder", "fmod", "floor_divide", "div", "copysign", "heaviside", "nextafter"),
        rounding_binary,
        1.5,
    )
    several(INTEGER_BINARY, integer_binary, 2)
    several(("bitwise_not", "bitwise_left_shift", "bitwise_right_shift"), integer_unary, 1.5)
    several(("lerp", "addcmul", "addcdiv", "ldexp"), ternary, 1.5)
    several(("to", "type", *CASTS), cast, 3)
    rows.append(
        Row(
            ("complex", "view_as_real", "real", "imag"),
            complex_parts,
            ("complex", "view_as_real"),
            0.8,
        )
    )
    return rows


ROWS = _rows()
