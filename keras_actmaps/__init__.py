"""Activation maps and attributions for Keras models."""

import importlib

__version__ = "0.1.0"

_HOME = {
    "explain": "api",
    "explain_dataset": "api",
    "Explanation": "explanation",
    "ExplainCallback": "callbacks",
    "feature_maps": "inside.features",
    "pooling": "inside.pooling",
    "Probe": "probe",
    "METHODS": "methods",
    "boxes": "localize",
    "compare": "comparing",
    "ascent": "inside.ascent",
    "exemplars": "inside.exemplars",
    "data": None,
    "metrics": None,
    "models": None,
    "render": None,
    "tf_explain": None,
    "training": None,
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOME[name] or name}")
    return home if _HOME[name] is None else getattr(home, name)


def __dir__():
    return sorted(__all__)
