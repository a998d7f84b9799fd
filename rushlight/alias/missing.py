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


# What `torch` itself lacks, and what is near.
REFUSED = {
    **dict.fromkeys(
        ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
        "floating numbers of 8 bits are not there; torch.bfloat16 and torch.float16 are the "
        "smallest",
    ),
    "complex32": "complex numbers of half precision are not there; torch.complex64 is the smallest",
    **dict.fromkeys(
        ("nested", "jagged"),
        "nested tensors are not there; torch.nn.utils.rnn.pad_sequence and pack_sequence hold "
        "sequences of different lengths",
    ),
    **dict.fromkeys(
        ("sparse_csc", "sparse_csc_tensor", "sparse_bsr", "sparse_bsr_tensor"),
        "sparse tensors are kept by coordinates or by rows: torch.sparse_coo_tensor, "
        "torch.sparse_csr_tensor",
    ),
    "export": "programs are not exported; torch.onnx.export writes a model to a file",
}


def names_of(module: ModuleType) -> set[str]:
    """The public names that a module has or makes on demand, and its submodules' among them."""
    own = getattr(module, "__name__", "")
    below = {name.rpartition(".")[2] for name in sys.modules if name.rpartition(".")[0] == own}
    return {name for name in (*dir(module), *below) if not name.startswith("__")}


def missing(name: str, module: ModuleType, attribute: str) -> AttributeError:
    """The error for `name.attribute`: why it is refused, or what is near."""
    why = why_refused(name, module, attribute)
    if why is not None:
        return AttributeError(f"module {name!r} has no attribute {attribute!r}: {why}")
    return rushlight.MissingNameError(f"module {name!r}", attribute, lambda: names_of(module))


def why_refused(name: str, module: ModuleType, attribute: str) -> str | None:
    """The sentence of the module's own table about a name that it refuses; None for others."""
    table = REFUSED if name == "torch" else vars(module).get("REFUSED", {})
    return table.get(attribute)


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
                made = inner(attribute)
            except AttributeError:
                pass
            else:
                return (child(attribute) or made) if isinstance(made, ModuleType) else made
        found = child(attribute)
        if found is not None:
            return found
        error = missing(name, module, attribute)
        if is_from_import(sys._getframe(1)):
            raise ImportError(str(error), name=name) from None
        raise error from None

    look.is_watch = True  # type: ignore[attr-defined]
    namespace["__getattr__"] = look
