"""The disk cache: what is damaged, hostile, full or contended costs time, never correctness."""

import os
import subprocess
import sys
import warnings

import pytest

from rushlight.codegen.disk_cache import DiskCache, cache_key, default_directory

KEY = cache_key("kernel", "cpu")
PAYLOAD = bytes(range(256)) * 8


@pytest.fixture
def cache(tmp_path):
    return DiskCache(str(tmp_path / "deep" / "cache"))


def entry_path(cache: DiskCache) -> str:
    [name] = os.listdir(cache.directory)
    return os.path.join(cache.directory, name)


def test_round_trip(cache):
    assert cache.load(KEY) is None
    cache.store(KEY, PAYLOAD)
    assert cache.load(KEY) == PAYLOAD
    assert DiskCache(cache.directory).load(KEY) == PAYLOAD
    assert cache.size() > len(PAYLOAD)
    cache.clear()
    assert cache.load(KEY) is None


def test_the_directory_and_its_files_are_private(cache):
    previous = os.umask(0)
    try:
        cache.store(KEY, PAYLOAD)
    finally:
        os.umask(previous)
    assert os.stat(cache.directory).st_mode & 0o777 == 0o700
    assert os.stat(entry_path(cache)).st_mode & 0o777 == 0o600


def test_keys_separate_their_parts():
    assert cache_key("ab", "c") != cache_key("a", "bc") != cache_key("abc")


@pytest.mark.parametrize("kept", [0, 1, 10, 19, 30, 51, 52, 1000])
def test_a_truncated_entry_is_a_miss_and_goes(cache, kept):
    cache.store(KEY, PAYLOAD)
    os.truncate(entry_path(cache), kept)
    assert cache.load(KEY) is None
    assert os.listdir(cache.directory) == []
    cache.store(KEY, PAYLOAD)
    assert cache.load(KEY) == PAYLOAD


@pytest.mark.parametrize("position", [0, 18, 19, 40, 51, 700, -1])
def test_a_flipped_bit_is_a_miss(cache, position):
    cache.store(KEY, PAYLOAD)
    path = entry_path(cache)
    with open(path, "rb") as file:
        content = bytearray(file.read())
    content[position] ^= 4
    with open(path, "wb") as file:
        file.write(content)
    assert cache.load(KEY) is None


def test_an_entry_under_another_name_is_a_miss(cache):
    cache.store(KEY, PAYLOAD)
    other = cache_key("another")
    os.rename(entry_path(cache), os.path.join(cache.directory, other + ".obj"))
    assert cache.load(other) is None


def test_a_linked_entry_is_not_followed_but_replaced(cache, tmp_path):
    cache.store(KEY, PAYLOAD)
    path = entry_path(cache)
    elsewhere = tmp_path / "elsewhere"
    os.rename(path, elsewhere)
    os.symlink(elsewhere, path)
    assert cache.load(KEY) is None
    cache.store(KEY, PAYLOAD)
    assert not os.path.islink(path)
    assert cache.load(KEY) == PAYLOAD


def assert_refused(cache: DiskCache, reason: str) -> None:
    with pytest.warns(RuntimeWarning, match=reason) as caught:
        cache.store(KEY, PAYLOAD)
        assert cache.load(KEY) is None
    assert len(caught) == 1
    assert cache.directory in str(caught[0].message)


def test_a_linked_directory_is_refused(tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert_refused(DiskCache(str(tmp_path / "link")), "link")
    assert list((tmp_path / "real").iterdir()) == []


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o720])
def test_a_directory_that_others_may_write_to_is_refused(tmp_path, mode):
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(mode)
    assert_refused(DiskCache(str(directory)), "others may write")
    assert list(directory.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused(tmp_path):
    directory = tmp_path / "foreign"
    directory.mkdir(mode=0o700)
    os.chown(directory, 12345, 12345)
    assert_refused(DiskCache(str(directory)), "belongs to user 12345")


def test_an_entry_that_others_may_write_to_is_a_miss(cache):
    cache.store(KEY, PAYLOAD)
    os.chmod(entry_path(cache), 0o666)
    assert cache.load(KEY) is None


def test_a_place_that_cannot_be_written_breaks_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        cache = DiskCache(str(directory))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cache.store(KEY, PAYLOAD)
            assert cache.load(KEY) is None
            assert cache.size() == 0


def test_a_full_disk_breaks_nothing(cache, monkeypatch):
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    cache.store(KEY, PAYLOAD)
    assert cache.load(KEY) is None
    assert os.listdir(cache.directory) == []


def test_the_longest_unused_go_when_the_limit_is_reached(tmp_path):
    cache = DiskCache(str(tmp_path / "cache"), limit=10 * len(PAYLOAD))
    keys = [cache_key(str(number)) for number in range(30)]
    for age, key in enumerate(keys):
        cache.store(key, PAYLOAD)
        os.utime(os.path.join(cache.directory, key + ".obj"), (age, age))
        assert cache.size() <= 11 * (len(PAYLOAD) + 64)
    kept = [key for key in keys if cache.load(key) is not None]
    assert kept
    assert kept == keys[-len(kept) :]


def test_reading_counts_as_use(cache):
    cache.store(KEY, PAYLOAD)
    path = entry_path(cache)
    os.utime(path, (1, 1))
    assert cache.load(KEY) == PAYLOAD
    assert os.stat(path).st_mtime > 1000


def test_left_over_temporaries_go(cache):
    cache.store(KEY, PAYLOAD)
    old = os.path.join(cache.directory, "dead.1.1.tmp")
    new = os.path.join(cache.directory, "alive.1.1.tmp")
    for path in (old, new):
        with open(path, "wb"):
            pass
    os.utime(old, (1, 1))
    DiskCache(cache.directory).store(KEY, PAYLOAD)
    assert not os.path.exists(old)
    assert os.path.exists(new)


def test_concurrent_processes_agree(tmp_path):
    program = """
import sys
from rushlight.codegen.disk_cache import DiskCache, cache_key
cache = DiskCache(sys.argv[1], limit=40_000)
for turn in range(60):
    number = turn % 12
    key, payload = cache_key(str(number)), bytes([number]) * (1000 + 300 * number)
    found = cache.load(key)
    assert found is None or found == payload, number
    cache.store(key, payload)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "cache")]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 4
    assert not [name for name in os.listdir(tmp_path / "cache") if name.endswith(".tmp")]


def test_default_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("RUSHLIGHT_CACHE_DIR", str(tmp_path))
    assert default_directory() == str(tmp_path)
    monkeypatch.delenv("RUSHLIGHT_CACHE_DIR")
    assert os.path.basename(default_directory()) == "rushlight"
