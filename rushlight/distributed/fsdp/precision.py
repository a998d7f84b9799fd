"""A module called with its parameters and inputs in another dtype.

In: a module, its arguments, the dtypes. Out: its result. Invariant: the parameters themselves keep
their dtype, and so do their gradients.
"""

from __future__ import annotations

from typing import Any

from rushlight import Tensor, func, nn
from rushlight.utils import _pytree

__all__ = ["call_in", "cast_floats"]


def cast_floats(tree: Any, dtype: Any) -> Any:
    """The floating point tensors of a nesting in another dtype; None leaves them."""
    if dtype is None:
        return tree

    def cast(leaf: Any) -> Any:
        return leaf.to(dtype) if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf

    return _pytree.tree_map(cast, tree)


def call_in(module: nn.Module, args: Any, kwargs: Any, param_dtype: Any, buffer_dtype: Any) -> Any:
    """Call the module with parameters, buffers and inputs in those dtypes."""
    if param_dtype is None and buffer_dtype is None:
        return module(*args, **kwargs)
    state = cast_floats(dict(module.named_parameters()), param_dtype)
    state.update(cast_floats(dict(module.named_buffers()), buffer_dtype))
    args, kwargs = cast_floats((args, kwargs), param_dtype)
    return func.functional_call(module, state, args, kwargs)
