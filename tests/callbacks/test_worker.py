"""The thread in the background."""

import threading

import pytest

from keras_actmaps.callbacks.worker import MAX_PENDING, Worker


def test_items_are_processed_in_order_and_errors_are_kept():
    done = []
    worker = Worker(lambda item: done.append(1 / item))
    for item in (1, 2, 0, 4):
        worker.submit(item)
    worker.finish()
    assert done == [1, 0.5, 0.25] and worker.errors == ["ZeroDivisionError: division by zero"]


@pytest.mark.parametrize("method", ["wait", "finish"])
def test_waiting_ends_when_all_items_are_processed(method):
    release, done = threading.Event(), []
    worker = Worker(lambda item: release.wait(10) and done.append(item))
    for item in range(MAX_PENDING):
        worker.submit(item)  # none of which waits
    assert done == []
    release.set()
    getattr(worker, method)()
    assert done == list(range(MAX_PENDING)) and worker.seconds > 0
    worker.finish()


def test_a_full_queue_holds_its_caller_up():
    release, submitted = threading.Event(), []
    worker = Worker(lambda item: release.wait(10))

    def submit_all():
        for item in range(MAX_PENDING + 1):
            worker.submit(item)
            submitted.append(item)

    caller = threading.Thread(target=submit_all)
    caller.start()
    caller.join(0.2)
    assert caller.is_alive() and len(submitted) == MAX_PENDING
    release.set()
    caller.join(10)
    assert not caller.is_alive() and len(submitted) == MAX_PENDING + 1
    worker.finish()
