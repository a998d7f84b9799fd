"""Making modules without drawing their initial values.

In: a module class and its arguments. Out: the module with unspecified parameter values.
Invariant: no random number is drawn.
"""

from __future__ import annotations

import inspect
from typing import Any

import rushlight
from rushlight.nn.module import Module


def skip_init(module_cls: type, *args: Any, **kwargs: Any) -> Any:
    """`module_cls(*args, **kwargs)` whose parameters are left unspecified.

    The generator's state is put back, so that the draws of the constructor do not count.
    Follows `torch.nn.utils.skip_init`.

    >>> import rushlight as rl
    >>> rl.nn.utils.skip_init(rl.nn.Linear, 3, 4)
    Linear(in_features=3, out_features=4, bias=True)
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    state = rushlight.get_rng_state()
    module = module_cls(*args, **kwargs)
    rushlight.set_rng_state(state)
    return module
