"""The examples in the docstrings of rushlight.nn give what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from rushlight import nn

NAMES = sorted(module.name for module in pkgutil.walk_packages(nn.__path__, "rushlight.nn."))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples of {name} differ"
