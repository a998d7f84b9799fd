"""The same bits for any number of threads, from a cold and a warm cache of compiled code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("determinism_program.py")


def trained(threads: int, cache: Path, **more: str) -> dict:
    """The outcome of a training run in a process of its own."""
    environment = {
        **os.environ,
        "RUSHLIGHT_NUM_THREADS": str(threads),
        "RUSHLIGHT_CACHE_DIR": str(cache),
        **more,
    }
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_twenty_training_steps_have_the_same_bits(tmp_path: Path) -> None:
    """Convolution, batch norm, embedding and scatter gradients, dropout: 1, 2 and 4 threads."""
    runs = {}
    for threads in (1, 2, 4):
        cache = tmp_path / f"cache_{threads}"
        runs[threads, "cold"] = trained(threads, cache)
        entries = sum(1 for file in cache.rglob("*") if file.is_file())
        assert entries > 0
    runs[2, "warm"] = trained(2, tmp_path / "cache_2")
    assert len({run["digest"] for run in runs.values()}) == 1, runs
    for (threads, _), run in runs.items():
        if threads > 1:  # every thread performed tasks
            assert len(run["tasks"]) == threads and all(run["tasks"]), run
