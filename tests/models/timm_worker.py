"""One process that builds timm's models under one framework and keeps what they compute.

In, by standard input, one JSON object a line: `{"families": true}` asks for the smallest variant of
every family; `{"model": name, "keep": path, ...}` asks for one model's outputs in eval mode and
gradients in train mode, kept as NumPy arrays in `path`, computed in `dtype` (float32 by rule), with
`zoo` of `rushlight.models` instead of timm; `{"describe": [name, ...]}` for the names, shapes and
facts of models. Out, one JSON line for each: what was
found, or `{"error": ...}`. Run as `timm_worker.py torch` or `timm_worker.py rushlight`.

Invariant: weights, inputs and the weights of the loss are drawn by NumPy from names and shapes
alone, so that both frameworks hold the same numbers; nothing is zero, one or shared by accident.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
import time
import traceback
import types
import zlib
from typing import Any

import numpy as np

BATCH = 4
CLASSES = 10
# What to build, in order of cost: the first that the model takes is used. `img_size` is what timm's
# models of a fixed grid are told; the others take any image.
SIZES: tuple[tuple[int, dict[str, Any]], ...] = (
    (64, {}),
    (64, {"img_size": 64}),
    (96, {}),
    (96, {"img_size": 96}),
    (128, {}),
    (128, {"img_size": 128}),
    (224, {}),
    (256, {}),
)


class _Shells(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands in for torchvision where it is not installed: timm imports names from it that no
    model of timm's calls. Each name is an empty class.
    """

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.split(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def exec_module(self, module: types.ModuleType) -> None:
        module.__getattr__ = lambda name: _shell(module, name)  # type: ignore[method-assign]


class _Hollow(type):
    """The type of a shell: asked for a member, as of an enumeration, it gives the member's name."""

    def __getattr__(cls, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return name


def _shell(module: types.ModuleType, name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    made = _Hollow(name, (), {"__module__": module.__name__})
    setattr(module, name, made)
    return made


def start(framework: str) -> Any:
    """Import timm over the framework; return the module that it sees as torch."""
    if framework == "rushlight":
        import rushlight

        rushlight.install_as_torch()
    elif importlib.util.find_spec("torchvision") is None:
        sys.meta_path.append(_Shells())
    import torch

    return torch


def families(torch: Any) -> dict[str, list[Any]]:
    """family (a module of timm's) -> [its variant with the fewest parameters, how many]."""
    import timm

    found: dict[str, list[Any]] = {}
    for family in timm.list_modules():
        sizes = []
        for name in timm.list_models(module=family):
            with torch.device("meta"):
                model = timm.create_model(name)
            sizes.append((sum(p.numel() for p in model.parameters()), name))
        if sizes:
            count, name = min(sizes)
            found[family] = [name, count]
    return found


def generator(name: str) -> np.random.Generator:
    """A stream of random numbers that depends on a name only."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values for a parameter or a running statistic: of ordinary size, and none of them special."""
    random = generator(name)
    if name.endswith("running_var") or (len(shape) < 2 and not name.endswith(("bias", "mean"))):
        return random.uniform(0.5, 1.5, shape)
    if len(shape) < 2:
        return random.normal(0, 0.1, shape)
    if name.endswith("weight"):
        return random.normal(0, 1, shape) / np.sqrt(np.prod(shape[1:]))
    return random.normal(0, 0.2, shape)


def fill(torch: Any, model: Any) -> list[str]:
    """Give a model the drawn values; return the names and shapes of its state."""
    parameters = {name for name, _ in model.named_parameters()}
    state = model.state_dict()
    with torch.no_grad():
        for name, value in state.items():
            if name in parameters or name.endswith(("running_mean", "running_var")):
                array = np.asarray(drawn(name, tuple(value.shape)), dtype=np.float32)
                value.copy_(torch.from_numpy(array.reshape(tuple(value.shape))))
    return [f"{name} {tuple(value.shape)}" for name, value in state.items()]


def leaves(result: Any) -> list[Any]:
    """The tensors in what a model returned."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        return [leaf for part in result for leaf in leaves(part)]
    return [result]


def creator(zoo: bool) -> Any:
    """`create_model` of timm or of rushlight."""
    if zoo:
        from rushlight import models

        return models.create_model
    import timm

    return timm.create_model


def describe(torch: Any, names: list[str], zoo: bool) -> dict[str, Any]:
    """name -> [names and shapes of its state, its default_cfg]."""
    found = {}
    for name in names:
        with torch.device("meta"):
            model = creator(zoo)(name)
        state = {key: list(value.shape) for key, value in model.state_dict().items()}
        found[name] = [state, dict(model.default_cfg)]
    return found


def build(
    torch: Any, name: str, image: int | None, options: dict[str, Any], zoo: bool
) -> tuple[Any, ...]:
    """The model, its input, its size and its options; without a size, the first of SIZES that the
    model takes.
    """
    sizes = ((image, options),) if image else SIZES
    for size, extra in sizes:
        torch.manual_seed(0)
        try:
            model = creator(zoo)(name, num_classes=CLASSES, **extra).eval()
            x = torch.from_numpy(
                generator("input").normal(0, 1, (BATCH, 3, size, size)).astype(np.float32)
            )
            if not image:
                with torch.no_grad():
                    model(x)
            return model, x, size, extra
        except Exception:
            if (size, extra) == sizes[-1]:
                raise
    raise AssertionError("SIZES is empty")


def measure(torch: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Run one model in eval mode and in train mode; keep outputs and gradients."""
    begin = time.perf_counter()
    zoo = request.get("zoo", False)
    model, x, image, options = build(
        torch, request["model"], request.get("image"), request.get("options", {}), zoo
    )
    state = fill(torch, model)
    dtype = getattr(torch, request.get("dtype", "float32"))
    model, x = model.to(dtype), x.to(dtype)
    built = time.perf_counter()
    model.eval()
    with torch.no_grad():
        outputs = [leaf.numpy() for leaf in leaves(model(x))]
    ran = time.perf_counter()
    model.train()
    torch.manual_seed(1)
    loss = 0.0
    for index, leaf in enumerate(leaves(model(x))):
        weight = generator(f"loss {index}").normal(0, 1, tuple(leaf.shape)).astype(np.float32)
        loss = loss + (leaf * torch.from_numpy(weight).to(dtype)).sum()
    loss.backward()
    gradients = {
        name: parameter.grad.numpy()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    arrays = {f"output {index}": array for index, array in enumerate(outputs)}
    np.savez(request["keep"], **arrays, **{f"gradient {k}": v for k, v in gradients.items()})
    return {
        "image": image,
        "options": options,
        "state": state,
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": [built - begin, ran - built, time.perf_counter() - ran],
    }


def main(framework: str) -> None:
    """Answer requests until the input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr
    torch = start(framework)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request.get("families"):
                answer: dict[str, Any] = {"families": families(torch)}
            elif request.get("modules"):
                import timm

                answer = {"modules": [m for m in timm.list_modules() if timm.list_models(module=m)]}
            elif names := request.get("describe"):
                answer = describe(torch, names, request.get("zoo", False))
            else:
                answer = measure(torch, request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
