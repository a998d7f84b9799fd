"""Fonts for pictures whose class names may be in any script.

What comes in: the texts of a picture. What goes out: font families that between them hold every
letter, as far as this machine has such fonts. Invariant: no text is drawn as empty boxes; letters
that no font holds are known before drawing.
"""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

__all__ = ["families_for"]

BASE = "DejaVu Sans"  # ships with matplotlib


def _letters(path: str) -> set[int]:
    try:
        return set(FT2Font(path).get_charmap())
    except (RuntimeError, OSError):
        return set()


def _preference(path: str) -> tuple[bool, bool, str]:
    """Upright sans-serif fonts of normal weight first, then by name."""
    name = path.lower()
    heavy = any(word in name for word in ("bold", "black", "heavy", "light", "thin", "italic"))
    return heavy, "serif" in name or "mono" in name, name


def families_for(texts: Iterable[str]) -> tuple[list[str], set[str]]:
    """Return font families in the order of use, and the letters that none of them holds.

    The system's fonts are searched only for letters that matplotlib's own font lacks. The search
    reads the folders themselves: matplotlib's list of fonts may be older than the fonts.
    """
    needed = {ord(letter) for text in texts for letter in text if not letter.isspace()}
    missing = needed - _letters(font_manager.findfont(BASE))
    families = [BASE]
    if not missing:
        return families, set()
    for path in sorted(font_manager.findSystemFonts(), key=_preference):
        found = missing & _letters(path)
        if found:
            font_manager.fontManager.addfont(path)
            families.append(FT2Font(path).family_name)
            missing -= found
        if not missing:
            break
    return families, {chr(letter) for letter in missing}
