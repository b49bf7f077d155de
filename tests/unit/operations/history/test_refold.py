"""One customer's records folded alone, the others looked at for time, give what the engine has of that customer."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.contracts.times import MINUTE_MS
from stream.contracts.topics import TopicNames
from stream.engine.processor import Context, Parsed, Record
from stream.operations.history.reading import record_of
from stream.operations.history.refold import Refold, Step
from stream.profiles import codec
from stream.profiles.profile import Profile
from stream.workers.profiles import Folding, ProfilesProcessor
from tests.unit.workers.test_fast_path_drawn import records
from tests.unit.workers.ways import SETTINGS, START, Way, message

LIMIT = 900_000

LOGS = st.lists(records(), min_size=1, max_size=25)


def processor() -> ProfilesProcessor:
    return ProfilesProcessor(TopicNames(), SETTINGS, 1, "test")


def as_records(log: list[Any]) -> list[Record]:
    return [record_of(message(offset, *each)) for offset, each in enumerate(log)]


def live(log: list[Any]) -> dict[bytes, bytes]:
    """What a worker would have committed."""
    way = Way(True)
    way.feed([message(offset, *each) for offset, each in enumerate(log)])
    changes, position = way.partition.changes()
    way.partition.committed(changes, position, 1)
    return dict(way.partition.store.items())


@given(LOGS)
@settings(max_examples=15, deadline=None)
def test_everybody_folded_afresh_is_what_the_engine_has(log: list[Any]) -> None:
    fold = Refold(processor(), 0, LIMIT)
    for record in as_records(log):
        fold.take(record)
    assert dict(fold.states()) == live(log)


@given(LOGS, st.sampled_from([b"ann", b"bob", b"visitor"]))
@settings(max_examples=15, deadline=None)
def test_one_customer_folded_alone_is_what_the_engine_has(log: list[Any], customer: bytes) -> None:
    told: list[Step] = []
    for watch in (None, told.append):
        fold = Refold(processor(), 0, LIMIT, lambda key: key == customer, watch)
        for record in as_records(log):
            fold.take(record)
        assert fold.state(customer) == live(log).get(customer)


@given(LOGS)
@settings(max_examples=15, deadline=None)
def test_the_steps_told_lead_from_nothing_to_the_state(log: list[Any]) -> None:
    told: list[Step] = []
    fold = Refold(processor(), 0, LIMIT, lambda key: key == b"ann", told.append)
    for record in as_records(log):
        fold.take(record)
    state: bytes | None = None
    for step in told:
        assert step.before == state
        state = step.after
    framed = live(log).get(b"ann")
    assert state == (None if framed is None else framed[8:])
    own = [offset for offset, (key, _, _) in enumerate(log) if key == b"ann"]
    assert [step.origin.offset for step in told if not step.due] == own
    assert all(codec.decode(step.after).customer_id in ("ann", "") for step in told if step.after is not None)


def browse(customer: str, minutes: int, **fields: Any) -> tuple[bytes, bytes, None]:
    made = {
        "event_id": f"{customer}-{minutes}",
        "type": "browse",
        "time": START + minutes * MINUTE_MS,
        "customer_id": customer,
        # Without one it would not be for the compiled path.
        "items": [{"item_id": "mug", "price": 2.5}],
    }
    return customer.encode(), json.dumps(made | fields).encode(), None


# Ann is asked for at the third look and, because that is within ten minutes, at the end of the interval.
ASKING = [browse("ann", minute) for minute in range(6)]


@pytest.mark.parametrize("plain", [True, False])
def test_the_time_of_others_fires_a_timer_before_an_event_that_comes_late(plain: bool) -> None:
    bob = browse("bob", 60) if plain else (*browse("bob", 60)[:2], [("x", b"y")])
    log = [*ASKING, bob, browse("ann", 7)]
    fold = Refold(processor(), 0, LIMIT, lambda key: key == b"ann")
    for record in as_records(log):
        fold.take(record)
    framed = fold.state(b"ann")
    assert framed == live(log)[b"ann"]
    assert codec.decode(framed[8:]).asked_at == START + 12 * MINUTE_MS
    assert codec.decode(live([*ASKING, browse("ann", 7)])[b"ann"][8:]).asked_at == START + 2 * MINUTE_MS


class Failing(ProfilesProcessor):
    """Fails half-way at one event."""

    def fold(
        self, state: Profile | None, parsed: Parsed[Folding], answer: Any, context: Context[Folding]
    ) -> Profile | None:
        after = super().fold(state, parsed, answer, context)
        if parsed.payload.event.session_id == "planted":
            raise ZeroDivisionError("planted")
        return after


def test_a_fold_that_fails_is_told_once_and_nothing_before_it_twice() -> None:
    log = [*ASKING, browse("bob", 60), browse("ann", 61, session_id="planted"), browse("ann", 62)]
    told: list[Step] = []
    fold = Refold(Failing(TopicNames(), SETTINGS, 1, "test"), 0, LIMIT, lambda key: key == b"ann", told.append)
    for record in as_records(log):
        fold.take(record)
    assert [(step.origin.offset, bool(step.due)) for step in told] == [
        *((offset, False) for offset in range(6)),
        (6, True),
        (7, False),
        (8, False),
    ]
    assert [step.refusal.code for step in told if step.refusal is not None] == ["fold_error"]
    assert told[7].before == told[7].after == told[6].after
