"""Batches of sequences of different lengths: padded, and packed without the padding.

In: a list of sequences, or a padded batch with lengths. Out: a `PackedSequence`, which holds the
rows of all sequences step by step: first every sequence's step 0, then step 1, ...
Invariant: packed sequences are sorted, longest first, so that a step's rows are a prefix.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Self

import rushlight
from rushlight import Tensor


class PackedSequence_(NamedTuple):
    """The four fields of a `PackedSequence`."""

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(PackedSequence_):
    """Rows of many sequences, step by step.

    Fields: `data` (rows), `batch_sizes` (how many sequences have a step 0, 1, ...),
    `sorted_indices` (which sequence stands at each place; None if they were sorted already) and
    `unsorted_indices` (the inverse). Follows `torch.nn.utils.rnn.PackedSequence`.

    >>> import rushlight as rl
    >>> rl.nn.utils.rnn.pack_sequence([rl.tensor([1, 2]), rl.tensor([3])]).batch_sizes
    tensor([2, 1])
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> Self:
        if batch_sizes is None:
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move and/or convert `data`; the indices follow it to its device."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        moved = [
            None if indices is None else indices.to(data.device)
            for indices in (self.sorted_indices, self.unsorted_indices)
        ]
        return type(self)(data, self.batch_sizes, *moved)

    def cpu(self, *args: Any, **kwargs: Any) -> Self:
        """Move to the CPU."""
        return self.to(*args, device="cpu", **kwargs)

    def cuda(self, *args: Any, **kwargs: Any) -> Self:
        """Move to a GPU: the first, or the one that is named."""
        if args or "device" in kwargs:
            return self.to(*args, **kwargs)
        return self.to(device="cuda", **kwargs)

    def pin_memory(self) -> Self:
        """A copy in memory that a GPU reads directly."""
        moved = [None if x is None else x.pin_memory() for x in self]
        return type(self)(*moved)

    def is_pinned(self) -> bool:
        """Whether the rows are in memory that a GPU reads directly."""
        return self.data.is_pinned()

    def double(self) -> Self:
        """Convert the rows to float64."""
        return self.to(rushlight.float64)

    def float(self) -> Self:
        """Convert the rows to float32."""
        return self.to(rushlight.float32)

    def half(self) -> Self:
        """Convert the rows to float16."""
        return self.to(rushlight.float16)

    def long(self) -> Self:
        """Convert the rows to int64."""
        return self.to(rushlight.int64)

    def int(self) -> Self:
        """Convert the rows to int32."""
        return self.to(rushlight.int32)

    def short(self) -> Self:
        """Convert the rows to int16."""
        return self.to(rushlight.int16)

    def char(self) -> Self:
        """Convert the rows to int8."""
        return self.to(rushlight.int8)

    def byte(self) -> Self:
        """Convert the rows to uint8."""
        return self.to(rushlight.uint8)

    @property
    def is_cuda(self) -> bool:
        """Whether the rows are on a GPU."""
        return self.data.is_cuda


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes `permutation`.

    >>> import rushlight as rl
    >>> rl.nn.utils.rnn.invert_permutation(rl.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    places = rushlight.arange(permutation.numel(), device=permutation.device)
    return rushlight.empty_like(permutation).scatter_(0, permutation, places)


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Pack a padded batch (T, N, *), or (N, T, *) with `batch_first`.

    Errors: RuntimeError if `enforce_sorted` and the lengths increase, or one is not positive.
    Follows `torch.nn.utils.rnn.pack_padded_sequence`.

    >>> import rushlight as rl
    >>> padded = rl.tensor([[1, 2], [3, 0]])
    >>> rl.nn.utils.rnn.pack_padded_sequence(padded, [2, 1], batch_first=True).data
    tensor([1, 3, 2])
    """
    lengths = rushlight.as_tensor(lengths, dtype=rushlight.int64)
    order = None
    if not enforce_sorted:
        lengths, order = lengths.sort(descending=True, stable=True)
        input = input.index_select(0 if batch_first else 1, order.to(input.device))
    steps = input.transpose(0, 1) if batch_first else input
    counts = lengths.tolist()
    _check_lengths(counts, steps)
    sizes = [sum(length > step for length in counts) for step in range(counts[0])]
    rows = [steps[step, :size] for step, size in enumerate(sizes)]
    batch_sizes = rushlight.tensor(sizes, dtype=rushlight.int64)
    return PackedSequence(rushlight.cat(rows), batch_sizes, order, None)


def _check_lengths(counts: list[int], steps: Tensor) -> None:
    if len(counts) != steps.size(1):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(counts)} "
            f"(batch_size={steps.size(1)})"
        )
    if not counts or counts[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    if any(later > earlier for earlier, later in pairwise(counts)):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You "
            "can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement if you do not need ONNX exportability."
        )
    if counts[0] > steps.size(0):
        raise RuntimeError(
            f"Expected lengths of at most {steps.size(0)} (the padded length), got {counts[0]}"
        )


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(padded batch, lengths): the inverse of `pack_padded_sequence`.

    Follows `torch.nn.utils.rnn.pad_packed_sequence`.

    >>> import rushlight as rl
    >>> packed = rl.nn.utils.rnn.pack_sequence([rl.tensor([1, 2]), rl.tensor([3])])
    >>> rl.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]
    tensor([[1, 2],
            [3, 0]])
    """
    sizes = sequence.batch_sizes.tolist()
    longest = len(sizes)
    if total_length is not None and total_length < longest:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but "
            f"got total_length={total_length} and max sequence length being {longest}"
        )
    steps = total_length or longest
    batch = sizes[0]
    lengths = rushlight.tensor(
        [sum(size > place for size in sizes) for place in range(batch)], dtype=rushlight.int64
    )
    # Row (step, place) of the result is row `offset[step] + place` of the data, where it exists.
    offsets = [sum(sizes[:step]) for step in range(longest)]
    index = [
        offsets[step] + place if step < longest and place < sizes[step] else -1
        for step in range(steps)
        for place in range(batch)
    ]
    where = rushlight.tensor(index, dtype=rushlight.int64, device=sequence.data.device)
    rows = sequence.data.index_select(0, where.clamp(min=0))
    missing = (where < 0).reshape(-1, *[1] * (rows.dim() - 1))
    padded = rows.masked_fill(missing, padding_value).unflatten(0, (steps, batch))
    padded = padded.transpose(0, 1) if batch_first else padded
    order = sequence.unsorted_indices
    if order is not None:
        return padded.index_select(0 if batch_first else 1, order), lengths[order.cpu()]
    return padded, lengths


