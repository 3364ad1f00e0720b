"""The arguments of explain_all, validated before any work: the source, the job, and the record of the run."""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_actmaps import backend
from keras_actmaps.bulk import stream
from keras_actmaps.bulk.batches import targets_of
from keras_actmaps.bulk.identity import run_record
from keras_actmaps.bulk.job import Job
from keras_actmaps.bulk.pictures import Encoding, folder_source, tfds_source
from keras_actmaps.bulk.source import ArraySource, IndexedSource, Source, image_and_label, py_dataset_source, row_digest
from keras_actmaps.bulk.store import FolderStore, Store
from keras_actmaps.comparison.batches import is_shared
from keras_actmaps.core.cache import as_traced
from keras_actmaps.core.predict_function import is_predict_function
from keras_actmaps.core.traced_model import TracedModel
from keras_actmaps.core.types import Array
from keras_actmaps.methods.explain import input_rank, select_targets
from keras_actmaps.methods.request import MethodRequest
from keras_actmaps.models.preprocessing import guess

log = logging.getLogger("keras_actmaps.bulk")
TRIED = 1000  # rows, until one can be read
TFDS = "tfds:"

Preprocess = Callable[[Array], Any] | None


@dataclass(frozen=True)
class Unknown:
    """In the place of an encoding, where there is none."""

    reason: str

    def __call__(self, pixels: Array) -> Array:
        raise ValueError(self.reason)


def choose_source(model: Any, source: Any, store: Store, preprocess: Preprocess = None) -> Source:
    """The source of any data that `explain_all` takes.

    Raises
    ------
    ValueError or FileNotFoundError
        For data that is none, or without images.
    """
    if hasattr(source, "rows") and hasattr(source, "fingerprint"):
        return source
    if isinstance(source, str) and source.startswith(TFDS):
        name, _, split = source.removeprefix(TFDS).partition(":")
        return tfds_source(name, split or "test", _encoding(model, preprocess))
    if isinstance(source, (str, os.PathLike)):
        return folder_source(source, _encoding(model, preprocess))
    if isinstance(source, keras.utils.PyDataset):
        return py_dataset_source(source)
    if isinstance(source, tuple) and len(source) == 2:
        return _arrays(source[0], source[1])
    if hasattr(source, "__array__") or isinstance(source, (Mapping, list)):
        return _arrays(source, None)
    if hasattr(source, "__len__") and hasattr(source, "__getitem__"):
        return _indexed(model, source, preprocess)
    if hasattr(source, "__iter__"):
        return _spooled(model, source, store)
    raise ValueError(
        f"source must be an array, (inputs, labels), a folder, 'tfds:NAME:SPLIT', a PyDataset or another data set, got "
        f"{type(source).__name__}"
    )


def _arrays(inputs: Any, labels: Any) -> ArraySource:
    """The source of arrays; ValueError if their lengths differ."""
    inputs = keras.tree.map_structure(_as_rows, inputs)
    labels = None if labels is None else _as_rows(labels)
    lengths = {len(part) for part in (*keras.tree.flatten(inputs), *([] if labels is None else [labels]))}
    if len(lengths) != 1:
        raise ValueError(f"the arrays of the source have {', '.join(map(str, sorted(lengths)))} rows; they must agree")
    return ArraySource(inputs, labels)


def _as_rows(array: Any) -> Any:
    return array if isinstance(array, np.ndarray) else backend.to_numpy(array)


def _spooled(model: Any, source: Any, store: Store) -> Source:
    if not isinstance(store, FolderStore):
        raise ValueError(f"a stream is kept beside the run, which {store.place!r} cannot hold; pass data with a length")
    return stream.spool(source, store, input_rank(model))


def _encoding(model: Any, preprocess: Preprocess) -> Encoding:
    """How pictures become inputs; ValueError if that is not known."""
    if is_predict_function(model) or backend.is_torch_module(model):
        if preprocess is None:
            raise ValueError("pass preprocess=...: what the model expects of pictures is known of Keras models only")
        return Encoding((None, None, None), preprocess)
    shape = as_traced(model).input_shape[1:]
    if len(shape) != 3:
        raise ValueError(f"the model takes inputs of shape {(None, *shape)}, not pictures (N, H, W, C)")
    if preprocess is None:
        found, _ = guess(model)
        log.warning("pictures are passed to the model as %s; pass preprocess=... if it expects others", found.name)
        preprocess = found.encode
    return Encoding(tuple(shape), preprocess)


def _indexed(model: Any, items: Any, preprocess: Preprocess) -> IndexedSource:
    """The source of a data set with access by number; pictures are encoded if its first item is one."""
    try:
        is_picture = hasattr(image_and_label(items[0])[0], "getbands")
    except Exception:  # of a damaged first item; the next ones decide
        is_picture = False
    unknown = Unknown("the first item is no picture, but this one is")
    return IndexedSource(items, _encoding(model, preprocess) if is_picture else unknown, preprocess)


def make_job(
    model: Any,
    source: Source,
    store: Store,
    request: MethodRequest,
    shard: int,
    *,
    targets: Any,
    layer: Any,
    batch_size: int,
    precision: str | None,
    xla: bool | None,
) -> Job:
    """The validated job.

    Raises
    ------
    ValueError
        As `explain` does, for a source without rows that can be read, and for targets that do not fit it.
    """
    if not is_shared(targets) and len(np.asarray(targets)) != len(source):
        raise ValueError(f"targets of {len(np.asarray(targets))} images do not fit {len(source)} images")
    if isinstance(model, TracedModel):
        as_traced(model, layer, precision, xla=xla)  # ValueError if they differ from the Probe's
        _, (model, layer, _, precision, xla) = model.__reduce__()
    example = first_readable(source)
    inputs = keras.tree.map_structure(lambda array: np.asarray(array)[None], example[0])
    own = targets_of(targets, np.zeros(1, int))
    traced = as_traced(model, layer, precision, inputs, xla).for_target(own)
    validated = traced.validate_inputs(inputs)
    request.validate(traced, validated)
    label = None if example[1] is None else np.asarray(example[1])[None]
    traced.validate_targets(request.method.target_of(select_targets(own, label)), 1)
    return Job(
        model=model,
        source=source,
        request=request,
        place=store.place,
        shard=shard,
        example=example,
        targets=targets,
        layer=None if layer is None else traced.layer,
        batch_size=batch_size,
        precision=precision,
        xla=xla,
    )


def first_readable(source: Source) -> tuple[Any, Any]:
    """The first row that can be read; ValueError if there is none among the first 1,000."""
    first: Exception | None = None
    for row in source.rows(0, min(len(source), TRIED)):
        if not isinstance(row, Exception):
            return row
        first = first or row
    if first is None:
        raise ValueError("the source has no images")
    raise ValueError(f"none of the first images can be read: {first}")


def record_of(job: Job) -> dict[str, Any]:
    """The content of run.json."""
    return run_record(
        job.model,
        job.source,
        job.request.method.name,
        dict(job.request.settings) | ({"perturb": job.request.perturb} if job.request.perturb else {}),
        job.shard,
        targets=job.targets,
        layer=job.layer,
        precision=job.precision,
        batch_size=job.batch_size,
        example=row_digest(job.example),  # which changes with the preprocessing
    )
