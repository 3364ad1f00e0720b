"""The state of a run as its files tell it, from any terminal: what is done, and how long the rest will take."""

import json
import os
import time
from contextlib import suppress
from typing import Any

from keras_actmaps.bulk.files import ERRORS, MANIFEST, PROGRESS, RUN, SHARD
from keras_actmaps.bulk.store import Store, host, is_running, open_store

QUIET = 120.0  # seconds after which a driver on another machine counts as dead


def status(place: str | os.PathLike) -> str:
    """The state of a run in a few lines.

    Parameters
    ----------
    place : path or str
        The folder of the run, or its URL.

    Raises
    ------
    ValueError
        If it contains no run.
    """
    store = open_store(place)
    names = store.names()
    if RUN not in names:
        raise ValueError(f"{store.place!r} contains no run of explain_all")
    run = json.loads(store.read(RUN))
    shards, written = -(-run["rows"] // run["shard"]), sum(bool(SHARD.fullmatch(name)) for name in names)
    lines = [f"{run['method']}: {written:,} of {shards:,} shards of {run['shard']:,} images are written"]
    drivers = other_drivers(store)
    if drivers:
        done = max(driver["done"] for driver in drivers)
        rate = sum(driver["rate"] for driver in drivers)
        state = {"done": done, "total": run["rows"], "rate": rate, "errors": sum(one["errors"] for one in drivers)}
        lines.append(f"{len(drivers)} running: {line(state)}")
    elif MANIFEST in names:
        lines.append("finished" + (f", with errors in {ERRORS}" if ERRORS in names else ""))
    else:
        lines.append("nobody works on it; the same call of explain_all continues it")
    return "\n".join(lines)


def line(state: dict[str, Any]) -> str:
    """The progress in one line."""
    done, total, rate = state["done"], state["total"], state["rate"]
    left = f", {duration((total - done) / rate)} left" if rate and done < total else ""
    failed = f", {state['errors']:,} failed" if state["errors"] else ""
    return f"{done:,} of {total:,} images, {rate:,.1f} images/s{left}{failed}"


def duration(seconds: float) -> str:
    """Seconds in words, to two units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((at for at, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])


def other_drivers(store: Store) -> list[dict[str, Any]]:
    """What other running drivers of the same run have written; files of dead ones in this folder are skipped."""
    found = []
    for name in sorted(store.names()):
        match = PROGRESS.fullmatch(name)
        if match is None or (match["host"], match["pid"]) == (host(), str(os.getpid())):
            continue
        with suppress(OSError, ValueError):
            content = json.loads(store.read(name))
            is_here = match["host"] == host()
            if is_running(int(match["pid"])) if is_here else time.time() - content["time"] < QUIET:
                found.append(content)
    return found


def take_over(store: Store) -> dict[int, float]:
    """Remove the files of dead drivers; the seconds of the shards that they had written."""
    seconds: dict[int, float] = {}
    for name in sorted(store.names()):
        match = PROGRESS.fullmatch(name)
        if match is None or match["host"] != host() or is_running(int(match["pid"])):
            continue
        with suppress(OSError, ValueError):
            seconds |= {int(number): value for number, value in json.loads(store.read(name))["seconds"].items()}
            store.remove(name)
    return seconds
