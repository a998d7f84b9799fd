"""`torch.utils.tensorboard`: figures for TensorBoard, through the package `tensorboard` alone.

In: scalars, texts, images, histograms. Out: an event file. Needs `pip install tensorboard`.
Invariant: what has been written is in the file after `flush`.
"""

from __future__ import annotations

from . import summary
from .writer import SummaryWriter

__all__ = ["SummaryWriter", "summary"]
