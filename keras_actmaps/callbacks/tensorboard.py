"""TensorBoard's event files, which the callbacks of this package and those of `tf_explain` write alike."""

from keras_actmaps.core.event_files import EventWriter

__all__ = ["EventWriter"]
