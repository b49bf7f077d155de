"""One customer's records folded alone, the others looked at for time, give what the engine has of that customer."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.contracts.topics import TopicNames
from stream.engine.processor import Record
from stream.operations.history.reading import record_of
from stream.operations.history.refold import Refold, Step
from stream.profiles import codec
from stream.workers.profiles import ProfilesProcessor
from tests.unit.workers.test_fast_path_drawn import records
from tests.unit.workers.ways import SETTINGS, Way, message

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
