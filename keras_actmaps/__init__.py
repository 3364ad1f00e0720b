"""Activation maps and attributions for Keras models."""

import importlib
from typing import Any

__version__ = "0.2.0"

_MODULES = {
    "explain": "methods.explain",
    "explain_dataset": "methods.explain",
    "explain_all": "bulk.run",
    "Maps": "bulk.maps",
    "supported": "methods.supported",
    "Explanation": "core.explanation",
    "ExplainCallback": "callbacks.explain_callback",
    "feature_maps": "features.feature_maps",
    "pooling": "features.pooling",
    "METHODS": "methods",
    "boxes": "metrics.boxes",
    "masks": "metrics.masks",
    "compare": "comparison.compare",
    "ascent": "features.activation_maximization",
    "exemplars": "features.exemplars",
    "audit": "auditing.audit",
    "Audit": "auditing.record",
    "concepts": "features.craft",
    "tcav": "features.concept_vectors",
}  # the module of each public function or class
_RENAMED = {"Probe": ("core.traced_model", "TracedModel")}
_SUBPACKAGES = {name: name for name in ("data", "metrics", "models", "render", "tf_explain", "training")}
_SUBPACKAGES["targets"] = "core.targets"
__all__ = ["__version__", *_MODULES, *_RENAMED, *_SUBPACKAGES]


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"{__name__}.{_SUBPACKAGES[name]}")
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    if name in _RENAMED:
        module, own_name = _RENAMED[name]
        return getattr(importlib.import_module(f"{__name__}.{module}"), own_name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
