"""Q-learning with a replay buffer and a target network, on a small grid.

python replay_dqn.py              # with PyTorch
rushlight run replay_dqn.py       # with rushlight
"""

import argparse
import math
import random
from collections import deque, namedtuple

import torch
import torch.nn as nn
import torch.optim as optim

Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))
MOVES = ((1, 0), (-1, 0), (0, 1), (0, -1))


class Grid:
    """A square with a goal in one corner; the start is anywhere."""

    def __init__(self, size, limit):
        self.size, self.limit = size, limit

    def reset(self):
        self.x, self.y = random.randrange(self.size - 1), random.randrange(self.size - 1)
        self.time = 0
        return self.observe()

    def observe(self):
        return [self.x / (self.size - 1), self.y / (self.size - 1)]

    def step(self, action):
        dx, dy = MOVES[action]
        self.x = min(max(self.x + dx, 0), self.size - 1)
        self.y = min(max(self.y + dy, 0), self.size - 1)
        self.time += 1
        arrived = self.x == self.y == self.size - 1
        return self.observe(), 1.0 if arrived else -0.05, arrived, self.time == self.limit


class ReplayMemory:
    def __init__(self, capacity):
        self.memory = deque(maxlen=capacity)

    def push(self, *args):
        self.memory.append(Transition(*args))

    def sample(self, batch_size):
        return random.sample(self.memory, batch_size)

    def __len__(self):
        return len(self.memory)


class DQN(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4)
        )

    def forward(self, x):
        return self.layers(x)


def optimize(args, memory, policy, target, optimizer):
    """One step on a batch from the memory; its loss."""
    batch = Transition(*zip(*memory.sample(args.batch)))
    going_on = torch.tensor([s is not None for s in batch.next_state], dtype=torch.bool)
    following = torch.cat([s for s in batch.next_state if s is not None])
    state, action, reward = torch.cat(batch.state), torch.cat(batch.action), torch.cat(batch.reward)
    values = policy(state).gather(1, action)
    next_values = torch.zeros(args.batch)
    with torch.no_grad():
        next_values[going_on] = target(following).max(1).values
    expected = next_values * args.gamma + reward
    loss = nn.SmoothL1Loss()(values, expected.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy.parameters(), 100)
    optimizer.step()
    return loss.item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, default=5)
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--gamma", type=float, default=0.9)
    parser.add_argument("--tau", type=float, default=0.02)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--save", help="where to keep the trained weights")
    args = parser.parse_args()

    random.seed(args.seed)
    torch.manual_seed(args.seed)
    env, memory = Grid(args.size, args.limit), ReplayMemory(5000)
    policy, target = DQN(args.width), DQN(args.width)
    target.load_state_dict(policy.state_dict())
    optimizer = optim.AdamW(policy.parameters(), lr=args.lr, amsgrad=True)
    state = torch.tensor([env.reset()], dtype=torch.float32)
    done, step = 0, 0
    while step < args.steps:
        explore = 0.05 + 0.85 * math.exp(-done / 300)
        done += 1
        if random.random() > explore:
            with torch.no_grad():
                action = policy(state).max(1).indices.view(1, 1)
        else:
            action = torch.tensor([[random.randrange(len(MOVES))]], dtype=torch.long)
        seen, reward, arrived, late = env.step(action.item())
        following = None if arrived else torch.tensor([seen], dtype=torch.float32)
        memory.push(state, action, following, torch.tensor([reward]))
        if arrived or late:
            state = torch.tensor([env.reset()], dtype=torch.float32)
        else:
            state = following
        if len(memory) < 2 * args.batch:
            continue
        loss = optimize(args, memory, policy, target, optimizer)
        print(f"step {step} loss {loss:.6f}")
        step += 1
        kept = target.state_dict()
        for name, value in policy.state_dict().items():
            kept[name] = value * args.tau + kept[name] * (1 - args.tau)
        target.load_state_dict(kept)
    if args.save:
        torch.save(policy.state_dict(), args.save)


if __name__ == "__main__":
    main()
