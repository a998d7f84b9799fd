"""Ctrl-C and SIGTERM as a flag, so that they never tear a step or a file apart.

Invariant: the handler does nothing but remember; the training loop looks between two steps. A
second Ctrl-C is the user's last word and raises at once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

__all__ = ["StopFlag"]


class StopFlag:
    """A context in which SIGINT and SIGTERM set `number` instead of ending the process.

    Handlers can be set by the main thread alone; elsewhere the flag simply stays down.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._owner = os.getpid()
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> StopFlag:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:
            # A forked reader of images: Ctrl-C is its parent's business, SIGTERM ends it.
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        if self.number == signal.SIGINT == number:
            raise KeyboardInterrupt
        self.number = number
