"""tf-explain's classes and callbacks, computed by this package: replace `tf_explain` by `keras_actmaps.tf_explain`.

The classes are subclasses of tf-explain's own and have its arguments, grids and files. Where tf-explain is wrong, they
give the correct result; with `compatible=True`, which each of them takes, tf-explain's, where that is well defined.
"""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "keras_actmaps.tf_explain extends tf-explain's classes, which need TensorFlow, and Keras runs on "
        f"{keras.backend.backend()}; set KERAS_BACKEND=tensorflow, or use keras_actmaps.explain, which runs on all"
    )
try:
    from tf_explain import __version__
except ImportError as error:
    raise ImportError(
        "keras_actmaps.tf_explain extends tf-explain's classes, which are not installed: "
        "pip install keras_actmaps[tf-explain]"
    ) from error

from keras_actmaps.tf_explain import callbacks, core, utils
from keras_actmaps.tf_explain.switch import activate, deactivate

__all__ = ["__version__", "activate", "callbacks", "core", "deactivate", "utils"]
