"""Twenty training steps of a net that uses everything whose order of summation could show.

Run as a program by `test_determinism.py`; prints JSON: a hash of all weights, statistics and
losses, and the tasks that each thread has performed.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

import rushlight as rl
from rushlight import nn
from rushlight.runtime import threads


class Net(nn.Module):
    """Convolutions with batch norm and dropout beside a bag of embedded words."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 24, 3, stride=2)
        self.norm2 = nn.BatchNorm2d(24)
        self.words = nn.Embedding(50, 24)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(24, 5)
        self.table = nn.Parameter(rl.randn(40, 24))

    def forward(self, x: rl.Tensor, words: rl.Tensor) -> rl.Tensor:
        x = nn.functional.relu(self.norm1(self.conv1(x)))
        x = nn.functional.relu(self.norm2(self.conv2(x)))
        pooled = nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
        spread = rl.zeros(8, 24).index_add(0, words[:, 0] % 8, self.table[words[:, 1] % 40])
        mixed = pooled + self.words(words).mean(1) + spread
        return self.out(self.drop(mixed))


def main() -> None:
    rl.manual_seed(0)
    random = np.random.default_rng(0)
    net = Net()
    optimizer = rl.optim.Adam(net.parameters(), lr=1e-2)
    digest = hashlib.sha256()
    for _ in range(20):
        images = rl.tensor(random.standard_normal((8, 3, 33, 33)).astype(np.float32))
        words = rl.tensor(random.integers(0, 50, (8, 12)))
        labels = rl.tensor(random.integers(0, 5, 8))
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(images, words), labels)
        loss.backward()
        optimizer.step()
        digest.update(np.float64(loss.item()).tobytes())
    for name, value in net.state_dict().items():
        digest.update(name.encode() + value.detach().numpy().tobytes())
    pool = threads.current_pool()
    print(json.dumps({"digest": digest.hexdigest(), "tasks": pool.tasks_done() if pool else []}))


if __name__ == "__main__":
    main()
