"""Turning the alias on.

In: a process that has not imported the real torch. Out: the finder in `sys.meta_path`, types that
name `torch` as their module, and child processes that do the same. Invariant: doing it twice is
doing it once; a refusal changes nothing.
"""

from __future__ import annotations

import multiprocessing.spawn
import sys
from typing import Any

import rushlight

from .places import ROOTS

# What programs recognise by the text of its type: `str(type(x)).startswith("<class 'torch.")`.
_NAMED = ("Tensor", "Size", "dtype", "device", "Generator", "layout", "finfo", "iinfo")


class AliasError(RuntimeError):
    """The alias cannot be turned on in this process any more."""


def is_installed() -> bool:
    """Whether `import torch` gives rushlight in this process."""
    return _alias() is not None


def install_as_torch() -> None:
    """From now on `import torch` and `import torchvision` give rushlight, in this process only.

    Call it before anything imports torch. It can be called again. Nothing is written: other
    processes, and the environment, stay as they are; processes that this one starts with
    `multiprocessing` have the alias too.
    Errors: AliasError where the real torch or torchvision has been imported already.

    >>> import rushlight as rl
    >>> rl.install_as_torch()
    >>> import torch
    >>> torch.nn is rl.nn and torch.Tensor is rl.Tensor
    True
    """
    if is_installed():
        return
    taken = [root for root in ROOTS if root in sys.modules]
    if taken:
        where = getattr(sys.modules[taken[0]], "__file__", None) or "an unknown place"
        raise AliasError(
            f"{taken[0]} is already imported from {where}: rushlight can stand in for it only when "
            f"it is asked first. Call rushlight.install_as_torch() before any import of torch, or "
            f"start the program with `rushlight run SCRIPT.py`"
        )
    from .finder import Alias

    sys.meta_path.insert(0, Alias())
    for name in _NAMED:
        getattr(rushlight, name).__module__ = "torch"
    _tell_children()


def _alias() -> Any:
    """The alias's entry in `sys.meta_path`, or None."""
    for entry in sys.meta_path:
        if type(entry).__module__ == f"{__package__}.finder":
            return entry
    return None


class _InstallOnLoad:
    """Pickles as a call of `install_as_torch`."""

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return install_as_torch, ()


def _tell_children() -> None:
    """Processes started afresh (spawn, forkserver) are sent what to prepare, and unpickle that
    before they import the program: so this is where the alias travels.
    """
    prepare = multiprocessing.spawn.get_preparation_data

    def with_alias(name: str) -> dict[str, Any]:
        return {"rushlight_alias": _InstallOnLoad(), **prepare(name)}

    multiprocessing.spawn.get_preparation_data = with_alias
