"""The printed form of a tensor.

In: a NumPy array of its values (bfloat16 widened to float32) and what else the form shows: dtype,
device, gradient. Out: text, character for character PyTorch's. Invariant: only the values that are
shown are read, so that a summarised tensor costs the same whatever its size.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from numpy.typing import NDArray

    Values: TypeAlias = NDArray[Any]

# PyTorch switches to scientific notation beyond these, where `sci_mode` is left open
_LARGEST_RATIO, _LARGEST_PLAIN, _SMALLEST_PLAIN = 1.0e3, 1.0e8, 1.0e-4


class PrintOptions:
    """What `set_printoptions` sets.

    Digits after the point, the element count beyond which a tensor is summarised, the items shown
    at each end of a summarised dimension, the line width, and scientific notation: always, never or
    (None) where the values ask for it.
    """

    __slots__ = ("edgeitems", "linewidth", "precision", "sci_mode", "threshold")

    def __init__(
        self,
        precision: int = 4,
        threshold: float = 1000,
        edgeitems: int = 3,
        linewidth: int = 80,
        sci_mode: bool | None = None,
    ) -> None:
        self.precision = precision
        self.threshold = threshold
        self.edgeitems = edgeitems
        self.linewidth = linewidth
        self.sci_mode = sci_mode


_PROFILES: dict[str, dict[str, float]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}

_options = PrintOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed, as `torch.set_printoptions`.

    `profile` ("default", "short" or "full") sets four options at once, which the others then
    override; an option left None stays as it is, but `sci_mode` goes back to automatic.

    >>> import rushlight as rl
    >>> rl.set_printoptions(precision=2)
    >>> rl.tensor([1.12345])
    tensor([1.12])
    >>> rl.set_printoptions(profile="default")
    """
    changes: dict[str, Any] = dict(_PROFILES.get(profile or "", {}))
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    changes.update((name, value) for name, value in given.items() if value is not None)
    changes["sci_mode"] = sci_mode
    for name, value in changes.items():
        setattr(_options, name, value)


def get_printoptions() -> dict[str, Any]:
    """The options in force, by the names that `set_printoptions` takes them under."""
    return {name: getattr(_options, name) for name in sorted(PrintOptions.__slots__)}


@contextlib.contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """A context within which the options given here hold, as `torch.printoptions`."""
    before = get_printoptions()
    set_printoptions(**options)
    try:
        yield
    finally:
        set_printoptions(**before)


def format_tensor(
    array: Values | None,
    *,
    dtype_name: str,
    default_dtype_name: str = "float32",
    shape: Sequence[int] | None = None,
    device: str = "cpu",
    default_device: str = "cpu",
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    class_name: str = "tensor",
    is_parameter: bool = False,
) -> str:
    """The text of `repr(tensor)`.

    `array` is None for a meta tensor, whose `shape` must be given; `device` is printed unless it is
    of the type of `default_device`; `grad_fn_name` is the bare name of the node, as "AddBackward0".

    >>> format_tensor(np.arange(3.0), dtype_name="float64")
    'tensor([0., 1., 2.], dtype=torch.float64)'
    """
    prefix = f"{class_name}("
    shape = tuple(array.shape if array is not None else shape or ())
    suffixes = []
    if device.partition(":")[0] != default_device.partition(":")[0]:
        suffixes.append(f"device='{device}'")
    suffixes += _shape_and_dtype(array, shape, dtype_name, default_dtype_name)
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    contents = "..." if array is None else format_values(array, len(prefix))
    text = _with_suffixes(prefix + contents, suffixes, len(prefix))
    return f"Parameter containing:\n{text}" if is_parameter else text


def _shape_and_dtype(
    array: Values | None, shape: tuple[int, ...], dtype_name: str, default_dtype_name: str
) -> list[str]:
    """The parts that a reader could not tell from the values: the shape, and the dtype."""
    complex_default = "complex128" if default_dtype_name == "float64" else "complex64"
    dtype_is_clear = dtype_name in (default_dtype_name, complex_default, "int64", "bool")
    shape_is_clear = _options.edgeitems > 0
    if array is None or array.size == 0:
        # with no element to look at, only the default dtype goes without saying
        dtype_is_clear = dtype_name == default_dtype_name
        shape_is_clear = array is not None and len(shape) == 1
    parts = [] if shape_is_clear else [f"size={shape}"]
    return parts if dtype_is_clear else [*parts, f"dtype=torch.{dtype_name}"]


