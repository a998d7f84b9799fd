"""An actor and a critic learn to walk to the end of a corridor (REINFORCE with a baseline).

python policy_gradient.py              # with PyTorch
rushlight run policy_gradient.py       # with rushlight
"""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.distributions import Categorical


class Corridor:
    """Places in a row; the last is the goal, every step before it costs."""

    def __init__(self, length, limit):
        self.length, self.limit = length, limit

    def reset(self):
        self.place, self.time = 0, 0
        return self.observe()

    def observe(self):
        return [1.0 if i == self.place else 0.0 for i in range(self.length)]

    def step(self, action):
        self.place = max(0, self.place + (1 if action == 1 else -1))
        self.time += 1
        arrived = self.place == self.length - 1
        return self.observe(), 10.0 if arrived else -1.0, arrived or self.time == self.limit


class Policy(nn.Module):
    """What to do, and what is to be expected."""

    def __init__(self, places, width):
        super().__init__()
        self.affine1 = nn.Linear(places, width)
        self.action_head = nn.Linear(width, 2)
        self.value_head = nn.Linear(width, 1)

    def forward(self, x):
        x = F.relu(self.affine1(x))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


def episode(env, model):
    """Log-probabilities of the actions taken, the values expected, and the rewards."""
    state, done, taken, rewards = env.reset(), False, [], []
    while not done:
        probabilities, value = model(torch.tensor(state))
        chances = Categorical(probabilities)
        action = chances.sample()
        taken.append((chances.log_prob(action), value))
        state, reward, done = env.step(action.item())
        rewards.append(reward)
    return taken, rewards


def finish_episode(taken, rewards, gamma):
    """The loss of an episode."""
    total, returns = 0.0, []
    for reward in reversed(rewards):
        total = reward + gamma * total
        returns.insert(0, total)
    policy_losses, value_losses = [], []
    for (log_prob, value), expected in zip(taken, torch.tensor(returns)):
        advantage = expected - value.item()
        policy_losses.append(-log_prob * advantage)
        value_losses.append(F.smooth_l1_loss(value, expected.view(1)))
    return (torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()) / len(rewards)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100, help="updates")
    parser.add_argument("--episodes", type=int, default=4, help="per update")
    parser.add_argument("--length", type=int, default=5)
    parser.add_argument("--limit", type=int, default=30)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--gamma", type=float, default=0.95)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=543)
    parser.add_argument("--save", help="where to keep the trained weights")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    env = Corridor(args.length, args.limit)
    model = Policy(args.length, args.width)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    for step in range(args.steps):
        losses, steps = [], 0
        for _ in range(args.episodes):
            taken, rewards = episode(env, model)
            losses.append(finish_episode(taken, rewards, args.gamma))
            steps += len(rewards)
        loss = torch.stack(losses).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step} loss {loss.item():.6f} episode {steps / args.episodes:.2f}")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
