"""Writes the input log: at once, or at a pace in a thread of its own while faults happen.

What it has written is known by offset, so that everybody can tell when it is folded. Called by the runs, by the faults
that write something themselves, and by the end-to-end tests.
"""

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from stream.configuration.clients import producer_properties
from stream.configuration.settings import Configuration
from stream.engine.background import Background
from tests.chaos.input_log import Written

_FLUSH_S: Final = 120.0
_SLICE_S: Final = 0.05
_REMEMBERED: Final = 500


def fingerprint(key: bytes | None, value: bytes | None) -> int:
    """Tells records apart within one process."""
    return hash((key, value))


class Writer:
    """Writes records, in order.

    Attributes:
        written: how many records.
        fingerprints: of the records, and how often each was written.
        ends: offset behind the last record written, by partition.
    """

    def __init__(self, configuration: Configuration, topic: str) -> None:
        self.written = 0
        self.fingerprints: Counter[int] = Counter()
        self.ends = [0] * configuration.topics.partitions
        self._topic = topic
        self._producer = Producer({**producer_properties(configuration.kafka), "linger.ms": 5})

    def write(self, records: Iterable[Written]) -> None:
        """Write and wait until the broker has them all."""
        self.put(records)
        self.flush()

    def put(self, records: Iterable[Written]) -> None:
        """Hand records to the client, which has them when the broker is away."""
        for key, value, headers, partition in records:
            self._producer.produce(
                self._topic, value, key, partition, headers=list(headers), on_delivery=self._delivered
            )
            self.written += 1
            self.fingerprints[fingerprint(key, value)] += 1
        self._producer.poll(0)

    def flush(self) -> None:
        left = self._producer.flush(_FLUSH_S)
        assert left == 0, f"{left} records were not written"

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        assert error is None, str(error)
        partition = message.partition() or 0
        self.ends[partition] = max(self.ends[partition], (message.offset() or 0) + 1)


class Feed(Background):
    """Writes a log at a pace for the length of a ``with`` block.

    Args:
        pace: records a second.

    Attributes:
        pace: may be changed at any time; 0.0 is silence.
        failure: what the thread died of.
    """

    def __init__(self, writer: Writer, log: Iterator[Written], pace: float) -> None:
        super().__init__("chaos-feed")
        self.writer = writer
        self.pace = pace
        self.failure: BaseException | None = None
        self._log = log
        self._between: deque[Written] = deque()
        self._latest: deque[Written] = deque(maxlen=_REMEMBERED)

    def put_in(self, records: Iterable[Written]) -> None:
        """Write these next, on top of the pace."""
        self._between.extend(records)

    def latest(self, most: int) -> list[Written]:
        """What was written last."""
        return list(self._latest)[-most:]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Write no more; what is written is with the broker afterwards. Raises what the thread died of."""
        self._ended.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure
        self.writer.flush()

    def _run(self) -> None:
        try:
            owed, last = 0.0, time.monotonic()
            while not self._ended.wait(_SLICE_S):
                now = time.monotonic()
                owed, last = owed + (now - last) * self.pace, now
                records = list(islice(self._log, int(owed)))
                owed -= int(owed)
                while self._between:
                    records.append(self._between.popleft())
                self.writer.put(records)
                self._latest.extend(records)
        except BaseException as failure:
            self.failure = failure
