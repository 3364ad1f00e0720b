"""Loading models from files, without running code that a file contains."""

import os
from pathlib import Path

import keras


def load_model(path: str | os.PathLike, *, compile: bool = False) -> keras.Model:
    """Load a `.keras` or `.h5` file.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is not a model.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file {str(path)!r}")
    try:
        return keras.saving.load_model(path, compile=compile, safe_mode=True)
    except Exception as error:  # Keras raises many types for a broken file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{str(path)!r} cannot be loaded as a Keras model: {reason}") from error
