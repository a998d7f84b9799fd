"""What a child of the pool can be asked: functions from JSON values to JSON values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from . import modules, operators


def operator_records() -> list[int]:
    """The records of the operator database that are compared."""
    return operators.records()


def operator(index: int, dtypes: list[str], whole: bool) -> dict[str, Any]:
    """One record of the operator database."""
    return asdict(operators.check(index, tuple(dtypes), whole))


def kinds() -> dict[str, list[str]]:
    """The names in the databases of modules and optimizers."""
    return {"module": list(modules.MODULES), "optimizer": list(modules.OPTIMIZERS)}


def module(name: str) -> dict[str, Any]:
    """One kind of module."""
    return asdict(modules.check_module(name))


def optimizer(name: str) -> dict[str, Any]:
    """One optimizer."""
    return asdict(modules.check_optimizer(name))
