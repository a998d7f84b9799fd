"""A graph convolution network finds the communities of a graph from a few labelled nodes.

    python gcn.py              # with PyTorch
    rushlight run gcn.py       # with rushlight

Kipf and Welling, Semi-Supervised Classification with Graph Convolutional Networks, 2017.
"""

import argparse
import math

import torch
import torch.nn.functional as F
from torch import nn, optim


class GraphConv(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.kernel = nn.Parameter(torch.Tensor(before, after))
        self.bias = nn.Parameter(torch.zeros(after))
        bound = math.sqrt(6 / (before + after))
        self.kernel.data.uniform_(-bound, bound)

    def forward(self, x, edges, weights):
        x = torch.mm(x, self.kernel)
        source, target = edges
        gathered = x.index_select(0, source) * weights.unsqueeze(1)
        return torch.zeros_like(x).index_add(0, target, gathered) + self.bias


class GCN(nn.Module):
    def __init__(self, features, width, classes, dropout):
        super().__init__()
        self.gc1 = GraphConv(features, width)
        self.gc2 = GraphConv(width, classes)
        self.dropout = dropout

    def forward(self, x, edges, weights):
        x = F.relu(self.gc1(x, edges, weights))
        x = F.dropout(x, self.dropout, training=self.training)
        return F.log_softmax(self.gc2(x, edges, weights), dim=1)


def community_graph(nodes, classes, features):
    """Labels, edges both ways and to oneself, and features that say a little about the label."""
    labels = torch.arange(nodes) % classes
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    chance = torch.where(same, torch.tensor(0.15), torch.tensor(0.01))
    upper = torch.triu(torch.rand(nodes, nodes) < chance, diagonal=1)
    joined = upper | upper.t() | torch.eye(nodes, dtype=torch.bool)
    hints = F.one_hot(labels, features).float()
    return labels, joined.nonzero(as_tuple=True), hints + torch.randn(nodes, features)


def normalised(edges, nodes):
    """1 / sqrt(degree of source times degree of target), for each edge."""
    degree = torch.bincount(edges[0], minlength=nodes).float()
    scale = degree.pow(-0.5)
    return scale[edges[0]] * scale[edges[1]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--nodes", type=int, default=240)
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--l2", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--save", help="where to keep the trained weights")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    labels, edges, x = community_graph(args.nodes, args.classes, args.features)
    weights = normalised(edges, args.nodes)
    order = torch.randperm(args.nodes)
    known, hidden = order[: args.nodes // 4], order[args.nodes // 4 :]
    model = GCN(args.features, args.width, args.classes, args.dropout)
    optimizer = optim.Adam(model.parameters(), lr=args.lr, weight_decay=args.l2)
    criterion = nn.NLLLoss()
    for step in range(args.steps):
        model.train()
        optimizer.zero_grad()
        loss = criterion(model(x, edges, weights)[known], labels[known])
        loss.backward()
        optimizer.step()
        print(f"step {step} loss {loss.item():.6f}")
    model.eval()
    with torch.no_grad():
        right = (model(x, edges, weights)[hidden].argmax(1) == labels[hidden]).float().mean()
    print(f"right for {right.item():.1%} of the nodes whose label was hidden")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
