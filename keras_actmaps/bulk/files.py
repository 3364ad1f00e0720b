"""The names of the files of a run."""

import re

RUN = "run.json"
MANIFEST = "manifest.json"
ERRORS = "errors.csv"
LOG = "run.log"
STREAM = "stream.json"
SHARD = re.compile(r"shard-(\d+)\.h5")
PROGRESS = re.compile(r"progress\.(?P<host>[^.]+)\.(?P<pid>\d+)\.json")


def shard_name(number: int) -> str:
    """The name of a shard."""
    return f"shard-{number:05d}.h5"
