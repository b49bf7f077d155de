"""Puts dead letters back, or discards them, once: the record that does it and the record that says so are one
transaction.

All commands of a deployment share one transactional id. So whoever begins fences whoever was at it before, ends what
that one left open, and then reads what is settled: nothing that was sent is sent again, on whatever machine, and
whenever the command before was killed. Called by `redrive.py`.
"""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import Final, NamedTuple, Self

from confluent_kafka import KafkaException

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.codec import encode
from stream.contracts.settlements import LetterId, Settlement
from stream.operations.brokers import ANSWER_WITHIN, FENCED, AccessError, explained, make_producer, produce
from stream.operations.dead_letters.judging import Redriven

TRANSACTIONAL_ID: Final = "tidemark.dead-letters"
BATCH_LETTERS: Final = 500
BATCH_BYTES: Final = 8 * 1024 * 1024
"""Of one transaction: what it holds is in memory, and readers of the events wait for its end."""


class SettlingStopped(RuntimeError):
    """Some letters were not settled. What was committed stays, and the same command goes on behind it."""


class _Settled(NamedTuple):
    letter: LetterId
    settlement: Settlement
    redriven: Redriven | None


class Settling:
    """Settles letters. As a context it fences other commands at its beginning, and commits what is left at its end.

    Attributes:
        committed: letters that are settled for good.
    """

    def __init__(self, configuration: Configuration) -> None:
        self.committed = 0
        names = configuration.topics.topic_names()
        self._topic = names.physical(topics.SETTLEMENTS)
        self._batch: list[_Settled] = []
        self._bytes = 0
        self._producer = make_producer(
            configuration.kafka,
            **{
                "transactional.id": f"{names.prefix}{TRANSACTIONAL_ID}",
                # What a killed command left open holds up every reader of the events for so long.
                "transaction.timeout.ms": configuration.engine.transaction_timeout_ms,
                "linger.ms": 5,
                "compression.type": "lz4",
            },
        )

    def __enter__(self) -> Self:
        try:
            self._producer.init_transactions(ANSWER_WITHIN)
        except KafkaException as error:
            raise self._stopped(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._commit()

    def settle(self, letter: LetterId, settlement: Settlement, redriven: Redriven | None) -> None:
        """Settle a letter, in this transaction or a later one.

        Args:
            redriven: the record that puts it back; None where it is discarded.

        Raises:
            SettlingStopped: Kafka refused, or another command took over.
            AccessError: this user may not write there.
        """
        self._batch.append(_Settled(letter, settlement, redriven))
        self._bytes += len(redriven.value) if redriven is not None else 0
        if len(self._batch) >= BATCH_LETTERS or self._bytes >= BATCH_BYTES:
            self._commit()

    def _commit(self) -> None:
        if not self._batch:
            return
        try:
            self._producer.begin_transaction()
            for letter, settlement, redriven in self._batch:
                if redriven is not None:
                    topic, partition, key, value, headers = redriven
                    produce(self._producer, topic, value=value, key=key, partition=partition, headers=list(headers))
                produce(self._producer, self._topic, value=encode(settlement), key=letter.encoded())
            # It waits for every record first, and commits none where one is refused.
            self._producer.commit_transaction(ANSWER_WITHIN)
        except BaseException as error:
            # Refused where it was fenced, or where nobody knows whether it is committed.
            with suppress(KafkaException):
                self._producer.abort_transaction(ANSWER_WITHIN)
            if isinstance(error, KafkaException):
                raise self._stopped(error) from error
            raise
        self.committed += len(self._batch)
        self._batch.clear()
        self._bytes = 0

    def _stopped(self, error: KafkaException) -> Exception:
        if error.args[0].code() in FENCED:
            return SettlingStopped(
                f"another command on dead letters took over after {self.committed:,} letters: let it finish, or run "
                "this one again; no letter is settled twice"
            )
        sentence = explained(error)
        if isinstance(sentence, AccessError):
            return sentence
        return SettlingStopped(
            f"Kafka refused after {self.committed:,} letters ({error.args[0].str()}): run the same command again, no "
            "letter is settled twice"
        )
