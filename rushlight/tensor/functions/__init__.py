"""Public functions that are more than one row: overloads, defaults, compositions.

One module per family.

Each module lists FUNCTIONS (top-level names), METHODS (also methods of Tensor) and perhaps ALIASES
(name -> function) and IN_PLACE (names of functions that `name_` methods go through). They are
imported when first used (`tensor/lazy.py`).
"""
