from hypothesis import given
from hypothesis import strategies as st

from serving.rollout import Rollout, place_of
from stream.contracts.control import Control

HOUR = 3_600_000
CUSTOMERS = [f"c{number}" for number in range(4_000)]


def _switch(version: str, at: int, ramp: int = 0, previous: str = "") -> Control:
    return Control("model", version, at, previous, ramp)


def test_before_any_switch_the_default_answers():
    rollout = Rollout("1.a")
    assert rollout.version_for("ada", 0) == rollout.settled(0) == rollout.newest() == "1.a"
    assert rollout.shares(0) == {"1.a": 1.0}
    assert rollout.needed(0) == ["1.a"]


def test_what_was_asked_before_a_switch_is_answered_by_what_was_in_force_then():
    rollout = Rollout("3.c", [_switch("2.b", 100, previous="1.a"), _switch("1.a", 200, previous="2.b")])
    assert [rollout.version_for("ada", at) for at in (0, 99, 100, 199, 200, 10**13)] == [
        "1.a",
        "1.a",
        "2.b",
        "2.b",
        "1.a",
        "1.a",
    ]


def test_what_the_first_switch_found_counts_though_another_is_the_default_by_now():
    assert Rollout("2.b", [_switch("2.b", 100, previous="1.a")]).version_for("ada", 0) == "1.a"


def test_a_ramp_takes_customers_over_evenly_and_gives_none_back():
    rollout = Rollout("1.a", [_switch("2.b", 1_000, 10 * HOUR)])
    before: set[str] = set()
    for hour in range(12):
        at = 1_000 + hour * HOUR
        now = {customer for customer in CUSTOMERS if rollout.version_for(customer, at) == "2.b"}
        assert before <= now
        assert abs(len(now) / len(CUSTOMERS) - min(1.0, hour / 10)) < 0.03
        assert abs(rollout.shares(at).get("2.b", 0.0) - min(1.0, hour / 10)) < 1e-9
        before = now
    assert rollout.settled(1_000 + 5 * HOUR) == "1.a"
    assert rollout.settled(1_000 + 10 * HOUR) == "2.b"


def test_a_rollback_on_the_way_takes_everybody_back_at_once():
    rollout = Rollout("1.a", [_switch("2.b", 0, 10 * HOUR), _switch("1.a", 5 * HOUR, previous="2.b")])
    assert {rollout.version_for(customer, 5 * HOUR) for customer in CUSTOMERS} == {"1.a"}
    assert {rollout.version_for(customer, 5 * HOUR - 1) for customer in CUSTOMERS} == {"1.a", "2.b"}


def test_going_back_twice_does_not_bring_back_what_was_taken_back():
    promoted = [_switch("2.b", 100, previous="1.a"), _switch("3.c", 200, previous="2.b")]
    assert Rollout("1.a").before() == ""
    assert Rollout("1.a", promoted).before() == "2.b"
    once = [*promoted, _switch("2.b", 300, previous="3.c")]
    assert Rollout("1.a", once).before() == "1.a"
    twice = [*once, _switch("1.a", 400, previous="2.b")]
    assert Rollout("1.a", twice).before() == ""
    again = [*once, _switch("4.d", 400, previous="2.b")]
    assert Rollout("1.a", again).before() == "2.b"


def test_what_may_still_be_asked_is_needed():
    rollout = Rollout("1.a", [_switch("2.b", 100), _switch("3.c", 200, 100)])
    assert rollout.needed(50) == ["3.c", "2.b", "1.a"]
    assert rollout.needed(150) == ["3.c", "2.b"]
    assert rollout.needed(250) == ["3.c", "2.b"]
    assert rollout.needed(300) == ["3.c"]


def test_customers_are_spread_evenly_and_otherwise_for_every_version():
    places = [place_of(customer, "2.b") for customer in CUSTOMERS]
    others = [place_of(customer, "3.c") for customer in CUSTOMERS]
    assert all(0.0 <= place < 1.0 for place in places)
    assert abs(sum(places) / len(places) - 0.5) < 0.02
    both = sum(place < 0.5 and other < 0.5 for place, other in zip(places, others, strict=True))
    assert abs(both / len(CUSTOMERS) - 0.25) < 0.03


versions = st.sampled_from(["1.a", "2.b", "3.c", "4.d"])
switches = st.lists(
    st.builds(_switch, versions, st.integers(0, 1_000), st.integers(0, 500), st.just("1.a")), max_size=6
)


@given(switches, st.text(max_size=5), st.integers(0, 2_000))
def test_whoever_answers_has_a_share_and_is_kept(records, customer, at):
    rollout = Rollout("1.a", records)
    version = rollout.version_for(customer, at)
    shares = rollout.shares(at)
    assert version in shares
    assert version in rollout.needed(at)
    assert abs(sum(shares.values()) - 1.0) < 1e-9
    assert rollout.settled(at) in shares
    # A later question is answered by a version that was needed for the earlier one.
    assert rollout.version_for(customer, at + 100) in rollout.needed(at)
