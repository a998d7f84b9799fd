"""`torch.testing`: closeness that fits the dtype, and tensors to test with.

In: results and what they should be; shapes and dtypes. Out: nothing or an AssertionError that says
how far off and where; tensors. Invariant: what is compared must agree in type, shape and dtype
unless that check is turned off.
"""

from __future__ import annotations

from .close import assert_allclose, assert_close
from .creation import make_tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]
