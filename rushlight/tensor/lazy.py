"""Lazy names: op families and function modules are imported when one of their names is first used.

In: `catalog.py` (generated: public name -> where it is defined). Out: functions on demand.
Invariant: the catalog only saves time: a name that it lacks is still found, by importing every
family.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..base.names import parameter_names
from ..ops.registry import TABLE, Op
from .casting import around
from .catalog import METHODS, TORCH
from .outputs import with_out
from .refusal import refusing

ROOT = __name__.split(".", 1)[0]


def function_modules() -> list[str]:
    """The modules of public functions, relative to the package, in alphabetical order."""
    from pathlib import Path  # here: pathlib would be a sixth of the package's import time

    return [
        f"tensor.functions.{p.stem}"
        for p in sorted((Path(__file__).parent / "functions").glob("[a-z]*.py"))
    ]


def load(place: str, of_class: bool = False) -> Any:
    """The function at "module:name": a row of an op family, or a function (or alias) of a module.

    A module may have both a function and a method of one name (`where`): `of_class` says which is
    meant.
    """
    path, name = place.split(":")
    module = import_module(f"{ROOT}.{path}")
    if path.startswith("ops."):
        return TABLE[name]
    found = getattr(module, "ALIASES", {}).get(name)
    if found is None:
        lists = (getattr(module, "METHODS", ()), module.FUNCTIONS)
        listed = {f.__name__: f for some in (lists[::-1] if of_class else lists) for f in some}
        found = listed[name] if name in listed else getattr(module, name)
    return around(name, found)


def public(name: str) -> Any:
    """A top-level function by name; None where there is none."""
    place = TORCH.get(name)
    if place is None:
        place = complete()[0].get(name)
    if place is None:
        return None
    if place.startswith("inplace:"):
        from .methods import inplace_of

        return inplace_of(place[8:])
    return with_out(load(place))


def method(name: str) -> Any:
    """A method of Tensor by name; None where there is none."""
    place = METHODS.get(name)
    if place is None:
        place = complete()[1].get(name)
    if place is None:
        return None
    if place.startswith("inplace:"):
        from .methods import inplace_of

        return inplace_of(place[8:])
    return offered(load(place, of_class=True))


def offered(function: Any) -> Any:
    """A row or function as an attribute of a class (rows are objects, which Python does not bind by
    itself).
    """
    if not isinstance(function, Op):
        return refusing(function) if "dim" in parameter_names(function) else function

    def bound(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    bound.__name__ = bound.__qualname__ = function.__name__
    bound.__doc__ = function.__doc__
    return bound


class Lazy:
    """A class attribute that becomes the real method when it is first looked at."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        from .tensor import Tensor

        function = method(self.name)
        if function is None:
            raise AttributeError(f"'{owner.__name__}' object has no attribute '{self.name}'")
        setattr(Tensor, self.name, function)
        return getattr(owner if instance is None else instance, self.name)


# rows whose in-place form is a method only: `torch.abs_` is a function, `torch.sign_` is not
METHOD_ONLY = frozenset(
    [
        "addcdiv",
        "addcmul",
        "atan2",
        "bitwise_and",
        "bitwise_left_shift",
        "bitwise_not",
        "bitwise_or",
        "bitwise_right_shift",
        "bitwise_xor",
        "copysign",
        "digamma",
        "eq",
        "erfinv",
        "floor_divide",
        "fmod",
        "ge",
        "gt",
        "heaviside",
        "hypot",
        "le",
        "lerp",
        "lgamma",
        "logical_and",
        "logical_not",
        "logical_or",
        "logical_xor",
        "lt",
        "masked_fill",
        "masked_scatter",
        "ne",
        "nextafter",
        "remainder",
        "sgn",
        "sign",
        "tril",
        "triu",
    ]
)
_complete: list[tuple[dict[str, str], dict[str, str]]] = []


