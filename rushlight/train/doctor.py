"""What `rushlight doctor` says of this machine and this installation.

What comes in: nothing. What goes out: text, one fact a line. Invariant: it changes nothing; it
compiles nothing; a part that is missing is said to be missing.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import rushlight
from rushlight import backends

__all__ = ["examine"]

CORE = ("numpy", "llvmlite")
EXTRAS = (
    "pillow",
    "pyyaml",
    "rich",
    "matplotlib",
    "tensorboard",
    "safetensors",
    "scikit-learn",
)
# The features that decide which instructions kernels may use, by processor family.
FEATURES = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl"),
    *("avx512_bf16", "avx512_vnni", "amx_tile", "asimd", "sve", "bf16"),
)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> tuple[str, list[str]]:
    """The processor's name and its features, as Linux tells them."""
    name, features = platform.processor() or platform.machine(), set()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return name, []
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        elif key.strip() in ("flags", "Features"):
            features |= set(value.split())
    return name, [feature for feature in FEATURES if feature in features]


def _facts() -> Iterator[tuple[str, str]]:
    yield "rushlight", f"{rushlight.__version__} ({Path(rushlight.__file__).parent})"
    yield "python", f"{platform.python_version()} ({platform.python_implementation()})"
    yield "system", f"{platform.system()} {platform.release()} {platform.machine()}"
    for package in CORE:
        yield package, _version(package)
    for package in EXTRAS:
        yield f"{package} (train)", _version(package)
    name, features = _processor()
    yield "processor", name
    yield "features", " ".join(features) or "unknown"
    yield "kernels for", backends.cpu.get_cpu_capability()
    yield "compiler", backends.cpu.compiler_versions()
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "threads", f"{rushlight.get_num_threads()} of {allowed} allowed processors"
    cache = backends.cpu.kernel_cache()
    yield "kernel cache", f"{cache.directory} ({cache.size / 2**20:.1f} MiB)"


def examine() -> str:
    """Return the whole report."""
    facts = list(_facts())
    for name, state in backends.switches().items():
        facts.append((name, f"{state.value} ({state.meaning})"))
    width = max(len(name) for name, _ in facts)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in facts)
