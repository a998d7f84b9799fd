"""Opt-in: in this process `import torch` and `import torchvision` give rushlight.

In: nothing. Out: an entry in front of `sys.meta_path`. Invariants: modules are handed out, never
copied (`torch.nn is rushlight.nn`); nothing is written anywhere; no other process is touched.
See docs/design/torch_alias.md.
"""

from __future__ import annotations

from typing import Any

from .install import AliasError, install_as_torch, is_installed

__all__ = ["AliasError", "install_as_torch", "is_installed"]


def __getattr__(name: str) -> Any:
    """`torch`: the module that `import torch` would give, for `from rushlight import torch`."""
    if name != "torch":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .finder import front

    return front("torch")
