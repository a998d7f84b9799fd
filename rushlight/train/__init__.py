"""`rushlight train` and its Python face.

`fit({...})` trains, evaluates and reports an image classifier; `Classifier(run)` uses one;
`command.main` is the command line. All of it stands on the public API alone.
"""

from __future__ import annotations

from .predicting import Classifier
from .problems import Interrupted, RunError
from .session import fit
from .settings import Settings

__all__ = ["Classifier", "Interrupted", "RunError", "Settings", "fit"]
