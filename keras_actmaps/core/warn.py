"""Warnings that name the user's line."""

import sys
import warnings

PACKAGE = __name__.partition(".")[0] + "."


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn with the line outside the package that led here."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level - 1)
