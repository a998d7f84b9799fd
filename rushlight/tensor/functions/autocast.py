"""The switches behind `torch.autocast`, under PyTorch's names.

In: a device type and a value. Out: the state of this thread (`tensor/casting.py`). Invariant: code
that uses the context manager `rushlight.autocast` never needs these.
"""

from __future__ import annotations

from typing import Any

from ...base.device import device
from ..casting import STATE, enable


def _kind(name: str, device_type: Any) -> str:
    """The type of device that is meant; RuntimeError for one that autocast does not know."""
    if not isinstance(device_type, str):
        raise TypeError(
            f"{name}(): argument 'device_type' (position 1) must be str, not "
            f"{type(device_type).__name__}"
        )
    kind = device(device_type).type
    if kind not in STATE.dtype:
        raise RuntimeError(
            f"{name}(): unsupported scalarType: autocast has no dtype for device type '{kind}', "
            f"only for {', '.join(map(repr, STATE.dtype))}"
        )
    return kind


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether autocast is on in this thread for a device type ("cuda" when none is named).

    >>> import rushlight as rl
    >>> with rl.autocast("cpu"):
    ...     rl.is_autocast_enabled("cpu")
    True
    """
    name = "cuda" if device_type is None else device_type
    return _kind("is_autocast_enabled", name) in STATE.enabled


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Turn autocast on or off in this thread; a single argument means the device type "cuda"."""
    if enabled is None:
        device_type, enabled = "cuda", device_type
    enable(_kind("set_autocast_enabled", device_type), bool(enabled))


def get_autocast_dtype(device_type: str) -> Any:
    """The dtype that autocast lowers to on a device type.

    >>> import rushlight as rl
    >>> rl.get_autocast_dtype("cpu")
    torch.bfloat16
    """
    return STATE.dtype[_kind("get_autocast_dtype", device_type)]


def set_autocast_dtype(device_type: str, dtype: Any) -> None:
    """Choose what autocast lowers to on a device type, in this thread."""
    STATE.dtype[_kind("set_autocast_dtype", device_type)] = dtype


def is_autocast_available(device_type: str) -> bool:
    """Whether there is autocast for a device type. As `torch.amp.is_autocast_available`."""
    return device(device_type).type in STATE.dtype


def is_autocast_cache_enabled() -> bool:
    """Whether parameters are cast once per outermost autocast region, not at every use."""
    return STATE.caching


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Whether casts of parameters are kept until the outermost autocast region ends."""
    STATE.caching = bool(enabled)


def clear_autocast_cache() -> None:
    """Forget the parameters that were cast in this thread."""
    STATE.cache.clear()


def autocast_increment_nesting() -> int:
    """Enter an autocast region; returns how many are open in this thread."""
    STATE.nesting += 1
    return STATE.nesting


def autocast_decrement_nesting() -> int:
    """Leave an autocast region; returns how many are still open in this thread."""
    STATE.nesting -= 1
    return STATE.nesting


def is_autocast_cpu_enabled() -> bool:
    """The older form of `is_autocast_enabled("cpu")`."""
    return is_autocast_enabled("cpu")


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """The older form of `set_autocast_enabled("cpu", enabled)`."""
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype() -> Any:
    """The older form of `get_autocast_dtype("cpu")`."""
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype: Any) -> None:
    """The older form of `set_autocast_dtype("cpu", dtype)`."""
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype() -> Any:
    """The older form of `get_autocast_dtype("cuda")`."""
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype: Any) -> None:
    """The older form of `set_autocast_dtype("cuda", dtype)`."""
    set_autocast_dtype("cuda", dtype)


FUNCTIONS = [
    is_autocast_enabled,
    set_autocast_enabled,
    get_autocast_dtype,
    set_autocast_dtype,
    is_autocast_available,
    is_autocast_cache_enabled,
    set_autocast_cache_enabled,
    clear_autocast_cache,
    autocast_increment_nesting,
    autocast_decrement_nesting,
    is_autocast_cpu_enabled,
    set_autocast_cpu_enabled,
    get_autocast_cpu_dtype,
    set_autocast_cpu_dtype,
    get_autocast_gpu_dtype,
    set_autocast_gpu_dtype,
]
