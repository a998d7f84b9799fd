"""The finder and loader of `torch` and `torchvision`: an entry of `sys.meta_path`.

In: a module name that Python's import system asks for. Out: the module of ours that stands there.
Invariants: a module that is handed out keeps its own name and spec, whatever it is imported as; a
module that does not exist is a ModuleNotFoundError naming what is near.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, DistributionFinder
from types import ModuleType
from typing import Any

import rushlight

from . import metadata
from .missing import names_of, watch, why_refused
from .places import PLACES, ROOTS, SAME, place_of
from .version import __version__, vision_version


class Alias(DistributionFinder, Loader):
    """Answers for `torch` and `torchvision`, with rushlight's modules."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root = fullname.partition(".")[0]
        if root not in ROOTS:
            return None
        if fullname == root or exists(fullname):
            # Every module may have children: the table places modules below plain files too.
            return ModuleSpec(fullname, self, origin=f"rushlight, as {fullname}", is_package=True)
        if _is_import(sys._getframe(1)):
            raise ModuleNotFoundError(_no_module(fullname), name=fullname)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        if spec.name in ROOTS:
            return front(spec.name)
        module = load(spec.name)
        assert module is not None  # find_spec has found it
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give back the spec that the import system has just replaced by the alias's."""
        spec = module.__spec__
        assert spec is not None
        if spec.name in ROOTS:
            return
        name = spec.name
        module.__spec__ = spec.loader_state
        watch(module, name, lambda attribute: load(f"{name}.{attribute}"))

    def find_distributions(self, context: Any = None) -> Iterable[Distribution]:
        return metadata.distributions(context or DistributionFinder.Context())


def exists(name: str) -> bool:
    """Whether a module of ours stands at a name."""
    place = place_of(name)
    if place is None:
        return False
    if place in sys.modules:
        return sys.modules[place] is not None
    try:
        return importlib.util.find_spec(place) is not None
    except ModuleNotFoundError:
        return False


def load(name: str) -> ModuleType | None:
    """The module of ours at a name, imported; None where there is none."""
    if not exists(name):
        return None
    place = place_of(name)
    assert place is not None
    module = import_module(place)
    watch(module, name, lambda attribute: load(f"{name}.{attribute}"))
    return module


def _is_import(frame: Any) -> bool:
    """Whether an import statement asks, and not `importlib.util.find_spec`, which is a probe."""
    while frame is not None and "importlib" in frame.f_code.co_filename:
        if frame.f_code.co_name == "_find_and_load_unlocked":
            return True
        frame = frame.f_back
    return False


def _no_module(name: str) -> str:
    """The message for `import name`, where there is no such module."""
    parent, _, last = name.rpartition(".")
    module = sys.modules.get(parent) or load(parent)
    why = why_refused(parent, module, last) if module is not None else None
    if why is not None:
        return f"No module named {name!r} in rushlight: {why}"
    known = names_of(module) if module is not None else set()
    if parent == "torch":
        known |= {place.split(".")[1] for place in PLACES if "." in place}
    near = get_close_matches(last, known - {last}, 1)
    hint = f"; did you mean {parent}.{near[0]}?" if near else ""
    return f"No module named {name!r} in rushlight{hint}"


def front(root: str) -> ModuleType:
    """The module object `torch` or `torchvision`: what is behind it, under that name and version.

    Names are copied in when they are first used.
    """
    behind = rushlight if root == "torch" else import_module(PLACES[root])
    front = ModuleType(root, behind.__doc__)
    front.__dict__.update(
        __file__=behind.__file__,
        __path__=[],  # children come from this finder alone
        __version__=__version__ if root == "torch" else vision_version,
        __dir__=lambda: sorted({name for name in dir(behind) if _visible(root, behind, name)}),
    )
    public = getattr(behind, "__all__", None) or [n for n in dir(behind) if n[0] != "_"]
    front.__dict__["__all__"] = [name for name in public if _visible(root, behind, name)]

    def inner(name: str) -> Any:
        if root == "torch" and name == "torch":
            return front
        if name.startswith("__") or not _visible(root, behind, name):
            raise AttributeError(f"module {root!r} has no attribute {name!r}")
        value = getattr(behind, name)
        front.__dict__[name] = value
        return value

    front.__dict__["__getattr__"] = inner
    watch(front, root, lambda attribute: load(f"{root}.{attribute}"))
    return front


def _visible(root: str, behind: ModuleType, name: str) -> bool:
    """Whether a name of the package may be seen: its rooms that PyTorch lacks may not."""
    if root != "torch" or name in SAME:
        return True
    value = vars(behind).get(name)
    if isinstance(value, ModuleType):
        return False
    return value is not None or name not in rushlight._LAZY
