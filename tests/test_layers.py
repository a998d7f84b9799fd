"""The house's directions: which room may import which, read from every file's syntax tree.

In: the sources of the package. Every import counts, also those inside functions, and those under
`if TYPE_CHECKING` (a type that a lower room needs from a higher one is a direction too, but it
costs nothing at run time, so those are allowed and listed apart).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import rushlight

ROOT = Path(rushlight.__file__).parent
PACKAGE = "rushlight"

# room -> the rooms that it may import, beside itself; "" is the public package `rushlight`
LOWER: dict[str, frozenset[str]] = {
    "version": frozenset(),
    "base": frozenset(),
    "graph": frozenset({"base"}),
    "kernel": frozenset({"base"}),
    "runtime": frozenset({"base"}),
    "ops": frozenset({"graph", "base"}),
    "autograd": frozenset({"ops", "graph", "base"}),
    "schedule": frozenset({"graph", "ops", "kernel", "base"}),
    "codegen": frozenset({"kernel", "base"}),
    "engine": frozenset(
        {"autograd", "schedule", "codegen", "kernel", "ops", "graph", "runtime", "base"}
    ),
    "tensor": frozenset({"autograd", "engine", "ops", "graph", "kernel", "runtime", "base"}),
}
# public names over the lower rooms, kept apart from them: torch.fft, torch.linalg and the like
FRONTS: dict[str, frozenset[str]] = {
    **{
        name: frozenset({"tensor", "autograd", "ops", "base"})
        for name in ("fft", "linalg", "random", "signal", "sparse", "special")
    },
    "func": frozenset({"tensor", "autograd", "ops", "base"}),
    "backends": frozenset({"codegen", "runtime", "base"}),  # tells what the machine offers
    "switches": frozenset(),
}
# rooms that see the public interface and each other, and nothing behind it
PUBLIC = frozenset(
    [
        "amp",
        "distributions",
        "masked",
        "nn",
        "optim",
        "utils",
        "vision",
        "models",
        "train",
        "serialization",
        "interop",
        "distributed",
        "hw",
        "cuda",
        "__main__",
        "__init__",
        "alias",
        "accelerator",
        "compiler",
        "futures",
        "fx",
        "hub",
        "jit",
        "library",
        "mps",
        "multiprocessing",
        "onnx",
        "overrides",
        "testing",
        "types",
        "xpu",
        "cpu",
        "profiler",
    ]
)
# what else a public room may import: rows that only modules and optimizers call have no public name
EXCEPTIONS: dict[str, frozenset[str]] = {
    "nn": frozenset({"ops.namespace"}),
    "optim": frozenset({"ops.namespace"}),
    "utils": frozenset({"base.pytree"}),
    "cuda": frozenset({"tensor.typed"}),
    "alias": frozenset({"ops.aten", "version"}),
    "overrides": frozenset({"tensor.overriding"}),
    "profiler": frozenset({"engine.profile"}),
    "onnx": frozenset({"engine.capture"}),
}
ONLY: dict[str, frozenset[str]] = {"llvmlite": frozenset({"codegen/compiler.py"})}


@dataclass(frozen=True)
class Import:
    """One import: where it stands and the dotted module it names."""

    file: Path
    line: int
    module: str
    types_only: bool

    @property
    def room(self) -> str:
        """The room that the import stands in."""
        return self.file.relative_to(ROOT).parts[0].removesuffix(".py")

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.module}"


def sources() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def imports(file: Path) -> Iterator[Import]:
    """Every import of a file, relative ones made absolute."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    package = (PACKAGE, *file.relative_to(ROOT).parent.parts)
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            start = ".".join((*above, *([node.module] if node.module else [])))
            names = [f"{start}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield Import(file, node.lineno, name, id(node) in guarded)


def target_room(module: str) -> str | None:
    """The room that a module of ours is in; "" for names of the package itself, None for others."""
    parts = module.split(".")
    if parts[0] != PACKAGE:
        return None
    if len(parts) > 1 and (ROOT / parts[1]).is_dir():
        return parts[1]
    if len(parts) > 1 and (ROOT / f"{parts[1]}.py").is_file():
        return parts[1]
    return ""


def is_allowed(found: Import) -> bool:
    """Whether an import goes in the direction of the house."""
    target = target_room(found.module)
    if target is None or target == found.room or found.types_only:
        return True
    if found.room in LOWER or found.room in FRONTS:
        return target in {**LOWER, **FRONTS}[found.room]
    if target in LOWER and target != "version":
        inside = found.module.removeprefix(f"{PACKAGE}.")
        allowed = EXCEPTIONS.get(found.room, frozenset())
        return any(inside == name or inside.startswith(f"{name}.") for name in allowed)
    return True


@cache
def every_import() -> list[Import]:
    return [found for file in sources() for found in imports(file)]


def test_every_room_is_in_the_table() -> None:
    rooms = {file.relative_to(ROOT).parts[0].removesuffix(".py") for file in sources()}
    assert rooms - LOWER.keys() - FRONTS.keys() - PUBLIC == set()


def test_imports_point_one_way() -> None:
    # the package's own front door gathers what the rooms offer
    wrong = [str(i) for i in every_import() if i.room != "__init__" and not is_allowed(i)]
    assert wrong == []


@pytest.mark.parametrize("library", sorted(ONLY))
def test_a_library_is_touched_in_one_file(library: str) -> None:
    touching = {
        i.file.relative_to(ROOT).as_posix()
        for i in every_import()
        if i.module.split(".")[0] == library
    }
    assert touching == ONLY[library]


def test_the_core_needs_numpy_and_llvmlite_only() -> None:
    import sys

    allowed = {"numpy", "llvmlite", PACKAGE, *sys.stdlib_module_names}
    wrong = [
        str(i)
        for i in every_import()
        if i.room in LOWER and i.module.split(".")[0] not in allowed and not i.types_only
    ]
    assert wrong == []


def test_the_check_sees_a_wrong_direction(tmp_path: Path) -> None:
    """A file of `base` that imports the engine inside a function is found."""
    file = ROOT / "base" / "imagined.py"
    text = "def f():\n    from ..engine.flush import flush\n    return flush\n"
    tree_file = tmp_path / "imagined.py"
    tree_file.write_text(text)
    node = next(n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom))
    found = Import(file, node.lineno, "rushlight.engine.flush.flush", False)
    assert not is_allowed(found)
    assert is_allowed(Import(ROOT / "engine" / "x.py", 1, "rushlight.base.dtype", False))
    assert is_allowed(Import(ROOT / "nn" / "x.py", 1, "rushlight.ops.namespace", False))
    assert not is_allowed(Import(ROOT / "nn" / "x.py", 1, "rushlight.ops.core", False))
