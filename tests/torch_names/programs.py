"""Running a name's program under a library: PyTorch, or rushlight as the alias shows it.

In: a row of `names.tsv` and a library. Out: what the program's last statement gives, as plain
values that can be compared. Invariants: the inputs are the same numbers for both, and fresh for
each program; a program must spell its name, so that none passes because a name merely exists; an
error counts as a result only where the program asks for one with `raises`. What PyTorch itself can
run on other hardware only stands in `alone`, and must then be True.
"""

from __future__ import annotations

import ast
import csv
import importlib
import itertools
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rushlight.alias import finder

TABLE = Path(__file__).with_name("names.tsv")
_NUMBERS = np.random.default_rng(7)
_X, _Y = _NUMBERS.normal(size=(2, 3, 4)).astype("f4")
_P = _NUMBERS.uniform(0.1, 0.9, size=(3, 4)).astype("f4")
_I = _NUMBERS.integers(0, 6, size=(3, 4))
_V, _U = _NUMBERS.normal(size=(2, 4)).astype("f4")
_S = (_X @ _X.T + 2 * np.eye(3)).astype("f4")
_Z = (_X + 1j * _Y).astype("c8")
_IMAGES = _NUMBERS.normal(size=(2, 3, 8, 8)).astype("f4")


@dataclass(frozen=True)
class Name:
    """A row of the table; `program` is empty where the name has none."""

    name: str
    packages: int
    uses: int
    program: str


class Holder:
    """A class that a file may hold when it is declared safe."""

    def __init__(self, inside: int) -> None:
        self.inside = inside


def leave_note(number: int, folder: str) -> None:
    """What a process that a program starts does."""
    Path(folder, f"note{number}").write_text("here", encoding="utf-8")


def read() -> list[Name]:
    """The table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [
            Name(row["name"], int(row["packages"]), int(row["uses"]), row["program"])
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


def spells(row: Name) -> bool:
    """Whether the program uses the name: its whole path, or for a method its last part."""
    short = row.name
    for long, local in (
        ("torch.nn.functional.", "F."),
        ("torch.distributed.", "dist."),
        ("torch.nn.", "nn."),
    ):
        if short.startswith(long):
            short = local + short.removeprefix(long)
            break
    if row.name.startswith("torch.Tensor."):
        short = "." + row.name.removeprefix("torch.Tensor.")
    text = ast.unparse(ast.parse(row.program))
    text = re.sub(r"(?<!\w)module\('([\w.]+)'\)", r"\1", text)
    before = "" if short[0] == "." else r"(?<![.\w])"
    return any(re.search(before + re.escape(form) + r"(?!\w)", text) for form in (short, row.name))


def run(row: Name, lib: Any) -> Any:
    """The plain value of a row's program under a library."""
    load = _importer(lib)
    parts = row.name.split(".")
    for count in range(2, len(parts)):  # `torch.a.b.c` may need `import torch.a.b`
        if load(".".join(parts[:count])) is None:
            break
    *before, last = ast.parse(row.program).body
    assert isinstance(last, ast.Expr), f"{row.name}: the last statement gives no value"
    with tempfile.TemporaryDirectory() as folder:
        names = _names(lib, folder)
        exec(compile(ast.Module(before, []), row.name, "exec"), names)
        return plain(lib, eval(compile(ast.Expression(last.value), row.name, "eval"), names))


def _importer(lib: Any) -> Callable[[str], Any]:
    """What `import name` gives under a library, None where there is no such module."""
    if lib is not sys.modules.get("torch"):
        return finder.load

    def load(name: str) -> Any:
        try:
            return importlib.import_module(name)
        except ImportError:
            return None

    return load


def _names(lib: Any, folder: str) -> dict[str, Any]:
    """What a program finds: the library, inputs, and a few helpers."""
    lib.manual_seed(0)
    made = {
        name: lib.tensor(value)
        for name, value in (
            *(("x", _X), ("y", _Y), ("p", _P), ("i", _I), ("b", _X > 0), ("v", _V), ("u", _U)),
            *(("s", _S), ("z", _Z), ("img", _IMAGES), ("k", np.array([2, 0, 1, 1]))),
        )
    }
    helpers = (raises, with_, step, unique_name, scalars, graph, leave_note)
    return {
        **made,
        "w": lib.tensor(_X, requires_grad=True),
        "torch": lib,
        "nn": lib.nn,
        "F": lib.nn.functional,
        "dist": lib.distributed,
        "np": np,
        "os": os,
        "tmp": folder,
        "Holder": Holder,
        "module": _importer(lib),
        "alone": lambda call: lib is sys.modules.get("torch") or call(),
        "run": run_module,
        "grouped": lambda call: with_(_group(lib, folder), call),
        "descend": lambda make: descend(lib, make),
        "rates": lambda make, *metric: rates(lib, make, *metric),
        **{helper.__name__: helper for helper in helpers},
    }


