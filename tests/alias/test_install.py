"""What a program sees: identity, versions, metadata, errors for what is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

IDENTITY = """
import rushlight, torch, torchvision
import torch.nn.functional as F
import torch.nn.modules.conv as conv
from torch.autograd.function import FunctionCtx
from torch.nn import init
from torch.utils.data import DataLoader

assert torch.nn is rushlight.nn and F is rushlight.nn.functional
assert torch.Tensor is rushlight.Tensor and torch.float32 is rushlight.float32
assert torch.utils.data.DataLoader is rushlight.utils.data.DataLoader is DataLoader
assert conv.Conv2d is torch.nn.Conv2d and init is rushlight.nn.init
assert torchvision.transforms is rushlight.vision.transforms
assert torch.torch is torch
assert rushlight.nn.__spec__.name == "rushlight.nn"  # the modules keep their own spec
assert rushlight.nn.__name__ == "rushlight.nn"
assert str(type(torch.ones(1))) == "<class 'torch.Tensor'>"
exec("from torch import *", names := {})
assert names["zeros"] is torch.zeros and "engine" not in names
print("fine")
"""

METADATA = """
import importlib.metadata as metadata, importlib.util, sys
import torch, torchvision
from pathlib import Path

assert metadata.version("torch") == str(torch.__version__)
assert metadata.version("torch").startswith("2.13.0+rushlight")
assert metadata.version("torchvision") == torchvision.__version__
assert metadata.metadata("Torch")["Name"] == "torch"
assert [d.version for d in metadata.distributions() if d.name == "torch"][0] == torch.__version__
assert metadata.version("numpy")  # others as ever
assert torch.__version__ >= (2, 6) and torch.__version__ < "3" and torch.__version__ != "2.12"
assert torch.__version__.split(".")[:2] == ["2", "13"]
assert "rushlight" in torch.__config__.show()
assert torch.version.cuda is None and torch.version.hip is None
print("fine")
"""

MISSING = """
import importlib.util
import torch

def message(kind, text):
    try:
        exec(text)
    except kind as error:
        return str(error)
    raise SystemExit(f"no {kind.__name__}: {text}")

said = message(AttributeError, "torch.nn.Lineer")
assert "torch.nn" in said and "'Lineer'" in said and "'Linear'" in said, said
said = message(ImportError, "from torch.nn import Lineer")
assert "torch.nn" in said and "'Lineer'" in said and "'Linear'" in said, said
said = message(ImportError, "from torch import zeroes")
assert "'torch'" in said and "'zeros'" in said, said
said = message(ModuleNotFoundError, "import torch.nn.functionals")
assert "torch.nn.functionals" in said and "torch.nn.functional?" in said, said
said = message(AttributeError, "torch.ones(1).summ")
assert "'summ'" in said and "'sum'" in said, said
for name in ("engine", "train", "vision", "kernel", "npu", "musa"):
    assert not hasattr(torch, name), name
assert getattr(torch, "npu", 5) == 5
assert importlib.util.find_spec("torch.nonsense") is None
assert importlib.util.find_spec("torch.nn.functional") is not None
assert importlib.util.find_spec("torch.engine") is None
try:
    from torch.nn import Nonsense
except ImportError:
    Nonsense = None
assert "rushlight" in message(AttributeError, "torch.jit.save")
assert "explain" in message(NotImplementedError, "torch.fx.symbolic_trace(None)")
print("fine")
"""

SPAWN = """
import os, sys
import torch
import torch.multiprocessing as mp

def work(index, size):
    assert torch.__version__.endswith(sys.modules["rushlight"].__version__)
    os.write(1, f"child {index} {int(torch.ones(size).sum())}\\n".encode())

def fail(index):
    raise ValueError(f"boom {index}")

if __name__ == "__main__":
    mp.spawn(work, (3,), nprocs=2)
    try:
        mp.spawn(fail, nprocs=1)
    except mp.ProcessRaisedException as error:
        assert "boom 0" in str(error) and error.error_index == 0
        print("raised")
"""


@pytest.mark.parametrize("program", [IDENTITY, METADATA, MISSING])
def test_program(rushlight_run, program: str) -> None:
    done = rushlight_run(program)
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


def test_processes_that_start_afresh_have_it_too(rushlight_run) -> None:
    done = rushlight_run(SPAWN)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["child 0 3", "child 1 3", "raised"]


def python(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=120, check=False
    )


def test_refused_when_another_torch_is_there(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("x = 1\n")
    done = python(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import torch, rushlight\n"
        "before = list(sys.meta_path)\n"
        "try: rushlight.install_as_torch()\n"
        "except RuntimeError as error: print(error)\n"
        "assert sys.meta_path == before and torch.x == 1\n"
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "torch.py") in done.stdout and "rushlight run" in done.stdout


def test_installing_twice_is_installing_once() -> None:
    done = python(
        "import sys, rushlight\n"
        "rushlight.install_as_torch(); n = len(sys.meta_path)\n"
        "rushlight.install_as_torch(); assert len(sys.meta_path) == n\n"
        "import torch; assert torch.Tensor is rushlight.Tensor\n"
    )
    assert done.returncode == 0, done.stderr
