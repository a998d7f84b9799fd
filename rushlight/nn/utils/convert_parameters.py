"""All parameters as one vector, and back.

In: parameters of one device. Out: a 1-d tensor of all their elements, in order.
Invariant: `vector_to_parameters(parameters_to_vector(ps), ps)` changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

import rushlight
from rushlight import Tensor


def _one_device(parameters: list[Tensor]) -> None:
    if len({str(parameter.device) for parameter in parameters}) > 1:
        raise TypeError(
            "Found two parameters on different devices, this is currently not supported."
        )


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters one after the other.

    Follows `torch.nn.utils.parameters_to_vector`.

    >>> import rushlight as rl
    >>> rl.nn.utils.parameters_to_vector([rl.ones(2), rl.zeros(1)])
    tensor([1., 1., 0.])
    """
    parameters = list(parameters)
    _one_device(parameters)
    return rushlight.cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Give every parameter its part of `vec` as new data.

    Follows `torch.nn.utils.vector_to_parameters`.

    >>> import rushlight as rl
    >>> weight = rl.nn.Parameter(rl.zeros(2))
    >>> rl.nn.utils.vector_to_parameters(rl.tensor([1.0, 2.0]), [weight])
    >>> weight.tolist()
    [1.0, 2.0]
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {rushlight.typename(vec)}")
    parameters = list(parameters)
    _one_device(parameters)
    begin = 0
    for parameter in parameters:
        count = parameter.numel()
        parameter.data = vec[begin : begin + count].view_as(parameter).data
        begin += count
