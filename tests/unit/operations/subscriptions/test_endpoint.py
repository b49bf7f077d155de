"""What is held against a delivery, and what against the endpoint."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.operations.subscriptions.backoff import LONGEST_RETRY_AFTER_S, Backoff, retry_after_s
from stream.operations.subscriptions.endpoint import DOWN_AFTER, PROBES, REFUSED_BY_ALL, Endpoint
from stream.operations.subscriptions.outcomes import Delivery

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def met(endpoint: Endpoint, customer: str) -> Delivery:
    delivery = Delivery(partition=0, offset=0, key=customer.encode(), id="1", body=b"")
    endpoint.meets(delivery)
    return delivery


def test_nothing_counts_while_nothing_is_taken() -> None:
    endpoint = Endpoint(2, lambda: 0.5)
    alone = met(endpoint, "ann")
    for _ in range(100):
        endpoint.failed(alone, 0.0, None)
    assert not endpoint.gives_up(alone, crowded=True)


def test_a_failure_counts_once_the_endpoint_is_known_to_work() -> None:
    endpoint = Endpoint(2, lambda: 0.5)
    poison = met(endpoint, "ann")
    endpoint.failed(poison, 0.0, None)
    endpoint.took()
    endpoint.failed(poison, 1.0, None)
    assert not endpoint.gives_up(poison, crowded=False)
    assert endpoint.gives_up(poison, crowded=True)
    endpoint.failed(poison, 2.0, None)
    assert endpoint.gives_up(poison, crowded=False)


def test_what_an_endpoint_that_is_down_does_not_take_is_not_held_against_it() -> None:
    endpoint = Endpoint(3, lambda: 0.5)
    deliveries = [met(endpoint, f"customer-{number}") for number in range(DOWN_AFTER + 3)]
    endpoint.took()
    for _ in range(50):
        for delivery in deliveries:
            endpoint.failed(delivery, 0.0, None)
    assert endpoint.is_down
    assert not any(endpoint.gives_up(delivery, crowded=False) for delivery in deliveries)
    assert endpoint.took() > 0
    assert not endpoint.is_down


def test_while_it_is_down_it_is_probed_less_and_less_often_and_up_to_a_bound() -> None:
    endpoint = Endpoint(3, lambda: 1.0)
    now, waits = 0.0, []
    for number in range(40):
        endpoint.failed(met(endpoint, f"customer-{number}"), now, None)
        waits.append(endpoint.quiet_s(now))
        now += waits[-1]
    assert waits[: DOWN_AFTER + 4] == [0.0] * (DOWN_AFTER - 1) + [1.0, 2.0, 4.0, 8.0, 16.0]
    assert waits[-1] == PROBES.cap_s


def test_everybody_waits_for_as_long_as_one_was_told_to() -> None:
    endpoint = Endpoint(3, lambda: 0.5)
    endpoint.failed(met(endpoint, "ann"), 10.0, 30.0)
    endpoint.failed(met(endpoint, "bob"), 11.0, 5.0)
    assert [endpoint.is_quiet(now) for now in (10.0, 39.9, 40.0)] == [True, True, False]


def test_everybody_is_refused_only_with_nobody_taken_in_between() -> None:
    endpoint = Endpoint(3, lambda: 0.5)
    for number in range(REFUSED_BY_ALL - 1):
        endpoint.refused(met(endpoint, f"customer-{number}"))
        endpoint.refused(met(endpoint, f"customer-{number}"))
    assert not endpoint.refuses_all
    endpoint.took()
    endpoint.refused(met(endpoint, "customer-99"))
    assert not endpoint.refuses_all
    for number in range(REFUSED_BY_ALL):
        endpoint.refused(met(endpoint, f"customer-{number}"))
    assert endpoint.refuses_all


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_grow_to_the_cap_and_are_drawn_from_all_below(failures: int, chance: float) -> None:
    wait = Backoff(1.0, 300.0).wait_s(failures, lambda: chance)
    assert wait == pytest.approx(chance * min(300.0, 2.0 ** min(failures - 1, 60)))
    assert math.isfinite(wait)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("1.5", None),
        ("٣", None),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("86400", LONGEST_RETRY_AFTER_S),
        ("9" * 5_000, LONGEST_RETRY_AFTER_S),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("Sun, 99 Mar 2026 11:00:00 GMT", None),
        ("Sun, 01 Mar 99999 11:00:00 GMT", None),
    ],
)
def test_retry_after_in_seconds_and_as_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds


@given(st.text())
def test_no_header_is_an_error(value: str) -> None:
    found = retry_after_s(value, NOW)
    assert found is None or 0 <= found <= LONGEST_RETRY_AFTER_S


@given(st.integers(-(10**6), 10**6))
def test_dates_are_read_as_they_are_written(ahead_s: int) -> None:
    written = format_datetime(NOW + timedelta(seconds=ahead_s), usegmt=True)
    assert retry_after_s(written, NOW) == min(max(ahead_s, 0), LONGEST_RETRY_AFTER_S)
