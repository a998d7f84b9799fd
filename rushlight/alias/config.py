"""`torch.__config__`: what this build is made of, in words.

In: nothing. Out: text. Invariant: it names rushlight, so that a report shows what ran.
"""

from __future__ import annotations

import rushlight

__all__ = ["parallel_info", "show"]


def show() -> str:
    """Version, code generator and processor."""
    from rushlight.backends import cpu

    return (
        f"rushlight {rushlight.__version__} built with:\n"
        f"  - {cpu.compiler_versions()}\n"
        f"  - CPU capability usage: {cpu.get_cpu_capability()}\n"
    )


def parallel_info() -> str:
    """The number of threads that work."""
    return f"rushlight worker threads: {rushlight.get_num_threads()}\n"
