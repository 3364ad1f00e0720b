"""tf-explain's classes and callbacks on this engine: a script runs after `tf_explain` -> `keras_actmaps.tf_explain`.

The classes are subclasses of tf-explain's own, with its arguments, grids and files. Where tf-explain is wrong, they
give what is right; with `compatible=True`, which each of them takes, what it gave, as far as that is well defined.
"""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "keras_actmaps.tf_explain continues tf-explain's classes, which are TensorFlow's, and Keras runs on "
        f"{keras.backend.backend()}; set KERAS_BACKEND=tensorflow, or use keras_actmaps.explain, which runs on all"
    )
try:
    from tf_explain import __version__
except ImportError as error:
    raise ImportError("keras_actmaps.tf_explain continues tf-explain's own classes: pip install tf-explain") from error

from keras_actmaps.tf_explain import callbacks, core, utils
from keras_actmaps.tf_explain.switch import activate, deactivate

__all__ = ["__version__", "activate", "callbacks", "core", "deactivate", "utils"]
