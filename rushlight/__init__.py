"""rushlight: PyTorch's API on an engine of our own, in pure Python.

>>> import rushlight as rl
>>> x = rl.tensor([1.0, 2.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4.])
"""

from __future__ import annotations

from typing import Any

from .autograd.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .base.device import device
from .base.dtype import (
    ALIASES,
    DTYPES,
    dtype,
    finfo,
    get_default_dtype,
    iinfo,
    set_default_dtype,
)
from .base.errors import OutOfMemoryError
from .base.layout import Size
from .base.promotion import can_cast, promote_types
from .engine.flush import flush as _step_boundary
from .runtime.threads import get_num_threads, set_num_threads
from .tensor import dispatch as _dispatch
from .tensor import lazy as _lazy
from .tensor.bits import TypedStorage, UntypedStorage
from .tensor.generator import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from .tensor.inplace import assign as _assign
from .tensor.install import install as _install
from .tensor.methods import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    memory_format,
    preserve_format,
)
from .tensor.printing import get_printoptions, printoptions, set_printoptions
from .tensor.tensor import Tensor, layout, strided
from .version import __version__

globals().update(DTYPES)
globals().update(ALIASES)
globals().update(_install())

_LAZY = (
    "nn",
    "optim",
    "utils",
    "vision",
    "models",
    "train",
    "backends",
    "serialization",
    "interop",
    "autograd",
    "hw",
    "distributed",
    "random",
    "special",
    "linalg",
    "fft",
)


def __getattr__(name: str) -> Any:
    """Packages that are imported when they are first named.

    Then an error that names the nearest name there is.
    """
    from importlib import import_module

    if name in _LAZY:
        return import_module(f"{__name__}.{name}")
    if name == "explain":
        return import_module(f"{__name__}.engine.explain").explain
    if name in ("save", "load"):
        return getattr(import_module(f"{__name__}.serialization"), name)
    if not name.startswith("__"):
        found = _lazy.public(name)
        if found is not None:
            globals()[name] = found
            return found
    from difflib import get_close_matches

    near = get_close_matches(name, [*globals(), *_LAZY, *_lazy.TORCH], 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise AttributeError(f"module 'rushlight' has no attribute {name!r}{hint}")


def is_tensor(obj: Any) -> bool:
    """Whether an object is a Tensor, as `torch.is_tensor`."""
    return isinstance(obj, Tensor)


def typename(obj: Any) -> str:
    """The name of an object's type, of a tensor `torch.FloatTensor` and so on, as
    `torch.typename`.
    """
    if isinstance(obj, Tensor):
        return obj.type()
    named = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(named, "__module__", None) or ""
    return named.__qualname__ if module in ("", "builtins") else f"{module}.{named.__qualname__}"


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is floating, as `torch.is_floating_point`."""
    return input.dtype.is_floating_point


def is_complex(input: Tensor) -> bool:
    """Whether the dtype is complex, as `torch.is_complex`."""
    return input.dtype.is_complex


def numel(input: Tensor) -> int:
    """The number of elements, as `torch.numel`."""
    return input.numel()
