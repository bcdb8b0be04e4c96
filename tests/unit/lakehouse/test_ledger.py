"""The ledger's arithmetic: a loss or a double count at any hop is a sentence, and nothing else is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.ledger import Ledger, Waiting

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
    waiting = Waiting(bronze=max(BALANCED.accepted - max(bronze, at_start), 0))
    ledger = replace(ledger, waiting=waiting)
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


def test_what_came_since_the_last_refresh_waits_and_is_no_difference_but_a_loss_beside_it_is() -> (
    None
):
    waiting = replace(BALANCED, accepted=2_000, waiting=Waiting(bronze=990))
    assert waiting.balanced
    assert waiting.waiting.by_hop() == {"bronze": 990}
    assert replace(waiting, waiting=Waiting(bronze=989)).differences() == [
        "1 of 1,011 in accepted have not reached bronze",
    ]
    assert replace(waiting, waiting=Waiting(bronze=1_000)).differences() == [
        "bronze counts 10 more than the 1,000 in accepted"
    ]
    assert replace(waiting, facts=999).differences() == [
        "1 of 1,000 in published have not reached facts"
    ]


@given(st.builds(Waiting, *[st.integers(0, 50)] * 4), st.integers(-5, 5), st.integers(0, 3))
def test_events_wait_before_any_hop_without_hiding_what_is_lost_there(
    waiting: Waiting, error: int, hop: int
) -> None:
    facts = 1_000
    published = facts + waiting.facts
    silver = published + waiting.published
    bronze = silver + 10 + waiting.silver
    ledger = Ledger(bronze + waiting.bronze, 7, bronze, 6, 4, silver, published, facts, waiting)
    assert ledger.balanced
    name = ("bronze", "silver", "published", "facts")[hop]
    wrong = replace(ledger, **{name: getattr(ledger, name) + error})
    assert wrong.balanced is (error == 0)


def test_a_refresh_under_traffic_accounts_for_all_that_was_accepted_when_it_began() -> None:
    meanwhile = replace(
        BALANCED,
        accepted=1_600,
        bronze=1_500,
        silver=1_290,
        published=1_100,
        facts=1_100,
        waiting=Waiting(bronze=100, silver=200, published=190),
    )
    assert meanwhile.unaccounted(1_110) == []
    assert meanwhile.unaccounted(1_111) == [
        "1 of 1,111 in accepted have not reached published, duplicates and quarantine"
    ]
