"""`torch.hub`: models from a folder with a `hubconf.py`, and files from the web, verified and kept.

In: a folder or an address. Out: what an entry point of `hubconf.py` returns, or a file. Invariants:
code is only ever run from a local folder that the caller names; a download is whole, and has the
digest that its name or the caller states, before it appears under its final name.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any
from urllib.parse import urlparse

import rushlight

__all__ = [
    "download_url_to_file",
    "get_dir",
    "help",
    "list",
    "load",
    "load_state_dict_from_url",
    "set_dir",
]

# `name-0123abcd.pth`: the digits are how the file's SHA-256 begins.
HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")
MODULE_HUBCONF = "hubconf.py"
VAR_DEPENDENCY = "dependencies"
_CHUNK = 1 << 17
_chosen: str | None = None


def _get_torch_home() -> str:
    """The folder of PyTorch's cache: $TORCH_HOME, or `torch` in the user's cache folder."""
    cache = os.getenv("XDG_CACHE_HOME", "~/.cache")
    return os.path.expanduser(os.getenv("TORCH_HOME", os.path.join(cache, "torch")))


def get_dir() -> str:
    """The folder that downloads go to: what `set_dir` set, or `hub` in PyTorch's cache folder."""
    return _chosen if _chosen is not None else os.path.join(_get_torch_home(), "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Choose the folder that downloads go to."""
    global _chosen
    _chosen = os.path.expanduser(d)


# --- entry points of a local folder -----------------------------------------------------------


@contextmanager
def _importable(folder: str) -> Iterator[None]:
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(folder)


def _hubconf(repo_or_dir: str, source: str) -> ModuleType:
    """The module `hubconf.py` of a folder."""
    if source not in ("github", "local"):
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    if source == "github":
        raise ValueError(
            f"torch.hub: rushlight runs no code that it has fetched itself. Clone {repo_or_dir!r}, "
            "look at it, and give its folder with source='local'"
        )
    folder = os.path.abspath(os.path.expanduser(repo_or_dir))
    path = os.path.join(folder, MODULE_HUBCONF)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"torch.hub: there is no {MODULE_HUBCONF} in {folder}")
    spec = importlib.util.spec_from_file_location("hubconf", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with _importable(folder):
        spec.loader.exec_module(module)
    return module


def _entry(module: ModuleType, name: str) -> Any:
    lacking = [
        package
        for package in getattr(module, VAR_DEPENDENCY, ())
        if importlib.util.find_spec(package) is None
    ]
    if lacking:
        raise RuntimeError(f"Missing dependencies: {', '.join(lacking)}")
    found = getattr(module, name, None)
    if not callable(found):
        raise RuntimeError(f"Cannot find callable {name} in hubconf")
    return found


def load(repo_or_dir: str, model: str, *args: Any, source: str = "github", **kwargs: Any) -> Any:
    """Call an entry point of a folder's `hubconf.py`; return what it returns.

    Only `source="local"` is possible: rushlight fetches no code. The switches about fetching
    (`force_reload`, `trust_repo`, `skip_validation`, `verbose`) are taken and mean nothing.
    Errors: ValueError for another source, FileNotFoundError without a `hubconf.py`, RuntimeError
    for a missing entry point or a missing package of its `dependencies`.
    """
    for switch in ("trust_repo", "force_reload", "verbose", "skip_validation"):
        kwargs.pop(switch, None)
    with _importable(os.path.abspath(os.path.expanduser(repo_or_dir))):
        return _entry(_hubconf(repo_or_dir, source), model)(*args, **kwargs)


def list(github: str, *args: Any, source: str = "local", **ignored: Any) -> Any:
    """The names of the entry points of a folder's `hubconf.py`."""
    module = _hubconf(github, source)
    return [name for name, value in vars(module).items() if callable(value) and name[0] != "_"]


def help(github: str, model: str, *args: Any, source: str = "local", **ignored: Any) -> Any:
    """The docstring of an entry point."""
    return _entry(_hubconf(github, source), model).__doc__


# --- files from the web -----------------------------------------------------------------------


class _Plain:
    """Stands in for tqdm's bar where tqdm is not installed: shows nothing."""

    def __init__(self, iterable: Iterable[Any] | None = None, **ignored: Any) -> None:
        self.iterable = iterable

    def __iter__(self) -> Iterator[Any]:
        return iter(self.iterable or ())

    def __enter__(self) -> _Plain:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def update(self, n: int = 1) -> None:
        pass

    def close(self) -> None:
        pass


try:
    from tqdm import tqdm  # type: ignore[import-untyped]
except ImportError:
    tqdm = _Plain


def download_url_to_file(
    url: str, dst: str, hash_prefix: str | None = None, progress: bool = True
) -> None:
    """Fetch an address into the file `dst`, which appears when it is complete.

    `hash_prefix` is how the SHA-256 of the content must begin.
    Errors: RuntimeError for another digest, OSError from the network or the file system; in both
    cases `dst` is as it was.
    """
    from urllib.request import Request, urlopen

    dst = os.path.expanduser(dst)
    digest = hashlib.sha256()
    request = Request(url, headers={"User-Agent": "torch.hub"})
    with urlopen(request) as source:
        length = source.headers.get("Content-Length")
        handle, partial = tempfile.mkstemp(dir=os.path.dirname(dst) or ".", suffix=".partial")
        try:
            with (
                os.fdopen(handle, "wb") as file,
                tqdm(
                    total=int(length) if length else None,
                    disable=not progress,
                    unit="B",
                    unit_scale=True,
                    unit_divisor=1024,
                ) as bar,
            ):
                while chunk := source.read(_CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    bar.update(len(chunk))
            _check_digest(digest.hexdigest(), hash_prefix, url)
            os.replace(partial, dst)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(partial)


def _check_digest(found: str, prefix: str | None, url: str) -> None:
    if prefix and not found.startswith(prefix):
        raise RuntimeError(
            f'invalid hash value (expected "{prefix}", got "{found}"): {url} gave another file '
            "than was meant"
        )


def load_state_dict_from_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = False,
) -> Any:
    """Fetch a checkpoint, unless it is in `model_dir` already, and load it.

    `model_dir` is `checkpoints` in `get_dir()` unless given. With `check_hash` the file's name must
    tell the beginning of its SHA-256, as `resnet18-5c106cde.pth` does. Loading never executes what
    the file contains, whatever `weights_only` says.
    """
    folder = model_dir if model_dir is not None else os.path.join(get_dir(), "checkpoints")
    os.makedirs(folder, exist_ok=True)
    name = file_name or os.path.basename(urlparse(url).path)
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        print(f'Downloading: "{url}" to {path}', file=sys.stderr)
        stated = HASH_REGEX.search(name) if check_hash else None
        download_url_to_file(url, path, stated[1] if stated else None, progress)
    return rushlight.load(path, map_location=map_location)


load_url = load_state_dict_from_url
