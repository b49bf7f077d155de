"""What a restore has to know before it reads: asked of the cluster without waiting for the answers.

The order of the questions is the point. First the group's committed offset, and only a stable one: that waits out a
transaction which a former owner left open. Then the changelog's end, uncommitted records included: the last stable
offset would hide what is committed a moment later. Asked the other way round, state was seen to end up behind the
offset. Called by ``stream.engine.restore``.
"""

import time
from concurrent.futures import Future, wait
from typing import Any, Final

import structlog
from confluent_kafka import OFFSET_INVALID, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from stream.engine.clients import Properties, error_of, make_admin
from stream.engine.group_offsets import GroupOffsets
from stream.engine.processor import Processor

_REQUEST_TIMEOUT_S: Final = 10.0
_STABLE_S: Final = 5.0
"""So long for an offset that no open transaction is about to commit: then it is asked for again, by another client."""
_ASK_AGAIN_S: Final = 0.2
_CLOSE_S: Final = 2.0

_log = structlog.get_logger(__name__)


class Bounds:
    """The answers for one partition; None where there is none yet.

    Attributes:
        committed: the group's offset of the input, ``OFFSET_INVALID`` where none is committed.
        end: of the changelog.
        input_start: the first offset that the input still has.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.committed: int | None = None
        self.end: int | None = None
        self.input_start: int | None = None
        self._question: Future[Any] | None = None
        self._asked: AdminClient | GroupOffsets | None = None
        self._ask_at = 0.0

    @property
    def known(self) -> bool:
        """Whether all are answered."""
        return self.input_start is not None

    def doubt_end(self) -> None:
        """Have the end asked for again, and what is asked after it."""
        self.end = self.input_start = None
        self._ask_at = time.monotonic() + _ASK_AGAIN_S


class Questions:
    """Asks for the bounds of one processor's partitions."""

    def __init__(self, kafka: Properties, group: str, processor: Processor[Any, Any]) -> None:
        self._kafka = kafka
        self._group = group
        self._processor = processor
        self._admin = make_admin(kafka)
        self._offsets = GroupOffsets(kafka, group, stable=True)
        self._latest: dict[int, Future[Any]] = {}

    def close(self) -> None:
        """Wait a moment for answers that are on their way: a process that ends under a client's callback was seen to
        crash."""
        wait(self._latest.values(), _CLOSE_S)
        self._offsets.close()

    def ask(self, bounds: Bounds) -> bool:
        """Take an answer that has come, or put the next question. True when all are answered."""
        if bounds._question is None:
            if time.monotonic() >= bounds._ask_at:
                # Kept beside its answer: a client that is let go of never gives one.
                bounds._asked = self._offsets if bounds.committed is None else self._admin
                bounds._question = self._latest[bounds.partition] = self._next_question(bounds)
            return False
        if not bounds._question.done():
            return False
        question, bounds._question = bounds._question, None
        try:
            self._take_answer(bounds, question.result())
        except KafkaException as exception:
            error = error_of(exception)
            _log.info("restore asks again", partition=bounds.partition, error=str(error))
            bounds._ask_at = time.monotonic() + _ASK_AGAIN_S
            # A client that has seen FENCED_LEADER_EPOCH, or no broker, may never recover.
            if bounds._asked is self._admin:
                self._admin = make_admin(self._kafka)
            elif bounds._asked is self._offsets:
                self._offsets.close()
                self._offsets = GroupOffsets(self._kafka, self._group, stable=True)
            return False
        return bounds.known

    def _next_question(self, bounds: Bounds) -> Future[Any]:
        if bounds.committed is None:
            wanted = TopicPartition(self._processor.input_topic, bounds.partition)
            return self._offsets.asked([wanted], _STABLE_S)
        if bounds.end is None:
            asked = TopicPartition(self._processor.changelog_topic, bounds.partition)
            spec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        else:
            asked = TopicPartition(self._processor.input_topic, bounds.partition)
            spec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        answers = self._admin.list_offsets(
            {asked: spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=_REQUEST_TIMEOUT_S
        )
        return next(iter(answers.values()))

    def _take_answer(self, bounds: Bounds, answer: Any) -> None:
        if bounds.committed is None:
            found = answer[0]
            bounds.committed = found.offset if found.offset >= 0 else OFFSET_INVALID
        elif bounds.end is None:
            bounds.end = answer.offset
        else:
            bounds.input_start = answer.offset
