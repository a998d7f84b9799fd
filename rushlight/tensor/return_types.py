"""Results of several tensors as tuples whose elements also have names, as `torch.return_types`.

In: a function's name and the names of its results. Out: a tuple class that prints as PyTorch's.
Invariant: a result is a plain tuple in every other respect.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import itemgetter
from typing import Any


@cache
def named(name: str, *fields: str) -> Callable[[tuple], Any]:
    """The class of results of the function `name`.

    >>> from rushlight.tensor.return_types import named
    >>> named("max", "values", "indices")((1, 2)).indices
    2
    """

    def show(self: tuple) -> str:
        return (
            f"torch.return_types.{name}(\n"
            + ",\n".join(f"{f}={v!r}" for f, v in zip(fields, self, strict=False))
            + ")"
        )

    properties = {field: property(itemgetter(k)) for k, field in enumerate(fields)}
    count = {"n_fields": len(fields), "n_sequence_fields": len(fields), "n_unnamed_fields": 0}
    body = {
        "__slots__": (),
        "__module__": "torch.return_types",
        "__repr__": show,
        "__reduce__": lambda self: (_remade, (name, fields, tuple(self))),
        "__match_args__": fields,
    }
    return type(name, (tuple,), {**body, **count, **properties})


def _remade(name: str, fields: tuple[str, ...], values: tuple) -> Any:
    """A pickled result again."""
    return named(name, *fields)(values)
