"""The generated tables of lazily imported names say what importing everything would say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import rushlight
from rushlight.ops import families
from rushlight.tensor import catalog, lazy


def test_the_catalog_is_current() -> None:
    """If this fails: python -m rushlight.tensor.catalog"""
    assert Path(catalog.__file__).read_text(encoding="utf-8") == lazy.write_catalog()


def test_the_table_of_families_is_current() -> None:
    assert Path(families.__file__).read_text(encoding="utf-8") == lazy.write_families()


def test_every_catalogued_name_loads() -> None:
    missing = [name for name in catalog.TORCH if lazy.public(name) is None]
    missing += [name for name in catalog.METHODS if not hasattr(rushlight.Tensor, name)]
    assert missing == []


def test_importing_the_package_imports_no_family_but_the_core() -> None:
    script = """
import sys, rushlight
loaded = sorted(m.rsplit(".", 1)[1] for m in sys.modules if m.startswith("rushlight.ops."))
print(",".join(loaded))
print("llvmlite" in sys.modules, "rushlight.nn" in sys.modules, "multiprocessing" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    families_loaded, others = done.stdout.split("\n")[:2]
    assert set(families_loaded.split(",")) <= {
        "core",
        "families",
        "grad_names",
        "namespace",
        "registry",
        "signature",
    }
    assert others == "False False False"


def test_an_unknown_name_is_told_with_its_nearest() -> None:
    try:
        rushlight.softmx
    except AttributeError as error:
        assert "softmax" in str(error)
    else:
        raise AssertionError("softmx exists")