def pad_sequence(
    sequences: Tensor | Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stack sequences (L_i, *) into (T, N, *), or (N, T, *), T the longest length.

    Follows `torch.nn.utils.rnn.pad_sequence`.

    >>> import rushlight as rl
    >>> rl.nn.utils.rnn.pad_sequence([rl.tensor([1, 2]), rl.tensor([3])], batch_first=True)
    tensor([[1, 2],
            [3, 0]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    rows = list(sequences)
    if not rows:
        raise RuntimeError("received an empty list of sequences")
    longest = max(row.size(0) for row in rows)
    padded = []
    for row in rows:
        missing = longest - row.size(0)
        ends = (missing, 0) if padding_side == "left" else (0, missing)
        lengths = (0, 0) * (row.dim() - 1) + ends
        padded.append(rushlight.nn.functional.pad(row, lengths, "constant", padding_value))
    return rushlight.stack(padded, 0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """The sequences of a padded batch, each at its own length.

    Follows `torch.nn.utils.rnn.unpad_sequence`.

    >>> import rushlight as rl
    >>> padded = rl.tensor([[1, 2], [3, 0]])
    >>> rl.nn.utils.rnn.unpad_sequence(padded, rl.tensor([2, 1]), batch_first=True)
    [tensor([1, 2]), tensor([3])]
    """
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[:length] for row, length in zip(rows.unbind(0), lengths.tolist(), strict=True)]


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack a list of sequences (L_i, *). Follows `torch.nn.utils.rnn.pack_sequence`.

    >>> import rushlight as rl
    >>> rl.nn.utils.rnn.pack_sequence([rl.tensor([1, 2]), rl.tensor([3])]).data
    tensor([1, 3, 2])
    """
    lengths = [sequence.size(0) for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a `PackedSequence`. Follows `torch.nn.utils.rnn.unpack_sequence`.

    >>> import rushlight as rl
    >>> packed = rl.nn.utils.rnn.pack_sequence([rl.tensor([1, 2]), rl.tensor([3])])
    >>> rl.nn.utils.rnn.unpack_sequence(packed)
    [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
