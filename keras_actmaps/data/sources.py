"""Where TFDS data comes from: a prepared copy in one of the usual folders, otherwise a download."""

import logging
import os
import socket
import threading
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import tensorflow as tf

logging.getLogger("absl").setLevel(logging.ERROR)  # TFDS logs every split that it reads

DOWNLOADS = {
    "mnist": "https://storage.googleapis.com:443/cvdf-datasets/mnist",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "cifar10": "https://www.cs.toronto.edu:443",
    "imdb_reviews": "https://ai.stanford.edu:443",
    "oxford_iiit_pet": "https://www.robots.ox.ac.uk:443",
}
TIMEOUT = 3.0  # seconds; TFDS itself retries a failing download for minutes

DataDir = str | os.PathLike | None


class DataUnavailable(OSError):
    """The data is neither prepared in one of the searched folders nor can be downloaded."""


def _tfds() -> Any:
    """TensorFlow Datasets, which is imported only where a data set of it is read."""
    import tensorflow_datasets

    return tensorflow_datasets


def search_paths(data_dir: DataDir = None) -> list[Path]:
    """The folders that are searched for TFDS data, in order."""
    candidates = [data_dir, os.environ.get("TFDS_DATA_DIR"), _tfds().core.constants.DATA_DIR]
    return [Path(path).expanduser() for path in dict.fromkeys(candidates) if path]


def is_available(names: Iterable[str], data_dir: DataDir = None) -> bool:
    """Whether all these TFDS data sets are prepared or can be downloaded; returns within seconds."""
    return all(_find_prepared(name, data_dir) is not None or _is_reachable(name) for name in names)


def is_prepared(name: str, data_dir: DataDir = None) -> bool:
    """Whether a TFDS data set is prepared in one of the usual folders."""
    return _find_prepared(name, data_dir) is not None


def builder(name: str, data_dir: DataDir = None) -> Any:
    """The prepared TFDS builder of a data set, which is downloaded if necessary.

    Raises
    ------
    DataUnavailable
        If it is not prepared and cannot be downloaded; the message lists the folders searched.
    """
    found = _find_prepared(name, data_dir)
    if found is not None:
        return found
    if not _is_reachable(name):
        searched = ", ".join(map(str, search_paths(data_dir)))
        raise DataUnavailable(
            f"data set {name!r} is not prepared in {searched}, and {urlsplit(DOWNLOADS[name]).hostname} cannot be "
            "reached; pass the folder that contains it as --data-dir or TFDS_DATA_DIR"
        )
    fetched = _tfds().builder(name, data_dir=search_paths(data_dir)[0])
    try:
        fetched.download_and_prepare()
    except (OSError, RuntimeError, AssertionError, _tfds().download.DownloadError) as error:
        raise DataUnavailable(f"data set {name!r} could not be downloaded: {' '.join(str(error).split())}") from error
    return fetched


def arrays(name: str, split: str, data_dir: DataDir = None) -> tuple[tf.Tensor, tf.Tensor]:
    """All images (uint8) and labels (int64) of a small data set, in memory and in a fixed order."""
    return _arrays(name, split, None if data_dir is None else str(data_dir))


@lru_cache(maxsize=8)
def _arrays(name: str, split: str, data_dir: str | None) -> tuple[tf.Tensor, tf.Tensor]:
    dataset = builder(name, data_dir).as_dataset(split=split, shuffle_files=False, batch_size=-1)
    return dataset["image"], dataset["label"]


def class_names(name: str, data_dir: DataDir = None) -> tuple[str, ...]:
    """The class names of a TFDS data set, by label."""
    return tuple(builder(name, data_dir).info.features["label"].names)


def _find_prepared(name: str, data_dir: DataDir) -> Any:
    for path in search_paths(data_dir):
        try:
            found = _tfds().builder(name, data_dir=path)
        except (OSError, ValueError, tf.errors.OpError):
            continue
        if found.is_prepared():
            return found
    return None


def _is_reachable(name: str) -> bool:
    """Whether the server of a data set accepts a connection; tried in a thread, because name servers can stall."""
    address = urlsplit(DOWNLOADS[name])
    has_connected = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection((address.hostname or "", address.port or 80), TIMEOUT).close()
        except OSError:
            return
        has_connected.set()

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    return has_connected.is_set()
