"""The example of ops/README.md, run as it stands: one row gives a function and its gradients."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from rushlight import ops

SCRIPT = """
from __future__ import annotations
import numpy as np
import rushlight as rl
from rushlight.graph import build as b
from rushlight.ops.arithmetic import abs as abs_
from rushlight.ops.elementary import square
from rushlight.ops.registry import TABLE, Scalar, Value, op
{example}
from rushlight.autograd import gradcheck, gradgradcheck
from rushlight.tensor.lazy import complete

functions, methods = complete()
row = TABLE["softsign_scaled"]
x = rl.tensor([1.0, -3.0])
print(row(x).tolist())
y = rl.tensor([0.5, -2.0], dtype=rl.float64, requires_grad=True)
print(gradcheck(lambda v: row(v, 2.0), (y,)), gradgradcheck(lambda v: row(v, 2.0), (y,)))
generator = np.random.default_rng(0)
for args, kwargs in row.samples(lambda *shape: generator.standard_normal(shape)):
    tensors = [rl.tensor(a) if isinstance(a, np.ndarray) else a for a in args]
    assert np.allclose(row(*tensors, **kwargs).numpy(), row.reference(*args, **kwargs))
"""


def test_the_example_row_works_as_written() -> None:
    text = (Path(ops.__file__).parent / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", text, re.S)
    assert example is not None
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(example=example[1])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["[0.5, -0.75]", "True True"]
