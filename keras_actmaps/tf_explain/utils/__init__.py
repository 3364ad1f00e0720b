"""tf-explain's functions for pictures and files."""

from keras_actmaps.tf_explain.utils import display, image, saver
