"""Operators: see README.md in this folder. Importing the package registers every family's rows."""

from . import (  # noqa: F401
    activation,
    arithmetic,
    classes,
    comparison,
    convolution,
    core,
    dropout,
    elementary,
    indexing,
    masking,
    loss,
    matmul,
    optimizer,
    pairs,
    reduction,
    scan,
    softmax,
)
