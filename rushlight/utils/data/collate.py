"""From a list of samples to a batch, after `torch.utils.data.default_collate`.

In: a list of samples of one structure: tensors, arrays, numbers, strings, and containers of these.
Out: the same structure with a batch axis in front of every tensor; strings stay lists.
Invariant: ready values are stacked by NumPy in one pass, so that collating records no operations
and needs no engine, in the main process as in a worker; only what autograd has to see, and dtypes
that NumPy lacks, are stacked by the engine.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import TYPE_CHECKING, Any

import numpy

import rushlight

if TYPE_CHECKING:
    from rushlight import Tensor

Table = Mapping[Any, Callable[..., Any]]

# NumPy's one-letter kinds for which there is no tensor: text, bytes and Python objects.
_KINDS_WITHOUT_TENSOR = "SUO"


def default_convert(data: Any) -> Any:
    """Arrays and NumPy numbers to tensors, inside any nesting of containers; the rest stays.

    What a `DataLoader` without batching applies to every item (`torch.utils.data.default_convert`).

    >>> import numpy
    >>> default_convert({"x": numpy.ones(2), "name": "a"})["x"].shape
    torch.Size([2])
    """
    if isinstance(data, rushlight.Tensor):
        return data
    if isinstance(data, (numpy.ndarray, numpy.generic)):
        return data if data.dtype.kind in _KINDS_WITHOUT_TENSOR else rushlight.as_tensor(data)
    if isinstance(data, Mapping):
        return _same_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, tuple):
        return [default_convert(each) for each in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _same_sequence(data, [default_convert(each) for each in data])
    return data


def collate(batch: Sequence[Any], *, collate_fn_map: Table | None = None) -> Any:
    """Join samples: a function from `collate_fn_map` by type, otherwise container by container.

    Errors: RuntimeError for sequences of different lengths, TypeError for a type nobody can join.
    """
    sample = batch[0]
    join = _lookup(sample, collate_fn_map or {})
    if join is not None:
        return join(batch, collate_fn_map=collate_fn_map)

    def each(samples: Sequence[Any]) -> Any:
        return collate(samples, collate_fn_map=collate_fn_map)

    if isinstance(sample, Mapping):
        return _same_mapping(sample, {key: each([one[key] for one in batch]) for key in sample})
    if not isinstance(sample, Sequence):
        raise _cannot_collate(type(sample))
    lengths = {len(one) for one in batch}
    if len(lengths) > 1:
        raise RuntimeError(
            "each element in list of batch should be of equal size, "
            f"but got sizes {sorted(lengths)}"
        )
    columns = [each(column) for column in zip(*batch, strict=True)]
    if isinstance(sample, tuple):
        return type(sample)(*columns) if hasattr(sample, "_fields") else columns
    return _same_sequence(sample, columns)


def _lookup(sample: Any, table: Table) -> Callable[..., Any] | None:
    if type(sample) in table:
        return table[type(sample)]
    return next((join for kind, join in table.items() if isinstance(sample, kind)), None)


def _cannot_collate(found: Any) -> TypeError:
    return TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {found}"
    )


def _same_mapping(model: Mapping[Any, Any], values: dict[Any, Any]) -> Any:
    """`values` in a mapping of the model's type if it can be made, else as a dictionary."""
    try:
        if isinstance(model, MutableMapping):
            clone = copy.copy(model)
            clone.update(values)
            return clone
        return type(model)(values)  # type: ignore[call-arg]
    except TypeError:
        return values


def _same_sequence(model: Sequence[Any], values: list[Any]) -> Any:
    """`values` in a sequence of the model's type if it can be made, else as a list."""
    try:
        if isinstance(model, MutableSequence):
            clone = copy.copy(model)
            for index, value in enumerate(values):
                clone[index] = value
            return clone
        return type(model)(values)  # type: ignore[call-arg]
    except TypeError:
        return values


def memory_of(tensor: Tensor) -> numpy.ndarray:
    """The memory of a tensor on the CPU as an array of its shape, bfloat16 as the bits of int16.

    While the array lives the engine sees the memory as shared; let go of it soon.
    """
    plain = tensor.view(rushlight.int16) if tensor.dtype == rushlight.bfloat16 else tensor
    array: numpy.ndarray = plain.numpy()
    return array


def _stack(arrays: Sequence[numpy.ndarray], dtype: Any) -> Tensor:
    """Equal arrays one behind the other in memory that belongs to the engine."""
    result: Tensor = rushlight.empty((len(arrays), *arrays[0].shape), dtype=dtype)
    numpy.stack(arrays, out=memory_of(result))
    return result


def collate_tensor_fn(batch: Sequence[Any], *, collate_fn_map: Table | None = None) -> Any:
    """Tensors of one shape and dtype -> one tensor with a batch axis in front."""
    first = batch[0]
    ready = all(
        tensor.device.type == "cpu"
        and not tensor.requires_grad
        and tensor.dtype == first.dtype
        and tensor.shape == first.shape
        for tensor in batch
    )
    if not ready:
        return rushlight.stack(list(batch), 0)
    return _stack([memory_of(tensor) for tensor in batch], first.dtype)


def collate_numpy_array_fn(batch: Sequence[Any], *, collate_fn_map: Table | None = None) -> Any:
    """Arrays of one shape -> one tensor with a batch axis in front."""
    first = batch[0]
    if first.dtype.kind in _KINDS_WITHOUT_TENSOR:
        raise _cannot_collate(first.dtype)
    shapes = {array.shape for array in batch}
    if len(shapes) > 1:
        raise RuntimeError(
            f"stack expects each array to be equal size, but got the shapes {sorted(shapes)}"
        )
    return _stack(batch, rushlight.from_numpy(first.reshape(-1)[:0]).dtype)


def collate_numpy_scalar_fn(batch: Sequence[Any], *, collate_fn_map: Table | None = None) -> Any:
    """NumPy numbers -> one tensor of their dtype."""
    return rushlight.tensor(numpy.asarray(batch))


def collate_float_fn(batch: Sequence[Any], *, collate_fn_map: Table | None = None) -> Any:
    """Python floats -> a float64 tensor."""
    return rushlight.tensor(batch, dtype=rushlight.float64)


def collate_int_fn(batch: Sequence[Any], *, collate_fn_map: Table | None = None) -> Any:
    """Python ints -> an int64 tensor, bools -> a bool tensor."""
    return rushlight.tensor(batch)


def collate_str_fn(batch: Sequence[Any], *, collate_fn_map: Table | None = None) -> Any:
    """Text stays a list."""
    return batch


default_collate_fn_map: dict[Any, Callable[..., Any]] = {
    rushlight.Tensor: collate_tensor_fn,
    numpy.ndarray: collate_numpy_array_fn,
    (numpy.bool_, numpy.number, numpy.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def default_collate(batch: Sequence[Any]) -> Any:
    """Join samples into a batch (`torch.utils.data.default_collate`).

    Tensors, arrays and numbers are stacked; strings stay a list; mappings, named tuples and
    sequences are joined field by field, tuples giving lists.
    Errors: TypeError for other types, RuntimeError for sizes that differ.

    >>> default_collate([(1, "a"), (2, "b")])
    [tensor([1, 2]), ('a', 'b')]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)
