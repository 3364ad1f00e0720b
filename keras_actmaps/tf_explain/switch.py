"""activate(): scripts that import tf-explain get the classes of this package, unchanged."""

import sys

import tf_explain

from keras_actmaps.tf_explain import callbacks, core, utils
from keras_actmaps.tf_explain.semantics import Explainer

ROOMS = {"core": core, "callbacks": callbacks, "utils": utils}
OWN = {name: module for name, module in sys.modules.items()
       if name.startswith(tuple(f"tf_explain.{room}" for room in ROOMS))}  # fmt: skip
OURS = {name: sys.modules[f"keras_actmaps.{name}"] for name in OWN}


def activate(compatible: bool = False) -> None:
    """From here on `tf_explain.core`, `.callbacks` and `.utils` are those of this package, wherever they are imported.

    `import tf_explain` may stand before or after. What `from tf_explain.core... import ...` has bound before stays
    tf-explain's own. compatible: tf-explain's old results, where they are well defined, for all who do not say
    otherwise.
    """
    _install(OURS)
    Explainer.compatible = compatible


def deactivate() -> None:
    """From here on tf-explain's modules are its own again."""
    _install(OWN)
    Explainer.compatible = False


def _install(modules: dict) -> None:
    sys.modules.update(modules)
    for room in ROOMS:
        setattr(tf_explain, room, modules[f"tf_explain.{room}"])
