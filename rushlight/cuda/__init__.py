"""`torch.cuda`, as it answers on a machine without CUDA.

In: the questions that programs ask before they choose a device. Out: there is none; what needs one
is an error that says so. Invariant: a question is answered, an order is refused: nothing here
pretends to have done something on a device.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NoReturn

from rushlight import OutOfMemoryError, Tensor

_MODULES = ("amp", "nvtx")

__all__ = [
    "OutOfMemoryError",
    "current_device",
    "device",
    "device_count",
    "empty_cache",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "get_rng_state",
    "get_rng_state_all",
    "init",
    "ipc_collect",
    "is_available",
    "is_bf16_supported",
    "is_current_stream_capturing",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_peak_memory_stats",
    "seed",
    "seed_all",
    "set_device",
    "set_rng_state",
    "set_rng_state_all",
    "stream",
    "synchronize",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name.endswith("Tensor"):
        types: dict[str, Any] = import_module("rushlight.tensor.typed").CUDA_TYPES
        if name in types:
            return types[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _refuse(what: str) -> NoReturn:
    raise AssertionError(
        f"torch.cuda.{what}: rushlight has no CUDA device here (PyTorch says: Torch not compiled "
        "with CUDA enabled); ask torch.cuda.is_available() first, or use device='cpu'"
    )


# --- questions ------------------------------------------------------------------------------------


def is_available() -> bool:
    """Whether a CUDA device can be used: False."""
    return False


def is_initialized() -> bool:
    """Whether CUDA has been started in this process: False."""
    return False


def device_count() -> int:
    """The number of CUDA devices: 0."""
    return 0


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the current CUDA device computes in bfloat16: False, there is none."""
    return False


def is_current_stream_capturing() -> bool:
    """Whether a CUDA graph is being captured: False."""
    return False


def memory_allocated(device: Any = None) -> int:
    """Bytes that tensors take on a CUDA device: 0."""
    return 0


memory_reserved = max_memory_allocated = max_memory_reserved = memory_allocated


def memory_stats(device: Any = None) -> OrderedDict[str, Any]:
    """Statistics of the CUDA allocator: none, it has never run."""
    return OrderedDict()


def get_arch_list() -> list[str]:
    """The CUDA architectures that there are kernels for: none."""
    return []


def get_rng_state_all() -> list[Tensor]:
    """The states of all CUDA generators: none."""
    return []


# --- orders that concern every device there is: of no device, nothing ----------------------------


def set_rng_state_all(new_states: Iterable[Tensor]) -> None:
    """Set the states of the CUDA generators, which must be as many as there are: none."""
    for _ in new_states:
        _refuse("set_rng_state_all")


def manual_seed_all(seed: int) -> None:
    """Seed every CUDA generator. `torch.manual_seed` seeds the one that draws here."""
    int(seed)


def manual_seed(seed: int) -> None:
    """Seed the current device's generator once there is one; as in PyTorch, no error without."""
    int(seed)


def seed_all() -> None:
    """Seed every CUDA generator with a random number."""


seed = seed_all


def empty_cache() -> None:
    """Give the allocator's unused memory back: it holds none."""


def reset_peak_memory_stats(device: Any = None) -> None:
    """Forget the highest use of memory so far: it is 0."""


@contextmanager
def stream(stream: Any) -> Iterator[None]:
    """Run what is inside on a stream; None means the one that is current, so nothing changes."""
    if stream is not None:
        _refuse("stream")
    yield


class device:
    """A context in which a CUDA device is current.

    A device of index -1 or None changes nothing; any other is refused on entry.
    """

    def __init__(self, device: Any) -> None:
        index = getattr(device, "index", device)
        self.idx = -1 if index is None else index

    def __enter__(self) -> None:
        if self.idx != -1:
            _refuse(f"device({self.idx!r})")

    def __exit__(self, *error: object) -> None:
        return None


# --- orders to a device ---------------------------------------------------------------------------


def init() -> None:
    """Start CUDA: refused."""
    _refuse("init")


def synchronize(device: Any = None) -> None:
    """Wait for a device: refused, there is none."""
    _refuse("synchronize")


def current_device() -> int:
    """The index of the current device: refused, there is none."""
    _refuse("current_device")


def set_device(device: Any) -> None:
    """Choose a device: refused, unless its index is -1, which means no choice."""
    index = getattr(device, "index", device)
    if index != -1:
        _refuse(f"set_device({device!r})")


def get_device_name(device: Any = None) -> str:
    """The name of a device: refused, there is none."""
    _refuse("get_device_name")


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The compute capability of a device: refused, there is none."""
    _refuse("get_device_capability")


def get_device_properties(device: Any = None) -> Any:
    """The properties of a device: refused, there is none."""
    _refuse("get_device_properties")


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Free and total bytes of a device: refused, there is none."""
    _refuse("mem_get_info")


def get_rng_state(device: Any = "cuda") -> Tensor:
    """The state of a CUDA generator: refused, there is none."""
    _refuse("get_rng_state")


def set_rng_state(new_state: Tensor, device: Any = "cuda") -> None:
    """Set the state of a CUDA generator: refused, there is none."""
    _refuse("set_rng_state")


def ipc_collect() -> None:
    """Free CUDA memory that other processes have let go: refused."""
    _refuse("ipc_collect")


class Stream:
    """A queue of work on a CUDA device: refused, there is none."""

    def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError("torch.cuda.Stream requires CUDA support; rushlight has no device here")


class Event:
    """A mark in a CUDA stream: refused, there is none."""

    def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError("torch.cuda.Event requires CUDA support; rushlight has no device here")


def current_stream(device: Any = None) -> Stream:
    """The current stream of a device: refused, there is none."""
    _refuse("current_stream")


default_stream = current_stream
