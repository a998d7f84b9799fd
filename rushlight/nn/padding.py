"""Padding layers: constants, zeros, reflections, copies of the edge, wrapping around.

In: (N, C, *spatial) or (C, *spatial). Out: longer spatial dimensions.
Invariant: `padding` is one (before, after) pair per spatial dimension, the last dimension first.
"""

from __future__ import annotations

from collections.abc import Sequence

from rushlight import Tensor
from rushlight.nn import functional as F
from rushlight.nn.module import Module


class _PadNd(Module):
    """The lengths and the mode of a padding."""

    _dimensions: int
    _mode: str

    padding: tuple[int, ...]

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        count = 2 * self._dimensions
        self.padding = (padding,) * count if isinstance(padding, int) else tuple(padding)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPadNd(_PadNd):
    _mode = "constant"

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Pads the last dimension with `value`. Follows `torch.nn.ConstantPad1d`.

    >>> import rushlight as rl
    >>> rl.nn.ConstantPad1d((1, 2), 3.5)(rl.zeros(1, 2))
    tensor([[3.5000, 0.0000, 0.0000, 3.5000, 3.5000]])
    """

    _dimensions = 1


class ConstantPad2d(_ConstantPadNd):
    """Pads the last two dimensions with `value`. Follows `torch.nn.ConstantPad2d`.

    >>> import rushlight as rl
    >>> rl.nn.ConstantPad2d(1, 2.5)(rl.zeros(1, 1, 4, 4)).shape
    torch.Size([1, 1, 6, 6])
    """

    _dimensions = 2


class ConstantPad3d(_ConstantPadNd):
    """Pads the last three dimensions with `value`. Follows `torch.nn.ConstantPad3d`.

    >>> import rushlight as rl
    >>> rl.nn.ConstantPad3d(1, 2.5)(rl.zeros(1, 1, 4, 4, 4)).shape
    torch.Size([1, 1, 6, 6, 6])
    """

    _dimensions = 3


class _ZeroPadNd(_ConstantPadNd):
    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPadNd):
    """Pads the last dimension with zeros. Follows `torch.nn.ZeroPad1d`.

    >>> import rushlight as rl
    >>> rl.nn.ZeroPad1d(1)(rl.tensor([[1.0, 2.0, 3.0]]))
    tensor([[0., 1., 2., 3., 0.]])
    """

    _dimensions = 1


class ZeroPad2d(_ZeroPadNd):
    """Pads the last two dimensions with zeros. Follows `torch.nn.ZeroPad2d`.

    >>> import rushlight as rl
    >>> rl.nn.ZeroPad2d(1)(rl.zeros(1, 1, 4, 4)).shape
    torch.Size([1, 1, 6, 6])
    """

    _dimensions = 2


class ZeroPad3d(_ZeroPadNd):
    """Pads the last three dimensions with zeros. Follows `torch.nn.ZeroPad3d`.

    >>> import rushlight as rl
    >>> rl.nn.ZeroPad3d(1)(rl.zeros(1, 1, 4, 4, 4)).shape
    torch.Size([1, 1, 6, 6, 6])
    """

    _dimensions = 3


class ReflectionPad1d(_PadNd):
    """Continues the last dimension by its mirror image. Follows `torch.nn.ReflectionPad1d`.

    >>> import rushlight as rl
    >>> rl.nn.ReflectionPad1d(1)(rl.tensor([[1.0, 2.0, 3.0]]))
    tensor([[2., 1., 2., 3., 2.]])
    """

    _dimensions = 1
    _mode = "reflect"


class ReflectionPad2d(_PadNd):
    """Continues two dimensions by their mirror images. Follows `torch.nn.ReflectionPad2d`.

    >>> import rushlight as rl
    >>> rl.nn.ReflectionPad2d(1)(rl.zeros(1, 1, 4, 4)).shape
    torch.Size([1, 1, 6, 6])
    """

    _dimensions = 2
    _mode = "reflect"


class ReflectionPad3d(_PadNd):
    """Continues three dimensions by their mirror images. Follows `torch.nn.ReflectionPad3d`.

    >>> import rushlight as rl
    >>> rl.nn.ReflectionPad3d(1)(rl.zeros(1, 1, 4, 4, 4)).shape
    torch.Size([1, 1, 6, 6, 6])
    """

    _dimensions = 3
    _mode = "reflect"


class ReplicationPad1d(_PadNd):
    """Continues the last dimension by its end values. Follows `torch.nn.ReplicationPad1d`.

    >>> import rushlight as rl
    >>> rl.nn.ReplicationPad1d(1)(rl.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 2., 3., 3.]])
    """

    _dimensions = 1
    _mode = "replicate"


class ReplicationPad2d(_PadNd):
    """Continues two dimensions by their end values. Follows `torch.nn.ReplicationPad2d`.

    >>> import rushlight as rl
    >>> rl.nn.ReplicationPad2d(1)(rl.zeros(1, 1, 4, 4)).shape
    torch.Size([1, 1, 6, 6])
    """

    _dimensions = 2
    _mode = "replicate"


class ReplicationPad3d(_PadNd):
    """Continues three dimensions by their end values. Follows `torch.nn.ReplicationPad3d`.

    >>> import rushlight as rl
    >>> rl.nn.ReplicationPad3d(1)(rl.zeros(1, 1, 4, 4, 4)).shape
    torch.Size([1, 1, 6, 6, 6])
    """

    _dimensions = 3
    _mode = "replicate"


class CircularPad1d(_PadNd):
    """Wraps the last dimension around. Follows `torch.nn.CircularPad1d`.

    >>> import rushlight as rl
    >>> rl.nn.CircularPad1d(1)(rl.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1.]])
    """

    _dimensions = 1
    _mode = "circular"


class CircularPad2d(_PadNd):
    """Wraps the last two dimensions around. Follows `torch.nn.CircularPad2d`.

    >>> import rushlight as rl
    >>> rl.nn.CircularPad2d(1)(rl.zeros(1, 1, 4, 4)).shape
    torch.Size([1, 1, 6, 6])
    """

    _dimensions = 2
    _mode = "circular"


class CircularPad3d(_PadNd):
    """Wraps the last three dimensions around. Follows `torch.nn.CircularPad3d`.

    >>> import rushlight as rl
    >>> rl.nn.CircularPad3d(1)(rl.zeros(1, 1, 4, 4, 4)).shape
    torch.Size([1, 1, 6, 6, 6])
    """

    _dimensions = 3
    _mode = "circular"
