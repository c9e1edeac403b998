"""Streams of cells: splits, order, shares of processes, background workers."""

import itertools

import pytest

from matnet.errors import ParameterError
from offline.surrogates import stream as stream_module
from offline.surrogates.families import family
from offline.surrogates.stream import SPLITS, CellStream, DataOptions, split_seeds


def options(**changes):
    values = {"families": ("tpms", "truss"), "resolution": 8, "cells": 13, "batch": 3}
    return DataOptions(**{**values, "validation_cells": 4, **changes})


def seeds(batches):
    return [[sample.seed for sample in batch] for batch in batches]


def flat(batches):
    return list(itertools.chain(*batches))


def test_splits_share_no_seed_at_any_size():
    largest = [split_seeds(split, 10**9) for split in SPLITS]
    for a, b in itertools.pairwise(largest):
        assert a.stop <= b.start


def test_epoch_holds_every_cell_once_in_an_order_of_its_own():
    stream = CellStream(options(cells=12))
    first, second = seeds(stream.batches(0)), seeds(stream.batches(1))
    assert sorted(flat(first)) == sorted(flat(second)) == list(range(12))
    assert first != second and first == seeds(CellStream(options(cells=12)).batches(0))
    assert first != seeds(CellStream(options(cells=12, seed=1)).batches(0))


def test_batch_is_the_cells_of_its_seeds_with_families_in_turn():
    for batch in CellStream(options()).batches(2):
        for sample in batch:
            name = ("tpms", "truss")[sample.seed % 2]
            assert sample.family == name
            assert sample.rve == family(name).sample(sample.seed, 8).rve


def test_kept_cells_are_not_made_again_and_stay_the_same(monkeypatch):
    stream = CellStream(options())
    before = {s.seed: s for batch in stream.all_in_order() for s in batch}
    monkeypatch.setattr(stream_module, "_make", None)
    for batch in stream.batches(0):
        for sample in batch:
            assert sample.rve == before[sample.seed].rve
            assert sample.rve.source == before[sample.seed].rve.source
            assert sample.nu == before[sample.seed].nu
    with pytest.raises(TypeError):
        list(CellStream(options(keep=False)).batches(0))


def test_density_fields_pass_through_unchanged():
    stream = CellStream(options(families=("density-lhs",), cells=3))
    (batch,) = stream.batches(0)
    assert all(s.rve == family("density-lhs").sample(s.seed, 8).rve for s in batch)


def test_two_processes_share_the_steps_of_one_with_twice_the_batch():
    one = seeds(CellStream(options(batch=4)).batches(5))
    halves = [seeds(CellStream(options(batch=2)).batches(5, rank, 2)) for rank in (0, 1)]
    assert [a + b for a, b in zip(*halves, strict=True)] == one
    assert CellStream(options(batch=2)).steps(2) == len(one) == 3


def test_epoch_goes_on_from_a_step():
    stream = CellStream(options())
    assert seeds(stream.batches(1, start=2)) == seeds(stream.batches(1))[2:]
    assert seeds(stream.batches(1, start=4)) == []


def test_validation_has_its_own_cells_in_order():
    stream = CellStream(options(), "validation")
    found = seeds(stream.all_in_order())
    assert found == [[10**9, 10**9 + 1, 10**9 + 2], [10**9 + 3]]


def test_workers_make_the_same_cells():
    inline, pooled = CellStream(options(cells=6)), CellStream(options(cells=6, workers=1))
    try:
        for ours, theirs in zip(inline.batches(0), pooled.batches(0), strict=True):
            assert [s.rve for s in ours] == [s.rve for s in theirs]
            assert [s.nu for s in ours] == [s.nu for s in theirs]
    finally:
        pooled.close()


def test_card_holds_what_decides_the_cells():
    assert options(workers=3, keep=False).card() == options().card()
    assert options().card()["families"] == ["tpms", "truss"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"families": ("trus",)}, "family 'trus' is unknown, expected one of truss, tpms"),
        ({"families": ()}, r"families is \(\), expected a tuple of names, such as \('truss',\)."),
        ({"families": "truss"}, "families is 'truss', expected a tuple of names"),
        ({"resolution": 2}, "resolution is 2, expected a whole number from 4 to 1024."),
        ({"cells": 0}, "cells is 0, expected a whole number from 1 to 1000000000."),
        ({"batch": 1.5}, "batch is 1.5, expected a whole number from 1"),
        ({"workers": -1}, "workers is -1, expected a whole number from 0 to 1024."),
        ({"nu": 0.5}, "nu is 0.5, expected -0.99 to 0.49."),
    ],
)
def test_wrong_options_are_named(wrong, message):
    with pytest.raises(ParameterError, match=message):
        options(**wrong)


def test_too_few_cells_for_a_step_are_named():
    with pytest.raises(ParameterError) as refused:
        CellStream(options(cells=5)).steps(2)
    assert str(refused.value) == (
        "5 cells do not fill one step of 3 in each of 2 processes. Take more cells or smaller "
        "batches."
    )
    with pytest.raises(ParameterError, match="split 'trial' is unknown, expected one of training"):
        CellStream(options(), "trial")
