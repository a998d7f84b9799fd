"""vmap: a function of one example made a function of many.

In: a function, and which dimensions of its arguments count the examples. Out: a function whose
results have such a dimension too. Invariant: the function runs once; the dimension is hidden in the
layouts of the tensors it gets (tensor/batching.py), so every operation works on all examples.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ..autograd.function import VmapInfo
from ..autograd.modes import MODE
from ..base.layout import normalize_axis
from ..base.pytree import TreeSpec, broadcast_prefix, tree_flatten, tree_unflatten
from ..ops import core
from .batching import Level, hide, show
from .composed_views import movedim
from .tensor import Tensor

RANDOMNESS = ("error", "different", "same")


def vmap(
    func: Callable,
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable:
    """func for each example along a dimension of its arguments, as `torch.func.vmap`.

    in_dims: for each positional argument (nested as they are) the dimension that counts the
    examples, or None for what all share; out_dims: where the results have it. randomness:
    "different" draws for each example, "same" once for all, "error" refuses to draw. chunk_size: at
    most so many examples at a time. Keyword arguments are shared.

    ValueError: no tensors, dimensions that do not exist or differ in extent, results that are no
    tensors. Nested calls and any mix with `grad`, `jvp` and the tape are fine.

    >>> import rushlight as rl
    >>> rl.vmap(rl.dot)(rl.tensor([[1., 2.], [3., 4.]]), rl.tensor([[1., 1.], [1., 0.]]))
    tensor([3., 3.])
    """
    if randomness not in RANDOMNESS:
        raise RuntimeError(
            "Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}"
        )
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        leaves, dims, spec = _mapped_leaves(func, in_dims, args)
        extent = _extent(func, leaves, dims)
        call = _Call(func, spec, out_dims, randomness, kwargs)
        if chunk_size is None or chunk_size >= extent:
            return call.run(leaves, dims, extent)
        return call.run_in_chunks(leaves, dims, extent, chunk_size)

    return wrapped


def _name(func: Callable) -> str:
    return getattr(func, "__name__", repr(func))


def _mapped_leaves(func: Callable, in_dims: Any, args: tuple) -> tuple[list, list, TreeSpec]:
    """The leaves of the arguments, the dimension of each (or None), and their nesting."""
    title = f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>)"
    if not isinstance(in_dims, (int, tuple, list)):
        raise ValueError(
            f"{title}: expected `in_dims` to be int or a (potentially nested) tuple matching the "
            f"structure of inputs, got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"{title}: got no inputs. Maybe you forgot to add inputs, or you are trying to vmap "
            "over a function with no inputs. The latter is unsupported."
        )
    leaves, spec = tree_flatten(args)
    dims = broadcast_prefix(in_dims if isinstance(in_dims, int) else tuple(in_dims), spec)
    if dims is None:
        raise ValueError(
            f"{title}: in_dims is not compatible with the structure of inputs. in_dims has "
            f"structure {tree_flatten(in_dims)[1]} but inputs has structure {spec}."
        )
    for k, (leaf, dim) in enumerate(zip(leaves, dims)):
        if dim is None:
            continue
        if not isinstance(dim, int):
            raise ValueError(
                f"{title}: Got in_dim={dim} for an input but in_dim must be either an integer "
                "dimension or None."
            )
        if not isinstance(leaf, Tensor):
            raise ValueError(
                f"{title}: Got in_dim={dim} for an input but the input is of type {type(leaf)}. We "
                "cannot vmap over non-Tensor arguments, please use None as the respective in_dim"
            )
        if not -leaf.ndim <= dim < leaf.ndim:
            raise ValueError(
                f"{title}: Got in_dim={dim} for some input, but that input is a Tensor of "
                f"dimensionality {leaf.ndim} so expected in_dim to satisfy -{leaf.ndim} <= in_dim "
                f"< {leaf.ndim}."
            )
        dims[k] = normalize_axis(dim, leaf.ndim)
    return leaves, dims, spec


def _extent(func: Callable, leaves: list, dims: list) -> int:
    """How many examples there are; ValueError where the arguments disagree, or none counts them."""
    extents = [x.shape[d] for x, d in zip(leaves, dims) if d is not None]
    if not extents:
        raise ValueError(
            f"vmap({_name(func)}, in_dims, ...)(<inputs>): at least one input should be mapped "
            "over: all in_dims are None."
        )
    if any(n != extents[0] for n in extents):
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{extents} for the mapped dimension"
        )
    return extents[0]


class _Call:
    """One call of a mapped function."""

    def __init__(
        self, func: Callable, spec: TreeSpec, out_dims: Any, randomness: str, kwargs: dict
    ) -> None:
        self.func = func
        self.spec = spec
        self.out_dims = out_dims
        self.randomness = randomness
        self.kwargs = kwargs

    def run(self, leaves: list, dims: list, extent: int) -> Any:
        """All examples at once."""
        outputs, places, spec = self._outputs(leaves, dims, extent)
        moved = [x if d is None else movedim(x, 0, d) for x, d in zip(outputs, places)]
        return tree_unflatten(moved, spec)

    def run_in_chunks(self, leaves: list, dims: list, extent: int, size: int) -> Any:
        """At most `size` examples at a time, results joined."""
        parts = []
        for start in range(0, extent, size):
            count = min(size, extent - start)
            some = [x if d is None else x.narrow(d, start, count) for x, d in zip(leaves, dims)]
            outputs, places, spec = self._outputs(some, dims, count)
            parts.append(outputs)
        joined = [
            each[0] if d is None else movedim(core.cat(list(each), 0), 0, d)
            for each, d in zip(zip(*parts), places)
        ]
        return tree_unflatten(joined, spec)

    def _outputs(self, leaves: list, dims: list, extent: int) -> tuple[list, list, TreeSpec]:
        """The results with the examples counted by dimension 0, where each is to have it, and
        their nesting.
        """
        with Level(extent, self.randomness) as level:
            hidden = [
                x if d is None else hide(movedim(x, d, 0), [level]) for x, d in zip(leaves, dims)
            ]
            results = self.func(*tree_unflatten(hidden, self.spec), **self.kwargs)
        outputs, spec = tree_flatten(results)
        places = broadcast_prefix(self.out_dims, spec)
        title = f"vmap({_name(self.func)}, ..., out_dims={self.out_dims})"
        if places is None:
            raise ValueError(
                f"{title}: out_dims is not compatible with the structure of `outputs`. out_dims "
                f"has structure {tree_flatten(self.out_dims)[1]} but outputs has structure {spec}."
            )
        found = []
        for k, (x, place) in enumerate(zip(outputs, places)):
            if not isinstance(x, Tensor):
                raise ValueError(
                    f"{title}: `{_name(self.func)}` must only return Tensors, got type {type(x)}. "
                    "Did you mean to set out_dims= to None for output?"
                )
            varies = any(axis[0] == level.number for axis in x._layout.batch)
            if place is None and varies:
                raise ValueError(
                    f"{title}: `{_name(self.func)}` can not return a BatchedTensor when out_dim is "
                    "None"
                )
            if place is not None:
                x = show(x, [level])
                places[k] = normalize_axis(place, x.ndim)
            found.append(x)
        return found, places, spec


def map_function(owner: Any, level: Level, args: tuple) -> Any:
    """A user's Function inside a vmap, by its `vmap` static method: it gets the tensors with the
    examples in dimension 0, outside of that vmap.
    """
    varies = [
        isinstance(x, Tensor) and any(axis[0] == level.number for axis in x._layout.batch)
        for x in args
    ]
    shown = [show(x, [level]) if v else x for x, v in zip(args, varies)]
    in_dims = tuple(0 if v else None for v in varies)
    outer, MODE.levels = MODE.levels, tuple(each for each in MODE.levels if each is not level)
    try:
        made = owner.vmap(VmapInfo(level.extent, level.randomness), in_dims, *shown)
    finally:
        MODE.levels = outer
    if not (isinstance(made, tuple) and len(made) == 2):
        raise RuntimeError(
            f"Expected the vmap staticmethod of {owner.__name__} to return (outputs, out_dims), "
            f"got {type(made)}"
        )
    leaves, spec = tree_flatten(made[0])
    places = broadcast_prefix(made[1], spec)
    if places is None:
        raise ValueError(
            f"{owner.__name__}.vmap: out_dims {made[1]} is not compatible with the structure of "
            "the outputs"
        )
    hidden = [x if d is None else hide(movedim(x, d, 0), [level]) for x, d in zip(leaves, places)]
    return tree_unflatten(hidden, spec)
