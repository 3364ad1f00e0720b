"""Packages that only some functions need."""

import importlib
from typing import Any


def require_sklearn(module: str) -> Any:
    """A module of scikit-learn; ImportError, with what to install, if there is none."""
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError:
        raise ImportError("this needs scikit-learn: pip install keras_actmaps[audit]") from None
