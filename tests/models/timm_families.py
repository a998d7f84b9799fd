"""Every model family of timm under PyTorch and under the alias: outputs and gradients compared.

In: the variants of `timm_variants.json` (the smallest of each family, written by
`python timm_families.py --variants` from timm's own registry). Out: one `Row` per family, and with
`--write` the table in docs/timm.md. Each framework lives in a process of its own
(`timm_worker.py`), started again where it dies.

    python tests/models/timm_families.py [--write] [FAMILY ...]
    python tests/models/timm_families.py --zoo [MODEL ...]

With `--zoo` timm's models over PyTorch stand beside those of the same name in `rushlight.models`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
VARIANTS: dict[str, str] = json.loads((HERE / "timm_variants.json").read_text(encoding="utf-8"))
DOCUMENT = HERE.parents[1] / "docs" / "timm.md"
TOLERANCE = 1e-3
# A parameter whose gradient is nothing but rounding (a bias before batch norm has none) is judged
# by what is this small beside the whole gradient.
NEGLIGIBLE = 1e-3
TIME_LIMIT = 900.0
# A process is replaced after so many answers: what it keeps for models that are gone is given back.
LIFE = 8


# Our own models beside timm's of the same name, one of every form that a family takes:
# name -> (options of ours, image). Without an image, the first that timm's takes.
ZOO: dict[str, tuple[dict[str, Any], int | None]] = {
    "resnet18": ({}, None),
    "resnet50": ({}, None),
    "resnext50_32x4d": ({}, None),
    "wide_resnet50_2": ({}, None),
    "densenet121": ({}, None),
    "vgg11_bn": ({}, None),
    "mobilenetv2_050": ({}, None),
    "mobilenetv2_110d": ({}, None),
    "mobilenetv3_small_050": ({}, None),
    "mobilenetv3_large_100": ({}, None),
    "tf_mobilenetv3_small_100": ({}, None),
    "efficientnet_b0": ({}, None),
    "tf_efficientnet_b0": ({}, None),
    "efficientnet_lite0": ({}, None),
    "tf_efficientnet_lite0": ({}, None),
    "convnext_atto": ({}, None),
    "convnext_tiny": ({}, None),
    "vit_tiny_patch16_224": ({"image_size": 64}, None),
    "deit_tiny_distilled_patch16_224": ({"image_size": 64}, None),
    "deit3_small_patch16_224": ({"image_size": 64}, None),
    "swin_tiny_patch4_window7_224": ({}, 224),
    "mixer_s32_224": ({"image_size": 64}, None),
    "regnetx_002": ({}, None),
    "regnety_002": ({}, None),
}


@dataclass
class Row:
    """What the comparison of one family gave: relative errors, sizes and seconds."""

    family: str
    variant: str
    image: int = 0
    parameters: int = 0
    output: float = float("inf")
    gradient: float = float("inf")
    worst: str = ""
    dtype: str = "float32"
    single: float = 0.0
    seconds: list[float] = field(default_factory=list)
    error: str = ""

    @property
    def agrees(self) -> bool:
        """Whether outputs and gradients are PyTorch's to TOLERANCE."""
        return not self.error and max(self.output, self.gradient) <= TOLERANCE


class Worker:
    """A process that answers requests; started on the first one and after it died."""

    def __init__(self, framework: str) -> None:
        self.framework = framework
        self.answers = 0
        self.process: subprocess.Popen[str] | None = None

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer, or an `error` where the process dies or takes too long."""
        self.answers += 1
        if self.answers % LIFE == 0:
            self.close()
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "timm_worker.py"), self.framework],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={"OMP_NUM_THREADS": "1", **os.environ},
            )
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], TIME_LIMIT)
        line = self.process.stdout.readline() if ready else ""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self.close()
        return {"error": "the process died" if ready else f"no answer in {TIME_LIMIT:.0f} s"}

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def relative(made: np.ndarray, expected: np.ndarray, floor: float = 0.0) -> float:
    """The norm of the difference beside the norm of what was expected; inf for another shape."""
    if made.shape != expected.shape or not np.isfinite(made).all():
        return float("inf")
    # In float64: squares of float32 overflow.
    made, expected = made.astype(np.float64), expected.astype(np.float64)
    size = max(float(np.linalg.norm(expected)), floor)
    return float(np.linalg.norm(made - expected)) / size if size else 0.0


def judge(row: Row, made: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    """Enter the largest relative errors of the outputs and of the gradients into a row."""
    if set(made) != set(expected):
        row.error = f"only one has {sorted(set(made) ^ set(expected))[:3]}"
        return
    names = [name for name in expected if name.startswith("gradient ")]
    norms = [float(np.linalg.norm(expected[name].astype(np.float64))) for name in names]
    floor = NEGLIGIBLE * float(np.linalg.norm(norms))
    errors = {name: relative(made[name], expected[name], floor) for name in names}
    worst = max(errors, key=errors.__getitem__)
    row.gradient, row.worst = errors[worst], worst.removeprefix("gradient ")
    row.output = max(
        relative(made[name], expected[name]) for name in expected if name not in errors
    )


def compare(
    family: str,
    variant: str,
    oracle: Worker,
    ours: Worker,
    dtype: str = "float32",
    zoo: dict[str, Any] | None = None,
    image: int | None = None,
) -> Row:
    """One family under both frameworks; with `zoo`, our own model of that name, built with these
    options for the image that timm's takes.

    Where they differ in float32 the comparison is made again in float64: one rectifier whose input
    rounds to the other side of zero changes every gradient before it by more than the tolerance,
    and only more digits tell that from a mistake.
    """
    row = Row(family, variant, dtype=dtype)
    with tempfile.TemporaryDirectory() as folder:
        kept = {name: f"{folder}/{name}.npz" for name in ("oracle", "ours")}
        asked = {"model": variant, "image": image, "dtype": dtype}
        expected = oracle.ask({**asked, "keep": kept["oracle"]})
        if "error" in expected:
            row.error = f"PyTorch: {expected['error']}"
            return row
        row.image, row.parameters = expected["image"], expected["parameters"]
        request = {**asked, "image": row.image, "options": expected["options"]}
        if zoo is not None:
            request.update(zoo=True, options=zoo)
        made = ours.ask({"keep": kept["ours"], **request})
        if "error" in made:
            row.error = made["error"]
            print(made.get("trace", ""), file=sys.stderr)
            return row
        row.seconds = made["seconds"]
        if made["state"] != expected["state"]:
            row.error = "names or shapes in state_dict differ"
            return row
        judge(row, np.load(kept["ours"]), np.load(kept["oracle"]))
        if row.agrees or row.error or dtype != "float32":
            return row
    again = compare(family, variant, oracle, ours, "float64", zoo, image)
    again.single, again.seconds = max(row.output, row.gradient), row.seconds
    return again


def compare_all(names: Sequence[str], zoo: bool = False) -> Iterator[Row]:
    """The rows of some families, or of some of our own models, in order."""
    oracle, ours = Worker("torch"), Worker("rushlight")
    try:
        for name in names:
            if zoo:
                yield compare_model(name, oracle, ours)
            else:
                yield compare(name, VARIANTS[name], oracle, ours)
    finally:
        oracle.close()
        ours.close()


def compare_model(name: str, oracle: Worker, ours: Worker) -> Row:
    """One model of ours beside timm's."""
    options, image = ZOO[name]
    return compare(name, name, oracle, ours, zoo=options, image=image)


