"""The types of tensors by dtype, `torch.FloatTensor` and its siblings: PyTorch's older names.

In: a size, values, or an object to test. Out: a tensor of that dtype; whether an object is one.
Invariant: these types have no instances of their own: what they make is a Tensor, and `isinstance`
goes by dtype and device.
"""

from __future__ import annotations

from typing import Any

from ..base.device import CPU
from ..base.dtype import DTYPES, dtype
from .creation import legacy_tensor
from .methods import TYPE_NAMES
from .tensor import Tensor


class tensortype(type):
    """The type of `torch.FloatTensor`: makes tensors, and recognises them."""

    dtype: dtype
    is_cuda: bool

    def __call__(cls, *args: Any, **kwargs: Any) -> Tensor:
        if cls.is_cuda:
            kwargs["device"] = "cuda"
        return legacy_tensor(Tensor, *args, dtype=cls.dtype, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return (
            isinstance(instance, Tensor)
            and instance.dtype is cls.dtype
            and (instance.device == CPU) is not cls.is_cuda
        )

    def __repr__(cls) -> str:
        return f"<class '{cls.__module__}.{cls.__name__}'>"


def _typed(module: str) -> dict[str, tensortype]:
    found = {}
    for name, title in TYPE_NAMES.items():
        members = {
            "__module__": module,
            "dtype": DTYPES[name],
            "is_cuda": module.endswith("cuda"),
            "__doc__": f"Tensors of dtype {name}: `{title}Tensor(2, 3)`, `{title}Tensor([1, 2])`.",
        }
        found[f"{title}Tensor"] = tensortype(f"{title}Tensor", (), members)
    return found


TYPES = _typed("torch")
CUDA_TYPES = _typed("torch.cuda")
globals().update(TYPES)
