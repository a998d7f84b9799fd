"""Folding a batch normalisation into the layer before it, for inference.

In: a convolution or linear layer and a batch normalisation, both in evaluation mode. Out: one
layer that computes both.
Invariant: the inputs are not changed.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import rushlight
from rushlight import Tensor
from rushlight.nn.parameter import Parameter


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """One convolution that computes bn(conv(x)). Follows `torch.nn.utils.fuse_conv_bn_eval`.

    >>> import rushlight as rl
    >>> conv, norm = rl.nn.Conv2d(3, 4, 3).eval(), rl.nn.BatchNorm2d(4).eval()
    >>> rl.nn.utils.fuse_conv_bn_eval(conv, norm)
    Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))
    """
    return _fused(conv, bn, partial(fuse_conv_bn_weights, transpose=transpose))


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """One linear layer that computes bn(linear(x)).

    Follows `torch.nn.utils.fuse_linear_bn_eval`.

    >>> import rushlight as rl
    >>> linear, norm = rl.nn.Linear(3, 4).eval(), rl.nn.BatchNorm1d(4).eval()
    >>> rl.nn.utils.fuse_linear_bn_eval(linear, norm)
    Linear(in_features=3, out_features=4, bias=True)
    """
    if linear.out_features != bn.num_features and bn.num_features != 1:
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1"
        )
    return _fused(linear, bn, fuse_linear_bn_weights)


def _fused(layer: Any, bn: Any, fuse: Any) -> Any:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn running stats must not be None")
    fused = copy.deepcopy(layer)
    fused.weight, fused.bias = fuse(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """(weight, bias) of the fused convolution: W s and (b - mean) s + shift.

    s = scale / sqrt(var + eps), along the output channels.
    """
    factor = (bn_rv + bn_eps).rsqrt()
    factor = factor if bn_w is None else bn_w * factor
    before = rushlight.zeros_like(bn_rm) if conv_b is None else conv_b
    shape = [1] * conv_w.dim()
    shape[1 if transpose else 0] = -1
    weight = (conv_w * factor.reshape(shape)).to(conv_w.dtype)
    bias = (before - bn_rm) * factor
    bias = (bias if bn_b is None else bias + bn_b).to(conv_w.dtype)
    wanted = conv_w.requires_grad
    return Parameter(weight.detach(), wanted), Parameter(bias.detach(), wanted)


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor,
    bn_b: Tensor,
) -> tuple[Parameter, Parameter]:
    """(weight, bias) of the fused linear layer, as in `fuse_conv_bn_weights`."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)
