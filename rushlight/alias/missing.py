"""Errors for names that are not there: which name, of which module, and the nearest there is.

In: a module, the name that the program knows it by, the attribute. Out: AttributeError for
`module.name`, ImportError for `from module import name`. Invariant: probes (`hasattr`, `getattr`
with a default, `try: import`) see the kinds of error that Python itself raises.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

import rushlight

from .places import PLACES

_IMPORT_FROM = dis.opmap["IMPORT_FROM"]


def names_of(module: ModuleType) -> set[str]:
    """The public names that a module has or makes on demand, and its submodules' among them."""
    own = getattr(module, "__name__", "")
    below = {name.rpartition(".")[2] for name in sys.modules if name.rpartition(".")[0] == own}
    return {name for name in (*dir(module), *below) if not name.startswith("__")}


def missing(name: str, module: ModuleType, attribute: str) -> AttributeError:
    """The error for `name.attribute`: why it is refused, or what is near."""
    why: str | None = vars(module).get("REFUSED", {}).get(attribute)
    if why is not None:
        return AttributeError(f"module {name!r} has no attribute {attribute!r}: {why}")
    return rushlight.MissingNameError(f"module {name!r}", attribute, lambda: names_of(module))


def is_from_import(frame: FrameType | None) -> bool:
    """Whether the frame is at the instruction that `from module import name` ends in."""
    return frame is not None and frame.f_code.co_code[frame.f_lasti] == _IMPORT_FROM


def watch(module: ModuleType, name: str, child: Callable[[str], Any]) -> None:
    """Make a module's missing names fail with `missing`, or be the submodule of that name.

    `child(attribute)` gives the submodule, or None.
    """
    namespace = vars(module)
    inner: Callable[[str], Any] | None = namespace.get("__getattr__")
    if getattr(inner, "is_watch", False):
        return

    def look(attribute: str) -> Any:
        if f"{name}.{attribute}" in PLACES:
            found = child(attribute)
            if found is not None:
                return found
        if attribute.startswith("__"):
            if inner is None:
                raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
            return inner(attribute)
        if inner is not None:
            try:
                return inner(attribute)
            except AttributeError:
                pass
        found = child(attribute)
        if found is not None:
            return found
        error = missing(name, module, attribute)
        if is_from_import(sys._getframe(1)):
            raise ImportError(str(error), name=name) from None
        raise error from None

    look.is_watch = True  # type: ignore[attr-defined]
    namespace["__getattr__"] = look
