"""A Ray cluster of two nodes on this machine, of which one is killed: the same bytes as in one process.

BULK=all runs it; starting Ray takes half a minute.
"""

import os
import threading
import time

import numpy as np
import pytest
from helpers import gap_network
from helpers.slow_images import SlowImages

import keras_actmaps as kam
from keras_actmaps.bulk.finish import verify
from keras_actmaps.bulk.store import FolderStore

pytestmark = pytest.mark.skipif(os.environ.get("BULK") != "all", reason="starts a Ray cluster; BULK=all runs it")
IMAGES = 240
PATIENT = {"health_check_timeout_ms": 60_000, "health_check_failure_threshold": 10}  # on a busy machine


def test_a_node_that_is_killed_costs_nothing_but_time(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'keras_actmaps[bulk]'")
    import ray
    from ray.cluster_utils import Cluster

    np.save(tmp_path / "inputs.npy", np.random.default_rng(0).random((IMAGES, 12, 16, 3), "float32"))
    settings = {"method": "saliency", "shard": 8, "batch_size": 8}
    source = SlowImages(tmp_path / "inputs.npy", IMAGES, 0.05)
    kam.explain_all(gap_network(), source, tmp_path / "undisturbed", engine="serial", **settings)

    out = tmp_path / "run"
    tests = os.path.dirname(os.path.dirname(__file__))
    root = os.path.dirname(tests)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, tests]))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "_system_config": PATIENT})
    second = cluster.add_node(num_cpus=1)
    stop = threading.Event()
    try:
        ray.init(address=cluster.address, logging_level="warning")

        def kill_a_node():
            end = time.time() + 300
            while len(list(out.glob("shard-*.h5"))) < 6 and not stop.wait(0.05):
                assert time.time() < end
            if stop.is_set():
                return
            cluster.remove_node(second, allow_graceful=False)

        killer = threading.Thread(target=kill_a_node)
        killer.start()
        maps = kam.explain_all(gap_network(), source, out, engine="ray", workers=2, **settings)
    finally:
        stop.set()
        killer.join()
        ray.shutdown()
        cluster.shutdown()
    assert "the worker has died" in (out / "run.log").read_text()
    assert len(maps) == IMAGES and verify(FolderStore(out)) == []
    for shard in sorted((tmp_path / "undisturbed").glob("shard-*.h5")):
        assert (out / shard.name).read_bytes() == shard.read_bytes()
