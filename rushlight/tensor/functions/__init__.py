"""Public functions that are more than one row: overloads, defaults, compositions. One module per family.

Each module lists FUNCTIONS (top-level names), METHODS (also methods of Tensor) and perhaps ALIASES.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

# every module of this folder, in alphabetical order
MODULES = tuple(
    import_module(f".{path.stem}", __name__) for path in sorted(Path(__file__).parent.glob("[a-z]*.py"))
)
