"""Worker processes that are killed, drivers that are killed, and two drivers at once: always the same bytes.

By default one worker is killed once. BULK=all kills workers, drivers and whole trees of processes, of both engines, at
BULK_KILLS (10) random moments each, in runs of BULK_ROWS (400) images.
"""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from helpers import gap_network

import keras_actmaps as kam
from keras_actmaps.bulk.finish import verify
from keras_actmaps.bulk.store import FolderStore

psutil = pytest.importorskip("psutil")

ALL = os.environ.get("BULK") == "all"
IMAGES, KILLS = int(os.environ.get("BULK_ROWS", "400")), int(os.environ.get("BULK_KILLS", "10"))
SHARD = max(8, IMAGES // 100)
PAUSE = 0.005  # seconds to read an image
SETTINGS = {"method": "saliency", "shard": SHARD, "batch_size": min(SHARD, 32)}
SCRIPT = """
import signal
from helpers import gap_network
from helpers.slow_images import SlowImages
import keras_actmaps as kam

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores for programs in the background
    source = SlowImages({inputs!r}, {count}, {pause})
    kam.explain_all(gap_network(), source, {out!r}, workers={workers}, engine={engine!r}, **{settings})
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    path = tmp_path_factory.mktemp("inputs") / "inputs.npy"
    np.save(path, np.random.default_rng(0).random((IMAGES, 12, 16, 3), "float32"))
    return path


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    """The shards of a run without kills, in one process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    images = np.load(inputs, mmap_mode="r")
    kam.explain_all(gap_network(), images, folder, engine="serial", **SETTINGS)
    return shards(folder)


def shards(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard-*"))}


def driver(inputs, out, workers=2, engine="processes"):
    """A driver in a process group of its own."""
    script = out.parent / f"{out.name}.py"
    names = {"inputs": str(inputs), "out": str(out), "workers": workers, "engine": engine}
    script.write_text(SCRIPT.format(count=IMAGES, pause=PAUSE, settings=SETTINGS, **names))
    paths = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "RAY_ADDRESS": "local"}
    return subprocess.Popen([sys.executable, str(script)], env=environment, start_new_session=True)


def tree_of(process):
    """The processes that a driver has started, and those that they have started."""
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def workers_of(process):
    """The worker processes of a driver; of Ray, the actors."""

    def is_worker(child):
        try:
            command = " ".join(child.cmdline())
        except psutil.Error:
            return False
        return "spawn_main" in command or "ray::Worker" in command

    return [child for child in tree_of(process) if is_worker(child)]


def kill(processes):
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            one.kill()


def wait_until(condition, seconds=600):
    end = time.time() + seconds
    while not condition():
        assert time.time() < end
        time.sleep(0.02)


def _wait_for_a_shard(process, out):
    before = len(list(out.glob("shard-*.h5")))
    wait_until(lambda: process.poll() is not None or len(list(out.glob("shard-*.h5"))) > before)


def assert_same(folder, expected):
    assert shards(folder) == expected
    assert verify(FolderStore(folder)) == []
    assert not [path.name for path in folder.iterdir() if path.name.endswith(".tmp") or "progress" in path.name]
    maps = kam.Maps(folder)
    assert len(maps) == IMAGES and np.isfinite(maps.scores).all()


def test_a_worker_that_is_killed_costs_nothing_but_time(inputs, undisturbed, tmp_path):
    process = driver(inputs, tmp_path / "run", workers=1)
    wait_until(lambda: list((tmp_path / "run").glob("shard-*.h5")))
    for child in workers_of(process):
        child.kill()
    assert process.wait(300) == 0
    assert "was ended by SIGKILL; tried again" in (tmp_path / "run" / "run.log").read_text()
    assert_same(tmp_path / "run", undisturbed)


@pytest.mark.skipif(not ALL, reason="kills processes for minutes; BULK=all runs it")
@pytest.mark.parametrize("victim", ["worker", "driver", "group"])
@pytest.mark.parametrize("engine", ["processes", "ray"])
def test_kills_at_random_moments_leave_the_same_bytes(inputs, undisturbed, tmp_path, engine, victim):
    if engine == "ray":
        pytest.importorskip("ray", reason="Ray is not installed: pip install 'keras_actmaps[bulk]'")
    chance, out, kills = random.Random(victim), tmp_path / "run", 0
    process = driver(inputs, out, engine=engine)
    while kills < KILLS:
        _wait_for_a_shard(process, out)
        time.sleep(chance.uniform(0, 2 * SHARD * PAUSE))
        if process.poll() is not None:  # it has finished before
            break
        if victim == "worker" and not workers_of(process):
            continue
        kills += 1
        if victim == "worker":
            # The oldest: a worker that dies three times before it is ready ends the run.
            kill(sorted(workers_of(process), key=lambda child: child.create_time())[:1])
        else:
            kill([psutil.Process(process.pid), *(tree_of(process) if victim == "group" else [])])
            process.wait()
            process = driver(inputs, out, engine=engine)
    assert process.wait(3600) == 0
    assert kills == KILLS or (IMAGES <= 400 and kills >= 3)
    print(f"{engine}: {kills} kills of the {victim}, {IMAGES:,} images")
    assert_same(out, undisturbed)


@pytest.mark.skipif(not ALL, reason="starts four workers; BULK=all runs it")
@pytest.mark.parametrize("engine", ["processes", "ray"])
def test_two_drivers_on_one_folder_end_right(inputs, undisturbed, tmp_path, engine):
    if engine == "ray":
        pytest.importorskip("ray", reason="Ray is not installed: pip install 'keras_actmaps[bulk]'")
    both = [driver(inputs, tmp_path / "run", workers=1, engine=engine) for _ in range(2)]
    assert [process.wait(3600) for process in both] == [0, 0]
    assert_same(tmp_path / "run", undisturbed)


@pytest.mark.skipif(not ALL, reason="starts workers twice; BULK=all runs it")
def test_ctrl_c_says_how_to_go_on(inputs, undisturbed, tmp_path):
    process = driver(inputs, tmp_path / "run", workers=1)
    wait_until(lambda: list((tmp_path / "run").glob("shard-*.h5")))
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) != 0
    assert "the same call continues the run" in (tmp_path / "run" / "run.log").read_text()
    assert not list((tmp_path / "run").glob("*.tmp"))
    assert driver(inputs, tmp_path / "run", workers=1).wait(300) == 0
    assert_same(tmp_path / "run", undisturbed)
