"""A word-level language model: an LSTM over the words of a text.

    python word_lstm.py [--text FILE]            # with PyTorch
    rushlight run word_lstm.py [--text FILE]     # with rushlight

Without --text it reads its own source.
"""

import argparse
import re

import torch
import torch.nn as nn


class Corpus:
    """The words of a file, numbered in the order in which they first appear."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            words = re.findall(r"\w+|[^\w\s]|\n", file.read())
        self.number = {}
        for word in words:
            self.number.setdefault(word, len(self.number))
        self.ids = torch.tensor([self.number[word] for word in words]).type(torch.int64)

    def __len__(self):
        return len(self.number)


class RNNModel(nn.Module):
    def __init__(self, words, width, layers, dropout, tied):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(words, width)
        self.rnn = nn.LSTM(width, width, layers, dropout=dropout)
        self.decoder = nn.Linear(width, words)
        if tied:
            self.decoder.weight = self.encoder.weight
        self.layers, self.width = layers, width
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, input, hidden):
        embedded = self.drop(self.encoder(input))
        output, hidden = self.rnn(embedded, hidden)
        decoded = self.decoder(self.drop(output))
        return decoded.view(-1, decoded.size(-1)), hidden

    def init_hidden(self, batch):
        weight = next(self.parameters())
        return (
            weight.new_zeros(self.layers, batch, self.width),
            weight.new_zeros(self.layers, batch, self.width),
        )


def batchify(data, batch):
    """Cut a sequence into `batch` columns of equal length."""
    length = data.size(0) // batch
    return data.narrow(0, 0, length * batch).view(batch, -1).t().contiguous()


def repackage_hidden(h):
    """The same states, detached from the steps that made them."""
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", default=__file__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--bptt", type=int, default=16)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--lr", type=float, default=5.0)
    parser.add_argument("--clip", type=float, default=0.25)
    parser.add_argument("--untied", action="store_true", help="do not share encoder and decoder")
    parser.add_argument("--seed", type=int, default=1111)
    parser.add_argument("--save", help="where to keep the trained weights")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    corpus = Corpus(args.text)
    data = batchify(corpus.ids, args.batch)
    model = RNNModel(len(corpus), args.width, args.layers, args.dropout, not args.untied)
    criterion = nn.CrossEntropyLoss()
    model.train()
    step = 0
    while step < args.steps:
        hidden = model.init_hidden(args.batch)
        for start in range(0, data.size(0) - 1, args.bptt):
            length = min(args.bptt, data.size(0) - 1 - start)
            inputs = data[start : start + length]
            targets = data[start + 1 : start + 1 + length].view(-1)
            model.zero_grad()
            hidden = repackage_hidden(hidden)
            output, hidden = model(inputs, hidden)
            loss = criterion(output, targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
            for p in model.parameters():
                p.data.add_(p.grad, alpha=-args.lr)
            print(f"step {step} loss {loss.item():.6f}")
            step += 1
            if step == args.steps:
                break
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
