"""What makes two runs the same: the model and its weights, the method and its settings, the source, the shard size."""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_actmaps import backend
from keras_actmaps.bulk.files import RUN
from keras_actmaps.bulk.source import Source, array_digest, digest
from keras_actmaps.bulk.store import Store
from keras_actmaps.core.model_state import all_layers
from keras_actmaps.core.predict_function import is_predict_function
from keras_actmaps.core.settings import show

FREE = ("batch_size",)  # recorded, and free to differ in a resume


def run_record(
    model: Any, source: Source, method: str, settings: Mapping[str, Any], shard: int, **others: Any
) -> dict[str, Any]:
    """The content of run.json; `others` are arguments of `explain`."""
    return {
        "model": architecture_digest(model),
        "weights": weights_digest(model),
        "method": method,
        "settings": {name: describe(value) for name, value in sorted(settings.items())},
        **{name: describe(value) for name, value in sorted(others.items())},
        "source": source.fingerprint(),
        "rows": len(source),
        "shard": shard,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """The versions of the packages on which the maps depend."""
    names = ("keras_actmaps", "keras", keras.backend.backend(), "numpy", "h5py")
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    if name == "keras_actmaps":
        import keras_actmaps

        return keras_actmaps.__version__
    return importlib.metadata.version(name)


def begin(store: Store, record: Mapping[str, Any]) -> None:
    """Write run.json, or compare it with that of the run which is continued.

    Raises
    ------
    ValueError
        If they differ; it names what differs.
    """
    if RUN not in store.names():
        store.commit(RUN, json.dumps(record, indent=1, sort_keys=True).encode())
    before = json.loads(store.read(RUN))
    differing = [name for name in record if name not in FREE and record[name] != before.get(name)]
    if not differing:
        return
    changes = [_change(name, before.get(name), record[name]) for name in differing]
    raise ValueError(
        f"{store.place!r} contains a run with other {', '.join(differing)} ({'; '.join(changes)}); continue it with "
        "the same, or write to another folder"
    )


def _change(name: str, before: Any, now: Any) -> str:
    """What has changed, in short: hashes by their first digits."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
        return ", ".join(_change(key, before.get(key), now.get(key)) for key in keys)

    def short(value: Any) -> str:
        is_hash = isinstance(value, str) and len(value) == 64
        return value[:8] if is_hash else show(value)

    return f"{name}: {short(before)} there, {short(now)} now"


def weights_digest(model: Any) -> str:
    """The SHA-256 of all variables, in their order; their names are left out."""
    found = hashlib.sha256()
    for array in _weights(model):
        found.update(array_digest(array).encode())
    return found.hexdigest()


def _weights(model: Any) -> list[Any]:
    if backend.is_torch_module(model):
        return [backend.to_numpy(value) for _, value in sorted(model.state_dict().items())]
    if is_predict_function(model):
        return []
    return [keras.ops.convert_to_numpy(variable) for variable in model.weights]


def architecture_digest(model: Any) -> str:
    """The SHA-256 of the configuration, with numbers for the names of layers, which Keras counts up in a process."""
    if is_predict_function(model) or backend.is_torch_module(model):
        return digest(describe(type(model) if backend.is_torch_module(model) else model), _text_of_module(model))
    names = {layer.name: f"#{number}" for number, layer in enumerate((model, *all_layers(model)))}

    def numbered(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: numbered(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [numbered(item) for item in value]
        return names.get(value, value) if isinstance(value, str) else value

    try:
        config = keras.saving.serialize_keras_object(model)
    except Exception:  # a subclass without a configuration
        return digest(describe(type(model)), *map(describe, map(type, all_layers(model))))
    return digest(json.dumps(numbered(config), sort_keys=True, default=describe))


def _text_of_module(model: Any) -> str:
    return repr(model) if backend.is_torch_module(model) else ""


def describe(value: Any) -> Any:
    """A value as JSON: arrays by their hash, functions and classes by their name."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [describe(item) for item in value]
    if hasattr(value, "__array__"):
        array = np.asarray(backend.to_numpy(value))
        return f"array {array.shape} {array.dtype} {array_digest(array)}"
    name = getattr(value, "__qualname__", None)
    return f"{value.__module__}.{name}" if name else repr(value)
