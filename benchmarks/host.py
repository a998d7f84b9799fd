"""What rushlight costs outside its kernels: recording, keying, building, compiling, importing,
installing.

    python benchmarks/host.py            # prints a table
    python benchmarks/host.py --json F   # and writes the figures

recording  time per op to put 100 elementwise ops on the trace (no gradient / on the tape)
keying     time per op of a flush that finds its program, kernels of 64 elements included
building   time per op to plan a program never seen, compilation apart
compiling  time per kernel from kernel IR to linked machine code, nothing cached on disk
import     wall time of `import rushlight` against `import numpy`, each in its own process
install    bytes of the package and of its core dependencies on disk
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path


def best(function: Callable[[], float], rounds: int) -> float:
    """The smallest of several timings: the one least disturbed."""
    return min(function() for _ in range(rounds))


def recording(on_tape: bool) -> tuple[float, float]:
    """(microseconds to record one op, microseconds to key and run it)."""
    import rushlight as rl

    x = rl.ones(8, 8)
    x.numpy()
    start = rl.ones(8, 8, requires_grad=on_tape)
    figures: list[tuple[float, float]] = []
    for _ in range(200):
        y = start
        begin = time.perf_counter()
        for _ in range(50):
            y = y * 1.01 + 0.1
        recorded = time.perf_counter()
        y.detach().tolist()
        done = time.perf_counter()
        figures.append(((recorded - begin) * 1e4, (done - recorded) * 1e4))
    return min(f[0] for f in figures), min(f[1] for f in figures)


def compiling() -> dict[str, float]:
    """Planning and compiling 40 programs of five ops with ever-new shapes, in a process with an
    empty kernel cache.
    """
    script = """
import json, time
import rushlight as rl
from rushlight.engine.profile import COUNTERS
rl.ones(3).tolist()
(rl.ones(3) * 2).tolist()
COUNTERS.reset()
for n in range(40):
    x = rl.full((17 + n, 31), 0.5)
    ((rl.tanh(x * 1.5 + 0.5) - x).sum(0)).tolist()
c = COUNTERS
seconds = {"compile": c.compile_seconds, "build": c.build_seconds}
print(json.dumps({"kernels": c.kernels, "recorded": c.recorded, **seconds}))
"""
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "RUSHLIGHT_CACHE_DIR": cache},
            capture_output=True,
            text=True,
            check=True,
        )
    c = json.loads(done.stdout)
    return {
        "compile ms per kernel": 1e3 * c["compile"] / c["kernels"],
        "build us per recorded op": 1e6 * (c["build"] - c["compile"]) / c["recorded"],
    }


def import_seconds(module: str) -> float:
    """Wall time of one import in a fresh process."""
    script = (
        f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    )
    return best(
        lambda: float(
            subprocess.run(
                [sys.executable, "-c", script], capture_output=True, text=True, check=True
            ).stdout
        ),
        7,
    )


def installed_bytes() -> dict[str, int]:
    """Bytes on disk of rushlight and its core dependencies."""
    import rushlight

    sizes = {
        "rushlight": sum(p.stat().st_size for p in Path(rushlight.__file__).parent.rglob("*.py"))
    }
    for name in ("numpy", "llvmlite"):
        files = distribution(name).files or []
        sizes[name] = sum(
            Path(f.locate()).stat().st_size for f in files if Path(f.locate()).exists()
        )
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json")
    chosen = parser.parse_args()
    plain, keyed = recording(False)
    taped, _ = recording(True)
    numpy_seconds, own_seconds = import_seconds("numpy"), import_seconds("rushlight")
    figures = {
        "record us per op": plain,
        "key and run us per op": keyed,
        "record us per op, on the tape": taped,
        **compiling(),
        "import numpy s": numpy_seconds,
        "import rushlight s": own_seconds,
        "import ratio": own_seconds / numpy_seconds,
        **{f"installed MB {name}": size / 1e6 for name, size in installed_bytes().items()},
    }
    for name, value in figures.items():
        print(f"{name:34s}{value:10.3f}")
    if chosen.json:
        Path(chosen.json).write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
