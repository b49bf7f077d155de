"""Answers on record, read from ``customer.scores.v1`` beside a replay.

Requests of a replay come in the order of the events that led to them, and so do the scores of a partition: the two are
read side by side, and only what a replay may still ask for is kept. Called by ``RecordedStage``, on its event loop.
"""

from bisect import bisect_right
from collections import deque
from typing import Final, NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream.contracts.codec import decode_score
from stream.contracts.partitioning import partition_for
from stream.contracts.scores import Answer, ScoreRequest
from stream.engine.clients import Properties, make_restore_consumer
from stream.workers.recorded import is_of

_BATCH: Final = 1_000
_POLL_S: Final = 0.2
_SILENT_POLLS: Final = 150
"""So many in a row without a record or the end: half a minute, after which the broker counts as gone."""
_KEPT_EVENTS: Final = 50_000
"""Answers are kept until the replay is so many events past theirs: batches overtake each other by less."""
_MARK_EVERY: Final = 10_000


class _Place(msgspec.Struct, gc=False):
    """The fields of a ``Score`` by which it is found."""

    request_id: str
    events_offset: int = -1


class _Kept(NamedTuple):
    events_offset: int
    request_id: str


_decode_place: Final = msgspec.json.Decoder(_Place).decode


class ScoreLog:
    """Recalls answers of the live deployment.

    Args:
        kafka: client properties.
        topic: physical name of the scores.
        ends: offset behind the last score that counts, by partition.
        version: of the model whose answers alone are recalled; empty: every answer, the fallback's too, as it was.
    """

    def __init__(self, kafka: Properties, topic: str, ends: dict[int, int], version: str = "") -> None:
        self._kafka = kafka
        self._topic = topic
        self._ends = ends
        self._version = version
        self._parts: dict[int, _Partition] = {}

    def __call__(self, request: ScoreRequest) -> Answer | None:
        """The answer that was given to this request first; None where there is none on record, or none for its
        profile.

        Raises:
            KafkaException: the topic cannot be read.
            TimeoutError: no broker answers.
        """
        number = partition_for(request.customer_id.encode(), len(self._ends))
        part = self._parts.get(number)
        if part is None:
            consumer = make_restore_consumer(self._kafka, "tidemark.score-log")
            part = self._parts[number] = _Partition(consumer, self._topic, number, self._ends[number])
        value = part.find(request)
        if value is None:
            return None
        score = decode_score(value)
        if not is_of(score, request):
            return None
        answer = score.answer
        if self._version and (answer.fallback or answer.model.version != self._version):
            return None
        return answer

    def close(self) -> None:
        for part in self._parts.values():
            part.close()
        self._parts.clear()


class _Partition:
    """One partition of the scores, read as far as the replay has come."""

    def __init__(self, consumer: Consumer, topic: str, number: int, end: int) -> None:
        self._consumer = consumer
        self._place = (topic, number)
        self._end = end
        self._marks: list[tuple[int, int]] = []
        """Events offset reached, and where in the scores that was, every so often."""
        # By event as well as by id: after an erasure the same may be asked once more.
        self._values: dict[_Kept, bytes] = {}
        self._order: deque[_Kept] = deque()
        self._dropped = 0
        """What events before this offset led to is not kept any more."""
        self._reached = -1
        """The newest events offset that was read."""
        self._count = 0
        self._ended = False
        self._read_from(0)

    def find(self, request: ScoreRequest) -> bytes | None:
        wanted = request.last_offset
        if wanted < self._dropped:
            # The replay was put back to an earlier commit.
            before = bisect_right(self._marks, (wanted - _KEPT_EVENTS, -1)) - 1
            self._read_from(self._marks[before][1] if before >= 0 else 0)
        while self._reached <= wanted and not self._ended:
            self._read()
        while self._order and self._order[0].events_offset < wanted - _KEPT_EVENTS:
            gone = self._order.popleft()
            self._values.pop(gone, None)
            self._dropped = max(self._dropped, gone.events_offset + 1)
        return self._values.get(_Kept(wanted, request.request_id))

    def close(self) -> None:
        self._consumer.close()

    def _read_from(self, offset: int) -> None:
        self._values.clear()
        self._order.clear()
        self._dropped, self._reached, self._count = 0, -1, 0
        self._ended = self._end <= 0
        if not self._ended:
            low, _ = self._consumer.get_watermark_offsets(TopicPartition(*self._place), timeout=10.0)
            self._consumer.assign([TopicPartition(*self._place, max(offset, low))])

    def _read(self) -> None:
        """Take some more scores in, or learn that there are none."""
        for _ in range(_SILENT_POLLS):
            messages = self._consumer.consume(_BATCH, _POLL_S)
            for message in messages:
                error, offset = message.error(), message.offset() or 0
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    if error.fatal() or not error.retriable():
                        raise KafkaException(error)
                    continue
                if offset >= self._end or error is not None:
                    self._ended = True
                    return
                self._take(message.value() or b"", offset)
            if messages:
                return
        raise TimeoutError(f"topic {self._place[0]} could not be read: no broker answers")

    def _take(self, value: bytes, offset: int) -> None:
        place = _decode_place(value)
        # What was asked a second time because the fallback had answered lies behind younger ones, and says nothing of
        # how far the log is.
        self._reached = max(self._reached, place.events_offset)
        kept = _Kept(place.events_offset, place.request_id)
        if place.events_offset >= 0 and kept not in self._values:
            self._values[kept] = value
            self._order.append(kept)
        if self._count % _MARK_EVERY == 0 and (not self._marks or self._marks[-1][1] < offset):
            self._marks.append((self._reached, offset))
        self._count += 1
