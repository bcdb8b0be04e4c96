"""The ledger's arithmetic: a loss or a double count at any hop is a sentence, and nothing else is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.ledger import Ledger

BALANCED = Ledger(
    accepted=1_010,
    rejected=7,
    bronze=1_010,
    duplicates=6,
    quarantined=4,
    silver=1_000,
    published=1_000,
    facts=1_000,
)


def test_a_ledger_in_which_every_hop_adds_up_has_no_differences() -> None:
    assert BALANCED.balanced
    assert BALANCED.differences() == []
    assert [name for name, _ in BALANCED.hops()] == [
        "accepted",
        "rejected",
        "bronze",
        "duplicates",
        "quarantined",
        "silver",
        "published",
        "facts",
    ]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"accepted": 1_011}, "1 of 1,011 in accepted have not reached bronze"),
        ({"accepted": 1_009}, "bronze counts 1 more than the 1,009 in accepted"),
        (
            {"duplicates": 5},
            "1 of 1,010 in bronze have not reached silver, duplicates and quarantine",
        ),
        (
            {"quarantined": 6},
            "silver, duplicates and quarantine counts 2 more than the 1,010 in bronze",
        ),
        ({"published": 998, "facts": 998}, "2 of 1,000 in silver have not reached published"),
        ({"published": 1_001, "facts": 1_001}, "published counts 1 more than the 1,000 in silver"),
        ({"facts": 0}, "1,000 of 1,000 in published have not reached facts"),
        ({"facts": 1_001}, "facts counts 1 more than the 1,000 in published"),
    ],
)
def test_each_loss_and_each_double_count_is_one_sentence(
    changed: dict[str, int], sentence: str
) -> None:
    ledger = replace(BALANCED, **changed)
    assert ledger.differences() == [sentence]
    assert not ledger.balanced


def test_rejected_messages_are_no_part_of_the_sum() -> None:
    assert replace(BALANCED, rejected=10**9).balanced


@pytest.mark.parametrize(
    ("at_start", "bronze", "accounted"),
    [
        (1_000, 1_000, True),  # none of those that came meanwhile was taken
        (1_000, 1_004, True),  # some were
        (1_000, 1_010, True),  # all were
        (1_000, 999, False),  # one that was there at the start is missing
        (1_000, 1_011, False),  # one more than was ever accepted
        (0, 0, True),
    ],
)
def test_events_that_come_during_a_refresh_may_but_need_not_be_in_it(
    at_start: int, bronze: int, accounted: bool
) -> None:
    silver = bronze - BALANCED.duplicates - BALANCED.quarantined if bronze else 0
    ledger = replace(BALANCED, bronze=bronze, silver=silver, published=silver, facts=silver)
    if not bronze:
        ledger = replace(ledger, duplicates=0, quarantined=0)
    assert (ledger.unaccounted(at_start) == []) is accounted


counts = st.integers(0, 10**6)


@given(counts, counts, counts, counts, st.integers(-5, 5), st.sampled_from(["bronze", "published"]))
def test_no_change_of_one_count_goes_unnoticed(
    silver: int, duplicates: int, quarantined: int, rejected: int, error: int, hop: str
) -> None:
    bronze = silver + duplicates + quarantined
    ledger = Ledger(bronze, rejected, bronze, duplicates, quarantined, silver, silver, silver)
    assert ledger.balanced
    wrong = replace(ledger, **{hop: getattr(ledger, hop) + error})
    assert wrong.balanced is (error == 0)


def test_what_came_since_the_last_refresh_is_no_difference_but_a_loss_in_bronze_is() -> None:
    waiting = replace(BALANCED, accepted=2_000)
    assert waiting.differences()
    assert waiting.unreconciled(landed=1_010) == []
    assert waiting.unreconciled(landed=1_011) == [
        "1 of 1,011 in landed have not reached bronze",
    ]
    assert waiting.unreconciled(landed=1_000) == ["bronze counts 10 more than the 1,000 in landed"]
    assert replace(waiting, facts=999).unreconciled(landed=1_010) == [
        "1 of 1,000 in published have not reached facts"
    ]
