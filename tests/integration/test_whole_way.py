"""Nothing that is let in is lost, stops another record or means something else behind: drawn records, all the way to gold."""

import math
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.integration.whole_way.drawn import batch
from tests.integration.whole_way.promises import broken_promises, listed
from tests.integration.whole_way.records import RECORDED, Sent, recorded
from tests.integration.whole_way.smallest import smallest
from tests.integration.whole_way.way import Way, own_way

SEEDS = range(1, 2)
"""Batches after the first one, which begins with the recorded records; `--hypothesis-seed` draws others."""
SEEDS_AT_FULL_SCALE = range(1, 31)
SECONDS_OF_HALVING = 600
"""A batch that fails is halved for so long, and at full scale to the end."""


@pytest.fixture(scope="module")
def folder(reachable_folder: Path) -> Path:
    """Holds the homes of this file."""
    return reachable_folder / "whole-way"


@pytest.fixture(scope="module")
def way(spark: SparkSession, folder: Path) -> Iterator[Way]:
    """The home that all batches go through."""
    with own_way(spark, folder / "all") as opened:
        yield opened


@pytest.mark.parametrize("culprits", [{0}, {399}, {17}, {3, 250}, {1, 2, 398}])
def test_a_failing_batch_is_halved_to_the_records_that_fail_together(culprits: set[int]) -> None:
    asked: list[int] = []

    def breaks(part: Sequence[int]) -> bool:
        asked.append(len(part))
        return culprits <= set(part)

    assert set(smallest(range(400), breaks)) == culprits
    if len(culprits) == 1:
        assert len(asked) <= 18


def test_a_seed_draws_the_same_batch_each_time() -> None:
    assert batch(7, 40) == batch(7, 40)


def _batches(config: pytest.Config) -> list[list[Sent]]:
    """The recorded records with some drawn ones, and then drawn ones alone."""
    seeds = SEEDS_AT_FULL_SCALE if config.getoption("full_scale") else SEEDS
    first = int(config.getoption("--hypothesis-seed", default=None) or 0)
    known = recorded()
    return [known + batch(first, 400 - len(known)), *(batch(first + seed) for seed in seeds)]


def test_what_is_accepted_is_in_gold_as_it_was_sent_or_in_quarantine(
    spark: SparkSession, way: Way, folder: Path, pytestconfig: pytest.Config
) -> None:
    for number, records in enumerate(_batches(pytestconfig)):
        way.send(records)
        if problems := broken_promises(way):
            is_full_scale = pytestconfig.getoption("full_scale")
            patience = math.inf if is_full_scale else SECONDS_OF_HALVING
            found = _smallest(spark, folder, records, patience)
            lines = "\n".join(record.recorded() for record in found)
            pytest.fail(
                f"Batch {number} broke promises:\n{listed(problems)}\n"
                f"The smallest part of it that does (keep it in {RECORDED.name}):\n{lines}"
            )


def _smallest(
    spark: SparkSession, folder: Path, records: Sequence[Sent], seconds: float
) -> list[Sent]:
    """What is left of a batch when it is halved, each half in a home of its own."""
    numbers = count()

    def breaks(part: Sequence[Sent]) -> bool:
        with own_way(spark, folder / f"part-{next(numbers)}") as opened:
            opened.send(part)
            return bool(broken_promises(opened))

    return smallest(records, breaks, seconds)
