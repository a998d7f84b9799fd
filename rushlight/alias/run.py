"""`rushlight run SCRIPT.py [ARGS]` and `rushlight run -m MODULE [ARGS]`.

In: the words after `run`. Out: the program's exit code. Invariant: the program sees what it would
see under `python`: `sys.argv`, `sys.path[0]`, a `__main__` of its own, its exit codes, and
tracebacks that begin with its own lines.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any

from .install import AliasError, install_as_torch

USAGE = "SCRIPT.py [ARGS ...] | -m MODULE [ARGS ...]"
HELP = (
    "Run a PyTorch program: `import torch` and `import torchvision` give rushlight, in this\n"
    "process only.\n\n"
    "  SCRIPT.py    a file, or a folder or zip file with a __main__.py\n"
    "  -m MODULE    a module, as with `python -m`"
)
MISTAKE, FAILED, INTERRUPTED = 2, 1, 130


def run(words: list[str]) -> int:
    """Run a program with the alias on; return its exit code."""
    if not words or words[0] in ("-h", "--help"):
        print(f"usage: rushlight run {USAGE}\n\n{HELP}", file=sys.stdout if words else sys.stderr)
        return 0 if words else MISTAKE
    if words[0] == "-m" and len(words) == 1:
        return _mistake("-m needs the name of a module")
    if words[0].startswith("-") and words[0] != "-m":
        return _mistake(f"unknown option {words[0]!r}; usage: rushlight run {USAGE}")
    if words[0] != "-m" and not os.path.exists(words[0]):
        return _mistake(f"{words[0]}: no such file")
    try:
        install_as_torch()
    except AliasError as error:
        return _mistake(str(error))
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.path.insert(0, os.getcwd())
        return _guarded(lambda: runpy.run_module(words[1], None, "__main__", alter_sys=True))
    sys.argv = list(words)
    if os.path.isfile(words[0]) and not words[0].endswith(".zip"):
        sys.path.insert(0, os.path.dirname(os.path.abspath(words[0])))
        return _guarded(lambda: _run_file(words[0]))
    return _guarded(lambda: runpy.run_path(words[0], None, "__main__"))


def _mistake(message: str) -> int:
    print(f"rushlight: {message}", file=sys.stderr)
    return MISTAKE


def _run_file(path: str) -> None:
    """Execute a file as `__main__`, which stays `__main__` afterwards: exit handlers, threads and
    pickles of the program look things up there.
    """
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    main = ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=__builtins__, __spec__=None, __cached__=None)
    sys.modules["__main__"] = main
    exec(code, main.__dict__)


def _guarded(program: Callable[[], Any]) -> int:
    """Run it; an exception that nobody caught is shown as Python shows it, without our frames."""
    try:
        program()
    except SystemExit:
        raise
    except BaseException as error:
        error.__traceback__ = _theirs(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED
    return 0


def _theirs(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback from the program's first frame on."""
    frame = traceback
    while frame is not None:
        name = frame.tb_frame.f_code.co_filename
        if name != __file__ and "runpy" not in name:
            return frame
        frame = frame.tb_next
    return traceback
