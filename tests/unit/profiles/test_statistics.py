"""What is read from a profile equals what a plain computation over its history gives."""

import statistics as plain
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts.events import Item
from stream.contracts.times import DAY_MS
from stream.profiles import decay
from stream.profiles.baskets import BUCKET_MS, settle, span
from stream.profiles.decay import ERA_MS, HALF_LIVES
from stream.profiles.rings import top_items
from stream.profiles.settings import ProfileSettings
from stream.profiles.statistics import (
    decayed_count,
    decayed_revenue,
    frequency,
    monetary_value,
    recency,
    revenue_365d,
    rhythm,
)
from tests.unit.profiles.shop import START, event, folded, purchase

days = st.lists(st.integers(0, 2000), min_size=1, max_size=60, unique=True).map(sorted)
PATIENT = ProfileSettings(allowed_lateness_ms=10_000 * DAY_MS)


@given(days)
def test_decayed_counts_are_sums_of_powers_of_two(when: list[int]) -> None:
    times = [START + day * DAY_MS for day in when]
    profile = folded([event("browse", time) for time in times])
    at = times[-1] + DAY_MS
    for read, half_life in zip(decayed_count(profile, "browse", at), HALF_LIVES, strict=True):
        assert read == pytest.approx(sum(2.0 ** ((time - at) / half_life) for time in times), rel=1e-9)


@given(days)
def test_recency_frequency_and_monetary_value(when: list[int]) -> None:
    history = [purchase(START + day * DAY_MS, Item("mug", price=day + 1.0), order=f"{day}") for day in when]
    profile = folded(history)
    at = START + 2001 * DAY_MS
    assert frequency(profile) == len(when)
    assert recency(profile, at) == at - START - when[-1] * DAY_MS
    assert profile.revenue_cents == sum(100 * (day + 1) for day in when)
    assert monetary_value(profile) == pytest.approx(plain.mean(day + 1 for day in when))


@given(days)
def test_the_rhythm_is_mean_and_variance_of_the_gaps(when: list[int]) -> None:
    profile = folded([purchase(START + day * DAY_MS, order=f"{day}") for day in when])
    gaps = [(later - earlier) * 86400 for earlier, later in pairwise(when)]
    read = rhythm(profile)
    assert (read.baskets, read.first, read.last) == (len(when), START + when[0] * DAY_MS, START + when[-1] * DAY_MS)
    assert read.mean_gap_s == pytest.approx(plain.mean(gaps) if gaps else 0.0)
    assert read.gap_variance_s2 == pytest.approx(plain.pvariance(gaps) if gaps else 0.0, abs=1e-3)


@given(days, st.sets(st.integers(0, 2000)))
def test_the_span_that_silence_is_measured_by_is_that_of_the_rhythm(when: list[int], returned: set[int]) -> None:
    history = [purchase(START + day * DAY_MS, order=f"{day}") for day in when]
    back = [event("return", START + 2001 * DAY_MS, event_id=f"b-{day}", transaction_id=f"{day}") for day in returned]
    profile = folded([*history, *back])
    assert span(profile) == rhythm(profile)[:3]


@given(days, st.integers(0, 400))
def test_revenue_of_a_year_is_exact_for_sixteen_baskets_and_to_a_bucket_beyond(when: list[int], wait: int) -> None:
    profile = folded([purchase(START + day * DAY_MS, Item("mug", price=1.0), order=f"{day}") for day in when])
    at = START + (when[-1] + wait) * DAY_MS
    times = [START + day * DAY_MS for day in when]
    exact = sum(100 for time in times if time > at - 365 * DAY_MS)
    generous = sum(100 for time in times if time > at - 365 * DAY_MS - BUCKET_MS)
    read = revenue_365d(profile, at)
    assert exact <= read <= generous
    if len(when) <= 16:
        assert read == exact


@given(days)
def test_items_are_counted_in_the_ring_and_behind_it(when: list[int]) -> None:
    history = [purchase(START + day * DAY_MS, Item(f"{day % 3}", price=1.0), order=f"{day}") for day in when]
    browsed = [event("browse", START + 2000 * DAY_MS + number, Item("hat")) for number in range(40)]
    at = START + 2001 * DAY_MS
    read = {item.item_hash: item.decayed_count for item in top_items(folded([*history, *browsed]), at)}
    assert len(read) == len({day % 3 for day in when})
    seconds = [(START + day * DAY_MS) // 1000 * 1000 for day in when]
    assert sum(read.values()) == pytest.approx(sum(2.0 ** ((time - at) / HALF_LIVES[3]) for time in seconds), rel=1e-9)


def test_revenue_decays_in_the_currency() -> None:
    profile = folded([purchase(START, Item("mug", price=8.0))])
    assert decayed_revenue(profile, START + DAY_MS).day == pytest.approx(4.0)


def test_baskets_settle_without_changing_what_is_read() -> None:
    history = [purchase(START + day * day * DAY_MS, order=f"{day}") for day in range(12)]
    profile = folded(history)
    at = profile.last_time
    before = (rhythm(profile), frequency(profile), profile.revenue_cents, revenue_365d(profile, at))
    settle(profile, 3)
    assert (rhythm(profile), frequency(profile), profile.revenue_cents, revenue_365d(profile, at)) == before
    settle(profile, 0)
    assert rhythm(profile) == before[0]


@pytest.mark.parametrize("day", [-5, 5, 100])
def test_a_basket_older_than_those_settled_is_counted(day: int) -> None:
    profile = folded([purchase(START + number * 10 * DAY_MS, order=f"{number}") for number in range(6)])
    settle(profile, 1)
    folded([purchase(START + day * DAY_MS, order="late")], profile, PATIENT)
    assert frequency(profile) == 7
    assert rhythm(profile).first == START + min(0, day) * DAY_MS
    settle(profile, 0)
    assert frequency(profile) == 7
    assert rhythm(profile).first == START + min(0, day) * DAY_MS


def test_moving_the_landmark_divides_exactly() -> None:
    sums = decay.added(b"", decay.weights(START, START), 3.0)
    moved = decay.moved(sums, 1)
    at = START + ERA_MS
    assert decay.read(moved, at, at) == pytest.approx(decay.read(sums, at, START), rel=1e-12)
    assert decay.moved(b"", 1) == b""


def test_what_is_taken_back_is_gone() -> None:
    weights = decay.weights(START, START)
    sums = decay.added(decay.added(b"", weights, 7.7e6), weights, -7.7e6)
    assert decay.read(sums, START, START) == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"allowed_lateness_ms": -1}, "allowed_lateness_ms"),
        ({"browse_every_n": 0}, "browse_every_n"),
        ({"silence_max_ms": 1}, "silence_max_ms"),
        ({"silence_growth": 0.5}, "silence_growth"),
        ({"currency": "pounds"}, "ISO 4217"),
        ({"exchange_rates": {"EUR": float("nan")}}, "exchange_rates.EUR"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ProfileSettings(**changes)  # type: ignore[arg-type]