def smallest_variants() -> dict[str, str]:
    """family -> its variant with the fewest parameters, from timm's registry."""
    worker = Worker("torch")
    try:
        answer = worker.ask({"families": True})
    finally:
        worker.close()
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return {family: found[0] for family, found in sorted(answer["families"].items())}


HEAD = """# timm's model families

Written by `python tests/models/timm_families.py --write`; the figures are what that run gave.

For one variant of every family in the registry of timm {version} (the one with the fewest
parameters), the unmodified timm ran over PyTorch and, under `install_as_torch()`, over rushlight:
the same random weights and batch statistics, a batch of {batch}, float32. *Output* is the relative
error of what the model gives in eval mode, *gradient* the largest relative error of any parameter's
gradient in train mode (a gradient smaller than {negligible:g} of the whole is judged beside that
much of the whole). Where float32 gives more than {tolerance:g} the run is repeated in float64,
which decides: a rectifier whose input rounds to the other side of zero changes every gradient
before it. {agreeing} of {count} families agree to {tolerance:g}.

| family | variant | image | parameters | output | gradient | |
|---|---|---|---|---|---|---|
"""


def document(rows: Sequence[Row], version: str) -> str:
    """The page with the table."""
    head = HEAD.format(
        version=version,
        batch=4,
        negligible=NEGLIGIBLE,
        tolerance=TOLERANCE,
        agreeing=sum(row.agrees for row in rows),
        count=len(rows),
    )
    return head + "".join(_line(row) for row in rows)


def _line(row: Row) -> str:
    size = f"{row.parameters / 1e6:.1f} M" if row.parameters else ""
    figures = "| " if row.error else f"{row.output:.1e} | {row.gradient:.1e}"
    verdict = "agrees" if row.agrees else row.error[:90].replace("|", "/") or "differs"
    if row.agrees and row.dtype != "float32":
        verdict += f" in {row.dtype} (float32: {row.single:.1e})"
    return (
        f"| {row.family} | {row.variant} | {row.image or ''} | {size} | {figures} | {verdict} |\n"
    )


def main() -> None:
    """Compare families and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("families", nargs="*", default=[], help="by rule all of them")
    parser.add_argument("--variants", action="store_true", help="write timm_variants.json anew")
    parser.add_argument("--zoo", action="store_true", help="compare rushlight.models instead")
    parser.add_argument("--write", action="store_true", help="write docs/timm.md")
    parser.add_argument(
        "--keep", type=Path, help="file with rows of earlier runs, read and added to"
    )
    arguments = parser.parse_args()
    if arguments.variants:
        text = json.dumps(smallest_variants(), indent=2) + "\n"
        (HERE / "timm_variants.json").write_text(text, encoding="utf-8")
        return
    if arguments.zoo:
        for row in compare_all(arguments.families or list(ZOO), zoo=True):
            print(_line(row).strip(), row.worst, flush=True)
        return
    rows: dict[str, Row] = {}
    if arguments.keep and arguments.keep.exists():
        rows = {r["family"]: Row(**r) for r in json.loads(arguments.keep.read_text())}
    for row in compare_all(arguments.families or [name for name in VARIANTS if name not in rows]):
        rows[row.family] = row
        print(_line(row).strip(), row.worst, [round(s, 1) for s in row.seconds], flush=True)
        if arguments.keep:
            arguments.keep.write_text(json.dumps([asdict(r) for r in rows.values()]))
    if arguments.write:
        from importlib.metadata import version

        ordered = [rows[name] for name in VARIANTS if name in rows]
        DOCUMENT.write_text(document(ordered, version("timm")), encoding="utf-8")


if __name__ == "__main__":
    main()
