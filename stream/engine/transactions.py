"""One transaction: outputs, changelog, position records and input offsets become visible together or not at all."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from stream.engine.clients import error_of
from stream.engine.processor import OutputRecord

T = TypeVar("T")

_RETRY_PAUSE_S: Final = 0.05
_QUEUE_FULL_POLL_S: Final = 0.1
_CALL_S: Final = 0.2
_INIT_S: Final = 10.0
_OFFSETS_S: Final = 5.0
"""Longer than a coordinator takes that is well: a call that is repeated asks it once more."""
_PATIENCE_S: Final = 20.0
"""For how long a call is repeated. A client that met a frozen broker was seen to fail for ever, in calls that come back
in time, long after the broker was well again: then another producer is taken."""


class GivenUp(Exception):
    """A call that may be repeated was not, because the worker is to end."""


def initialised(make: Callable[[], Producer], keep_trying: Callable[[], bool]) -> Producer:
    """A transactional producer that is registered, which fences an older one of its id and aborts what that one left
    open.

    Args:
        make: gives a new client; asked for another one where one finds no coordinator for long.

    Raises:
        KafkaException: trying again cannot help.
        GivenUp: while stopping.
    """
    while True:
        producer = make()
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            try:
                producer.init_transactions(_INIT_S)
                return producer
            except KafkaException as exception:
                error = error_of(exception)
                if error.fatal() or not error.retriable():
                    raise
                if not keep_trying():
                    raise GivenUp(str(exception)) from exception
        # Gone before the next one begins: one that lived on was seen to raise its epoch once more and so to fence it.
        del producer


class PartitionCommit:
    """What one partition brings into a transaction, and the changelog offset it comes back with."""

    __slots__ = ("changelog_offset", "changes", "number", "position")

    def __init__(
        self, number: int, changes: Iterable[tuple[bytes, bytes | None]], position: tuple[bytes, bytes]
    ) -> None:
        self.number = number
        self.changes = changes
        self.position = position
        self.changelog_offset = -1

    def delivered(self, error: KafkaError | None, message: Message) -> None:
        """Delivery report of the position record, the last of the partition's changelog records."""
        if error is None:
            self.changelog_offset = int(message.offset() or 0) + 1


class Transactions:
    """Commits through one transactional producer. Each step is a method of its own, in the order in which they are
    called.

    Args:
        producer: on which ``init_transactions`` was called.
        changelog_topic: physical name.
        keep_trying: asked before a retriable call is repeated; False raises ``GivenUp``.

    Attributes:
        waiting_since: monotonic seconds at which the present call of the client began; 0.0 between calls.
    """

    def __init__(self, producer: Producer, changelog_topic: str, keep_trying: Callable[[], bool]) -> None:
        self.waiting_since = 0.0
        self._producer = producer
        self._changelog_topic = changelog_topic
        self._keep_trying = keep_trying

    def commit(
        self,
        outputs: Sequence[Sequence[OutputRecord]],
        partitions: Sequence[PartitionCommit],
        offsets: list[TopicPartition],
        group_metadata: Any,
    ) -> None:
        """Raises ``KafkaException``: fatal, also where the client has failed for long, or abort and fold again;
        ``GivenUp`` while stopping."""
        self._again(self._producer.begin_transaction)
        try:
            self.produce(outputs, partitions)
            self.send_offsets(offsets, group_metadata)
        except KafkaException as exception:
            if error_of(exception).code() == KafkaError._STATE:
                # A record was refused meanwhile. These calls do not say why, the one that would commit does.
                self.complete()
            raise
        self.complete()

    def produce(self, outputs: Sequence[Sequence[OutputRecord]], partitions: Sequence[PartitionCommit]) -> None:
        for records in outputs:
            for topic, key, value, headers, partition in records:
                self._put(topic, value, key, partition, list(headers) if headers else None, None)
        produce, changelog = self._producer.produce, self._changelog_topic
        for commit in partitions:
            number = commit.number
            for key, value in commit.changes:
                # As ``_put``, without a call in between: this runs for every customer who was changed.
                try:
                    produce(changelog, value, key, number)
                except BufferError:
                    self._put(changelog, value, key, number, None, None)
            key, value = commit.position
            self._put(changelog, value, key, number, None, commit.delivered)

    def send_offsets(self, offsets: list[TopicPartition], group_metadata: Any) -> None:
        self._again(lambda: self._producer.send_offsets_to_transaction(offsets, group_metadata, _OFFSETS_S))

    def complete(self) -> None:
        # In short calls: behind a record that was refused, others wait for their time-out; only the next call tells.
        self._again(lambda: self._producer.commit_transaction(_CALL_S))

    def abort(self) -> None:
        """Raises ``KafkaException`` when the producer was fenced."""
        # What is on its way is not waited for either.
        self._producer.purge()
        self._again(lambda: self._producer.abort_transaction(_OFFSETS_S))

    def close(self) -> None:
        """Let go of the producer, if that was not done before."""
        vars(self).pop("_producer", None)

    def _put(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        headers: list[tuple[str, bytes]] | None,
        on_delivery: Callable[[KafkaError | None, Message], None] | None,
    ) -> None:
        more: dict[str, Any] = {"headers": headers} if headers else {}
        if on_delivery is not None:
            more["on_delivery"] = on_delivery
        while True:
            try:
                self._producer.produce(topic, value, key, partition, **more)
                return
            except BufferError:
                self._producer.poll(_QUEUE_FULL_POLL_S)

    def _again(self, call: Callable[[], T]) -> T:
        until = time.monotonic() + _PATIENCE_S
        while True:
            self.waiting_since = time.monotonic()
            try:
                return call()
            except KafkaException as exception:
                error = error_of(exception)
                if error.fatal() or error.txn_requires_abort() or not error.retriable():
                    raise
                if not self._keep_trying():
                    raise GivenUp(str(error)) from exception
                if time.monotonic() > until:
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT, str(error), fatal=True)) from exception
            finally:
                self.waiting_since = 0.0
            time.sleep(_RETRY_PAUSE_S)
