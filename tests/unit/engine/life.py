"""One partition without Kafka: a log, a store, and the commits, roll-backs and restarts of the test's choice.

Used by the tests of this package.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from stream.contracts.emission import Rejected
from stream.engine.entries import Entry
from stream.engine.partition import Partition
from stream.engine.position import Position
from stream.engine.processor import OutputRecord, Parsed, Record
from stream.engine.stores.memory import MemoryStore
from stream.engine.stores.rocks import RocksStores
from stream.engine.stores.store import Stamp, Store
from tests.integration.engine.counting import Counting, Said, Sum, dead_letter

LIMIT = 200
STAMP = Stamp(cluster_id="c", changelog_topic="changelog", changelog_topic_id="t", fold_version=1)
KEYS = [b"a", b"b", b"c", b"d"]
NOTICED_LATE = {"unencodable", "fat"}
"""Noticed when the state is encoded, at the commit: whether a later record mends it before is a matter of speed."""


class Life:
    """A partition with its log, as a worker treats it. With a folder its store is on disk, and opened again at each
    restart."""

    def __init__(self, processor: Counting | None = None, folder: Path | None = None) -> None:
        self.processor = processor or Counting(big=LIMIT + 1)
        self.stores = None if folder is None else RocksStores(folder, 3_600_000)
        self.store: Store = MemoryStore() if self.stores is None else self.stores(0, STAMP)
        self.log: list[Record] = []
        self.outputs: list[OutputRecord] = []
        self.position: Position | None = None
        self.restart()

    def restart(self) -> None:
        if self.stores is not None:
            self.store.close()
            self.store = self.stores(0, STAMP)
        bury = dead_letter(self.processor.dead_letter_topic)
        self.partition = Partition(0, self.processor, self.store, bury, LIMIT, cached_states=2)
        self.partition.begin(self.position, self.position.offset if self.position else 0)

    def append(self, key: bytes | None, value: bytes, gap: int = 0) -> Record:
        offset = self.log[-1].offset + 1 + gap if self.log else gap
        record = Record("input", 0, offset, 0, key, value, ())
        self.log.append(record)
        return record

    def process(self, budget: int = 1_000_000, most: int = 1_000_000) -> None:
        for record in self.log:
            if record.offset < self.partition.next_offset:
                continue
            parsed: Parsed[Said] | Rejected
            try:
                parsed = self.processor.parse(record)
            except Rejected as refusal:
                parsed = refusal
            most -= 1
            if most < 0 or not self.partition.process(Entry(record, parsed), budget):
                return

    def commit(self) -> None:
        if not self.partition.dirty:
            return
        changes, self.position = self.partition.changes()
        self.outputs += self.partition.context.outputs
        self.partition.committed(changes, self.position, 1)

    def finish(self, budget: int = 1_000_000) -> None:
        while True:
            self.process(budget)
            self.commit()
            if not self.log or self.partition.next_offset > self.log[-1].offset:
                return


def plain(outputs: list[OutputRecord]) -> list[tuple[Any, ...]]:
    return [(output.topic, output.key, output.value, output.headers) for output in outputs]


def codes(life: Life) -> Counter[str]:
    return Counter(
        dict(o.headers)["code"].decode() for o in life.outputs if o.topic == life.processor.dead_letter_topic
    )


def state_of(life: Life, key: bytes) -> Sum:
    framed = life.store.get(key)
    assert framed is not None
    return life.processor.codec.decode(framed[8:])
