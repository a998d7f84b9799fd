"""Facts about code generation for this processor: instruction set, compiler, kernel cache.

In: nothing. Out: plain values. Invariant: asking compiles nothing and changes nothing; LLVM is
loaded by the first question.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["KernelCache", "compiler_versions", "get_cpu_capability", "kernel_cache"]


class KernelCache(NamedTuple):
    """The folder of compiled kernels, and the bytes that they take."""

    directory: str
    size: int


def get_cpu_capability() -> str:
    """Return the instruction set that kernels are made for, such as `AVX512` or `AVX2`.

    It is chosen by the processor's features alone, never by its vendor. The name follows
    `torch.backends.cpu.get_cpu_capability`.

    >>> import rushlight as rl
    >>> rl.backends.cpu.get_cpu_capability() in ("AVX512", "AVX2", "NEON", "GENERIC128")
    True
    """
    from rushlight.codegen.compiler import host_features
    from rushlight.codegen.isa import detect

    return detect(host_features()).name.upper()


def compiler_versions() -> str:
    """Return the versions of llvmlite and of the LLVM inside it."""
    from rushlight.codegen.compiler import versions

    return versions()


def kernel_cache() -> KernelCache:
    """Return where compiled kernels are kept on disk, and how many bytes they take now."""
    from rushlight.codegen.compiler import disk_cache

    cache = disk_cache()
    return KernelCache(cache.directory, cache.size())
