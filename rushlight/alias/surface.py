"""How much of a counted list of torch names resolves: `python -m rushlight.alias.surface FILE.tsv`.

In: a table with the columns symbol, packages, uses. Out: the share of uses and of distinct symbols
that are there, and the missing ones by weight. Invariant: only whether a name can be reached is
measured here; that it does what it should is the tests' affair.
"""

from __future__ import annotations

import csv
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from .scan import judge

# Not counted: what exists for other hardware alone, and the insides of PyTorch's own compilers.
LEFT_OUT = {
    "other hardware": r"torch\.(npu|mlu|musa|hpu|neuron|xpu)\b"
    r"|torch\.cuda\.(Stream|CUDAGraph|Event|graph|get_device_\w+|mem_get_info|set_device)\b",
    "fx": r"torch\.fx\b",
    "quantisation": r"torch\.(ao|quantization|qint|quint|per_)|\.dequantize$",
    "jit and dynamo internals": r"torch\._C\._jit|torch\._(dynamo|inductor|functorch|export)\b"
    r"|torch\.jit\.(_|frontend)",
}


@dataclass(frozen=True)
class Symbol:
    """A row of the table."""

    name: str
    packages: int
    uses: int


@dataclass(frozen=True)
class Share:
    """What was found: symbols and uses, there and in all."""

    symbols: tuple[int, int]
    uses: tuple[int, int]
    missing: tuple[Symbol, ...]


def read(path: Path) -> list[Symbol]:
    """The rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return [Symbol(r["symbol"], int(r["packages"]), int(r["uses"])) for r in rows]


def reason_left_out(name: str) -> str | None:
    """Why a name does not count; None where it does."""
    for reason, pattern in LEFT_OUT.items():
        if re.match(pattern, name) or re.search(pattern, name):
            return reason
    return None


def measure(symbols: list[Symbol], at_least: int = 2) -> Share:
    """Look up the symbols that `at_least` packages use and that count."""
    counted = [s for s in symbols if s.packages >= at_least and not reason_left_out(s.name)]
    missing = tuple(symbol for symbol in counted if not judge(symbol.name).present)
    total = sum(symbol.uses for symbol in counted)
    return Share(
        (len(counted) - len(missing), len(counted)),
        (total - sum(symbol.uses for symbol in missing), total),
        tuple(sorted(missing, key=lambda symbol: -symbol.uses)),
    )


def main(words: list[str]) -> int:
    """Print the shares and what is missing."""
    if len(words) != 1:
        print("usage: python -m rushlight.alias.surface FILE.tsv", file=sys.stderr)
        return 2
    share = measure(read(Path(words[0])))
    for name, (there, total) in (("uses", share.uses), ("symbols", share.symbols)):
        print(f"{name}: {there} of {total} ({there / total:.2%})")
    for symbol in share.missing:
        print(f"  missing {symbol.name}: {symbol.uses} uses in {symbol.packages} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
