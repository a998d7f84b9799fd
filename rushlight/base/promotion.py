"""PyTorch's type promotion: which dtype an operation of several operands has.

Operands come in three classes: tensors with dimensions, zero-dimensional tensors, Python numbers. A
lower class changes the result only by being of a higher kind (bool < int < float < complex).
https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
"""

from __future__ import annotations

from functools import cache

from . import dtype as dtypes
from .dtype import dtype

KINDS = {"bool": 0, "int": 1, "float": 2, "complex": 3}


@cache
def promote_types(a: dtype, b: dtype) -> dtype:
    """The smallest dtype that both convert to, by PyTorch's table.

    >>> import rushlight as rl
    >>> rl.promote_types(rl.uint8, rl.int8)
    torch.int16
    """
    if a is b:
        return a
    if KINDS[a.kind] > KINDS[b.kind]:
        a, b = b, a
    if b.kind != "float" and {a.name, b.name} & {"uint16", "uint32", "uint64"}:
        raise RuntimeError(
            "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote "
            f"{a} and {b}"
        )
    if a.kind != b.kind:
        if b.kind == "complex" and a is dtypes.float64:
            return dtypes.complex128
        return b
    if a.kind == "float":
        if {a.name, b.name} == {"float16", "bfloat16"}:
            return dtypes.float32
        return a if a.rank > b.rank else b
    if a.kind == "complex":
        return a if a.rank > b.rank else b
    return _promote_integers(a, b)


def _promote_integers(a: dtype, b: dtype) -> dtype:
    if a.is_signed == b.is_signed:
        return a if a.rank > b.rank else b
    signed = a if a.is_signed else b  # the other one is uint8
    return signed if signed.rank > 0 else dtypes.int16


def scalar_dtype(kind: type) -> dtype:
    """The dtype of a Python number: bool, int64, the default float, its complex."""
    if kind is float:
        return dtypes.get_default_dtype()
    if kind is bool:
        return dtypes.bool_
    if kind is int:
        return dtypes.int64
    if kind is complex:
        return dtypes.get_default_dtype().to_complex()
    raise TypeError(f"a number was expected, not {kind.__name__}")


def result_dtype(operands: list[tuple[dtype, int]]) -> dtype:
    """The dtype of (dtype, class) operands; class 2 has dimensions, 1 is zero-dimensional, 0 a
    Python number.
    """
    result: dtype | None = None
    for level in (2, 1, 0):
        merged: dtype | None = None
        for type_, operand_level in operands:
            if operand_level == level:
                merged = type_ if merged is None else promote_types(merged, type_)
        if merged is None:
            continue
        result = merged if result is None else _absorb(result, merged, level)
    assert result is not None
    return result


def _absorb(result: dtype, lower: dtype, level: int) -> dtype:
    """A lower class only lifts the kind.

    Then a Python number brings the default type of its kind.
    """
    if KINDS[lower.kind] <= KINDS[result.kind]:
        return result
    if lower.kind == "complex" and result.kind == "float":
        return result.to_complex() if result.itemsize >= 4 else dtypes.complex64
    return promote_types(result, lower)  # which refuses what PyTorch refuses


def require_fit(least: float, most: float, target: dtype) -> None:
    """RuntimeError unless an integer dtype holds numbers from `least` to `most`, as PyTorch asks
    of Python numbers: an unsigned one takes negatives that it could hold without their sign.
    """
    if target.kind != "int":
        return
    limits = dtypes.iinfo(target)
    lowest = limits.min if target.is_signed else -limits.max
    if not (lowest <= least and most <= limits.max):  # NaN fits nowhere
        held = f"{target.name}_t" if target.name.startswith("uint") else target.name
        out = most if lowest <= least else least
        raise RuntimeError(
            f"value cannot be converted to type {held} without overflow: {out} is outside "
            f"[{limits.min}, {limits.max}]"
        )


def can_cast(source: dtype, target: dtype) -> bool:
    """Whether an in-place result of `source` may be stored as `target`: the kind must not fall, as
    `torch.can_cast`.
    """
    if source.kind == "bool" or KINDS[target.kind] > KINDS[source.kind]:
        return True
    return target.kind == source.kind
