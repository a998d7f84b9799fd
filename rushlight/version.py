"""The version of rushlight."""

__version__ = "0.1.0"
