"""Opening files for reading, and replacing them as a whole.

In: a path, or a file object. Out: an open binary file.
Invariant: a path that is written to holds, at any moment, either what was there before or all that
was written.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import stat
from collections.abc import Iterator
from typing import IO, Any


def name_of(file: Any) -> str:
    """What to call a file in an error."""
    if isinstance(file, (str, os.PathLike)):
        return os.fspath(file)
    return str(getattr(file, "name", None) or f"<{type(file).__name__}>")


@contextlib.contextmanager
def opened(file: Any) -> Iterator[IO[bytes]]:
    """A path opened for reading, or a file object from where it stands, made seekable.

    Errors: OSError as opening raises it, TypeError for something else than a path or file.
    """
    if isinstance(file, (str, os.PathLike)):
        with open(file, "rb") as stream:
            yield stream
        return
    if not hasattr(file, "read"):
        raise TypeError(f"expected a path or an object with read(), got a {type(file).__name__}")
    start = file.tell() if hasattr(file, "seek") and hasattr(file, "tell") else 0
    seekable = hasattr(file, "seek") and hasattr(file, "readinto") and start == 0
    yield file if seekable else io.BytesIO(file.read())


@contextlib.contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A new file that takes the place of `path` when the block ends, and vanishes when it fails.

    It is written beside `path`, forced to the disk, and renamed, so that neither a crash nor a full
    disk can leave half a file. What is not an ordinary file (a device, a pipe) is written directly.
    """
    target = os.path.realpath(path)
    if os.path.exists(target) and not stat.S_ISREG(os.stat(target).st_mode):
        with open(target, "wb") as stream:
            yield stream
        return
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _force_folder(folder)


def _force_folder(folder: str) -> None:
    """Make a rename in the folder last; systems that cannot open folders do so by themselves."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
