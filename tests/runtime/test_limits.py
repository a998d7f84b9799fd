"""Processors and memory as containers limit them; thread counts as users and systems set them."""

import os

import pytest

from rushlight.runtime import limits, threads


def write(root, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000", "a/b/cpu.max": "max 100000"}, 0.5),
        ("0::/not/below/the/mount\n", {"cpu.max": "300000 100000"}, 3.0),
        ("0::/a\n", {"a/cpu.max": "max 100000"}, None),
        (
            "4:memory:/m\n3:cpu,cpuacct:/a\n0::/\n",
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": "200000",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
            },
            2.0,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("nonsense\n", {}, None),
        ("0::/a\n", {"a/cpu.max": "garbage"}, None),
    ],
)
def test_processor_limit(tmp_path, membership, files, expected):
    write(tmp_path, {"membership": membership, **files})
    assert limits.processor_limit(str(tmp_path / "membership"), str(tmp_path)) == expected


def test_no_system_files_mean_no_limit(tmp_path):
    missing = str(tmp_path / "missing")
    assert limits.processor_limit(missing, missing) is None
    assert limits.available_memory(missing, missing, missing) is None


def test_available_memory_is_the_tightest_room(tmp_path):
    files = {
        "membership": "0::/a\n",
        "meminfo": "MemTotal: 9000 kB\nMemAvailable:    5000 kB\n",
        "a/memory.max": "3000000",
        "a/memory.current": "2500000",
        "a/memory.stat": "anon 5\ninactive_file 300000\nactive_file 100000\n",
    }
    write(tmp_path, files)
    arguments = [str(tmp_path / "membership"), str(tmp_path), str(tmp_path / "meminfo")]
    assert limits.available_memory(*arguments) == 900_000
    write(tmp_path, {"a/memory.max": "max"})
    assert limits.available_memory(*arguments) == 5000 * 1024


def test_memory_of_version_1(tmp_path):
    files = {
        "membership": "4:memory:/a\n",
        "memory/a/memory.limit_in_bytes": "1000",
        "memory/a/memory.usage_in_bytes": "700",
        "memory/a/memory.stat": "total_inactive_file 50\n",
    }
    write(tmp_path, files)
    missing = str(tmp_path / "missing")
    assert limits.available_memory(str(tmp_path / "membership"), str(tmp_path), missing) == 350


def test_affinity_and_cgroup_bound_the_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(limits, "processor_limit", lambda: None)
    assert limits.available_processors() == 4
    monkeypatch.setattr(limits, "processor_limit", lambda: 1.5)
    assert limits.available_processors() == 2
    monkeypatch.setattr(limits, "processor_limit", lambda: 0.1)
    assert limits.available_processors() == 1


@pytest.mark.parametrize(
    ("ours", "openmp", "expected"),
    [("3", "5", 3), ("", "5", 5), ("", "4,2", 4), ("", "", 2), ("no", "0", 2), ("-1", "", 2)],
)
def test_default_thread_count(monkeypatch, ours, openmp, expected):
    monkeypatch.setenv("RUSHLIGHT_NUM_THREADS", ours)
    monkeypatch.setenv("OMP_NUM_THREADS", openmp)
    monkeypatch.setattr(threads, "available_processors", lambda: 2)
    assert threads.default_thread_count() == expected


def test_set_num_threads():
    before = threads.get_num_threads()
    try:
        threads.set_num_threads(7)
        assert threads.get_num_threads() == 7
        for wrong in (0, -1):
            with pytest.raises(RuntimeError, match="positive"):
                threads.set_num_threads(wrong)
        for wrong in (2.0, "2", None, True):
            with pytest.raises(RuntimeError, match="expects an int"):
                threads.set_num_threads(wrong)
        assert threads.get_num_threads() == 7
    finally:
        threads.set_num_threads(before)
