"""RUSHLIGHT_LOG: what the engine does, told on stderr as it happens.

In: a topic and a function that makes the text (called only where the topic is asked for). Out:
lines on stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from ..base.settings import SETTINGS


def log(topic: str, text: Callable[[], str]) -> None:
    """Print a topic's text, each line under the topic's name."""
    if topic in SETTINGS.log:
        for line in text().splitlines():
            print(f"[{topic}] {line}", file=sys.stderr)
