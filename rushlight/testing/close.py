"""Whether results are close: `torch.testing.assert_close`.

In: two tensors, numbers, or nestings of them. Out: nothing, or an error that names the place.
Invariant: |actual - expected| <= atol + rtol * |expected| for each element, the tolerances being
those of the less exact of the two dtypes unless both are given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import rushlight
from rushlight import Tensor

# dtype -> (rtol, atol), PyTorch's table
_TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex32": (1e-3, 1e-5),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}
_EXACT = (0.0, 0.0)


def _tolerances(
    actual: Tensor, expected: Tensor, rtol: float | None, atol: float | None
) -> tuple[float, float]:
    if rtol is not None and atol is not None:
        return rtol, atol
    both = [
        _TOLERANCES.get(str(x.dtype).removeprefix("torch."), _EXACT) for x in (actual, expected)
    ]
    return max(pair[0] for pair in both), max(pair[1] for pair in both)


class _Comparison:
    """The options of one call."""

    def __init__(self, options: dict[str, Any], said: str | Callable[[str], str] | None) -> None:
        self.options, self.said = options, said

    def fail(self, kind: type[Exception], text: str, place: str) -> None:
        if place:
            text += f"\n\nThe failure occurred for item {place}"
        if self.said is not None:
            text = self.said(text) if callable(self.said) else self.said
        raise kind(text)

    def compare(self, actual: Any, expected: Any, place: str = "") -> None:
        """Compare two values or nestings of them."""
        if isinstance(actual, Mapping) and isinstance(expected, Mapping):
            if actual.keys() != expected.keys():
                different = sorted(map(repr, actual.keys() ^ expected.keys()))
                self.fail(
                    AssertionError,
                    "The keys of the mappings do not match:\n"
                    f"only one of them has {', '.join(different)}",
                    place,
                )
            for key in expected:
                self.compare(actual[key], expected[key], f"{place}[{key!r}]")
        elif _is_sequence(actual) and _is_sequence(expected):
            if len(actual) != len(expected):
                self.fail(
                    AssertionError,
                    f"The length of the sequences mismatch: {len(actual)} != {len(expected)}",
                    place,
                )
            for index, pair in enumerate(zip(actual, expected)):
                self.compare(*pair, f"{place}[{index}]")
        elif actual is None or expected is None:
            if actual is not expected:
                self.fail(AssertionError, f"None mismatch: {actual!r} is not {expected!r}", place)
        else:
            self._values(actual, expected, place)

    def _values(self, actual: Any, expected: Any, place: str) -> None:
        related = isinstance(actual, type(expected)) or isinstance(expected, type(actual))
        numbers = (bool, int, float, complex)
        if isinstance(actual, numbers) and isinstance(expected, numbers):
            related = True
        if not self.options["allow_subclasses"]:
            related = type(actual) is type(expected)
        if not related:
            self.fail(
                TypeError,
                "No comparison pair was able to handle inputs of type "
                f"{type(actual)} and {type(expected)}.",
                place,
            )
        one, other = (x if isinstance(x, Tensor) else _as_tensor(x) for x in (actual, expected))
        if isinstance(expected, Tensor):
            self._attributes(one, other, place)
        self._elements(one.detach(), other.detach(), place)

    def _attributes(self, actual: Tensor, expected: Tensor, place: str) -> None:
        pairs: list[tuple[str, Any, Any]] = [("shape", actual.shape, expected.shape)]
        for name in ("device", "dtype"):
            if self.options[f"check_{name}"]:
                pairs.append((name, getattr(actual, name), getattr(expected, name)))
        if self.options["check_stride"]:
            pairs.append(("stride()", actual.stride(), expected.stride()))
        for name, one, other in pairs:
            if one != other:
                self.fail(
                    AssertionError,
                    f"The values for attribute '{name}' do not match: {one} != {other}.",
                    place,
                )

    def _elements(self, actual: Tensor, expected: Tensor, place: str) -> None:
        rtol, atol = _tolerances(actual, expected, self.options["rtol"], self.options["atol"])
        common = rushlight.promote_types(actual.dtype, expected.dtype)
        actual, expected = actual.to(common), expected.to(common)
        close = rushlight.isclose(
            actual, expected, rtol=rtol, atol=atol, equal_nan=self.options["equal_nan"]
        )
        if bool(close.all()):
            return
        self.fail(AssertionError, _difference(actual, expected, close, rtol, atol), place)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _as_tensor(value: Any) -> Tensor:
    try:
        return rushlight.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"No comparison pair was able to handle inputs of type {type(value)}."
        ) from error


def _difference(actual: Tensor, expected: Tensor, close: Tensor, rtol: float, atol: float) -> str:
    """How many elements differ, by how much, and where most."""
    if actual.dtype == rushlight.bool:
        actual, expected = actual.to(rushlight.int64), expected.to(rushlight.int64)
    wide = rushlight.complex128 if actual.is_complex() else rushlight.float64
    actual, expected = actual.to(wide), expected.to(wide)
    if close.dim() == 0:
        off = abs(actual - expected).item()
        return (
            f"Scalars are not close!\n\nExpected {expected.item()} but got {actual.item()}.\n"
            f"Absolute difference: {off} (up to {atol} allowed)\n"
            f"Relative difference: {off / abs(expected.item() or math.nan)} (up to {rtol} allowed)"
        )
    absolute = abs(actual - expected).masked_fill(close, 0)
    relative = absolute / abs(expected)
    lines = []
    for name, values, allowed in (("absolute", absolute, atol), ("relative", relative, rtol)):
        where = values.nan_to_num(0.0, math.inf).argmax()
        index = tuple(int(i) for i in rushlight.unravel_index(where, values.shape))
        lines.append(
            f"Greatest {name} difference: {values[index].item()} at index {index} "
            f"(up to {allowed} allowed)"
        )
    wrong, total = int((~close).sum()), close.numel()
    return (
        f"Tensor-likes are not close!\n\nMismatched elements: {wrong} / {total} "
        f"({wrong / total:.1%})\n" + "\n".join(lines)
    )


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raise unless `actual` is close to `expected`, as `torch.testing.assert_close`.

    Both are tensors, numbers, arrays, or sequences and mappings of them. Elements are close when
    |actual - expected| <= atol + rtol * |expected|. `rtol` and `atol` are given together or not at
    all; then they are those of the dtype, the greater of the two where the dtypes differ.
    Errors: AssertionError that tells how many elements differ, by how much and where; TypeError for
    values that cannot be compared; ValueError for one tolerance without the other.

    >>> import rushlight as rl
    >>> rl.testing.assert_close(rl.tensor([1.0, 2.0]), rl.tensor([1.0, 2.0 + 1e-6]))
    """
    if (rtol is None) != (atol is None):
        given = "rtol" if atol is None else "atol"
        raise ValueError(
            f"rtol and atol must both be specified or both be left out: got {given} only"
        )
    options = {
        "allow_subclasses": allow_subclasses,
        "rtol": rtol,
        "atol": atol,
        "equal_nan": equal_nan,
        "check_device": check_device,
        "check_dtype": check_dtype,
        "check_stride": check_stride,
    }
    _Comparison(options, msg).compare(actual, expected)


def assert_allclose(
    actual: Any, expected: Any, rtol: float | None = None, atol: float | None = None, **rest: Any
) -> None:
    """The older `assert_close`: neither dtype nor device need agree, and NaN equals NaN."""
    assert_close(
        rushlight.as_tensor(actual),
        rushlight.as_tensor(expected),
        rtol=rtol,
        atol=atol,
        equal_nan=rest.get("equal_nan", True),
        check_device=False,
        check_dtype=False,
        msg=rest.get("msg") or None,
    )
