"""Where TFDS data comes from: a prepared copy in one of the usual places, else a download that is tried quickly."""

import logging
import os
import socket
import threading
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import tensorflow as tf
import tensorflow_datasets as tfds

logging.getLogger("absl").setLevel(logging.ERROR)  # TFDS reports every split it reads

DOWNLOADS = {
    "mnist": "https://storage.googleapis.com:443/cvdf-datasets/mnist",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "cifar10": "https://www.cs.toronto.edu:443",
    "oxford_iiit_pet": "https://www.robots.ox.ac.uk:443",
}
SECONDS_TO_ANSWER = 3.0


class DataUnavailable(OSError):
    """The data is neither prepared where it was looked for nor to be fetched now."""


def places(data_dir: str | os.PathLike | None = None) -> list[Path]:
    """The folders in which TFDS data is looked for, in order."""
    named = [data_dir, os.environ.get("TFDS_DATA_DIR"), tfds.core.constants.DATA_DIR]
    return [Path(place).expanduser() for place in dict.fromkeys(named) if place]


def is_available(names, data_dir=None) -> bool:
    """Whether all these TFDS data sets are prepared or can be fetched; answers within seconds."""
    return all(_prepared(name, data_dir) is not None or _reachable(name) for name in names)


def is_prepared(name: str, data_dir=None) -> bool:
    """Whether a TFDS data set lies prepared in one of the usual places."""
    return _prepared(name, data_dir) is not None


def builder(name: str, data_dir=None) -> tfds.core.DatasetBuilder:
    """The prepared TFDS builder of `name`; downloads where it must and can.

    Raises DataUnavailable, which names the places searched.
    """
    found = _prepared(name, data_dir)
    if found is not None:
        return found
    if not _reachable(name):
        searched = ", ".join(map(str, places(data_dir)))
        raise DataUnavailable(
            f"data set {name!r} is not prepared in {searched} and {urlsplit(DOWNLOADS[name]).hostname} does not "
            "answer; give a folder that holds it with --data-dir or TFDS_DATA_DIR"
        )
    fetched = tfds.builder(name, data_dir=places(data_dir)[0])
    try:
        fetched.download_and_prepare()
    except (OSError, RuntimeError, AssertionError, tfds.download.DownloadError) as error:
        raise DataUnavailable(f"data set {name!r} could not be fetched: {' '.join(str(error).split())}") from error
    return fetched


@lru_cache(maxsize=8)
def arrays(name: str, split: str, data_dir=None) -> tuple[tf.Tensor, tf.Tensor]:
    """All images (uint8) and labels (int64) of a small data set, in memory, in the order of the file."""
    dataset = builder(name, data_dir).as_dataset(split=split, shuffle_files=False, batch_size=-1)
    return dataset["image"], dataset["label"]


def class_names(name: str, data_dir=None) -> tuple[str, ...]:
    return tuple(builder(name, data_dir).info.features["label"].names)


def _prepared(name: str, data_dir):
    for place in places(data_dir):
        try:
            found = tfds.builder(name, data_dir=place)
        except (OSError, ValueError, tf.errors.OpError):
            continue
        if found.is_prepared():
            return found
    return None


def _reachable(name: str) -> bool:
    """Whether the server of a data set takes a connection. Looked up in a thread: name servers can stall for long."""
    address = urlsplit(DOWNLOADS[name])
    answered = threading.Event()

    def connect():
        try:
            socket.create_connection((address.hostname, address.port or 80), SECONDS_TO_ANSWER).close()
        except OSError:
            return
        answered.set()

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(SECONDS_TO_ANSWER)
    return answered.is_set()
