"""Files that are whole or absent.

In: a path and bytes. Out: the file. Invariant: at every moment, a crash or a SIGKILL included,
the path holds either the old content or the new one, never a part: the bytes go to a neighbour,
are forced to disk, and take the path's place in one rename, which is then forced to disk too.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from .problems import RunError

__all__ = ["replacing", "write_atomically"]

TEMPORARY = ".partial"


def write_atomically(path: Path, content: bytes | str) -> None:
    """Put `content` at `path`; text is written as UTF-8. `RunError` names a path that refuses."""
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lend a neighbour's path to write to; when the block ends well it becomes `path`.

    The neighbour keeps the ending, which tells some writers what format to write. A leftover of
    an earlier crash is overwritten.
    """
    partial = path.with_name(f".{path.stem}{TEMPORARY}{path.suffix}")
    try:
        yield partial
        _force(partial)
        os.replace(partial, path)
        _force(path.parent)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _force(path: Path) -> None:
    """Ask the operating system to put the file or folder on disk now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
