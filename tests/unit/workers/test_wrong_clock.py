"""One producer's wrong clock makes nobody else late: lateness is held against a customer's own newest event."""

import pytest

from stream.contracts.codec import encode
from stream.contracts.events import Event, Item
from stream.contracts.times import DAY_MS, HOUR_MS
from stream.contracts.topics import TopicNames
from stream.engine.partition import Partition
from stream.engine.processor import Record
from stream.engine.steps import Entry
from stream.engine.stores.memory import MemoryStore
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings
from stream.workers.process import dead_letter_maker
from stream.workers.profiles import Folding, ProfilesProcessor

NOON = 1_700_000_000_000
SETTINGS = ProfileSettings()


class Line:
    """One partition of the events topic, folded as a worker does."""

    def __init__(self) -> None:
        names = TopicNames()
        self.processor = ProfilesProcessor(names, SETTINGS, 1, "test")
        self.offset = 0
        self.partition: Partition[Profile, Folding] = Partition(
            0, self.processor, MemoryStore(), dead_letter_maker("dead"), 1_000_000, 100
        )
        self.partition.begin(None, 0)

    def visit(self, customer: str, time: int, appended: int) -> bool:
        """Whether the visit is folded; otherwise it is a dead letter."""
        event = Event(
            event_id=f"e{self.offset}", type="browse", time=time, customer_id=customer, items=[Item(item_id="p1")]
        )
        record = Record("events", 0, self.offset, appended, customer.encode(), encode(event), ())
        self.offset += 1
        before = len([output for output in self.partition.context.outputs if output.topic == "dead"])
        self.partition.process(Entry(record, self.processor.parse(record)), 1_000)
        return before == len([output for output in self.partition.context.outputs if output.topic == "dead"])


@pytest.mark.parametrize("ahead_ms", [5 * HOUR_MS, 20 * DAY_MS], ids=["hours", "weeks"])
def test_a_clock_that_runs_ahead_makes_no_other_customer_late(ahead_ms: int) -> None:
    line, appended = Line(), NOON + 30 * DAY_MS
    assert line.visit("right", NOON, appended)
    assert line.visit("wrong", NOON + ahead_ms, appended)
    assert line.partition.context.time == NOON + ahead_ms
    for minute in range(3):
        assert line.visit("right", NOON + 60_000 * minute, appended)
    # Its own later events are the ones that pay, once its clock is put right.
    assert line.visit("wrong", NOON, appended) == (ahead_ms <= SETTINGS.allowed_lateness_ms)
