"""Operators: see README.md in this folder. Importing the package registers every family's rows."""

from . import (  # noqa: F401
    activation,
    arithmetic,
    comparison,
    core,
    dropout,
    elementary,
    matmul,
    pairs,
    reduction,
    scan,
    softmax,
)
