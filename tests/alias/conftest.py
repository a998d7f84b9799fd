"""Programs in processes of their own: a process has one `torch`.

In: a program's text. Out: what it printed. Invariant: this process imports no alias.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def rushlight_run(tmp_path: Path) -> Run:
    """Run a program's text under `rushlight run`, with arguments."""

    def run(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "program.py"
        script.write_text(text, encoding="utf-8")
        return subprocess.run(
            [sys.executable, "-m", "rushlight", "run", str(script), *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=120,
            check=False,
        )

    return run