def _with_suffixes(text: str, suffixes: Sequence[str], indent: int) -> str:
    """`text, suffix, ...)`, each suffix on a new line where the old one would grow too long."""
    line_length = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if line_length + len(suffix) + 2 > _options.linewidth:
            text += f",\n{' ' * indent}{suffix}"
            line_length = indent + len(suffix)
        else:
            text += f", {suffix}"
            line_length += len(suffix) + 2
    return f"{text})"


def shown_indices(shape: Sequence[int]) -> list[NDArray[np.intp]] | None:
    """For each dimension the indices that a tensor of this shape is printed with; None for all."""
    edge = _options.edgeitems
    if math.prod(shape) <= _options.threshold:
        return None
    return [
        np.r_[:edge, size - edge : size] if size > 2 * edge else np.arange(size) for size in shape
    ]


def format_values(array: Values, indent: int = 0) -> str:
    """The bracketed values alone, lines after the first indented by `indent` spaces.

    >>> format_values(np.array([[1, -20], [3, 4]]))
    '[[  1, -20],\\n [  3,   4]]'
    """
    if array.size == 0:
        return "[]"
    indices = shown_indices(array.shape)
    shown = array if indices is None else array[np.ix_(*indices)]
    texts, width = _element_texts(shown.reshape(-1))
    return _brackets(iter(texts), array.shape, indent, width, summarize=indices is not None)


def _brackets(
    texts: Iterator[str], shape: Sequence[int], indent: int, width: int, *, summarize: bool
) -> str:
    """Nested brackets around the texts of the elements shown, taken in order."""
    if not shape:
        return next(texts)
    edge = _options.edgeitems
    elided = summarize and shape[0] > 2 * edge
    count = 2 * edge if elided else shape[0]
    if len(shape) > 1:
        parts = [
            _brackets(texts, shape[1:], indent + 1, width, summarize=summarize)
            for _ in range(count)
        ]
        if elided:
            parts.insert(edge, "...")
        separator = "," + "\n" * (len(shape) - 1) + " " * (indent + 1)
        return f"[{separator.join(parts)}]"
    parts = [next(texts) for _ in range(count)]
    if elided:
        parts.insert(edge, " ..." if edge else "...")
    return _lines(parts, indent, width)


def _lines(parts: Sequence[str], indent: int, width: int) -> str:
    """One row of elements, broken where the line width asks for it."""
    per_line = max(1, math.floor((_options.linewidth - indent) / (width + 2)))
    lines = [", ".join(parts[at : at + per_line]) for at in range(0, len(parts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _element_texts(values: Values) -> tuple[list[str], int]:
    """The aligned text of each element, and the width that a line counts for one."""
    if not np.iscomplexobj(values):
        texts, width = _real_texts(values)
        return [text.rjust(width) for text in texts], width
    real_texts, real_width = _real_texts(values.real)
    imaginary_texts, imaginary_width = _real_texts(values.imag)
    texts = [
        f"{real.rjust(real_width)}{'' if imaginary[0] == '-' else '+'}{imaginary}j"
        for real, imaginary in zip(real_texts, imaginary_texts, strict=True)
    ]
    return texts, real_width + imaginary_width + 1


def _real_texts(values: Values) -> tuple[list[str], int]:
    """The text of each element, and the length of the longest that counts.

    Zeros, infinities and NaN among floats do not count: they may stand out of their column.
    """
    if not np.issubdtype(values.dtype, np.floating):
        texts = [str(value) for value in values.tolist()]
        return texts, max(map(len, texts), default=1)
    doubles = values.astype(np.float64)
    counted = np.isfinite(doubles) & (doubles != 0)
    template = _float_template(doubles[counted])
    texts = [template.format(value) for value in doubles.tolist()]
    if template.endswith("."):
        texts = [text if text[-2].isdigit() else text[:-1] for text in texts]
    return texts, max((len(texts[at]) for at in np.flatnonzero(counted)), default=1)


def _float_template(values: NDArray[np.float64]) -> str:
    """The format of floats of which these are finite and not zero."""
    if values.size == 0:
        return "{:.0f}."
    magnitudes = np.abs(values)
    smallest, largest = magnitudes.min(), magnitudes.max()
    scientific = _options.sci_mode
    if scientific is None:
        scientific = bool(
            largest / smallest > _LARGEST_RATIO
            or largest > _LARGEST_PLAIN
            or smallest < _SMALLEST_PLAIN
        )
    if scientific:
        return f"{{:.{_options.precision}e}}"
    all_whole = bool((values == np.ceil(values)).all())
    return "{:.0f}." if all_whole else f"{{:.{_options.precision}f}}"
