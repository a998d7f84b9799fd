"""`python -m rushlight` is the command `rushlight`."""

from __future__ import annotations

import sys

from rushlight.train.command import main

if __name__ == "__main__":
    sys.exit(main())
