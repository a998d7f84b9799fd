"""What a loss does with its many values: nothing, their sum, or their mean.

In: the deprecated flags `size_average` and `reduce`, and `reduction`. Out: 'none', 'sum', 'mean'.
Invariant: an unknown name is a ValueError, never a silent default.
"""

from __future__ import annotations

import rushlight
from rushlight import Tensor


def legacy_string(size_average: bool | None, reduce: bool | None) -> str:
    """The `reduction` that the two deprecated flags stand for, with PyTorch's warning."""
    import warnings

    size_average = True if size_average is None else size_average
    reduce = True if reduce is None else reduce
    meant = "none" if not reduce else "mean" if size_average else "sum"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{meant}' instead.",
        stacklevel=3,
    )
    return meant


def chosen(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """`reduction`, unless one of the deprecated flags is given.

    >>> import rushlight as rl
    >>> from rushlight.nn.functional.reduction import chosen
    >>> chosen(None, None, "sum")
    'sum'
    """
    if size_average is None and reduce is None:
        return reduction
    return legacy_string(size_average, reduce)


def reduced(values: Tensor, reduction: str) -> Tensor:
    """`values` under `reduction`.

    >>> import rushlight as rl
    >>> from rushlight.nn.functional.reduction import reduced
    >>> reduced(rl.tensor([1.0, 3.0]), "mean")
    tensor(2.)
    """
    if reduction == "mean":
        return values.mean()
    if reduction == "sum":
        return values.sum()
    if reduction == "none":
        return values
    raise ValueError(f"{reduction} is not a valid value for reduction")


def same_size(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both tensors broadcast against each other, with PyTorch's warning if that was needed.

    >>> import rushlight as rl
    >>> from rushlight.nn.functional.reduction import same_size
    >>> [tuple(t.shape) for t in same_size(rl.ones(2), rl.ones(2))]
    [(2,), (2,)]
    """
    if input.shape == target.shape:
        return input, target
    import warnings

    warnings.warn(
        f"Using a target size ({target.size()}) that is different to the input size "
        f"({input.size()}). This will likely lead to incorrect results due to broadcasting. "
        "Please ensure they have the same size.",
        stacklevel=3,
    )
    first, second = rushlight.broadcast_tensors(input, target)
    return first, second
