"""Where a training step spends its time: every kernel with what it achieves, the slowest first.

    python benchmarks/steps.py [resnet18 | lenet | mlp] [--batch N] [--top N]

One step is recorded and run as usual; then its program's steps are run one by one and timed (best
of three). Contractions show GFLOP/s, other kernels the bytes of their buffers per second: hold them
against the machine's peaks to see what to mend next.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable

import rushlight as rl
from rushlight import nn
from rushlight.engine import flush
from rushlight.engine.explain import describe
from rushlight.engine.timing import time_steps
from rushlight.models import create_model, model_config
from rushlight.nn import functional as F

SHAPES: dict[str, tuple[tuple[int, ...], int, int]] = {
    "mlp": ((1, 28, 28), 10, 64),
    "lenet": ((1, 28, 28), 10, 64),
    "resnet18": ((3, 224, 224), 1000, 16),
}


def training_step(name: str, batch: int) -> Callable[[], float]:
    """One step of SGD with momentum on random data."""
    shape, classes, usual = SHAPES[name]
    rl.manual_seed(0)
    sized = {"image_size": shape[1]} if model_config(name).fixed_input_size else {}
    model: nn.Module = create_model(name, num_classes=classes, in_chans=shape[0], **sized)
    optimizer = rl.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images = rl.randn(batch or usual, *shape)
    labels = rl.randint(0, classes, (batch or usual,))

    def step() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def largest_run(step: Callable[[], float]) -> tuple:
    """(program, leaves, scalars) of the largest flush of one step."""
    seen = []
    usual = flush.run

    def watched(trace, owners, wanted):  # type: ignore[no-untyped-def]
        seen.append((trace, wanted))
        usual(trace, owners, wanted)

    flush.run = watched
    try:
        step()
    finally:
        flush.run = usual
    trace, wanted = max(seen, key=lambda each: len(each[0].entries))
    return flush.PROGRAMS[flush.program_key(trace, wanted)], trace.leaves, trace.scalars


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="resnet18", choices=SHAPES)
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--top", type=int, default=25)
    chosen = parser.parse_args()
    step = training_step(chosen.model, chosen.batch)
    for _ in range(2):
        step()
    program, leaves, scalars = largest_run(step)
    timed = time_steps(program, leaves, scalars)
    total = sum(seconds for _, seconds in timed)
    kinds: Counter[str] = Counter()
    products = 0
    for each, seconds in timed:
        kinds[each.kind] += seconds
        products += each.contraction.multiplications if each.contraction else 0
    shares = ", ".join(f"{kind} {1e3 * seconds:.1f} ms" for kind, seconds in kinds.most_common())
    print(f"{chosen.model}: {1e3 * total:.1f} ms in {len(timed)} steps: {shares}")
    print(
        f"contractions: {2e-9 * products / max(kinds['contract'], 1e-9):.0f} GFLOP/s over "
        f"{2e-9 * products:.1f} GFLOP"
    )
    print(f"arena {program.arena.size / 1e6:.0f} MB, outputs {sum(program.sizes) / 1e6:.0f} MB\n")
    for each, seconds in sorted(timed, key=lambda pair: -pair[1])[: chosen.top]:
        if each.contraction is not None:
            rate = f"{2e-9 * each.contraction.multiplications / seconds:7.1f} GFLOP/s"
        else:
            touched = sum(program.plan.memories[place].nbytes for place in each.places)
            rate = f"{1e-9 * touched / seconds:7.1f} GB/s   "
        print(f"{1e3 * seconds:9.2f} ms {rate} {describe(program.plan, each)[:110]}")


if __name__ == "__main__":
    main()