def complete() -> tuple[dict[str, str], dict[str, str]]:
    """(functions, methods) by name -> place, made by importing everything: what the catalog should
    say.
    """
    if not _complete:
        _complete.append(_everything())
    return _complete[0]


def _everything() -> tuple[dict[str, str], dict[str, str]]:
    functions: dict[str, str] = {}
    methods: dict[str, str] = {}
    from ..ops import load_families

    load_families()
    for name, row in TABLE.items():
        place = f"{row.body.__module__.partition('.')[2]}:{name}"
        surfaces = row.surface.split()
        if not place.startswith("ops."):
            continue
        if "torch" in surfaces:
            functions[name] = place
        if "Tensor" in surfaces:
            methods[name] = place
        if row.inplace:
            methods[f"{name}_"] = f"inplace:{name}"
            if "torch" in surfaces and name not in METHOD_ONLY:
                functions[f"{name}_"] = f"inplace:{name}"
    for path in function_modules():
        _add_module(path, functions, methods)
    internal = [name for name, row in TABLE.items() if row.inplace and name not in methods]
    for name in internal:  # only other code overwrites with these rows
        methods.pop(f"{name}_", None)
    return functions, methods


def _add_module(path: str, functions: dict[str, str], methods: dict[str, str]) -> None:
    module = import_module(f"{ROOT}.{path}")
    own: list[Callable] = list(getattr(module, "METHODS", ()))
    functions.update({f.__name__: f"{path}:{f.__name__}" for f in module.FUNCTIONS})
    methods.update({f.__name__: f"{path}:{f.__name__}" for f in own})
    methods.update({f"{name}_": f"inplace:{name}" for name in getattr(module, "IN_PLACE", ())})
    for alias, target in getattr(module, "ALIASES", {}).items():
        functions[alias] = f"{path}:{alias}"
        if target.__name__ in methods or alias in getattr(module, "ALIAS_METHODS", ()):
            methods[alias] = functions[alias]
        if f"{target.__name__}_" in methods:
            methods.setdefault(f"{alias}_", methods[f"{target.__name__}_"])


def write_families() -> str:
    """The text of ops/families.py as it should be now."""
    complete()
    found = {
        name: row.body.__module__.rsplit(".", 1)[1]
        for name, row in TABLE.items()
        if ".ops." in row.body.__module__
    }
    lines = [
        '"""Which family defines a row. Generated: python -m rushlight.tensor.catalog"""',
        "",
        "from __future__ import annotations",
        "",
        "FAMILY_OF: dict[str, str] = {",
    ]
    return "\n".join(
        [
            *lines,
            *(
                f'    "{name}": "{found[name]}",'
                for name in sorted(found)
                if not name.startswith("restride_")
            ),
            "}",
            "",
        ]
    )


def _entry(name: str, place: str) -> str:
    """A line of the catalog; the linter is told of one that cannot be shorter."""
    line = f'    "{name}": "{place}",'
    return line if len(line) <= 100 else f"{line}  # noqa: E501"


def write_catalog() -> str:
    """The text of catalog.py as it should be now."""
    functions, methods = complete()
    lines = [
        '"""Where public names are defined. Generated: python -m rushlight.tensor.catalog"""',
        "",
        "from __future__ import annotations",
        "",
    ]
    for title, table in (("TORCH", functions), ("METHODS", methods)):
        lines.append(f"{title}: dict[str, str] = {{")
        lines.extend(_entry(name, table[name]) for name in sorted(table))
        lines.extend(["}", ""])
    lines += [
        'if __name__ == "__main__":',
        "    from rushlight.tensor.lazy import regenerate",
        "",
        "    regenerate()",
        "",
    ]
    return "\n".join(lines)


def regenerate() -> None:
    """Write both generated files."""
    from pathlib import Path

    here = Path(__file__).parent
    (here / "catalog.py").write_text(write_catalog(), encoding="utf-8")
    (here.parent / "ops" / "families.py").write_text(write_families(), encoding="utf-8")
