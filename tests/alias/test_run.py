"""`rushlight run` and `rushlight coverage`: arguments, exit codes, tracebacks, verdicts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rushlight.alias import scan, surface


def rushlight(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rushlight", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
        check=False,
    )


def test_a_program_sees_what_it_sees_under_python(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "beside.py").write_text("name = 'beside'\n")
    (tmp_path / "inner" / "program.py").write_text(
        "import sys, beside, torch\n"
        "print(__name__, __file__, sys.argv[1:], sys.modules['__main__'].beside.name)\n"
        "sys.exit(7)\n"
    )
    path = str(Path("inner") / "program.py")
    done = rushlight("run", path, "--help", "x=1", folder=tmp_path)
    assert done.stdout == f"__main__ {path} ['--help', 'x=1'] beside\n", done.stderr
    assert done.returncode == 7


def test_a_module_is_run(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "part.py").write_text(
        "import sys, torch\nprint(__name__, sys.argv[1:], torch.ones(2).sum().item())\n"
    )
    done = rushlight("run", "-m", "package.part", "a", folder=tmp_path)
    assert done.stdout == "__main__ ['a'] 2.0\n", done.stderr


def test_a_traceback_begins_with_the_program(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("def f():\n    raise ValueError('boom')\n\nf()\n")
    done = rushlight("run", "program.py", folder=tmp_path)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == '  File "program.py", line 4, in <module>'
    assert lines[-1] == "ValueError: boom"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], "usage"),
        (["run", "nothing.py"], "no such file"),
        (["run", "-m"], "-m needs"),
        (["run", "--fast", "x.py"], "unknown option"),
        (["coverage"], "usage"),
        (["coverage", "nothing"], "no such file"),
    ],
)
def test_mistakes(words: list[str], said: str, tmp_path: Path) -> None:
    done = rushlight(*words, folder=tmp_path)
    assert done.returncode == 2 and said in done.stderr


PROJECT = """
import torch.nn as nn
from torch.nn import functional as F, Lineer
import torch
import numpy.torch

class Net(nn.Module):
    def forward(self, x):
        return F.relu(torch.nn.functional.gelu(x)).shape.torch + torch.zeros(3).nothing

torch.zeroes(3)
torch.zeroes(4)
"""


def test_scan_reads_names_without_running(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(PROJECT)
    (tmp_path / "broken.py").write_text("def (:\n")
    uses = scan.scan(tmp_path)
    assert uses.counts["torch.zeroes"] == 2 and uses.counts["torch.nn.Lineer"] == 1
    assert uses.counts["torch.nn.functional.relu"] == 1
    assert uses.counts["torch.nn.functional.gelu"] == 1 and uses.counts["torch.nn.Module"] == 1
    assert uses.first["torch.zeroes"] == "a.py:11"
    assert "numpy.torch" not in uses.counts
    assert len(uses.unread) == 1 and "broken.py" in uses.unread[0]


def test_coverage_lists_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(PROJECT)
    done = rushlight("coverage", ".", folder=tmp_path)
    assert done.returncode == 1
    assert "torch.zeroes" in done.stdout and "torch.nn.Lineer" in done.stdout
    assert "torch.nn.functional.relu" not in done.stdout
    assert "names are there" in done.stdout
    (tmp_path / "a.py").write_text("import torch\ntorch.zeros(3)\n")
    done = rushlight("coverage", "a.py", folder=tmp_path)
    assert done.returncode == 0, done.stdout


def test_surface_measures_a_table(tmp_path: Path) -> None:
    table = tmp_path / "table.tsv"
    table.write_text(
        "symbol\tpackages\tuses\n"
        "torch.zeros\t5\t90\n"
        "torch.zeroes\t2\t10\n"
        "torch.npu\t5\t70\n"
        "torch.fx.Node\t5\t70\n"
        "torch.onlyone\t1\t70\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "rushlight.alias.surface", str(table)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "uses: 90 of 100 (90.00%)", done.stderr
    assert lines[1] == "symbols: 1 of 2 (50.00%)" and "torch.zeroes" in lines[2]
    assert surface.reason_left_out("torch.npu") == "other hardware"
