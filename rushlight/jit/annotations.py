"""`torch.jit.annotations`: the types that code written for TorchScript is annotated with.

In: annotations, evaluated by Python. Out: typing's own. Invariant: a broadcasting list accepts one
value or a list, and as an annotation means the list.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: UP035

__all__ = [
    "BroadcastingList1",
    "BroadcastingList2",
    "BroadcastingList3",
    "Dict",
    "List",
    "Optional",
    "Tuple",
    "Union",
]


class _BroadcastingList:
    """`BroadcastingList2[int]`: a list of two ints, for which one int may be given."""

    def __getitem__(self, types: Any) -> Any:
        return List[types]  # noqa: UP006


BroadcastingList1 = _BroadcastingList()
BroadcastingList2 = _BroadcastingList()
BroadcastingList3 = _BroadcastingList()
