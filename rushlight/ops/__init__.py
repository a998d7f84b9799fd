"""Operators: see README.md in this folder. Importing the package registers every family's rows."""

from . import core  # noqa: F401
