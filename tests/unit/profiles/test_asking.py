"""When a score is asked for: at once, at the interval's end, on silence, and never too often."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stream.contracts.events import Consent, Event, Item, Review
from stream.contracts.ids import event_id_hash, request_id
from stream.contracts.scores import ScoreRequest
from stream.contracts.times import DAY_MS, HOUR_MS, MINUTE_MS
from stream.profiles import codec
from stream.profiles.asking import EVIDENCE, ask
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings
from stream.profiles.timers import due, on_timer
from tests.unit.profiles.shop import SETTINGS, START, event, folded, histories, origin, purchase, requests, step


def ring_out(profile: Profile, until: int, settings: ProfileSettings = SETTINGS) -> list[ScoreRequest]:
    """What the timers ask for until a time."""
    asked = []
    while 0 < due(profile) <= until:
        fired = on_timer(profile, due(profile), origin(99), settings)
        assert fired.profile is profile
        if fired.request is not None:
            asked.append(fired.request)
    return asked


def test_each_of_these_asks() -> None:
    mug = Item("mug", price=1.0)
    base = [event("cart", START, mug, action="add")]
    later = START + DAY_MS
    triggers = {
        "purchase": purchase(later),
        "return": event("return", later, mug, transaction_id="?"),
        "review": event("review", later, review=Review(rating=1.0)),
        "cart_emptied": event("cart", later, action="clear"),
    }
    for trigger, one in triggers.items():
        (asked,) = requests([*base, one])
        assert (asked.trigger, asked.as_of, asked.kind) == (trigger, later, "score")
    removed = event("cart", later, mug, action="remove")
    assert [one.trigger for one in requests([*base, removed])] == ["cart_emptied"]


def test_these_do_not_ask() -> None:
    mug, pan = Item("mug", price=1.0), Item("pan")
    history = [
        event("cart", START, mug, pan, action="add"),
        event("cart", START + 1, pan, action="remove"),
        event("browse", START + 2, mug),
        event("identify", START + 3, anonymous_id="v"),
        event("consent", START + 4, consent=Consent(marketing="granted")),
    ]
    assert requests(history) == []


def test_every_tenth_browse_asks() -> None:
    history = [event("browse", START + number * HOUR_MS) for number in range(25)]
    assert [one.as_of for one in requests(history)] == [START + 9 * HOUR_MS, START + 19 * HOUR_MS]


def test_within_the_interval_the_question_waits_for_its_end() -> None:
    profile = folded([purchase(START, order="1"), purchase(START + MINUTE_MS, order="2")])
    assert due(profile) == START + HOUR_MS
    fired = on_timer(profile, START + HOUR_MS, origin(7), SETTINGS)
    assert fired.request is not None
    assert (fired.request.trigger, fired.request.as_of, fired.request.last_offset) == ("interval", START + HOUR_MS, 7)
    assert fired.request.event_ids == [f"purchase-{START + MINUTE_MS}"]
    assert due(profile) > START + HOUR_MS


def test_after_the_interval_the_leading_edge_asks_again() -> None:
    history = [purchase(START + number * HOUR_MS, order=f"{number}") for number in range(3)]
    assert len(requests(history)) == 3


@given(histories(), st.data())
def test_no_customer_asks_twice_within_an_interval_and_no_question_is_lost(
    history: list[Event], data: st.DataObject
) -> None:
    settings = ProfileSettings(ask_interval_ms=data.draw(st.integers(1, 6 * HOUR_MS)), browse_every_n=2)
    profile: Profile | None = None
    times: list[int] = []
    waiting = False
    for offset, one in enumerate(history):
        if profile is not None:
            assert isinstance(one.time, int)
            times += [asked.as_of for asked in ring_out(profile, one.time, settings)]
        done = step(profile, one, offset, settings)
        profile = done.profile
        if done.request is not None and done.request.kind == "score":
            times.append(done.request.as_of)
        waiting = one.type == "purchase" and done.profile is not None and done.profile.personalization
        if waiting:
            assert profile is not None
            assert times[-1:] == [profile.last_time] or profile.ask_due > 0
    assert all(later - earlier >= settings.ask_interval_ms for earlier, later in pairwise(times))


def test_a_request_tells_where_it_comes_from() -> None:
    profile = folded([event("browse", START, simulated=True), event("browse", START + 1)])
    asked = step(profile, purchase(START + 2, mode="test", traceparent="00-a-b-01"), 5).request
    assert asked is not None
    assert asked.request_id == request_id("c-1", "purchase", START + 2)
    assert (asked.customer_id, asked.events_topic, asked.events_partition) == ("c-1", "customer.events.v1", 0)
    assert (asked.first_offset, asked.last_offset, len(asked.event_ids)) == (0, 5, 3)
    assert (asked.mode, asked.simulated, asked.traceparent) == ("test", True, "00-a-b-01")
    assert codec.decode(asked.profile) == profile
    following = step(profile, purchase(START + DAY_MS, order="2"), 8).request
    assert following is not None
    assert (following.first_offset, following.simulated, len(following.event_ids)) == (8, False, 1)


@given(histories())
def test_the_snapshot_in_a_request_is_the_state_that_is_kept(history: list[Event]) -> None:
    profile = None
    for one in history:
        done = step(profile, one)
        profile = done.profile
        assert profile is not None
        if done.request is not None:
            assert done.request.profile == codec.encode(profile)
        ring_out(profile, START + DAY_MS)


def test_a_request_carries_the_newest_ids_only() -> None:
    settings = ProfileSettings(browse_every_n=40)
    history = [event("browse", START + number, event_id=f"e-{number}") for number in range(40)]
    (asked,) = requests(history, settings=settings)
    assert asked.event_ids == [f"e-{number}" for number in range(40 - EVIDENCE, 40)]
    assert asked.first_offset == 0


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=40, unique_by=event_id_hash))
def test_the_newest_ids_come_back_whatever_characters_they_are_of(event_ids: list[str]) -> None:
    history = [event("browse", START + number, event_id=one) for number, one in enumerate(event_ids)]
    profile = folded(history, settings=ProfileSettings(browse_every_n=100))
    assert ask(profile, "go_live", profile.last_time, origin()).event_ids == event_ids[-EVIDENCE:]


def test_a_late_event_asks_as_of_the_newest() -> None:
    profile = folded([event("browse", START)])
    asked = step(profile, purchase(START - HOUR_MS)).request
    assert asked is not None
    assert asked.as_of == START


def test_a_question_from_outside_needs_no_event() -> None:
    profile = folded([purchase(START, mode="backfill")])
    asked = ask(profile, "go_live", START + DAY_MS, origin(3))
    assert (asked.trigger, asked.first_offset, asked.last_offset) == ("go_live", 0, 3)
    assert ask(profile, "go_live", START + 2 * DAY_MS, origin(4)).first_offset == 4


def test_silence_is_measured_against_the_own_rhythm() -> None:
    weekly = folded([purchase(START + week * 10 * DAY_MS, order=f"{week}") for week in range(5)])
    assert weekly.silence_due == START + 40 * DAY_MS + 20 * DAY_MS
    (asked, *_) = ring_out(weekly, START + 60 * DAY_MS)
    assert (asked.trigger, asked.as_of) == ("silence", START + 60 * DAY_MS)


def test_the_first_silence_keeps_within_its_bounds() -> None:
    hasty = folded([purchase(START + number * HOUR_MS, order=f"{number}") for number in range(5)])
    assert hasty.silence_due == START + 4 * HOUR_MS + SETTINGS.silence_min_ms
    slow = folded([purchase(START + number * 300 * DAY_MS, order=f"{number}") for number in range(2)])
    assert slow.silence_due == START + 300 * DAY_MS + SETTINGS.silence_max_ms


def test_silences_grow_and_end() -> None:
    once = folded([purchase(START)])
    assert due(once) == START + SETTINGS.one_time_silence_ms
    asked = ring_out(once, START + 4000 * DAY_MS)
    gaps = [later.as_of - earlier.as_of for earlier, later in pairwise(asked)]
    assert len(asked) == 3
    assert gaps == sorted(gaps)
    assert asked[-1].as_of <= START + SETTINGS.silence_stop_ms
    assert due(once) == 0


def test_a_late_purchase_does_not_arm_a_silence_in_the_past() -> None:
    profile = folded([event("browse", START)])
    step(profile, purchase(START - 200 * DAY_MS), redriven=True)
    assert due(profile) == 0
    settings = ProfileSettings(allowed_lateness_ms=300 * DAY_MS)
    assert step(profile, purchase(START - 100 * DAY_MS, order="2"), settings=settings).request is not None
    assert profile.silence_due > START


def test_a_silence_within_the_interval_of_a_request_waits_for_its_end() -> None:
    settings = ProfileSettings(browse_every_n=1)
    profile = folded([purchase(START)], settings=settings)
    noticed = profile.silence_due
    assert step(profile, event("browse", noticed - MINUTE_MS), settings=settings).request is not None
    fired = on_timer(profile, noticed, origin(), settings)
    assert fired.request is None
    assert due(profile) == noticed - MINUTE_MS + HOUR_MS


def test_a_timer_that_is_called_too_early_does_nothing() -> None:
    profile = folded([purchase(START)])
    before = codec.encode(profile)
    assert on_timer(profile, START + 1, origin(), SETTINGS) == (profile, None)
    assert codec.encode(profile) == before


def test_a_visitor_is_forgotten_at_the_due_time() -> None:
    profile = folded([event("browse", START, customer_id="", anonymous_id="v")])
    assert on_timer(profile, due(profile) - 1, origin(), SETTINGS).profile is profile
    assert on_timer(profile, due(profile), origin(), SETTINGS) == (None, None)


@given(st.integers(1, 400))
def test_what_a_timer_does_depends_on_its_due_time_alone(days_late: int) -> None:
    # The engine may call late on the wall clock and from another record; it hands over the same due time.
    punctual, late = folded([purchase(START)]), folded([purchase(START)])
    moment = due(punctual)
    one = on_timer(punctual, moment, origin(1), SETTINGS).request
    other = on_timer(late, moment, origin(1 + days_late), SETTINGS).request
    assert one is not None
    assert other is not None
    assert (one.as_of, one.request_id, one.profile) == (other.as_of, other.request_id, other.profile)
