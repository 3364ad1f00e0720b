"""Files that exist completely or not at all, in a folder and in an object store."""

import os
import subprocess
import sys

import pytest

from keras_actmaps.bulk.store import FolderStore, host, open_store


def test_a_write_that_fails_leaves_nothing(tmp_path):
    store = FolderStore(tmp_path)
    with pytest.raises(TypeError):
        store.commit("a", "no bytes")
    assert os.listdir(tmp_path) == []


def test_only_temporary_files_of_dead_processes_of_this_machine_are_removed(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = {
        f"shard-00001.h5.{host()}.{dead.pid}.tmp": False,
        f"shard-00002.h5.{host()}.{os.getpid()}.tmp": True,
        f"shard-00003.h5.elsewhere.{dead.pid}.tmp": True,
        "shard-00004.h5": True,
        "notes.tmp": True,
    }
    for name in names:
        (tmp_path / name).touch()
    FolderStore(tmp_path).remove_leftovers()
    assert {name: (tmp_path / name).exists() for name in names} == names


def test_a_shard_that_another_driver_has_finished_may_be_gone_before_its_rename(tmp_path):
    store = FolderStore(tmp_path)
    with store.written("shard-00000.h5") as temporary:
        temporary.write_bytes(b"same")
        temporary.unlink()
        (tmp_path / "shard-00000.h5").write_bytes(b"same")
    assert store.read("shard-00000.h5") == b"same"


def test_a_file_of_an_object_store_counts_once_its_marker_is_written():
    pytest.importorskip("fsspec")
    store = open_store("memory://run")
    assert store.names() == set()
    store.commit("shard-00000.h5", b"content")
    store.system.pipe_file(f"{store.root}/shard-00001.h5", b"incompl")
    assert store.names() == {"shard-00000.h5"}
    assert (store.has("shard-00000.h5"), store.has("shard-00001.h5")) == (True, False)
    with store.open("shard-00000.h5") as file:
        assert file.read() == b"content"
    store.remove("shard-00000.h5")
    assert store.names() == set()
