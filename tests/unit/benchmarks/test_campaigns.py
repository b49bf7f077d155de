"""The promise of `tidemark campaigns report`, on real orders: where there is no effect its intervals hold zero, and an
effect that was planted is found."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.campaigns import Person, held, people
from stream.contracts.events import Event
from stream.operations.demo_events import sample

DRAWS = 100
LEAST = 90


@pytest.fixture(scope="module")
def events() -> Sequence[Event]:
    return list(sample())


def copies(everybody: Sequence[Person], times: int) -> list[Person]:
    """The sample has 322 customers; the same ones under other names are a larger shop with the same tails."""
    return [
        person._replace(customer_id=f"{person.customer_id}-{copy}") for copy in range(times) for person in everybody
    ]


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_between_arms_that_are_treated_alike_intervals_hold_zero(events: Sequence[Event], share: float) -> None:
    found = held(copies(people(events, planted=False), 8), DRAWS, share)
    assert found.truth == (0.0, 0.0, 0.0)
    assert min(found.buyers, found.revenue, found.reached) >= LEAST
    assert found.mismatched <= 1


def test_a_planted_effect_is_recovered(events: Sequence[Event]) -> None:
    found = held(copies(people(events, planted=True), 8), DRAWS, 0.5)
    assert min(found.truth) > 0.0
    assert min(found.buyers, found.revenue, found.reached) >= LEAST
    # Of a hundred draws the mean lies within three of its standard errors.
    for truth, seen, error in zip(found.truth, found.seen, found.errors, strict=True):
        assert abs(seen - truth) < 3.0 * error
