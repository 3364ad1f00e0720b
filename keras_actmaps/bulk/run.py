"""explain_all(): the maps of a whole data set as files, by several workers, resumable at any moment."""

import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keras_actmaps.bulk import stream
from keras_actmaps.bulk.drive import DiskFull, drive, in_order, missing_shards
from keras_actmaps.bulk.engine import Engine
from keras_actmaps.bulk.files import MANIFEST
from keras_actmaps.bulk.finish import finish
from keras_actmaps.bulk.identity import begin
from keras_actmaps.bulk.job import Job
from keras_actmaps.bulk.maps import Maps
from keras_actmaps.bulk.processes import gpus
from keras_actmaps.bulk.progress import LogFile, Progress
from keras_actmaps.bulk.request import Preprocess, choose_source, make_job, record_of
from keras_actmaps.bulk.status import line, other_drivers, take_over
from keras_actmaps.bulk.store import FolderStore, Store, open_store, require_writable
from keras_actmaps.bulk.worker import is_full
from keras_actmaps.core.progress import progress as progress_bar
from keras_actmaps.methods.registry import Method
from keras_actmaps.methods.request import make_request

log = logging.getLogger("keras_actmaps.bulk")
ENGINES = {
    "processes": ("processes", "ProcessEngine"),
    "ray": ("ray_engine", "RayEngine"),
    "serial": ("engine", "SerialEngine"),
}  # the module and the class of each


def explain_all(
    model: Any,
    source: Any,
    out: str | os.PathLike,
    method: str | Method = "gradcam",
    targets: Any = None,
    layer: Any = None,
    batch_size: int = 32,
    precision: str | None = None,
    xla: bool | None = None,
    *,
    engine: str = "processes",
    workers: int | None = None,
    shard: int = 1024,
    preprocess: Preprocess = None,
    **settings: Any,
) -> Maps:
    """Explain a whole data set into files, by several workers; a run that was stopped is continued by the same call.

    Rows k * shard to (k + 1) * shard of the source become the file shard-k. It has its name once it is complete, so
    that a run survives the death of any process, and several calls may work on one folder at once. The maps do not
    depend on the number of workers or on interruptions.

    Parameters
    ----------
    model, method, layer, batch_size, precision, xla, **settings
        As for `explain`.
    source : array, (inputs, labels), folder, "tfds:NAME:SPLIT", PyDataset, or another data set or stream
        With a length and access by number, such as a memory map or a Hugging Face data set. A stream is read once and
        kept beside the run until that is finished.
    out : path or URL
        The folder of the run; a URL of another file system, such as s3://bucket/run, needs fsspec.
    targets
        As for `explain_dataset`; an array has a row for each image of the source.
    engine : {"processes", "ray", "serial"}
        Processes on this machine; actors of the Ray cluster that `ray.init` connects to; or this process.
    workers : int or None
        Number of workers; None is one per GPU, or one where there is none, since it uses all cores.
    shard : int
        Images per file: what is lost at most, per worker, when a run is stopped.
    preprocess : callable or None
        From the pixels (H, W, C), uint8, of a picture to an input of the model. None is what the model seems to expect.

    Returns
    -------
    Maps

    Raises
    ------
    ValueError
        Before any work, as `explain` does, and if the folder contains a run with another model, weights, method,
        settings, source or shard size; the message names what differs.
    OSError
        If the disk is full or cannot be written to; the same call continues when it can.
    RuntimeError
        If a worker cannot start, or a shard crashes it whatever is left out.

    Notes
    -----
    Maps are stored as float16 multiples of a power of two: to within 2^-11 of each value, or 2^-24 of the largest.
    Those of a method at a layer are stored at the size of the layer. An image that cannot be read or explained has NaN
    in its map and score, and a line in errors.csv. A script that uses processes needs
    `if __name__ == "__main__":` around its calls.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    workers = _positive("workers", (len(gpus()) or 1) if workers is None else workers)
    request, shard = make_request(method, settings, batch_size), _positive("shard", shard)
    store = open_store(out)
    require_writable(store)
    with _readable(store), _log_in(store):
        store.remove_leftovers()
        data = choose_source(model, source, store, preprocess)
        about = {"targets": targets, "layer": layer, "batch_size": batch_size, "precision": precision, "xla": xla}
        job = make_job(model, data, store, request, shard, **about)
        begin(store, record_of(job))
        _complete(job, store, engine, workers)
    return Maps(store.place)


def _complete(job: Job, store: Store, engine: str, workers: int) -> None:
    """Write the shards that are missing, and the manifest."""
    seconds, numbers = take_over(store), missing_shards(job, store)
    if not numbers and MANIFEST in store.names():
        return
    done = len(job.source) - sum(job.range_of(number)[1] - job.range_of(number)[0] for number in numbers)
    workers = min(workers, max(1, len(numbers)))
    with progress_bar(job.request.method.name) as report:
        progress = Progress(job, store, done, report)
        try:
            if numbers:
                log.info("%s of %s shards are to be done by %s workers", len(numbers), job.shards, workers)
                with _started(engine, job, workers) as pool:
                    drive(job, store, pool, in_order(numbers, len(other_drivers(store))), progress)
            finish(job, store, progress.results, seconds)
            log.info("finished: %s", line(progress.state()))
        except (KeyboardInterrupt, DiskFull) as error:
            left = len(missing_shards(job, store))
            reason = "interrupted" if isinstance(error, KeyboardInterrupt) else f"{store.place!r}: {error}"
            text = f"{reason} after {job.shards - left} of {job.shards} shards; the same call continues the run"
            log.info("%s", text)
            raise (KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else OSError)(text) from None
        finally:
            progress.remove()
    if isinstance(store, FolderStore):
        store.remove_leftovers(every=True)
        stream.remove_spool(store)


@contextmanager
def _started(engine: str, job: Job, workers: int) -> Iterator[Engine]:
    """An engine with its workers, which end with the context; ImportError for an engine that is not installed."""
    module, name = ENGINES[engine]
    pool = getattr(importlib.import_module(f"keras_actmaps.bulk.{module}"), name)(job, workers)
    try:
        yield pool
    finally:
        pool.close()


@contextmanager
def _readable(store: Store) -> Iterator[None]:
    """A full disk as one sentence, wherever it is noticed; temporary files of this process are removed."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise OSError(f"{store.place!r}: {error.strerror}; the same call continues the run") from None
    finally:
        store.remove_leftovers()


@contextmanager
def _log_in(store: Store) -> Iterator[None]:
    """The log of the run in its folder."""
    if not isinstance(store, FolderStore):
        yield
        return
    handler, level = LogFile(store), log.level
    log.addHandler(handler)
    log.setLevel(min(level or logging.INFO, logging.INFO))
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        handler.close()


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return int(value)
