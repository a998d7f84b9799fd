"""What goes wrong for reasons that the user can mend.

A `RunError` is one clear line that names the file or the key; the command line prints it and ends
with exit code 2. Everything else that is raised is a fault of ours and keeps its traceback.
"""

from __future__ import annotations

import signal

__all__ = ["Interrupted", "RunError"]


class RunError(ValueError):
    """A mistake in the settings, the data or a file; the message is for the user, in one line."""


class Interrupted(Exception):
    """A run that was asked to stop, has finished its step and has saved its state."""

    def __init__(self, number: int, how_to_resume: str) -> None:
        name = signal.Signals(number).name
        super().__init__(f"stopped by {name} after saving; to go on: {how_to_resume}")
        self.exit_code = 128 + number
