"""Ids are what they were: readers have stored them, so a formula that drifts fails here."""

import json
import math
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from stream.contracts import ids

SECRET = b"golden"


def test_hashes_keep_their_golden_values() -> None:
    assert ids.item_hash("85123A") == 3141760557156334012
    assert ids.item_hash("") == 13020603013274838756
    assert ids.item_hash("tasse-weiß") == 7021767769050540335
    assert ids.event_id_hash("e-1") == 3232336396


def test_ids_keep_their_golden_values() -> None:
    episode = ids.alert_id(SECRET, "13085", "churn", 1_306_919_520_000)
    assert episode == "bea938ae-c939-5cc5-8391-eacfb8413e6d"
    assert ids.message_id(episode, 1) == "0485aab3-5813-50ad-88c4-b1da0c1b5ae5"
    assert ids.request_id("13085", "purchase", 1_306_919_520_000) == "a9592dff-59bd-5ac8-917c-d516243597da"
    assert ids.request_id("13085", "purchase", 1_306_919_520_000, attempt=1) == "17b80338-7e9f-59b9-9b55-9d6bcec69f5d"
    assert ids.recommendation_id("13085", 1) == "add9186f-94ed-5af7-ab5b-09b3041280bf"
    assert ids.arm_fraction(SECRET, "13085", "churn-mail", "2011-06") == 0.003604368659823831


@given(st.text(), st.integers(0, 2**53), st.integers(0, 9))
def test_a_request_id_is_the_uuid5_of_its_parts(customer: str, as_of: int, attempt: int) -> None:
    name = json.dumps([customer, "browse", as_of, attempt], ensure_ascii=False, separators=(",", ":"))
    namespace = uuid5(UUID(int=0), "io.tidemark.score-request")
    assert UUID(ids.request_id(customer, "browse", as_of, attempt)).version == 5
    if customer.isalnum():  # JSON escapes the rest in more than one way.
        assert ids.request_id(customer, "browse", as_of, attempt) == str(uuid5(namespace, name))


def test_counted_event_ids_are_never_taken_for_one_another() -> None:
    assert len({ids.event_id_hash(f"order-{number:04d}-event") for number in range(10_000)}) == 10_000


def test_an_alert_id_cannot_be_computed_without_the_secret() -> None:
    assert ids.alert_id(b"one", "13085", "churn", 0) != ids.alert_id(b"two", "13085", "churn", 0)


def test_every_transition_has_its_own_id() -> None:
    episode = ids.alert_id(SECRET, "13085", "churn", 0)
    assert len({ids.message_id(episode, revision) for revision in range(1, 50)}) == 49


@given(st.text(), st.text(), st.text(), st.text())
def test_parts_that_run_into_each_other_do_not_collide(a: str, b: str, c: str, d: str) -> None:
    same = ids.alert_id(SECRET, a, b, 0) == ids.alert_id(SECRET, c, d, 0)
    assert same == ((a, b) == (c, d))


@given(st.text(min_size=1))
def test_an_arm_lies_in_the_half_open_unit_interval(customer: str) -> None:
    assert 0.0 <= ids.arm_fraction(SECRET, customer, "churn-mail", "1") < 1.0


def test_arms_are_uniform_and_a_new_salt_draws_anew() -> None:
    customers = [str(number) for number in range(4_000)]
    first = [ids.arm_fraction(SECRET, customer, "churn-mail", "1") for customer in customers]
    second = [ids.arm_fraction(SECRET, customer, "churn-mail", "2") for customer in customers]
    # Four standard errors of a share of one tenth in 4,000 draws.
    assert math.isclose(sum(fraction < 0.1 for fraction in first) / 4_000, 0.1, abs_tol=0.019)
    both = sum(x < 0.5 and y < 0.5 for x, y in zip(first, second, strict=True)) / 4_000
    assert math.isclose(both, 0.25, abs_tol=0.028)
