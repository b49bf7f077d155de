"""Reads which dead letters were re-driven or discarded already.

The topic is compacted and keyed by letter. Of each only what became of it is held: some bytes a letter, not its
payload. Called by `survey.py`, and by `settling.py` before it writes.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from stream.contracts.codec import decode_settlement
from stream.contracts.settlements import LetterId, Outcome, Settlement, decode_letter_id
from stream.operations.brokers import KafkaUnreachableError, ends_of, partitions_of, read_to_end, settled_ends
from stream.operations.dead_letters.letters import Place


def check_complete(consumer: Consumer, admin: AdminClient, topic: str) -> None:
    """See that no open transaction hides what is settled: a reader of committed records stops before the first one.

    Raises:
        KafkaUnreachableError: one does.
        MissingTopicError: there is no such topic.
    """
    places = partitions_of(consumer, [topic])
    ends = ends_of(admin, places, committed=False)
    if any(stable < ends[place] for place, stable in settled_ends(admin, places).items()):
        raise KafkaUnreachableError(f"a transaction is open on {topic}: run it again when it has ended")


def read_settled(consumer: Consumer, admin: AdminClient, topic: str, topic_id: str) -> dict[Place, Outcome]:
    """What became of each letter that is settled, as far as it is committed.

    Args:
        consumer: left without an assignment.
        topic: physical name of the settled topic.
        topic_id: of the dead-letter topic; letters of one that was deleted are left out.

    Raises:
        MissingTopicError: there is no such topic.
    """
    return {
        Place(letter.partition, letter.offset): settlement.outcome
        for letter, settlement in _settlements(consumer, admin, topic)
        if letter.topic_id == topic_id
    }


def settlement_of(consumer: Consumer, admin: AdminClient, topic: str, wanted: LetterId) -> Settlement | None:
    """What became of one letter; None where it is open."""
    found = None
    for letter, settlement in _settlements(consumer, admin, topic):
        if letter == wanted:
            found = settlement
    return found


def _settlements(consumer: Consumer, admin: AdminClient, topic: str) -> Iterator[tuple[LetterId, Settlement]]:
    for message in read_to_end(consumer, admin, [topic]):
        try:
            yield decode_letter_id(message.key() or b""), decode_settlement(message.value() or b"")
        except (ValueError, msgspec.DecodeError):
            # Nobody's but a stranger's: no letter is hidden because of it.
            continue
