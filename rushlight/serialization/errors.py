"""The one error of reading files."""

from pickle import UnpicklingError


class FileFormatError(RuntimeError, UnpicklingError):
    """A file is damaged, is not of this format, or holds something that may not be loaded.

    The message begins with the file's name. It is a RuntimeError, as PyTorch's for a damaged
    archive, and an UnpicklingError, as PyTorch's for what weights may not hold.
    """
