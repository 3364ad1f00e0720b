"""A disk that is full: one sentence, no half files, and the same call continues."""

import os
import subprocess

import numpy as np
import pytest
from helpers import gap_network

import keras_actmaps as kam
from keras_actmaps.bulk.finish import verify
from keras_actmaps.bulk.store import FolderStore


@pytest.fixture
def small_disk(tmp_path):
    """A file system in memory of 128 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if getattr(os, "geteuid", lambda: 1)() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a file system in memory can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_sentence_and_the_same_call_continues(small_disk):
    inputs = np.random.default_rng(0).random((200, 24, 24, 3), "float32")
    arguments = (gap_network((24, 24, 3)), inputs, small_disk, "saliency")
    settings = {"engine": "serial", "shard": 10, "batch_size": 10}
    with pytest.raises(OSError, match=r"No space left on device after \d+ of 20 shards; the same call continues"):
        kam.explain_all(*arguments, **settings)
    assert list(small_disk.glob("shard-*.h5")) and not list(small_disk.glob("*.tmp"))
    subprocess.run(["mount", "-o", "remount,size=10m", str(small_disk)], check=True)
    maps = kam.explain_all(*arguments, **settings)
    assert verify(FolderStore(small_disk)) == [] and len(maps) == 200 and np.isfinite(maps.scores).all()
