"""Forward-mode differentiation with dual tensors, as `torch.autograd.forward_ad`.

In: a tensor and its tangent. Out: a dual tensor, and the tangent of whatever is made of it.
Invariants: tangents are pushed along the tape when they are asked for (autograd/forward.py), so
the tape is on inside a level; one level at a time, as in PyTorch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from . import forward
from .entries import SourceGradFn
from .modes import MODE


class _Levels:
    """The level that is open in this process: the tangents it knows, None outside."""

    tangents: forward.Tangents | None = None


class UnpackedDualTensor(NamedTuple):
    """What `unpack_dual` gives: a tensor and its tangent (None where it has none)."""

    primal: Any
    tangent: Any


class dual_level:
    """The block in which dual tensors live; tangents are gone when it ends.

    RuntimeError where one is open already.

    >>> import rushlight as rl
    >>> import rushlight.autograd.forward_ad as fwAD
    >>> with fwAD.dual_level():
    ...     x = fwAD.make_dual(rl.tensor([1., 2.]), rl.tensor([1., 0.]))
    ...     print(fwAD.unpack_dual((x * x).sum()).tangent)
    tensor(2.)
    """

    def __enter__(self) -> int:
        self.level = enter_dual_level()
        return self.level

    def __exit__(self, *exception: object) -> None:
        exit_dual_level(level=self.level)


_before: list[bool] = []


def enter_dual_level() -> int:
    """Open a level; returns its number."""
    if _Levels.tangents is not None:
        raise RuntimeError(
            "Nested forward mode AD is not supported at the moment: use func.jvp, which nests"
        )
    _Levels.tangents = {}
    _before.append(MODE.grad)
    MODE.grad = True
    MODE.forward += 1
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """Close the level; its tangents are forgotten."""
    if _Levels.tangents is None:
        raise RuntimeError(
            "Trying to exit a forward AD level but no level is open: enter_dual_level() comes first"
        )
    _Levels.tangents = None
    MODE.grad = _before.pop()
    MODE.forward -= 1


def make_dual(tensor: Any, tangent: Any, *, level: int | None = None) -> Any:
    """The tensor as a dual one, carrying a tangent of its shape, dtype and device.

    RuntimeError outside a level, for a tensor that has a tangent already, for a tangent that does
    not fit; ValueError for tensors that are not of floating point.
    """
    if _Levels.tangents is None:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    for x, word in ((tensor, "primal"), (tangent, "tangent")):
        if x.dtype.kind not in ("float", "complex"):
            raise ValueError(f"Expected {word} to be floating point or complex, but got: {x.dtype}")
    if tensor.requires_grad and forward.push([tensor], dict(_Levels.tangents), True)[0] is not None:
        raise RuntimeError(
            "Cannot make a dual Tensor from a Tensor that is already a dual one at this level"
        )
    if tensor.shape != tangent.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original "
            f"Tensor, this is not supported. Tensor is of size {list(tensor.shape)} while the "
            f"given forward gradient is of size {list(tangent.shape)}."
        )
    if tensor.dtype is not tangent.dtype:
        raise RuntimeError(
            "Trying to create a dual Tensor where the primal is of dtype "
            f"{tensor.dtype} but the tangent of dtype {tangent.dtype}: they must be the same"
        )
    dual = SourceGradFn.alias(tensor)
    _Levels.tangents[dual._grad_fn] = [tangent]
    return dual


def unpack_dual(tensor: Any, *, level: int | None = None) -> UnpackedDualTensor:
    """(primal, tangent) of a tensor; the tangent is None outside a level and for what depends on no
    dual tensor.
    """
    known = _Levels.tangents
    if known is None or not tensor.requires_grad:
        return UnpackedDualTensor(tensor, None)
    origins = [f for f in known if isinstance(f, SourceGradFn)]
    asked = any(t is not None and t.requires_grad for f in origins for t in known[f])
    foreign = forward.is_foreign([tensor], origins)
    tangent = forward.push([tensor], known, True)[0]
    if tangent is None:
        return UnpackedDualTensor(tensor, None)
    primal, found = forward.settled([tensor, tangent], foreign or asked)
    return UnpackedDualTensor(primal, found)
