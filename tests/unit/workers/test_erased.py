"""What lies before an erasure is skipped by whoever folds it again; what lies behind it is somebody new."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts import topics
from stream.contracts.codec import decode_erasure, encode
from stream.contracts.erasures import Erasure, erasure_key
from stream.contracts.events import Event, Item
from stream.contracts.headers import ERASED_BY, ERASED_FOR
from stream.contracts.topics import FILLER_KEY, TopicNames
from stream.engine.entries import Entry, parsed_of
from stream.engine.partition import Partition
from stream.engine.processor import OutputRecord, Record
from stream.engine.stores.memory import MemoryStore
from stream.profiles.settings import ProfileSettings
from stream.workers.decisions import DecisionsProcessor
from stream.workers.erased import Erasures, Remembered
from stream.workers.process import dead_letter_maker
from stream.workers.profiles import ProfilesProcessor

SECRET, LOG = b"secret", "log-1"
START = 1_300_000_000_000
NAMES = TopicNames()


def erasure(offset: int, *, partition: int = 0, role: Any = "profiles", topic_id: str = LOG) -> Erasure:
    return Erasure(role=role, topic_id=topic_id, partition=partition, offset=offset, erased_at=START)


def erasures(*records: tuple[bytes, Erasure]) -> Erasures:
    keyed = [Remembered(erasure_key(SECRET, each.role, subject), each) for subject, each in records]
    return Erasures(SECRET, "profiles", LOG, keyed)


def test_only_what_lies_before_on_the_same_partition_of_the_same_log_is_skipped() -> None:
    known = erasures((b"ann", erasure(7)), (b"bob", erasure(9, topic_id="an older log")))
    assert [known.before(b"ann", 0, offset) for offset in (0, 6, 7, 8)] == [True, True, False, False]
    assert not known.before(b"ann", 1, 0)
    assert not known.before(b"bob", 0, 0)
    assert not known.before(b"eve", 0, 0)
    assert (known.end(0), known.end(1)) == (7, 0)


def test_each_role_knows_whom_it_has_forgotten_itself() -> None:
    assert not erasures((b"ann", erasure(7, role="decisions"))).before(b"ann", 0, 0)


@given(st.permutations([3, 7, 5]))
def test_the_newest_erasure_counts_in_whatever_order_they_are_read(offsets: list[int]) -> None:
    known = erasures(*((b"ann", erasure(offset)) for offset in offsets))
    assert [known.before(b"ann", 0, offset) for offset in (6, 7)] == [True, False]


def test_the_key_tells_nothing_without_the_secret() -> None:
    assert b"ann" not in erasure_key(SECRET, "profiles", b"ann")
    assert erasure_key(SECRET, "profiles", b"ann") != erasure_key(b"another", "profiles", b"ann")


def test_what_is_on_record_is_not_written_again() -> None:
    _, outputs = folded([event(4, "erase"), event(6, "erase")], erasures((b"ann", erasure(4))))
    (record,) = [each for each in outputs if each.topic == NAMES.physical(topics.ERASURES)]
    assert decode_erasure(record.value or b"").offset == 6


def event(offset: int, type_: str, customer: str = "ann", **fields: Any) -> Record:
    one = Event(f"{customer}-{offset}", type_, START + offset * 1_000, customer_id=customer, **fields)  # type: ignore[arg-type]
    return Record("customer.events.v1", 0, offset, START + offset * 1_000, customer.encode(), encode(one), ())


def bought(offset: int, customer: str = "ann", price: float = 2.5) -> Record:
    return event(offset, "purchase", customer, transaction_id=f"t-{offset}", items=[Item("mug", price=price)])


def folded(log: list[Record], known: Erasures | None = None) -> tuple[dict[bytes, bytes], list[OutputRecord]]:
    """What one partition keeps and puts out of a log."""
    processor = ProfilesProcessor(NAMES, ProfileSettings(), 1, "test", known)
    store = MemoryStore()
    partition = Partition(0, processor, store, dead_letter_maker(processor.dead_letter_topic), 1 << 20, 100)
    partition.begin(None, 0)
    for record in log:
        partition.process(Entry(record, parsed_of(processor, record), None), 100)
    outputs = list(partition.context.outputs)
    changes, position = partition.changes()
    partition.committed(changes, position, 0)
    return dict(store.items()), outputs


def test_an_event_of_type_erase_leaves_a_record_whoever_sent_it() -> None:
    sent = msgspec.structs.replace(event(2, "erase"), headers=((ERASED_BY, b"eve"), (ERASED_FOR, b"request 7")))
    _, outputs = folded([bought(1), sent], erasures())
    (record,) = [each for each in outputs if each.topic == NAMES.physical(topics.ERASURES)]
    assert record.key == erasure_key(SECRET, "profiles", b"ann")
    said = decode_erasure(record.value or b"")
    assert (said.topic_id, said.partition, said.offset, said.erased_at) == (LOG, 0, 2, START + 2_000)
    assert (said.actor, said.reason) == ("eve", "request 7")


def test_a_log_that_is_folded_again_asks_nothing_of_the_time_before() -> None:
    log = [bought(1), bought(2, "bob"), bought(3, price=-1.0), event(4, "erase"), bought(5), bought(6, "bob")]
    plain_states, plain = folded(log)
    states, outputs = folded(log, erasures((b"ann", erasure(4))))
    # The time before moves time all the same, so the others are who they were.
    assert states == plain_states
    mine = [each for each in outputs if each.key == b"ann"]
    assert [each for each in outputs if each.key == b"bob"] == [each for each in plain if each.key == b"bob"]
    assert [each for each in plain if each.key == b"ann" and each.topic == NAMES.physical(topics.DEAD_LETTERS)]
    assert [each.topic for each in mine] == [NAMES.physical(topics.SCORE_REQUESTS)] * 2
    assert b'"kind":"erase"' in (mine[0].value or b"")


def test_before_the_newest_erasure_no_record_takes_the_compiled_way() -> None:
    known = erasures((b"ann", erasure(4)))
    processor = ProfilesProcessor(NAMES, ProfileSettings(), 1, "test", known)
    partition = Partition(0, processor, MemoryStore(), dead_letter_maker("d"), 1 << 20, 100)
    partition.begin(None, 3)
    assert not partition.plain
    partition.begin(None, 4)
    assert partition.plain


def test_time_brings_a_null_for_nobody_to_every_compacted_output() -> None:
    processor = DecisionsProcessor(NAMES, None, None, None)  # type: ignore[arg-type]
    partition = Partition(2, processor, MemoryStore(), dead_letter_maker("d"), 1 << 20, 100)
    partition.begin(None, 0)
    for offset, hours in enumerate((0, 1, 5, 6, 7, 13)):
        tick = encode({"kind": "tick", "as_of": START - START % (6 * 3_600_000) + hours * 3_600_000})
        record = Record("requests", 2, offset, 0, None, tick, ())
        partition.process(Entry(record, parsed_of(processor, record), None), 100)
    fillers = [(each.topic, each.key, each.value, each.partition) for each in partition.context.outputs]
    three = [NAMES.physical(name) for name in (topics.PREDICTIONS, topics.RECOMMENDATIONS, topics.ALERTS_OPEN)]
    assert fillers == [(topic, FILLER_KEY, None, 2) for topic in three] * 3
