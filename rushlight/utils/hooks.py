"""Handles for registered hooks.

In: an ordered dictionary of hooks that some object (a module, an optimizer, a tensor) owns.
Out: a `RemovableHandle` whose `remove()` takes one entry out again.
Invariant: the handle holds the dictionary weakly, so keeping a handle never keeps its owner alive,
and ids are never reused within one process, so removing twice, or after the owner died, is
harmless.
"""

from __future__ import annotations

import itertools
import warnings
import weakref
from collections import OrderedDict
from types import TracebackType
from typing import Any

_fresh_ids = itertools.count()


class RemovableHandle:
    """Undo one registration of a hook (`torch.utils.hooks.RemovableHandle`).

    `hooks_dict` is the dictionary the hook is stored in under `handle.id`; every dictionary in
    `extra_dict` (one, or a list) loses the same id on removal. The handle is a context manager: the
    hook is removed on leaving the block.

    >>> from collections import OrderedDict
    >>> hooks = OrderedDict()
    >>> handle = RemovableHandle(hooks)
    >>> hooks[handle.id] = print
    >>> handle.remove()
    >>> len(hooks)
    0
    """

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None) -> None:
        self.id: int = next(_fresh_ids)
        extra = (
            extra_dict
            if isinstance(extra_dict, list)
            else [extra_dict]
            if extra_dict is not None
            else []
        )
        self._dictionaries = [weakref.ref(each) for each in (hooks_dict, *extra)]

    def remove(self) -> None:
        """Take the hook out of every dictionary that is still alive; a second call does nothing."""
        for reference in self._dictionaries:
            dictionary = reference()
            if dictionary is not None:
                dictionary.pop(self.id, None)

    def __getstate__(self) -> tuple[list[Any], int]:
        return [reference() for reference in self._dictionaries], self.id

    def __setstate__(self, state: tuple[list[Any], int]) -> None:
        dictionaries, self.id = state
        alive = [OrderedDict() if each is None else each for each in dictionaries]
        self._dictionaries = [weakref.ref(each) for each in alive]

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()


def unserializable_hook(f: Any) -> Any:
    """Mark a hook of a tensor as one that need not be saved with it."""
    f.__torch_unserializable__ = True
    return f


def warn_if_has_hooks(tensor: Any) -> None:
    """Warn of hooks that would be lost if the tensor were saved; not of marked ones."""
    for hook in (getattr(tensor, "_backward_hooks", None) or {}).values():
        if not hasattr(hook, "__torch_unserializable__"):
            warnings.warn(
                f"backward hook {hook!r} on tensor will not be serialized.  If this is expected, "
                "you can decorate the function with @torch.utils.hooks.unserializable_hook to "
                "suppress this warning",
                stacklevel=2,
            )
