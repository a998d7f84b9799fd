"""Object code that survives the process: one file per compiled module.

Comes in: a key (the digest of everything that decides the machine code) and the object code.
Goes out: the same bytes in a later process, or None.
Invariant: what `load` returns is byte for byte what some `store` of the same key was given, by this
user; anything else (truncated, flipped, renamed, somebody else's) is a miss and is removed.

Object code is executed, so the directory is a place of trust: it must be a real directory, ours,
and writable by nobody else. One that is not is refused with a warning, and the program runs without
a disk cache; there is no second choice such as a shared temporary folder. Every access goes through
a directory handle that was checked after it was opened, so that a directory swapped in between is
not followed. A cache can only save time: no failure in here reaches the caller.
"""

from __future__ import annotations

import os
import stat
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import hashlib

MAGIC = b"rushlight object 1\n"
DIGEST_BYTES = 32
DEFAULT_LIMIT = 512 * 1024 * 1024
SUFFIX = ".obj"

# The directory is looked through at the first store, when what this process stored since may have
# filled it, and once in a while (other processes store too): listing it costs more than one store.
STORES_BETWEEN_SWEEPS = 64
# A full cache is emptied to this part of its limit, so that the next store does not sweep again.
KEPT_WHEN_FULL = 0.9
# A temporary file this old was left by a process that died while writing.
STALE_TEMPORARY_SECONDS = 3600.0
# "Last used" is kept in the file's time stamp; one write an hour is precise enough to evict by.
TOUCH_SECONDS = 3600.0


def default_directory() -> str:
    """RUSHLIGHT_CACHE_DIR, or `rushlight` in the platform's cache folder of this user."""
    chosen = os.environ.get("RUSHLIGHT_CACHE_DIR")
    if chosen:
        return os.path.abspath(chosen)
    if sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "rushlight")


def cache_key(*parts: str) -> str:
    """Digest of the parts that decide the machine code; no two part lists share one.

    >>> cache_key("ab", "c") == cache_key("a", "bc")
    False
    """
    digest = _sha256(MAGIC)
    for part in parts:
        encoded = part.encode()
        digest.update(b"%d:" % len(encoded))
        digest.update(encoded)
    return digest.hexdigest()


def _sha256(start: bytes) -> hashlib._Hash:
    # Imported at the first compile: it loads OpenSSL, which `import rushlight` need not wait for.
    import hashlib

    return hashlib.sha256(start)


def _refusal(status: os.stat_result) -> str | None:
    """Why a directory with this status cannot be trusted, or None."""
    if status.st_uid != os.geteuid():
        return f"it belongs to user {status.st_uid}, not to this user ({os.geteuid()})"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = stat.S_IMODE(status.st_mode)
        return f"others may write to it (mode {mode:04o}); chmod 700 makes it usable"
    return None


