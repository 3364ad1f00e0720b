"""Loading models from files, without running code that a file contains."""

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

KNOWN_PACKAGES = {"keras", "keras_hub", "keras_cv", "keras_nlp", "builtins"}


def load_model(path: str | os.PathLike, *, compile: bool = False, allow_unsafe: bool = False) -> keras.Model:
    """Load a `.keras` or `.h5` file.

    Parameters
    ----------
    path : path
    compile : bool
        Whether to compile it with the optimizer and loss in the file.
    allow_unsafe : bool
        Whether to run Python code that the file contains, in Lambda layers.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is not a model, contains code, or needs classes that are not registered with Keras.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file {str(path)!r}")
    needed, code = _requirements(path)
    if needed:
        raise ValueError(
            f"{str(path)!r} needs {', '.join(needed)}, which the file does not contain; in Python, load it with "
            "keras.saving.load_model(..., custom_objects=...) and call kam.explain"
        )
    if code and not allow_unsafe:
        raise ValueError(
            f"{str(path)!r} contains Python code in {', '.join(code)}, which is not run; if you trust the file, pass "
            "--allow-unsafe-model"
        )
    try:
        return keras.saving.load_model(path, compile=compile, safe_mode=not allow_unsafe)
    except Exception as error:  # Keras raises many types for a broken file
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{str(path)!r} cannot be loaded as a Keras model: {reason}") from error


def _requirements(path: Path) -> tuple[list[str], list[str]]:
    """The classes and functions that Keras does not know, and the layers that contain code; [] for a broken file."""
    try:
        config = json.loads(_config_of_h5(path) if path.suffix in {".h5", ".hdf5"} else _config_of_keras(path))
        objects = list(_objects(config))
    except Exception:  # Keras will say what is wrong with the file
        return [], []
    code = [f"the layer {found.get('config', {}).get('name', '')!r}" for found in objects if _is_lambda_of_code(found)]
    code += ["a lambda"] if not code and any(found["class_name"] == "__lambda__" for found in objects) else []
    return list(dict.fromkeys(filter(None, map(_unknown, objects)))), code


def _config_of_keras(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read("config.json")


def _config_of_h5(path: Path) -> bytes | str:
    import h5py

    with h5py.File(path, "r") as file:
        return file.attrs["model_config"]


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """The serialized objects in a configuration, however deep."""
    left = [config]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            if isinstance(item.get("class_name"), str):
                yield item
            left += item.values()
        elif isinstance(item, list):
            left += item


def _is_lambda_of_code(found: dict[str, Any]) -> bool:
    """Whether an object is a Lambda layer whose function is in the file."""
    if found["class_name"] != "Lambda" or not isinstance(found.get("config"), dict):
        return False
    function = found["config"].get("function")
    is_code = isinstance(function, dict) and function.get("class_name") == "__lambda__"
    return is_code or isinstance(function, list) or found["config"].get("function_type") == "lambda"


def _unknown(found: dict[str, Any]) -> str:
    """The name of a class or function that Keras neither has nor knows as registered; empty for all others."""
    module, name, registered = (found.get(key) for key in ("module", "class_name", "registered_name"))
    if name == "function" and isinstance(found.get("config"), str):
        name = found["config"]
    known = (registered, name) if isinstance(registered, str) else (name,)
    if any(keras.saving.get_registered_object(one) is not None for one in known):
        return ""
    if not isinstance(module, str) or module.partition(".")[0] in KNOWN_PACKAGES:
        is_custom = isinstance(registered, str) and ">" in registered and not registered.startswith("keras")
        return f"the object {registered!r}" if is_custom else ""
    return f"the object {module}.{name}"
