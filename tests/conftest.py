"""What all tests share: how many comparisons with PyTorch did not run is said in one line.

A test file that compares with PyTorch gets it by `torch = pytest.importorskip("torch")`. Where
PyTorch is not installed such a file or test skips; the skips are counted here, a file by the test
functions that it defines.
"""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ORACLE = "torch"

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("rushlight", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rushlight")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the random programs of tests/fuzz begin; any other number gives fresh ones."""
    parser.addoption("--seed-base", type=int, default=0, help="first seed of the random programs")


@pytest.fixture
def seed_base(request: pytest.FixtureRequest) -> int:
    """The first seed of random programs."""
    return int(request.config.getoption("--seed-base"))


def _asks_for_oracle(report: pytest.CollectReport | pytest.TestReport) -> bool:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return f"could not import '{ORACLE}'" in reason


def _tests_in(report: pytest.CollectReport | pytest.TestReport) -> int:
    """One for a test; for a whole file that skipped, the test functions that stand in it."""
    if isinstance(report, pytest.TestReport):
        return 1
    path = Path(str(report.fspath))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return sum(
        isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        for node in ast.walk(tree)
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say, in one line, how many comparisons with the oracle were skipped."""
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum(_tests_in(report) for report in skipped if _asks_for_oracle(report))
    if count:
        terminalreporter.write_line(
            f"oracle: {ORACLE} not installed, {count} comparisons skipped", yellow=True
        )
    elif importlib.util.find_spec(ORACLE) is None:
        terminalreporter.write_line(f"oracle: {ORACLE} not installed, no comparison asked for it")