class DiskCache:
    """Compiled modules by key in one private directory, limited to `limit` bytes.

    Safe with several processes at once: files appear by rename and are read by one open handle.
    """

    __slots__ = ("_bytes_left", "_sequence", "_stores_left", "_warned", "directory", "limit")

    def __init__(self, directory: str, limit: int = DEFAULT_LIMIT) -> None:
        self.directory = directory
        self.limit = limit
        self._sequence = 0
        self._stores_left = 0
        self._bytes_left = 0
        self._warned = False

    def load(self, key: str) -> bytes | None:
        """The object code stored under `key`, or None; a damaged entry is removed."""
        with suppress(OSError), self._opened(create=False) as directory:
            content = self._read(key + SUFFIX, directory)
            if content is None:
                return None
            payload = content[len(MAGIC) + DIGEST_BYTES :]
            if content == _sealed(key, payload):
                return payload
            os.unlink(key + SUFFIX, dir_fd=directory)
        return None

    def store(self, key: str, payload: bytes) -> None:
        """Keep `payload` under `key`; a full or unwritable directory is silently left alone."""
        with suppress(OSError), self._opened(create=True) as directory:
            self._write(key, _sealed(key, payload), directory)
            self._stores_left -= 1
            self._bytes_left -= len(payload)
            if self._stores_left < 0 or self._bytes_left < 0:
                self._stores_left = STORES_BETWEEN_SWEEPS
                self._bytes_left = self.limit - self._sweep(directory)

    def size(self) -> int:
        """Bytes that the entries take on disk now."""
        with suppress(OSError), self._opened(create=False) as directory:
            return sum(status.st_size for _, status in _entries(directory))
        return 0

    def clear(self) -> None:
        """Remove every entry; files that are not ours by name stay."""
        with suppress(OSError), self._opened(create=False) as directory:
            for name, _ in _entries(directory):
                _remove(name, directory)

    @contextmanager
    def _opened(self, create: bool) -> Iterator[int]:
        """A handle on the checked directory; OSError when there is none to be had."""
        if os.open not in os.supports_dir_fd:
            raise OSError("this platform cannot open files relative to a checked directory")
        if create:
            os.makedirs(os.path.dirname(self.directory), mode=0o700, exist_ok=True)
            with suppress(FileExistsError):
                os.mkdir(self.directory, 0o700)
        try:
            handle = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            if os.path.lexists(self.directory):
                self._warn("it is a link, not a directory, or cannot be opened")
            raise
        try:
            reason = _refusal(os.fstat(handle))
            if reason is not None:
                self._warn(reason)
                raise PermissionError(reason)
            yield handle
        finally:
            os.close(handle)

    def _warn(self, reason: str) -> None:
        """Say once why there is no disk cache."""
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"rushlight: the compile cache {self.directory!r} is not used: {reason}. "
                "Kernels are compiled afresh in every process; set RUSHLIGHT_CACHE_DIR to a "
                "directory that only this user can write to.",
                RuntimeWarning,
                stacklevel=2,
            )

    def _read(self, name: str, directory: int) -> bytes | None:
        """Content of one entry, None if there is none that is a plain file of ours."""
        try:
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
        except FileNotFoundError:
            return None
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or _refusal(status) is not None:
                return None
            if time.time() - status.st_mtime > TOUCH_SECONDS:
                os.utime(handle)
            return file.read()

    def _write(self, key: str, content: bytes, directory: int) -> None:
        """Create the entry whole: nobody ever sees part of it under its final name.

        Not flushed to the disk (that took longer than compiling): what a power cut leaves of an
        entry fails its digest and is compiled again.
        """
        self._sequence += 1
        temporary = f"{key}.{os.getpid()}.{self._sequence}.{time.time_ns():x}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        handle = os.open(temporary, flags, 0o600, dir_fd=directory)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.rename(temporary, key + SUFFIX, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            _remove(temporary, directory)
            raise

    def _sweep(self, directory: int) -> int:
        """Drop left-over temporaries and, if full, the longest unused; returns the bytes kept."""
        now = time.time()
        kept = []
        for name, status in _entries(directory):
            if name.endswith(SUFFIX):
                kept.append((status.st_mtime, status.st_size, name))
            elif now - status.st_mtime > STALE_TEMPORARY_SECONDS:
                _remove(name, directory)
        total = sum(size for _, size, _ in kept)
        goal = total if total <= self.limit else self.limit * KEPT_WHEN_FULL
        for _, size, name in sorted(kept):
            if total <= goal:
                break
            _remove(name, directory)
            total -= size
        return total


def _sealed(key: str, payload: bytes) -> bytes:
    """What the file of `key` holds: the magic, a digest over key and payload, the payload."""
    digest = _sha256(key.encode())
    digest.update(payload)
    return MAGIC + digest.digest() + payload


def _entries(directory: int) -> list[tuple[str, os.stat_result]]:
    """Our files (entries and temporaries) with their status; those just removed are left out."""
    found = []
    for name in os.listdir(directory):
        if name.endswith((SUFFIX, ".tmp")):
            with suppress(OSError):
                found.append((name, os.stat(name, dir_fd=directory, follow_symlinks=False)))
    return found


def _remove(name: str, directory: int) -> None:
    """Remove one file; another process may have been faster."""
    with suppress(OSError):
        os.unlink(name, dir_fd=directory)
