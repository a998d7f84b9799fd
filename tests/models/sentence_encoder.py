"""A sentence encoder in plain PyTorch: BERT with mean pooling, for the weights of all-MiniLM-L6-v2.

In: a folder with `config.json`, `vocab.txt` and `model.safetensors`. Out: one unit vector per
sentence. Written after Devlin et al. 2018 (arXiv:1810.04805) and Reimers and Gurevych 2019
(arXiv:1908.10084); parameter names are those of the published file.

    python sentence_encoder.py FOLDER OUT.npy SENTENCE ...       (needs `import torch`)
"""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Embeddings(nn.Module):
    """Words, positions and the one kind of text, added and normalised."""

    def __init__(self, config: dict) -> None:
        super().__init__()
        width = config["hidden_size"]
        self.word_embeddings = nn.Embedding(config["vocab_size"], width)
        self.position_embeddings = nn.Embedding(config["max_position_embeddings"], width)
        self.token_type_embeddings = nn.Embedding(config["type_vocab_size"], width)
        self.LayerNorm = nn.LayerNorm(width, eps=config["layer_norm_eps"])

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(words.shape[1], device=words.device)
        x = self.word_embeddings(words) + self.position_embeddings(positions)
        return self.LayerNorm(x + self.token_type_embeddings(torch.zeros_like(words)))


class Output(nn.Module):
    """A linear map back to the width of the text, added to it and normalised."""

    def __init__(self, features: int, width: int, epsilon: float) -> None:
        super().__init__()
        self.dense = nn.Linear(features, width)
        self.LayerNorm = nn.LayerNorm(width, eps=epsilon)

    def forward(self, x: torch.Tensor, shortcut: torch.Tensor) -> torch.Tensor:
        return self.LayerNorm(self.dense(x) + shortcut)


class Attention(nn.Module):
    """Self-attention in which padding is not seen."""

    def __init__(self, config: dict) -> None:
        super().__init__()
        width, self.heads = config["hidden_size"], config["num_attention_heads"]
        self.self = nn.ModuleDict({n: nn.Linear(width, width) for n in ("query", "key", "value")})
        self.output = Output(width, width, config["layer_norm_eps"])

    def forward(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        q, k, v = (
            self.self[name](x).view(batch, length, self.heads, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None, None, :])
        return self.output(mixed.transpose(1, 2).reshape(batch, length, width), x)


class Layer(nn.Module):
    """Attention, then two linear maps with GELU between them."""

    def __init__(self, config: dict) -> None:
        super().__init__()
        width, hidden = config["hidden_size"], config["intermediate_size"]
        self.attention = Attention(config)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, hidden)})
        self.output = Output(hidden, width, config["layer_norm_eps"])

    def forward(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        x = self.attention(x, seen)
        return self.output(functional.gelu(self.intermediate["dense"](x)), x)


class SentenceEncoder(nn.Module):
    """The mean of the last layer over the words, as a unit vector."""

    def __init__(self, config: dict) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.encoder = nn.ModuleDict({"layer": layers})

    def forward(self, words: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        x = self.embeddings(words)
        for layer in self.encoder["layer"]:
            x = layer(x, seen)
        weight = seen.unsqueeze(-1).to(x.dtype)
        return functional.normalize((x * weight).sum(1) / weight.sum(1), dim=1)


class Tokenizer:
    """WordPiece: lower case without accents, split at spaces and marks, longest piece first."""

    def __init__(self, vocabulary: Path) -> None:
        lines = vocabulary.read_text(encoding="utf-8").splitlines()
        self.ids = {piece: index for index, piece in enumerate(lines)}

    def words(self, text: str) -> list[str]:
        plain = unicodedata.normalize("NFD", text.lower())
        spaced = ""
        for letter in plain:
            kind = unicodedata.category(letter)
            if kind != "Mn":
                spaced += f" {letter} " if kind[0] in "PS" else letter
        return spaced.split()

    def pieces(self, word: str) -> list[int]:
        found, start = [], 0
        while start < len(word):
            mark = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((e for e in ends if mark + word[start:e] in self.ids), None)
            if end is None:
                return [self.ids["[UNK]"]]
            found.append(self.ids[mark + word[start:end]])
            start = end
        return found

    def __call__(self, sentences: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        rows = []
        for sentence in sentences:
            inner = [piece for word in self.words(sentence) for piece in self.pieces(word)]
            rows.append([self.ids["[CLS]"], *inner, self.ids["[SEP]"]])
        length = max(map(len, rows))
        padded = [row + [self.ids["[PAD]"]] * (length - len(row)) for row in rows]
        words = torch.tensor(padded)
        return words, torch.tensor([[k < len(row) for k in range(length)] for row in rows])


def load(folder: Path) -> tuple[SentenceEncoder, Tokenizer]:
    """The encoder with the folder's weights, and its tokenizer."""
    from safetensors.torch import load_file

    model = SentenceEncoder(json.loads((folder / "config.json").read_text()))
    state = load_file(folder / "model.safetensors")
    unused = {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}
    model.load_state_dict({k: v for k, v in state.items() if k not in unused})
    return model.eval(), Tokenizer(folder / "vocab.txt")


def main() -> None:
    """Encode the sentences of the command line."""
    folder, out, *sentences = sys.argv[1:]
    model, tokenizer = load(Path(folder))
    with torch.no_grad():
        np.save(out, model(*tokenizer(sentences)).numpy())


if __name__ == "__main__":
    main()
