"""What a replay is to do and how far it is: one record in a topic of its sandbox.

It lies with the sandbox, so whoever can read the topics of a replay can go on with it, and with the topics it is gone.
Called by the other modules of this package.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec
from confluent_kafka.admin import AdminClient

from stream.configuration.settings import Configuration, TopicSettings
from stream.contracts import topics
from stream.contracts.control import Control
from stream.contracts.topics import REPLAY
from stream.decisions.policies import Policies
from stream.operations.brokers import (
    ANSWER_WITHIN,
    KafkaUnreachableError,
    connect_admin,
    make_consumer,
    make_producer,
    read_to_end,
)

Source = Literal["events", "requests"]
Offsets = dict[int, int]

_KEY: Final = b"replay"
_GROUP: Final = "tidemark.replays"
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""Of a replay: a part of the names of topics."""
_MODEL_MS: Final = 60_000


class UnknownReplay(LookupError):
    """There is no replay of that name."""


class Replay(msgspec.Struct, kw_only=True):
    """A replay. Times in epoch milliseconds; offsets by partition of the live topic that it reads."""

    id: str
    created_at: int
    source: Source
    """``events``: everything is folded anew. ``requests``: the questions are those that were put, and only what was
    decided is decided anew."""
    since: Offsets
    """Of the first event that counts in a comparison; what lies before it only makes the state."""
    until: Offsets
    """Behind the last record that is read. A partition that is not read has 0."""
    scores: Offsets
    """End of the live scores when the replay was made."""
    model: str
    """Version that is asked where no answer of its own is on record."""
    recorded: bool = True
    """Whether every recorded answer counts, whichever version gave it, or ``model``'s alone."""
    policies: Policies | None = None
    """None: those that were in force at each question's time."""
    changes: list[Control] = []
    """Of the policies, as the control topic held them when the replay was made; none where ``policies`` are given."""
    first: Offsets
    """First offset that the log still had: where it is not 0, older events are not in the state."""
    customer: str = ""
    """The customer for whose sake only one partition is read; empty: all."""
    requests: Offsets = {}
    """End of the sandbox's own requests, once all events are folded."""
    done_at: int = 0
    """When all was done; 0: not yet."""
    asked: int = 0
    """Questions that had no answer on record, in the last run."""
    fallback: int = 0
    """Of those, how many the model did not answer."""

    @property
    def records(self) -> int:
        """Records of the live log that it reads."""
        return sum(max(end - self.first.get(number, 0), 0) for number, end in self.until.items())


_decoder: Final = msgspec.json.Decoder(Replay)


def sandbox_of(live: Configuration, replay: Replay) -> Configuration:
    """The configuration of a replay: the live one's, with topics, groups and folders of its own.

    Only topics that it reads are the live ones. The model runs inside the replay, so that it takes nothing from the
    live server.
    """
    names = live.topics.topic_names()
    read = [topics.EVENTS, topics.CATALOGUE, topics.ERASURES]
    if replay.source == "requests":
        read.append(topics.SCORE_REQUESTS)
    return msgspec.structs.replace(
        live,
        topics=TopicSettings(
            prefix=prefix_of(live, replay.id),
            names={name: names.physical(name) for name in read},
            partitions=live.topics.partitions,
            replication=live.topics.replication,
        ),
        # What was bad then is bad again, and nobody is there to resume.
        engine=msgspec.structs.replace(live.engine, dead_letter_share=1.0, quarantine_share=1.0),
        triton=msgspec.structs.replace(
            live.triton, scorer="in_process", deadline_ms=_MODEL_MS, backlog_deadline_ms=_MODEL_MS
        ),
        policies=live.policies if replay.policies is None else replay.policies,
        data_dir=f"{live.data_dir}/replays/{replay.id}",
        metrics_port=0,
    )


def prefix_of(live: Configuration, replay_id: str) -> str:
    """What the names of a replay's own topics and groups begin with."""
    return f"replay.{replay_id}.{live.topics.prefix}"


def topic_of(live: Configuration, replay_id: str) -> str:
    """The topic that holds a replay's record."""
    return prefix_of(live, replay_id) + REPLAY.base_name


def write(live: Configuration, replay: Replay) -> None:
    """Keep the record.

    Raises:
        KafkaUnreachableError: it could not be written.
    """
    producer = make_producer(live.kafka)
    refused: list[Any] = []
    producer.produce(
        topic_of(live, replay.id),
        msgspec.json.encode(replay),
        _KEY,
        on_delivery=lambda error, _message: refused.append(error) if error is not None else None,
    )
    if producer.flush(ANSWER_WITHIN) or refused:
        raise KafkaUnreachableError(f"Kafka at {live.kafka.bootstrap_servers} did not take it: run it again")


def read(live: Configuration, replay_id: str) -> Replay:
    """The record of a replay.

    Raises:
        UnknownReplay: there is none of that name.
        KafkaUnreachableError, AccessError: Kafka does not answer, or refuses.
    """
    admin = connect_admin(live.kafka)
    known = ids(live, admin)
    if replay_id not in known:
        there = f"there are {', '.join(known)}" if known else "there are none"
        raise UnknownReplay(f"no replay {replay_id!r}: {there}; `tidemark replay` makes one")
    consumer = make_consumer(live.kafka, _GROUP, **{"fetch.wait.max.ms": 20})
    try:
        found = [message.value() or b"" for message in read_to_end(consumer, admin, [topic_of(live, replay_id)])]
    finally:
        consumer.close()
    if not found:
        raise UnknownReplay(f"replay {replay_id!r} was never begun: `tidemark replay drop {replay_id}` takes it away")
    return _decoder.decode(found[-1])


def ids(live: Configuration, admin: AdminClient) -> list[str]:
    """The replays of this deployment, by name."""
    pattern = re.compile(rf"replay\.({NAME.pattern})\.{re.escape(live.topics.prefix + REPLAY.base_name)}")
    known = admin.list_topics(timeout=ANSWER_WITHIN).topics
    return sorted(found[1] for name in known if (found := pattern.fullmatch(name)) is not None)
