"""`torch.onnx`: what programs ask while a model is being exported.

In: nothing. Out: whether an export is going on. Invariant: a name is here when it works.
"""

from __future__ import annotations

__all__ = ["is_in_onnx_export"]

REFUSED = {
    "export": "rushlight writes no ONNX files yet",
    "register_custom_op_symbolic": "rushlight writes no ONNX files yet",
}


def is_in_onnx_export() -> bool:
    """Whether this code is being exported to ONNX: False."""
    return False
