"""Calling a module with other parameters and buffers than its own: the older place of
`rushlight.func.functional_call`.
"""

from __future__ import annotations

import warnings
from typing import Any

from rushlight import Tensor
from rushlight.nn.module import Module

__all__ = ["functional_call"]


def functional_call(
    module: Module,
    parameters_and_buffers: dict[str, Tensor],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with some tensors replaced, as `func.functional_call`.

    Deprecated. Follows `torch.nn.utils.stateless.functional_call`.
    """
    warnings.warn(
        "This API is deprecated as of PyTorch 2.0 and will be removed in a future version of "
        "PyTorch. Please use torch.func.functional_call instead which is a drop-in replacement "
        "for this API.",
        FutureWarning,
        stacklevel=2,
    )
    from rushlight.func import functional_call as call

    return call(
        module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict
    )
