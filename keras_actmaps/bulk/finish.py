"""The end of a run: manifest.json, with what every shard contains, and errors.csv, with the images that have no map."""

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

import h5py

from keras_actmaps.bulk.files import ERRORS, MANIFEST, shard_name
from keras_actmaps.bulk.job import Job
from keras_actmaps.bulk.shard import read_errors
from keras_actmaps.bulk.store import Store


def finish(job: Job, store: Store, results: Mapping[int, Mapping[str, Any]], seconds: Mapping[int, float]) -> None:
    """Write manifest.json and, if images failed, errors.csv.

    Parameters
    ----------
    results : mapping
        What the workers of this driver have reported, by shard; other shards are read.
    seconds : mapping
        Of the shards of earlier drivers, where known.
    """
    shards: list[dict[str, Any]] = []
    errors: dict[int, str] = {}
    for number in range(job.shards):
        start, stop = job.range_of(number)
        found = results.get(number) or read_result(store, shard_name(number))
        errors |= {int(row): text for row, text in found["errors"].items()}
        taken = found.get("seconds", seconds.get(number))
        shards.append(
            {
                "name": shard_name(number),
                "start": start,
                "rows": stop - start,
                "sha256": found["sha256"],
                "seconds": None if taken is None else round(taken, 3),
                "errors": len(found["errors"]),
            }
        )
    if errors:
        text = io.StringIO()
        csv.writer(text).writerows([("index", "error"), *sorted(errors.items())])
        store.commit(ERRORS, text.getvalue().encode())
    content = {"rows": len(job.source), "shards": shards}
    store.commit(MANIFEST, json.dumps(content, indent=1).encode())


def read_result(store: Store, name: str) -> dict[str, Any]:
    """The SHA-256 and the errors of a shard."""
    content = store.read(name)
    with h5py.File(io.BytesIO(content), "r") as file:
        return {"sha256": hashlib.sha256(content).hexdigest(), "errors": read_errors(file)}


def verify(store: Store) -> list[str]:
    """The names of shards that are missing, or whose content is not that of the manifest."""
    shards = json.loads(store.read(MANIFEST))["shards"]
    present = store.names()

    def is_wrong(shard: Mapping[str, Any]) -> bool:
        name = shard["name"]
        return name not in present or hashlib.sha256(store.read(name)).hexdigest() != shard["sha256"]

    return [shard["name"] for shard in shards if is_wrong(shard)]
