"""LLVM text in, addresses of machine code out. The only file that knows llvmlite.

Comes in: a module of LLVM assembly text that does its own vectorisation (no IR passes are run: LLVM
selects instructions, schedules and allocates registers), and the names wanted from it.
Goes out: the address of each name in this process, or object code / assembly for another machine.
Invariants: a module reaches LLVM only after every intrinsic in it was found in the table of those
known to be safe on its target (LLVM ends the process on one that it cannot select) and every
external name was found in this process; code once linked is never freed, since parked threads and
finished programs hold addresses into it.

llvmlite is loaded at the first call, not at import: `import rushlight` must not pay for it.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import count
from typing import Any

from rushlight.base.errors import RushlightError
from rushlight.codegen.disk_cache import DiskCache, cache_key, default_directory
from rushlight.codegen.intrinsics import target_family, unlisted_intrinsics

# 3 instead of 2 changes no kernel measurably; 1 compiles no faster; 0 spills everything.
OPTIMIZATION_LEVEL = 2

_DECLARED = re.compile(r'^\s*declare\b[^@]*@"?([\w.$]+)"?\s*\(', re.MULTILINE)
_DEFINED = re.compile(r'^\s*define\b[^@]*@"?([\w.$]+)"?\s*\(', re.MULTILINE)

_PART = b"part of "  # how an entry of the disk cache begins that names a module

# Taken around everything that touches LLVM or the memo, and around fork.
_lock = threading.RLock()


class CompileError(RushlightError):
    """LLVM refused a module. Kernels come from our own emitter, so this is a bug of ours."""


class Statistics:
    """What compiling has cost this process so far (for reports and benchmarks).

    `compiled` modules went through LLVM in `seconds`; `loaded` came from the disk cache and
    `remembered` were asked for again in this process.
    """

    __slots__ = ("compiled", "loaded", "remembered", "seconds")

    def __init__(self) -> None:
        self.compiled = 0
        self.loaded = 0
        self.remembered = 0
        self.seconds = 0.0


statistics = Statistics()


class _Host:
    """llvmlite, this machine's description and the one JIT that all code is linked into."""

    def __init__(self) -> None:
        import llvmlite
        from llvmlite import binding

        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        binding.initialize_native_asmparser()
        self.binding: Any = binding
        self.triple: str = binding.get_process_triple()
        self.cpu: str = binding.get_host_cpu_name()
        features = binding.get_host_cpu_features()
        self.features: str = features.flatten()
        self.enabled = frozenset(name for name, present in features.items() if present)
        llvm_version = ".".join(map(str, binding.llvm_version_info))
        self.version = f"llvmlite {llvmlite.__version__} LLVM {llvm_version}"
        self.machine = _target_machine(binding, self.triple, self.cpu, self.features)
        self.jit = binding.create_lljit_compiler(
            _target_machine(binding, self.triple, self.cpu, self.features)
        )
        # Immortal, like the code in it: at exit a daemon thread may still be inside a kernel.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.jit))
        # A name is taken even when linking fails.
        self.numbers = count()
        self.addresses: dict[str, dict[str, int]] = {}
        self.disk = DiskCache(default_directory())

    def link(self, code: bytes, symbols: list[str]) -> dict[str, int]:
        """Load object code into this process for ever; the addresses of `symbols`."""
        builder = self.binding.JITLibraryBuilder()
        builder.add_object_img(code).add_current_process()
        for symbol in symbols:
            builder.export_symbol(symbol)
        try:
            tracker = builder.link(self.jit, f"module{next(self.numbers)}")
        except RuntimeError as error:
            raise CompileError(f"cannot link {', '.join(symbols)}: {error}") from error
        addresses = {symbol: int(tracker[symbol]) for symbol in symbols}
        # Disposed of, the tracker would unload the library.
        tracker.detach()
        return addresses


_started: _Host | None = None


def _host() -> _Host:
    """The one _Host, made at the first need."""
    global _started
    if _started is None:
        with _lock:
            if _started is None:
                _started = _Host()
    return _started


def _target_machine(binding: Any, triple: str, cpu: str, features: str) -> Any:
    """Position independent, small code model: measured to compile a quarter faster than the JIT
    default ("large") and to reach constants relative to the program counter."""
    target = binding.Target.from_triple(triple)
    return target.create_target_machine(
        cpu=cpu, features=features, opt=OPTIMIZATION_LEVEL, reloc="pic", codemodel="default"
    )


def compile_module(text: str, symbols: list[str]) -> dict[str, int]:
    """Machine code for this host: symbol -> address, valid until the process ends.

    The object code comes from the disk cache when an earlier process compiled the same text for the
    same processor with the same versions.

    Raises:
        CompileError: the text does not parse or verify, names an intrinsic that is not listed for
            this target, or an external function that this process does not have.

    Example:
        >>> text = "define i64 @twice(i64 %x) { %y = add i64 %x, %x  ret i64 %y }"
        >>> address = compile_module(text, ["twice"])["twice"]
        >>> ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(21)
        42
    """
    with _lock:
        host = _host()
        key = cache_key(text, host.triple, host.cpu, host.features, host.version)
        known = host.addresses.setdefault(key, {})
        missing = [symbol for symbol in symbols if symbol not in known]
        if missing:
            known.update(host.link(_object_code(host, key, text), missing))
        else:
            statistics.remembered += 1
        return {symbol: known[symbol] for symbol in symbols}


