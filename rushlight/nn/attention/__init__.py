"""Choices around `scaled_dot_product_attention`, as `torch.nn.attention`.

In: the names of PyTorch's implementations. Out: a context manager that accepts them.
Invariant: there is one implementation here, which never stores the weights of all positions; the
choice has no influence on results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from importlib import import_module
from typing import Any

__all__ = ["SDPBackend", "sdpa_kernel"]


class SDPBackend(IntEnum):
    """PyTorch's implementations of attention."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextmanager
def sdpa_kernel(
    backends: Sequence[SDPBackend] | SDPBackend, set_priority: bool = False
) -> Iterator[None]:
    """A region that allows some implementations only; the one there is here always serves.

    Errors: AssertionError for something that is no `SDPBackend`. Follows
    `torch.nn.attention.sdpa_kernel`.

    >>> import rushlight as rl
    >>> from rushlight.nn.attention import SDPBackend, sdpa_kernel
    >>> with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
    ...     x = rl.zeros(1, 2, 3, 4)
    ...     rl.nn.functional.scaled_dot_product_attention(x, x, x).shape
    torch.Size([1, 2, 3, 4])
    """
    chosen = [backends] if isinstance(backends, SDPBackend) else backends
    if not isinstance(chosen, (list, tuple)) or not all(isinstance(b, SDPBackend) for b in chosen):
        raise AssertionError(
            f"Backend must be an instance of SDPBackend or a list of SDPBackend, got {backends!r}"
        )
    yield


def __getattr__(name: str) -> Any:
    if name == "bias":
        return import_module(f"{__name__}.bias")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
