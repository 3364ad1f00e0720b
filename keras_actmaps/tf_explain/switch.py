"""activate(): unchanged scripts that import tf-explain get the classes of this package."""

import sys
from collections.abc import Mapping
from types import ModuleType

import tf_explain

from keras_actmaps.tf_explain import callbacks, core, utils
from keras_actmaps.tf_explain.explainer import Explainer

SUBPACKAGES = {"core": core, "callbacks": callbacks, "utils": utils}
_PREFIXES = tuple(f"tf_explain.{name}" for name in SUBPACKAGES)
ORIGINAL_MODULES = {name: module for name, module in sys.modules.items() if name.startswith(_PREFIXES)}
MODULES = {name: sys.modules[f"keras_actmaps.{name}"] for name in ORIGINAL_MODULES}


def activate(compatible: bool = False) -> None:
    """Replace `tf_explain.core`, `.callbacks` and `.utils` by those of this package for all later imports.

    Parameters
    ----------
    compatible : bool
        Default of `compatible` for all explainers and callbacks.

    Notes
    -----
    `import tf_explain` may come before or after. Names that `from tf_explain.core... import ...` has bound before
    remain tf-explain's own.
    """
    _install(MODULES)
    Explainer.compatible = compatible


def deactivate() -> None:
    """Restore tf-explain's own modules for all later imports."""
    _install(ORIGINAL_MODULES)
    Explainer.compatible = False


def _install(modules: Mapping[str, ModuleType]) -> None:
    sys.modules.update(modules)
    for name in SUBPACKAGES:
        setattr(tf_explain, name, modules[f"tf_explain.{name}"])
