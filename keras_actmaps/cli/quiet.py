"""Suppression of the messages that TensorFlow writes to stderr on import at any log level."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Discard everything written to stderr, also by C++ code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


def load_data_package() -> None:
    """Import `keras_actmaps.data`, and with it TensorFlow; ImportError without TensorFlow."""
    with quiet_stderr():
        from keras_actmaps import data  # noqa: F401
