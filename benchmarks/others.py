"""Shapes and operations that no headline has: each against PyTorch, in processes of their own.

    python benchmarks/others.py [--only NAME,...] [--rounds N] [--seconds S]

A ratio above 1: rushlight is that many times faster. Training cases are whole steps (forward,
backward, SGD); the others end in a sum that is read, so nothing is left pending.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

Step = Callable[[], object]
CASES: dict[str, Callable[[Any], Step]] = {}


def case(name: str) -> Callable[[Callable[[Any], Step]], Callable[[Any], Step]]:
    def register(make: Callable[[Any], Step]) -> Callable[[Any], Step]:
        CASES[name] = make
        return make

    return register


def trained(torch: Any, model: Any, *shape: int, inputs: Any = None) -> Step:
    """A training step of a model on random numbers (or given inputs)."""
    x = torch.randn(*shape) if inputs is None else inputs
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step() -> float:
        optimizer.zero_grad()
        out = model(x)
        loss = (out[0] if isinstance(out, tuple) else out).square().mean()
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


LAYERS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "conv depthwise": (lambda nn: nn.Conv2d(64, 64, 3, padding=1, groups=64), (8, 64, 56, 56)),
    "conv grouped": (lambda nn: nn.Conv2d(64, 64, 3, padding=1, groups=8), (8, 64, 56, 56)),
    "conv dilated": (lambda nn: nn.Conv2d(32, 32, 3, padding=2, dilation=2), (8, 32, 56, 56)),
    "conv transposed": (lambda nn: nn.ConvTranspose2d(64, 32, 4, 2, 1), (8, 64, 28, 28)),
    "conv 1d": (lambda nn: nn.Conv1d(64, 64, 9, padding=4), (8, 64, 1000)),
    "conv 3d": (lambda nn: nn.Conv3d(16, 16, 3, padding=1), (2, 16, 16, 32, 32)),
    "conv odd channels": (lambda nn: nn.Conv2d(7, 13, 5), (5, 7, 61, 59)),
    "group norm": (lambda nn: nn.Sequential(nn.GroupNorm(8, 64), nn.SiLU()), (8, 64, 56, 56)),
    "layer norm": (lambda nn: nn.LayerNorm(768), (32, 128, 768)),
    "batch norm 1d": (lambda nn: nn.BatchNorm1d(512), (1024, 512)),
    "max pool": (lambda nn: nn.Sequential(nn.Conv2d(3, 16, 3), nn.MaxPool2d(2)), (16, 3, 64, 64)),
    "upsample bilinear": (
        lambda nn: nn.Sequential(nn.Conv2d(3, 16, 3), nn.Upsample(scale_factor=2, mode="bilinear")),
        (4, 3, 64, 64),
    ),
    "gru": (lambda nn: nn.GRU(64, 128, batch_first=True), (16, 50, 64)),
    "transformer layer": (
        lambda nn: nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, batch_first=True),
        (8, 64, 256),
    ),
}
for _name, (_layer, _shape) in LAYERS.items():
    CASES[_name] = lambda torch, layer=_layer, shape=_shape: trained(  # type: ignore[misc]
        torch, layer(torch.nn), *shape
    )

# what is computed of x (64, 128, 33, 17), a (4096, 64), b (64, 64), m (2048, 2048), v (2048,), s
# (1000, 1000), i (1000, 1000) positions in it
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "matmul tall": lambda t, a, b, **_: a @ b,
    "matmul long sum": lambda t, a, **_: a.t() @ a,
    "matrix vector": lambda t, m, v, **_: m @ v,
    "vector matrix": lambda t, m, v, **_: v @ m,
    "sum of axes 0, 2": lambda t, x, **_: x.sum((0, 2)),
    "mean of axis 1": lambda t, x, **_: x.mean(1),
    "variance of axes 1, 3": lambda t, x, **_: x.var((1, 3)),
    "maximum of pictures": lambda t, x, **_: x.amax((2, 3)),
    "softmax of axis 1": lambda t, x, **_: t.softmax(x, 1),
    "permuted copy": lambda t, x, **_: x.permute(3, 1, 0, 2).contiguous(),
    "running sum": lambda t, s, **_: s.cumsum(1),
    "gather": lambda t, s, i, **_: s.gather(0, i),
    "rows": lambda t, s, i, **_: s.index_select(0, i[0]),
    "scatter_add": lambda t, s, i, **_: t.zeros(1000, 1000).scatter_add_(0, i, s),
    "index_add": lambda t, s, i, **_: t.zeros(1000, 1000).index_add_(0, i[0], s),
    "sort": lambda t, s, **_: s.sort(1)[0],
    "topk": lambda t, s, **_: s.topk(5, 1)[0],
    "masked_select": lambda t, s, **_: s[s > 0],
    "randn": lambda t, **_: t.randn(1000, 1000),
    "dropout": lambda t, s, **_: t.nn.functional.dropout(s),
}


def _function(name: str) -> Callable[[Any], Step]:
    def make(torch: Any) -> Step:
        shapes = {
            "x": (64, 128, 33, 17),
            "a": (4096, 64),
            "b": (64, 64),
            "m": (2048, 2048),
            "v": (2048,),
            "s": (1000, 1000),
        }
        given = {key: torch.randn(*shape) for key, shape in shapes.items()}
        given["i"] = torch.randint(0, 1000, (1000, 1000))

        def step() -> float:
            with torch.no_grad():
                return float(FUNCTIONS[name](torch, **given).sum().item())

        return step

    return make


CASES.update({name: _function(name) for name in FUNCTIONS})


@case("embedding gradient")
def _(torch: Any) -> Step:
    table = torch.nn.Embedding(10_000, 512)
    return trained(torch, table, inputs=torch.randint(0, 10_000, (4096,)))


@case("attention of 1024")
def _(torch: Any) -> Step:
    q = torch.randn(2, 8, 1024, 64)
    attend = torch.nn.functional.scaled_dot_product_attention
    return lambda: attend(q, q, q, is_causal=True).sum().item()


@case("cross entropy of 32000")
def _(torch: Any) -> Step:
    scores, labels = torch.randn(256, 32_000), torch.randint(0, 32_000, (256,))
    return lambda: torch.nn.functional.cross_entropy(scores, labels).item()


@case("growing cache")
def _(torch: Any) -> Step:
    query, start = torch.randn(1, 8, 1, 64), torch.randn(1, 8, 16, 64)

    def step() -> float:
        keys = start
        for _ in range(24):
            keys = torch.cat([keys, query], 2)
            out = torch.nn.functional.scaled_dot_product_attention(query, keys, keys)
        return float(out.sum().item())

    return step


def measure(name: str, names: list[str], seconds: float) -> dict[str, float]:
    """The shortest time of each case, in ms."""
    torch = importlib.import_module(name)
    torch.manual_seed(0)
    found = {}
    for each in names:
        step = CASES[each](torch)
        for _ in range(3):
            step()
        best, end = float("inf"), time.perf_counter() + seconds
        while time.perf_counter() < end:
            begin = time.perf_counter()
            step()
            best = min(best, time.perf_counter() - begin)
        found[each] = 1e3 * best
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(CASES), help="names, separated by commas")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.3, help="for each case and round")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    names = chosen.only.split(",")
    if chosen.measure:
        print(json.dumps(measure(chosen.measure, names, chosen.seconds)))
        return
    best: dict[str, dict[str, float]] = {"torch": {}, "rushlight": {}}
    arguments = ["--only", chosen.only, "--seconds", str(chosen.seconds)]
    for _ in range(chosen.rounds):
        for module, seen in best.items():
            command = [sys.executable, __file__, *arguments, "--measure", module]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            for each, ms in json.loads(done.stdout.splitlines()[-1]).items():
                seen[each] = min(ms, seen.get(each, ms))
    ratios = {each: best["torch"][each] / best["rushlight"][each] for each in names}
    for each in sorted(names, key=lambda each: ratios[each]):
        theirs, ours = best["torch"][each], best["rushlight"][each]
        print(
            f"{each:24s} PyTorch {theirs:9.3f} ms   rushlight {ours:9.3f} ms {ratios[each]:7.2f}x"
        )


if __name__ == "__main__":
    main()
