"""The log of score requests holds what the shipped fold asks, of customers who differ in name and in time alone."""

from itertools import pairwise

import pytest

from benchmarks.request_log import APART_MS, WINDOW_DAYS, score_requests
from stream.contracts.scores import ScoreRequest
from stream.contracts.times import DAY_MS
from stream.operations.demo_events import sample
from stream.profiles import codec
from stream.profiles.settings import ProfileSettings

CUSTOMERS = 40


@pytest.fixture(scope="module")
def asked() -> list[ScoreRequest]:
    """Twice as many as there are."""
    names = dict.fromkeys(event.customer_id for event in sample())
    chosen = set(list(names)[:CUSTOMERS])
    events = [event for event in sample() if event.customer_id in chosen]
    return score_requests(events, 2 * CUSTOMERS, ProfileSettings())


def test_requests_are_in_order_of_time_and_of_the_last_days_alone(asked: list[ScoreRequest]) -> None:
    assert len({request.request_id for request in asked}) == len(asked) > CUSTOMERS
    assert all(former.as_of <= later.as_of for former, later in pairwise(asked))
    assert asked[-1].as_of - asked[0].as_of < WINDOW_DAYS * DAY_MS


def test_a_request_carries_its_customers_own_profile(asked: list[ScoreRequest]) -> None:
    for request in asked:
        profile = codec.decode(request.profile)
        assert profile.customer_id == request.customer_id
        assert 0 < profile.last_time <= request.as_of
        assert profile.purchases or profile.interactions


def test_a_copy_asks_what_the_original_asked_but_earlier(asked: list[ScoreRequest]) -> None:
    by_name: dict[str, list[tuple[int, str]]] = {}
    for request in asked:
        by_name.setdefault(request.customer_id, []).append((request.as_of, request.trigger))
    assert {name.rpartition("-")[2] for name in by_name} == {"0", "1"}
    first = asked[0].as_of + APART_MS
    for name, own in by_name.items():
        original, _, copy = name.rpartition("-")
        if copy == "1":
            # What the original asked at the very beginning, its copy asked before the log begins.
            inside = [(at - APART_MS, trigger) for at, trigger in by_name[f"{original}-0"] if at > first]
            assert [one for one in own if one[0] > asked[0].as_of][: len(inside)] == inside
