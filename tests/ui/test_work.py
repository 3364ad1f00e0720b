"""The queue: bounded, in order, and stopped when nobody waits for a result."""

import threading
import time
from pathlib import Path

import pytest

from keras_actmaps.ui import config, launch, limits
from keras_actmaps.ui.work import Full, Job, Queue


def finished(job):
    for _ in range(400):
        if job.is_finished:
            return job
        time.sleep(0.005)
    raise AssertionError(job.state)


def test_jobs_are_computed_in_the_order_of_their_arrival():
    order, queue = [], Queue(workers=1)
    jobs = [queue.submit(Job("a", number, lambda job: order.append(job.key) or job.key)) for number in range(5)]
    assert [finished(job).result for job in jobs] == order == [0, 1, 2, 3, 4]


def test_a_full_queue_says_so_and_accepts_again_later():
    gate, queue = threading.Event(), Queue(workers=1, most=2)
    running = queue.submit(Job("a", 0, lambda job: gate.wait(5)))
    while running.state == "waiting":
        time.sleep(0.005)
    waiting = [queue.submit(Job("a", number, lambda job: None)) for number in (1, 2)]
    assert [queue.position(job) for job in waiting] == [0, 1]
    with pytest.raises(Full, match="2 computations of other visitors are waiting"):
        queue.submit(Job("b", 3, lambda job: None))
    gate.set()
    finished(waiting[-1])
    assert finished(queue.submit(Job("b", 3, lambda job: "later"))).result == "later"


def test_a_stopped_job_ends_where_it_next_reports():
    started, queue = threading.Event(), Queue(workers=1)

    def endless(job):
        while True:
            started.set()
            job.report(1, 100)
            time.sleep(0.001)

    job = queue.submit(Job("a", 0, endless))
    started.wait(5)
    queue.stop(job)
    assert finished(job).state == "stopped"


def test_a_job_that_no_page_asks_for_is_not_computed(monkeypatch):
    gate, computed, queue = threading.Event(), [], Queue(workers=1)
    first = queue.submit(Job("a", 0, lambda job: gate.wait(5)))
    abandoned = queue.submit(Job("a", 1, lambda job: computed.append(1)))
    abandoned.wanted -= limits.WANTED + 1
    gate.set()
    finished(first)
    assert finished(abandoned).state == "stopped" and not computed


@pytest.mark.parametrize("error", [ValueError("a < b"), MemoryError(), RuntimeError("x"), KeyError("y")])
def test_an_error_is_a_message_and_the_worker_goes_on(error):
    def fails(job):
        raise error

    queue = Queue(workers=1)
    job = finished(queue.submit(Job("a", 0, fails)))
    assert job.state == "failed" and job.error
    assert finished(queue.submit(Job("a", 1, lambda job: "next"))).result == "next"


def test_the_page_is_served_to_this_machine_only_however_it_is_started():
    options = dict(
        word[2:].split("=") for word in launch.command(config.Config()) if word.startswith("--") and "=" in word
    )
    assert options["server.address"] == "localhost" and options["server.maxUploadSize"] == str(limits.UPLOAD_MB)
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    tables = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    dark = tables["theme"].pop("dark")
    written = {f"{table}.{name}": value for table, values in tables.items() for name, value in values.items()}
    written |= {f"theme.dark.{name}": value for name, value in dark.items()}
    same = {name: {True: "true", False: "false"}.get(value, str(value)) for name, value in written.items()}
    assert same == {name: value for name, value in options.items() if name != "server.port"}


def test_the_options_of_the_page_survive_its_command_line():
    options = config.Config("my runs", ("a", "b c"), True, "data")
    assert config.parse(options.arguments) == options
