"""Warnings that name the line of the user's program, however deep inside this package they arise."""

import sys
import warnings


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost frame outside this package.

    ``warnings.warn`` with a fixed ``stacklevel`` would print a source line of the package where the public function
    that the user called is further out than expected.
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "physics":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
