"""Batches made in advance by a thread."""

import threading
import time

import pytest

from offline.surrogates.training.ahead import ahead


def test_order_is_kept_and_work_runs_in_one_other_thread():
    threads = set()

    def work(item):
        threads.add(threading.current_thread())
        return item * item

    assert list(ahead(work, iter(range(20)))) == [i * i for i in range(20)]
    assert len(threads) == 1 and threading.current_thread() not in threads


def test_at_most_the_asked_number_is_made_in_advance():
    made = []
    results = ahead(lambda item: made.append(item) or item, iter(range(10)), count=2)
    assert next(results) == 0
    time.sleep(0.1)
    assert made == [0, 1, 2]
    results.close()


def test_errors_arrive_in_their_place():
    def items():
        yield 1
        raise ValueError("the second item")

    results = ahead(float, items())
    assert next(results) == 1.0
    with pytest.raises(ValueError, match="the second item"):
        next(results)


def test_leaving_early_ends_the_thread():
    before = threading.active_count()
    for item in ahead(float, iter(range(100))):
        if item == 3.0:
            break
    del item
    time.sleep(0.05)
    assert threading.active_count() == before
