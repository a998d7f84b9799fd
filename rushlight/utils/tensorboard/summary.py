"""Summaries of single values, as TensorBoard's protocol buffers.

In: a tag and a value. Out: a Summary. Invariant: values are computed before this returns.
"""

from __future__ import annotations

import io
from typing import Any

import numpy
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

__all__ = ["histogram", "image", "scalar", "text"]

# TensorFlow's numbers of dtypes
_STRING = 7


def as_array(value: Any) -> numpy.ndarray:
    """The values of a tensor, an array or a number."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if "bfloat16" in str(value.dtype) else value).numpy()
    return numpy.asarray(value)


def scalar(tag: str, value: Any) -> Summary:
    """One number. Errors: ValueError for a value with more than one element."""
    array = as_array(value)
    if array.size != 1:
        raise ValueError(f"add_scalar: {tag} has shape {array.shape}, expected one number")
    return Summary(value=[Summary.Value(tag=tag, simple_value=float(array.reshape(())))])


def text(tag: str, value: str) -> Summary:
    """A text, in Markdown."""
    plugin = SummaryMetadata.PluginData(plugin_name="text")
    tensor = TensorProto(
        dtype=_STRING,
        string_val=[value.encode()],
        tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
    )
    metadata = SummaryMetadata(plugin_data=plugin)
    return Summary(
        value=[Summary.Value(tag=f"{tag}/text_summary", metadata=metadata, tensor=tensor)]
    )


def histogram(tag: str, values: Any, bins: int = 64) -> Summary:
    """How often values fall into ranges of equal width."""
    array = as_array(values).astype("f8").ravel()
    if array.size == 0:
        raise ValueError(f"add_histogram: {tag} has no values")
    counts, edges = numpy.histogram(array, bins)
    proto = HistogramProto(
        min=array.min(),
        max=array.max(),
        num=array.size,
        sum=array.sum(),
        sum_squares=(array**2).sum(),
        bucket_limit=edges[1:].tolist(),
        bucket=counts.tolist(),
    )
    return Summary(value=[Summary.Value(tag=tag, histo=proto)])


def image(tag: str, values: Any, dataformats: str = "CHW") -> Summary:
    """A picture: floats from 0 to 1 or bytes, in the order of dimensions that is named."""
    from PIL import Image

    array = as_array(values)
    if len(dataformats) != array.ndim:
        raise ValueError(f"add_image: {tag} has shape {array.shape}, not {dataformats}")
    order = [dataformats.index(letter) for letter in "HWC" if letter in dataformats]
    array = array.transpose(order)
    if array.dtype != numpy.uint8:
        array = (array * 255).clip(0, 255).astype("u1")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format="PNG")
    proto = Summary.Image(
        height=array.shape[0],
        width=array.shape[1],
        colorspace=1 if array.ndim == 2 else array.shape[2],
        encoded_image_string=stream.getvalue(),
    )
    return Summary(value=[Summary.Value(tag=tag, image=proto)])