def compile_functions(texts: Mapping[str, str]) -> dict[str, int]:
    """Machine code of many functions that do not know each other: name -> address.

    Each text defines the function of its name. What no earlier process compiled goes through LLVM
    as one module, in half the time of one by one; the disk cache has, for each text, the key of the
    module that it was part of, so that other programs find single functions there.
    """
    with _lock:
        host = _host()
        target = (host.triple, host.cpu, host.features, host.version)
        keys = {name: cache_key("function", text, *target) for name, text in texts.items()}
        modules: dict[str, list[str]] = {}
        for name, key in keys.items():
            place = host.disk.load(key) or b""
            part_of = place[len(_PART) :].decode("ascii", "replace")
            modules.setdefault(part_of if place.startswith(_PART) else "", []).append(name)
        missing = modules.pop("", [])
        addresses: dict[str, int] = {}
        for module, names in modules.items():
            code = host.disk.load(module)
            if code is None:  # dropped from a full cache
                missing += names
                continue
            statistics.loaded += 1
            addresses.update(host.link(code, names))
        if missing:
            text = _joined([texts[name] for name in missing])
            key = cache_key(text, *target)
            addresses.update(host.link(_object_code(host, key, text), missing))
            for name in missing:
                host.disk.store(keys[name], _PART + key.encode())
        return addresses


def _joined(texts: Sequence[str]) -> str:
    """One module of several; what they declare is declared once."""
    lines = [text.splitlines() for text in texts]
    declared = dict.fromkeys(x for each in lines for x in each if x.startswith("declare"))
    bodies = [x for each in lines for x in each if not x.startswith("declare")]
    return "\n".join([*declared, *bodies])


def _object_code(host: _Host, key: str, text: str) -> bytes:
    """From the disk cache, or compiled and stored there."""
    _check_externals(text)
    code = host.disk.load(key)
    if code is not None:
        statistics.loaded += 1
        return code
    started = time.perf_counter()
    module = _parsed(host.binding, text, host.triple)
    code = bytes(host.machine.emit_object(module))
    statistics.compiled += 1
    statistics.seconds += time.perf_counter() - started
    host.disk.store(key, code)
    return code


def _parsed(binding: Any, text: str, triple: str) -> Any:
    """The verified module of a text whose intrinsics are all listed for `triple`."""
    unlisted = unlisted_intrinsics(text, target_family(triple))
    if unlisted:
        raise CompileError(
            f"intrinsics not listed for {triple}: {', '.join(unlisted)}; add a row to "
            "codegen/intrinsics.py once its test compiles it in a process of its own"
        )
    try:
        # A context of its own: types and constants of a module go when the module goes.
        module = binding.parse_assembly(text, binding.create_context())
        module.verify()
    except RuntimeError as error:
        raise CompileError(f"LLVM refused a module: {error}") from error
    module.triple = triple
    return module


def _check_externals(text: str) -> None:
    """Every declared function must exist here: the linker would print to stderr before failing."""
    defined = set(_DEFINED.findall(text))
    for name in _DECLARED.findall(text):
        if name.startswith("llvm.") or name in defined:
            continue
        if not _process_has(name):
            raise CompileError(f"external function {name!r} is not in this process")


@cache
def _process_has(name: str) -> bool:
    return hasattr(ctypes.CDLL(None), name)


def host_cpu() -> str:
    """LLVM's name of this processor, such as `znver4`."""
    return _host().cpu


def host_features() -> frozenset[str]:
    """LLVM's names of what this processor has, such as `avx512f`."""
    return _host().enabled


def host_triple() -> str:
    """LLVM's name of this platform, such as `x86_64-unknown-linux-gnu`."""
    return _host().triple


def versions() -> str:
    """Versions of llvmlite and LLVM, as they enter the cache key."""
    return _host().version


def disk_cache() -> DiskCache:
    """The disk cache in use (its directory, size and `clear`)."""
    return _host().disk


@cache
def _every_target() -> Any:
    """The binding, with the back ends of other processors started."""
    binding = _host().binding
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    return binding


def cross_compile(text: str, triple: str, cpu: str, features: str = "") -> bytes:
    """Object code for another machine, e.g. `aarch64-linux-gnu` or x86-64 with AVX2 only.

    Raises:
        CompileError: as for `compile_module`, or LLVM has no such target.
    """
    with _lock:
        machine, module = _prepared(text, triple, cpu, features)
        return bytes(machine.emit_object(module))


def assembly(
    text: str, triple: str | None = None, cpu: str | None = None, features: str | None = None
) -> str:
    """Assembly (PTX for an NVPTX triple) of a module, for this host unless said otherwise."""
    host = _host()
    if triple is None:
        triple, cpu, features = host.triple, cpu or host.cpu, features or host.features
    with _lock:
        machine, module = _prepared(text, triple, cpu or "", features or "")
        return str(machine.emit_assembly(module))


def _prepared(text: str, triple: str, cpu: str, features: str) -> tuple[Any, Any]:
    """A target machine of any kind and the module for it; the caller holds the lock."""
    binding = _every_target()
    module = _parsed(binding, text, triple)
    try:
        return _target_machine(binding, triple, cpu, features), module
    except RuntimeError as error:
        raise CompileError(f"no code can be made for {triple!r}: {error}") from error


# A fork while another thread compiles would leave LLVM locked for ever in the child.
os.register_at_fork(
    before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
)
