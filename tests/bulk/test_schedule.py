"""The schedule against a simulated pool: workers that die at random, and images that kill their worker."""

import random
from types import SimpleNamespace

import pytest

from keras_actmaps.bulk.schedule import TRIES, Schedule


def job(rows, shard):
    return SimpleNamespace(range_of=lambda number: (number * shard, min(rows, (number + 1) * shard)))


def simulate(rows, shard, crashes, deaths=0.0, seed=0, most=100_000):
    """Run all tasks; returns by shard the rows that were left out, and how many tasks that took."""
    chance = random.Random(seed)
    description = job(rows, shard)
    schedule = Schedule(description, range(-(-rows // shard)))
    written, count = {}, 0
    while (task := schedule.next()) is not None:
        count += 1
        assert count < most
        start, stop = task.rows or description.range_of(task.number)
        is_fatal = any(start <= row < stop and row not in task.skip for row in crashes)
        if is_fatal or chance.random() < deaths:
            schedule.lost(task, "died")
            continue
        schedule.done(task)
        if task.rows is None:
            assert task.number not in written
            written[task.number] = set(task.skip)
    return written, count


@pytest.mark.parametrize("crashes", [[], [0], [37], [5, 6], [0, 15, 16, 99], [40, 41, 42, 43, 44, 45, 46, 47]])
def test_exactly_the_images_that_crash_are_left_out(crashes):
    written, _ = simulate(100, 16, crashes)
    assert sorted(written) == list(range(7))
    assert sorted(row for rows in written.values() for row in rows) == crashes


def test_one_bad_image_in_a_thousand_is_found_by_halving():
    """TRIES losses at each of the 11 sizes, and the other half of each."""
    _, count = simulate(1024, 1024, [700])
    assert count <= 11 * TRIES + 10 + 1


@pytest.mark.parametrize("seed", range(20))
def test_random_deaths_leave_no_image_out(seed):
    written, _ = simulate(2000, 100, [], deaths=0.1, seed=seed)
    assert written == {number: set() for number in range(20)}


def test_a_shard_that_crashes_without_a_guilty_image_is_an_error():
    schedule = Schedule(job(8, 8), [0])
    with pytest.raises(RuntimeError, match="although none of its images does alone: died"):
        for _ in range(1000):
            task = schedule.next()
            if task.rows is None:
                schedule.lost(task, "died")
            else:
                schedule.done(task)


def test_a_shard_without_a_guilty_image_is_tried_with_half_the_batch():
    schedule = Schedule(job(8, 8), [0])
    while True:
        task = schedule.next()
        if task.rows is not None or task.halvings:
            schedule.done(task)
            if task.rows is None:
                break
        else:
            schedule.lost(task, "out of memory")
    assert task.halvings == 1 and schedule.next() is None
