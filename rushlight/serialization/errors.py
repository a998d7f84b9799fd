"""The one error of reading files."""


class FileFormatError(RuntimeError):
    """A file is damaged, is not of this format, or holds something that may not be loaded.

    The message begins with the file's name.
    """
