"""`autocast`: regions in which products run in a lower precision, and what custom functions need.

In: a device type and a dtype. Out: a context manager that is also a decorator. Invariant: leaving a
region restores what was in force before it, and leaving the outermost one forgets the parameters
that were cast in it.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import rushlight
from rushlight import Tensor, is_autocast_available

__all__ = ["autocast", "autocast_decorator", "custom_bwd", "custom_fwd", "is_autocast_available"]

LOWER_PRECISIONS = (rushlight.bfloat16, rushlight.float16)


class autocast:
    """Inside, operations choose their precision: products `dtype`, losses and the like float32.

    Args:
        device_type: "cpu" or "cuda".
        dtype: bfloat16 or float16; by default bfloat16 on the CPU and float16 on a GPU.
        enabled: False makes a region without autocast inside one with it.
        cache_enabled: cast every parameter once per outermost region (the default).

    Operations that no list of PyTorch's names run in the dtype of their operands. float64 is never
    cast. Errors: ValueError for a device type that is no string, RuntimeError for an unknown one; a
    dtype or a device that cannot be used is a warning, and the region is off. Follows
    `torch.autocast` (Micikevicius et al., arXiv 1710.03740).

    >>> import rushlight as rl
    >>> layer = rl.nn.Linear(2, 3)
    >>> with rl.autocast("cpu"):
    ...     layer(rl.ones(4, 2)).dtype
    torch.bfloat16
    """

    def __init__(
        self,
        device_type: str,
        dtype: rushlight.dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(
                f"Expected `device_type` of type `str`, got: `{type(device_type)}`: name the type "
                "of device, 'cpu' or 'cuda'"
            )
        default = rushlight.get_autocast_dtype(device_type)
        self.device = device_type
        self.fast_dtype = default if dtype is None else dtype
        self._cache_enabled = (
            rushlight.is_autocast_cache_enabled() if cache_enabled is None else cache_enabled
        )
        self._enabled = bool(enabled) and self._is_possible()
        self._before: list[tuple[bool, Any, bool]] = []

    def _is_possible(self) -> bool:
        """Whether a region that is asked for can be on; what stands in the way is a warning."""
        if rushlight.device(self.device).type == "cuda" and not rushlight.cuda.is_available():
            warnings.warn("CUDA is not available. Disabling autocast.", stacklevel=3)
            return False
        if self.fast_dtype not in LOWER_PRECISIONS:
            warnings.warn(
                f"In {self.device.upper()} autocast, but the target dtype is not supported. "
                "Disabling autocast.\n"
                f"{self.device.upper()} Autocast only supports dtypes of "
                f"{', '.join(map(str, LOWER_PRECISIONS))}, and got {self.fast_dtype}.",
                stacklevel=3,
            )
            return False
        return True

    def __enter__(self) -> autocast:
        self._before.append(
            (
                rushlight.is_autocast_enabled(self.device),
                rushlight.get_autocast_dtype(self.device),
                rushlight.is_autocast_cache_enabled(),
            )
        )
        self._set(self._enabled, self.fast_dtype, self._cache_enabled)
        rushlight.autocast_increment_nesting()
        return self

    def __exit__(self, *exception: object) -> None:
        if rushlight.autocast_decrement_nesting() == 0:
            rushlight.clear_autocast_cache()
        self._set(*self._before.pop())

    def _set(self, enabled: bool, dtype: Any, caching: bool) -> None:
        rushlight.set_autocast_enabled(self.device, enabled)
        rushlight.set_autocast_dtype(self.device, dtype)
        rushlight.set_autocast_cache_enabled(caching)

    def __call__(self, func: Callable) -> Callable:
        return autocast_decorator(self, func)


def autocast_decorator(autocast_instance: Any, func: Callable) -> Callable:
    """`func` run inside a region, at every call."""

    @functools.wraps(func)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        with autocast_instance:
            return func(*args, **kwargs)

    return decorated


def _cast(value: Any, device_type: str, dtype: rushlight.dtype) -> Any:
    """The floating-point tensors of a device, float64 aside, in a dtype; also inside containers."""
    if isinstance(value, Tensor):
        eligible = (
            value.is_floating_point()
            and value.device.type == device_type
            and value.dtype is not rushlight.float64
        )
        return value.to(dtype) if eligible else value
    if isinstance(value, Mapping):
        return {
            _cast(k, device_type, dtype): _cast(v, device_type, dtype) for k, v in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)([_cast(each, device_type, dtype) for each in value])
    return value


def _checked(name: str, device_type: Any) -> str:
    if not isinstance(device_type, str):
        raise ValueError(
            f"{name}: Expected `device_type` of type `str`, got: `{type(device_type)}`"
        )
    return device_type


def custom_fwd(
    fwd: Callable | None = None,
    *,
    device_type: str,
    cast_inputs: rushlight.dtype | None = None,
) -> Callable:
    """Decorator of the `forward` of an `autograd.Function` that is used under autocast.

    Without `cast_inputs` forward runs in whatever region it is called in; with it, floating-point
    operands are cast and autocast is off inside (only where it was on). `custom_bwd` does in
    backward what was in force in forward. Follows `torch.amp.custom_fwd`.
    """
    _checked("custom_fwd", device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        context = args[0]
        context._dtype = rushlight.get_autocast_dtype(device_type)
        active = rushlight.is_autocast_enabled(device_type)
        context._fwd_used_autocast = active and cast_inputs is None
        if cast_inputs is None or not active:
            return fwd(*args, **kwargs)
        with autocast(device_type=device_type, enabled=False):
            return fwd(
                *_cast(args, device_type, cast_inputs), **_cast(kwargs, device_type, cast_inputs)
            )

    return decorated


def custom_bwd(bwd: Callable | None = None, *, device_type: str) -> Callable:
    """Decorator of the `backward` that belongs to a `custom_fwd`: the same autocast as forward had.

    Follows `torch.amp.custom_bwd`.
    """
    _checked("custom_bwd", device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        context = args[0]
        with autocast(device_type, enabled=context._fwd_used_autocast, dtype=context._dtype):
            return bwd(*args, **kwargs)

    return decorated
