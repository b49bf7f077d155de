"""What became of a dead letter, as records of ``customer.dead-letters.settled.v1``, keyed by the letter.

A letter without such a record is open. It is written in the transaction that puts the letter back, so the two are there
together or not at all. Written and read by ``stream.operations.dead_letters``.
"""

from typing import Literal, NamedTuple

import msgspec

Outcome = Literal["redriven", "discarded"]


class LetterId(NamedTuple):
    """One dead letter, also after its topic was deleted and made anew."""

    topic_id: str
    """Kafka's id of the dead-letter topic: offsets begin again with a new topic, its id is another one."""
    partition: int
    offset: int

    def encoded(self) -> bytes:
        """The key of its settlement."""
        return f"{self.topic_id}:{self.partition}:{self.offset}".encode()


def decode_letter_id(key: bytes) -> LetterId:
    """The letter whose settlement has this key.

    Raises:
        ValueError: it is the key of none.
    """
    topic_id, partition, offset = key.decode().split(":")
    return LetterId(topic_id, int(partition), int(offset))


class Settlement(msgspec.Struct, omit_defaults=True):
    """A dead letter was re-driven or discarded."""

    outcome: Outcome
    """``redriven``: put back onto the topic that it came from."""
    settled_at: int
    """When, epoch milliseconds."""
    code: str
    """Why it had been refused."""
    origin: str
    """Where the refused record lay, as ``topic:partition:offset``; empty where the letter does not say."""
    run: str
    """The command that did it: all of one run have the same id."""
    actor: str = ""
    """Who ran it."""
    reason: str = ""
    """Why it was discarded, in words."""
    fix: str = ""
    """How it was changed: a patch or expressions as they were given, or the name of the file; empty: not at all."""
