"""Which torch names a project's source uses, and which of them rushlight has.

In: a folder or a file of Python source. Out: a table, and an exit code: 0 when every name is there,
1 when one is missing, 2 when nothing could be read. Invariant: the project is parsed, never run or
imported; a name counts once for each place that writes it.
"""

from __future__ import annotations

import ast
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .places import ROOTS

USAGE = "PATH [--all]"
HELP = (
    "List the torch and torchvision names that the Python source under PATH uses, and which of\n"
    "them rushlight lacks. Nothing of the project is run. Methods of tensors are not seen: what\n"
    "has which type is known only when a program runs.\n\n"
    "  --all    list the names that are there as well"
)
SKIPPED = {".git", ".venv", "venv", "node_modules", "__pycache__", "build", "dist", ".tox"}


@dataclass
class Uses:
    """The names that some source uses: how often, and where first."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def add(self, name: str, place: str) -> None:
        self.counts[name] += 1
        self.first.setdefault(name, place)


def sources(path: Path) -> Iterator[Path]:
    """The Python files under a path, in order."""
    if path.is_file():
        yield path
        return
    for folder, below, files in os.walk(path):
        below[:] = sorted(name for name in below if name not in SKIPPED)
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(".py"))


def scan(path: Path) -> Uses:
    """Read every file under a path."""
    uses = Uses()
    base = path if path.is_dir() else path.parent
    for file in sources(path):
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError, RecursionError, OSError) as error:
            uses.unread.append(f"{file}: {error}")
            continue
        reader = _Reader(uses, str(file.relative_to(base)))
        reader.read(tree)
    return uses


class _Reader:
    """The torch names of one file: what its imports bind, and the attributes read from those."""

    def __init__(self, uses: Uses, file: str) -> None:
        self.uses, self.file = uses, file
        self.bound: dict[str, str] = {}  # a local name -> the torch name that it stands for

    def read(self, tree: ast.AST) -> None:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self._import(node)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node)
        inner: set[int] = set()  # `torch.nn` inside `torch.nn.Linear` is not a use of its own
        for node in ast.walk(tree):
            if isinstance(node, (ast.Attribute, ast.Name)) and id(node) not in inner:
                self._attribute(node, inner)

    def _note(self, name: str, line: int) -> None:
        self.uses.add(name, f"{self.file}:{line}")

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            root = alias.name.partition(".")[0]
            if root not in ROOTS:
                continue
            self._note(alias.name, node.lineno)
            if alias.asname:
                self.bound[alias.asname] = alias.name
            else:
                self.bound[root] = root

    def _import_from(self, node: ast.ImportFrom) -> None:
        if node.level or not node.module or node.module.partition(".")[0] not in ROOTS:
            return
        for alias in node.names:
            name = node.module if alias.name == "*" else f"{node.module}.{alias.name}"
            self._note(name, node.lineno)
            self.bound[alias.asname or alias.name] = name

    def _attribute(self, node: ast.Attribute | ast.Name, inner: set[int]) -> None:
        parts: list[str] = []
        expression: ast.expr = node
        while isinstance(expression, ast.Attribute):
            parts.append(expression.attr)
            expression = expression.value
            inner.add(id(expression))
        if isinstance(expression, ast.Name) and expression.id in self.bound and parts:
            self._note(".".join([self.bound[expression.id], *reversed(parts)]), node.lineno)


@dataclass(frozen=True)
class Verdict:
    """A name, whether it is there, and what is said where it is not."""

    name: str
    present: bool
    message: str = ""


def judge(name: str) -> Verdict:
    """Look a dotted name up, as a program would.

    `torch.zeros.shape` is looked up as far as modules and classes go: what a function or a value
    has as attributes is its own affair.
    """
    from importlib import import_module
    from types import ModuleType
    from typing import Any

    from .install import install_as_torch

    install_as_torch()
    root, *rest = name.split(".")
    here: Any = import_module(root)
    done = root
    for part in rest:
        if not isinstance(here, (ModuleType, type)):
            break
        done = f"{done}.{part}"
        try:
            here = getattr(here, part)
        except (AttributeError, ImportError) as error:
            if isinstance(here, ModuleType):
                try:
                    here = import_module(done)
                    continue
                except ImportError:
                    pass
            return Verdict(name, False, str(error))
    return Verdict(name, True)


def coverage(words: list[str]) -> int:
    """The subcommand: print the table, return the exit code."""
    paths = [word for word in words if not word.startswith("-")]
    unknown = [word for word in words if word.startswith("-") and word != "--all"]
    if unknown or len(paths) != 1:
        print(f"rushlight: usage: rushlight coverage {USAGE}", file=sys.stderr)
        return 2
    path = Path(paths[0])
    if not path.exists():
        print(f"rushlight: {path}: no such file or folder", file=sys.stderr)
        return 2
    uses = scan(path)
    for problem in uses.unread:
        print(f"rushlight: not read: {problem}", file=sys.stderr)
    if not uses.counts:
        print(f"{path}: no use of torch found")
        return 2 if uses.unread else 0
    verdicts = {name: judge(name) for name in uses.counts}
    _print(uses, verdicts, "--all" in words)
    return 0 if all(verdict.present for verdict in verdicts.values()) else 1


def _print(uses: Uses, verdicts: dict[str, Verdict], everything: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    lacking = [name for name, verdict in verdicts.items() if not verdict.present]
    console = Console()
    table = Table("name", "uses", "first use", "rushlight", title="torch names used")
    for name, count in sorted(uses.counts.items(), key=lambda item: (-item[1], item[0])):
        verdict = verdicts[name]
        if everything or not verdict.present:
            said = "[green]there[/]" if verdict.present else f"[red]missing[/] {verdict.message}"
            table.add_row(name, str(count), uses.first[name], said)
    if table.row_count:
        console.print(table)
    had = sum(count for name, count in uses.counts.items() if verdicts[name].present)
    total = uses.counts.total()
    console.print(
        f"{len(verdicts) - len(lacking)} of {len(verdicts)} names are there, "
        f"{had} of {total} uses ({had / total:.1%})",
        highlight=False,
    )
