"""``python -m experiments``, installed also as ``solvergan``."""

import sys

from experiments.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
