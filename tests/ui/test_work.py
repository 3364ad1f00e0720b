"""The queue: bounded, in order, and stopped when nobody waits for a result."""

import threading
import time

import pytest

from keras_actmaps.ui import limits
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