def raises(call: Callable[[], Any], kind: type[Exception] = Exception) -> str:
    """The kind of error that a call raises, or the given one that it is a case of; an
    AssertionError if it raises none.
    """
    try:
        call()
    except kind as error:
        assert not isinstance(error, (NameError, AttributeError)), error
        return (type(error) if kind is Exception else kind).__name__
    raise AssertionError("no error was raised")


def with_(context: Any, call: Callable[[], Any]) -> Any:
    """What a call gives inside a context."""
    with context:
        return call()


def step(optimizer: Any, output: Any) -> None:
    """One step that makes an output's square smaller."""
    optimizer.zero_grad()
    (output * output).sum().backward()
    optimizer.step()


def run_module(module: Any, *inputs: Any) -> Any:
    """A module's outputs, and the gradients of its parameters."""
    outputs = module(*inputs)
    first = outputs
    while isinstance(first, (tuple, list)):
        first = first[0]
    if first.requires_grad:
        (first * first).sum().backward()
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    return type(module).__name__, outputs, gradients, dict(module.state_dict())


def descend(lib: Any, make: Callable[[list], Any]) -> Any:
    """Three steps of an optimizer on a bowl: where they end, and its state."""
    place = lib.tensor(_X, requires_grad=True)
    optimizer = make([place])

    def closure() -> Any:
        optimizer.zero_grad()
        loss = ((place - 1) ** 4).sum()
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(3)]
    return losses, place, sorted(optimizer.state_dict()["param_groups"][0])


def rates(lib: Any, make: Callable[[Any], Any], *metric: float) -> list[float]:
    """The learning rates that a schedule gives."""
    optimizer = lib.optim.SGD([lib.zeros(1, requires_grad=True)], lr=1.0)
    schedule, found = make(optimizer), []
    for _ in range(5):
        optimizer.step()
        schedule.step(*metric)
        found.append(optimizer.param_groups[0]["lr"])
    return found


def unique_name() -> str:
    """A name for an operator that nobody has defined yet."""
    return f"torch_names::op{next(_COUNT)}"


_COUNT = itertools.count()


def scalars(folder: str) -> list[tuple[int, float]]:
    """The scalars `loss` of an event file."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return [(e.step, e.value) for e in EventAccumulator(folder).Reload().Scalars("loss")]


def graph(path: str, *inputs: Any) -> Any:
    """What an ONNX file gives for inputs."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": inputs[0].numpy()})


@contextmanager
def _group(lib: Any, folder: str) -> Iterator[None]:
    """A process group of one."""
    store = f"file://{folder}/store"
    lib.distributed.init_process_group("gloo", init_method=store, world_size=1, rank=0)
    try:
        yield
    finally:
        lib.distributed.destroy_process_group()


def plain(lib: Any, value: Any) -> Any:
    """A value as what compares: tensors and arrays as (dtype, array), their kinds as words."""
    if isinstance(value, lib.Tensor):
        value = value.detach()
        kind = str(value.dtype).removeprefix("torch.")
        if value.dtype == lib.bfloat16:
            value = value.float()
        return kind, value.resolve_conj().numpy()
    if isinstance(value, (lib.dtype, lib.layout, lib.device)):
        return str(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return str(value.dtype), np.asarray(value)
    if isinstance(value, dict):
        return {key: plain(lib, inner) for key, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(lib, inner) for inner in value]
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if repr(value).startswith(("typing.", "datetime.")):
        return repr(value)
    raise TypeError(f"a program gave {type(value).__name__}, which cannot be compared")


def check(ours: Any, theirs: Any, where: str = "") -> None:
    """AssertionError where two plain values differ."""
    assert type(ours) is type(theirs), f"{where}: {ours!r} against {theirs!r}"
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), f"{where}: {list(ours)} against {list(theirs)}"
        for key in theirs:
            check(ours[key], theirs[key], f"{where}[{key!r}]")
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs), f"{where}: {ours!r} against {theirs!r}"
        for place, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            check(mine, other, f"{where}[{place}]")
    elif isinstance(theirs, np.ndarray):
        assert ours.shape == theirs.shape, f"{where}: {ours.shape} against {theirs.shape}"
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5, err_msg=where)
    elif isinstance(theirs, float):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, err_msg=where)
    else:
        assert ours == theirs, f"{where}: {ours!r} against {theirs!r}"
