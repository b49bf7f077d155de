"""What a consumer group has committed, asked through a consumer that joins nothing.

An admin client could ask the same, but its process dies where the coordinator that it knows has just moved: librdkafka
then looks for the group of a client that has none (``rd_kafka_handle_OffsetFetch``; issue 374 of
confluent-kafka-javascript; the crashes seen here ended with this module).
Called by ``stream.engine.bounds``, ``stream.engine.cluster`` and
``stream.operations``.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream.engine.clients import Properties, make_reader

_THREADS: Final = 4


class GroupOffsets:
    """Of one group.

    Args:
        kafka: common client properties.
        stable: whether an answer waits for transactions that are about to commit an offset.
    """

    def __init__(self, kafka: Properties, group: str, stable: bool) -> None:
        self._reader: Consumer = make_reader(kafka, group, "read_committed" if stable else "read_uncommitted")
        self._threads: ThreadPoolExecutor | None = None

    def committed(self, places: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        """The places with what was committed for each, in order: offset, negative where there is none, and metadata.

        Args:
            timeout: seconds.

        Raises:
            KafkaException: no answer, or none for one of the places.
        """
        answer: list[TopicPartition] = self._reader.committed([*places], timeout)
        for place in answer:
            if place.error is not None:
                raise KafkaException(place.error)
        return answer

    def asked(self, places: Sequence[TopicPartition], timeout: float) -> Future[list[TopicPartition]]:
        """The same without waiting for the answer."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "group-offsets")
        return self._threads.submit(self.committed, places, timeout)

    def close(self) -> None:
        """What is asked already is answered yet."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)
