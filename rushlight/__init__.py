"""rushlight: PyTorch's API on an engine of our own, in pure Python.

>>> import rushlight as rl
>>> x = rl.tensor([1.0, 2.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4.])
"""

from __future__ import annotations

import math
from typing import Any

from .autograd.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .autograd.names import titled as _titled
from .base.device import device, get_default_device, set_default_device
from .base.dtype import (
    ALIASES,
    DTYPES,
    TYPE_NAMES,
    dtype,
    finfo,
    get_default_dtype,
    iinfo,
    set_default_dtype,
)
from .base.errors import MissingNameError, OutOfMemoryError
from .base.layout import Size
from .base.promotion import can_cast, promote_types
from .engine.flush import flush as _step_boundary
from .runtime.threads import get_num_threads, set_num_threads
from .tensor import dispatch as _dispatch
from .tensor import lazy as _lazy
from .tensor.bits import TypedStorage, UntypedStorage
from .tensor.casting import around as _cast_as_one
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
from .tensor.methods import format_of as _format_of
from .tensor.printing import get_printoptions, printoptions, set_printoptions
from .tensor.tensor import Tensor, layout, sparse_coo, sparse_csr, strided
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
    "amp",
    "autograd",
    "distributed",
    "random",
    "special",
    "signal",
    "sparse",
    "masked",
    "distributions",
    "linalg",
    "fft",
    "func",
    "accelerator",
    "compiler",
    "cpu",
    "cuda",
    "futures",
    "fx",
    "hub",
    "jit",
    "library",
    "mps",
    "multiprocessing",
    "onnx",
    "overrides",
    "profiler",
    "testing",
    "types",
    "xpu",
)
# names that come from a package or module which is imported when they are first used
_FROM: dict[str, str] = {
    "_C": "alias.private",
    "install_as_torch": "alias",
    "autocast": "amp",
    "compile": "compiler",
    "explain": "engine.explain",
    "vmap": "tensor.vmap",
    **dict.fromkeys(
        ("is_anomaly_enabled", "is_anomaly_check_nan_enabled"), "autograd.anomaly_mode"
    ),
    "torch": "alias",
    **dict.fromkeys(("save", "load"), "serialization"),
    "from_dlpack": "tensor.dlpack",
    "to_dlpack": "utils.dlpack",
    **dict.fromkeys(
        (
            "bilinear",
            "channel_shuffle",
            "conv_tbc",
            "cosine_similarity",
            "native_channel_shuffle",
            "pairwise_distance",
            "pdist",
            "pixel_shuffle",
            "pixel_unshuffle",
            "rrelu",
            "rrelu_",
        ),
        "nn.functional",
    ),
    **dict.fromkeys(
        (
            "affine_grid_generator",
            "binary_cross_entropy_with_logits",
            "convolution",
            "cosine_embedding_loss",
            "ctc_loss",
            "embedding_bag",
            "embedding_renorm_",
            "grid_sampler",
            "grid_sampler_2d",
            "grid_sampler_3d",
            "hinge_embedding_loss",
            "kl_div",
            "margin_ranking_loss",
            "native_dropout",
            "norm_except_dim",
            "poisson_nll_loss",
            "triplet_margin_loss",
        ),
        "nn.functional.native",
    ),
    **dict.fromkeys(
        (
            "gru",
            "gru_cell",
            "lstm",
            "lstm_cell",
            "rnn_relu",
            "rnn_relu_cell",
            "rnn_tanh",
            "rnn_tanh_cell",
        ),
        "nn.functional.recurrent",
    ),
    **dict.fromkeys(
        (
            "are_deterministic_algorithms_enabled",
            "get_deterministic_debug_mode",
            "get_float32_matmul_precision",
            "is_deterministic_algorithms_warn_only_enabled",
            "set_deterministic_debug_mode",
            "set_float32_matmul_precision",
            "use_deterministic_algorithms",
        ),
        "switches",
    ),
    **dict.fromkeys((f"{title}Tensor" for title in TYPE_NAMES.values()), "tensor.typed"),
}
_device_type = device
pi, e, inf, nan, newaxis = math.pi, math.e, math.inf, math.nan, None


# what this file itself needs, and the rooms behind the interface
_INNER = frozenset(
    [
        "ALIASES",
        "Any",
        "DTYPES",
        "TYPE_NAMES",
        "annotations",
        "base",
        "engine",
        "graph",
        "kernel",
        "runtime",
    ]
)


def __dir__() -> list[str]:
    """Every public name that the package has, those that are made when they are first used
    included.
    """
    return sorted({*globals(), *_LAZY, *_FROM, *_lazy.TORCH} - _INNER)


def __getattr__(name: str) -> Any:
    """Packages that are imported when they are first named.

    Then an error that names the nearest name there is.
    """
    from importlib import import_module

    if name in _LAZY:
        return import_module(f"{__name__}.{name}")
    if name in _FROM:
        found = getattr(import_module(f"{__name__}.{_FROM[name]}"), name)
        globals()[name] = found
        return found
    if not name.startswith("__"):
        found = _lazy.public(name)
        if found is not None:
            globals()[name] = found
            return found
    raise MissingNameError(
        "module 'rushlight'", name, lambda: [*globals(), *_LAZY, *_FROM, *_lazy.TORCH]
    )


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


def set_default_tensor_type(t: Any) -> None:
    """Create floating point tensors of that type's dtype, as `torch.set_default_tensor_type`."""
    if isinstance(t, str):
        t = __getattr__(t.removeprefix("torch."))
    set_default_dtype(t.dtype)


def get_device_module(device: Any = None) -> Any:
    """The module of a device: `rushlight.cpu`, `rushlight.cuda`, as `torch.get_device_module`.

    Errors: RuntimeError for a device that has no module.
    """
    kind = _device_type(get_default_device() if device is None else device).type
    if kind not in _LAZY:
        raise RuntimeError(f"get_device_module: there is no module for the device {kind!r}")
    return __getattr__(kind)


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is floating, as `torch.is_floating_point`."""
    return input.dtype.is_floating_point


def is_complex(input: Tensor) -> bool:
    """Whether the dtype is complex, as `torch.is_complex`."""
    return input.dtype.is_complex


def numel(input: Tensor) -> int:
    """The number of elements, as `torch.numel`."""
    return input.numel()
