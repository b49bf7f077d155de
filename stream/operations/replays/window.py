"""The part of two runs that can be held against each other, and what each of them said in it.

A run is the live deployment or a replay. What a run said after the other had ended is no difference, so what counts is
bounded by the offsets that led to it and, for what time alone brought about, by the time that both have reached. Called
by ``compare``.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.alerts import Alert
from stream.contracts.codec import decode_alert_event, decode_recommendation, encode
from stream.contracts.partitioning import partition_for
from stream.contracts.times import to_epoch_ms
from stream.decisions.repair import bare
from stream.engine.position import POSITION_KEY, decode_position
from stream.operations.brokers import make_consumer, partitions_of, read_to_end
from stream.operations.ends import newest_records
from stream.operations.erasures import erasures_of
from stream.operations.replays.record import Offsets, Replay, Source, read, sandbox_of
from stream.workers.erased import Erasures

LIVE: Final = "live"
_GROUP: Final = "tidemark.compare"
_QUICK: Final = {"fetch.wait.max.ms": 20}
"""Nobody waits at the end of a topic that is read once."""


class NotComparable(ValueError):
    """The two runs have nothing in common that could be compared."""


class Transition(NamedTuple):
    """One transition of an alert."""

    id: str
    revision: int
    status: str
    as_of: int
    """Epoch milliseconds."""
    score: float
    severity: str
    digest: bytes
    """Of all that it says, but for where its request lies."""
    essence: bytes
    """Digest of what is left of it when what was said before does not count."""
    repaired: bool
    """Whether it is a repair: what was said before it does not count any more."""


class Episode(NamedTuple):
    """One alert, from its first transition in the window on."""

    alert_id: str
    customer_id: str
    kind: str
    started_at: int
    """Epoch milliseconds."""
    transitions: list[Transition]

    @property
    def since_repair(self) -> int:
        """How many transitions count: the newest repair and what came after it; 0 where none was repaired."""
        return next((back for back, each in enumerate(reversed(self.transitions), 1) if each.repaired), 0)

    @property
    def withdrawn(self) -> bool:
        """Whether a repair has found that it should never have been."""
        newest = self.transitions[-1]
        return newest.repaired and newest.status == "corrected"


class RankedItems(NamedTuple):
    """A customer's newest recommendation."""

    as_of: int
    items: list[str]


class Side(NamedTuple):
    """One of the two runs."""

    name: str
    configuration: Configuration
    replay: Replay | None
    """None: the live deployment."""


class Window(NamedTuple):
    """What of both runs counts."""

    source: Source
    since: Offsets
    """Of the first event that counts, by partition of the events."""
    until: Offsets
    """Behind the last record of the source that does."""
    reached: Offsets
    """Event time up to which both have decided, by partition, epoch milliseconds."""
    customer: str = ""

    def has(self, alert: Alert) -> bool:
        """Whether a transition belongs to it."""
        evidence = alert.evidence
        number = evidence.partition
        last = evidence.last_offset if self.source == "events" else evidence.request_offset
        return (
            (not self.customer or alert.customer_id == self.customer)
            and self.since.get(number, 0) <= evidence.last_offset
            and last < self.until.get(number, 0)
            and epoch_ms(alert.as_of) <= self.reached.get(number, 0)
        )


class Said(NamedTuple):
    """What one run said in the window."""

    episodes: dict[str, Episode]
    """By alert id."""
    recommendations: dict[str, RankedItems]
    """By customer."""
    newer: set[str]
    """Customers whose newest recommendation lies behind the window."""


def side(live: Configuration, name: str) -> Side:
    """The run called ``name``: ``live``, or a replay.

    Raises:
        UnknownReplay: there is none of that name.
        NotComparable: the replay is not done.
    """
    if name == LIVE:
        return Side(name, live, None)
    replay = read(live, name)
    if not replay.done_at:
        raise NotComparable(f"replay {name} is not done: `tidemark replay resume {name}` goes on with it")
    return Side(name, sandbox_of(live, replay), replay)


def window_of(first: Side, second: Side) -> Window:
    """What the two have in common.

    Raises:
        NotComparable: nothing.
    """
    replays = [each.replay for each in (first, second) if each.replay is not None]
    if not replays:
        raise NotComparable("both are the live deployment: name a replay (`tidemark replay list`)")
    if len({replay.source for replay in replays}) > 1:
        raise NotComparable(
            "one of them was made from events and the other one from requests: replay one of them again"
        )
    customers = {replay.customer for replay in replays if replay.customer}
    if len(customers) > 1:
        raise NotComparable("they are of different customers")
    since: Offsets = {}
    until: Offsets = {}
    for replay in replays:
        for number, offset in replay.since.items():
            since[number] = max(offset, since.get(number, 0))
        for number, offset in replay.until.items():
            until[number] = min(offset, until.get(number, offset))
    reached = [_reached(each.configuration) for each in (first, second)]
    both = {number: min(times.get(number, 0) for times in reached) for number in until}
    return Window(replays[0].source, since, until, both, next(iter(customers), ""))


def said(run: Side, window: Window, admin: AdminClient) -> Said:
    """What a run said in the window.

    Raises:
        MissingTopicError: its topics are gone.
    """
    names = run.configuration.topics.topic_names()
    # A replay skips what the live log still tells of somebody who was erased since.
    erasures = erasures_of(run.configuration)
    consumer = make_consumer(run.configuration.kafka, _GROUP, **_QUICK)
    try:
        episodes: dict[str, Episode] = {}
        alerts = [names.physical(topics.ALERTS), names.physical(topics.ALERTS_HOLDOUT)]
        for message in read_to_end(consumer, admin, alerts):
            _take(message.value() or b"", window, erasures, episodes)
        for episode in episodes.values():
            episode.transitions.sort(key=lambda transition: transition.revision)
        # What was found to be no alert was never said.
        for alert_id in [each.alert_id for each in episodes.values() if each.withdrawn]:
            del episodes[alert_id]
        lists, newer = _recommendations(run, window, consumer, admin)
    finally:
        consumer.close()
    return Said(episodes, lists, newer)


def epoch_ms(time: str) -> int:
    """Epoch milliseconds of an RFC 3339 time."""
    return to_epoch_ms(datetime.fromisoformat(time))


def _take(value: bytes, window: Window, erasures: Erasures, episodes: dict[str, Episode]) -> None:
    event = decode_alert_event(value)
    alert = event.data
    if not window.has(alert):
        return
    if erasures.before(alert.customer_id.encode(), alert.evidence.partition, alert.evidence.last_offset):
        return
    evidence = msgspec.structs.replace(alert.evidence, request_offset=0)
    transition = Transition(
        event.id,
        alert.revision,
        alert.status,
        epoch_ms(alert.as_of),
        alert.score,
        alert.severity,
        _digest(msgspec.structs.replace(alert, evidence=evidence)),
        _digest(bare(alert)),
        alert.correction is not None,
    )
    episode = episodes.get(alert.alert_id)
    if episode is None:
        started = epoch_ms(alert.episode_started_at)
        episode = episodes[alert.alert_id] = Episode(alert.alert_id, alert.customer_id, alert.kind, started, [])
    # Whoever reads drops what it has seen by id.
    if all(known.id != transition.id for known in episode.transitions):
        episode.transitions.append(transition)


def _digest(alert: Alert) -> bytes:
    return blake2b(encode(alert), digest_size=16).digest()


def _recommendations(
    run: Side, window: Window, consumer: Consumer, admin: AdminClient
) -> tuple[dict[str, RankedItems], set[str]]:
    topic = run.configuration.topics.topic_names().physical(topics.RECOMMENDATIONS)
    found: dict[str, RankedItems] = {}
    newer: set[str] = set()
    for message in read_to_end(consumer, admin, [topic]):
        customer = (message.key() or b"").decode()
        number = partition_for(customer.encode(), len(window.until))
        if (window.customer and customer != window.customer) or not window.until.get(number):
            continue
        value = message.value()
        if value is None:
            found.pop(customer, None)
            continue
        given = decode_recommendation(value)
        at = epoch_ms(given.as_of)
        if at > window.reached.get(number, 0):
            newer.add(customer)
        else:
            found[customer] = RankedItems(at, [item.item_id for item in given.items])
    return {customer: given for customer, given in found.items() if customer not in newer}, newer


def _reached(configuration: Configuration) -> Offsets:
    names = configuration.topics.topic_names()
    consumer = make_consumer(configuration.kafka, _GROUP, **_QUICK, **{"enable.partition.eof": True})
    try:
        topic = names.changelog("decisions")
        partitions_of(consumer, [topic])
        positions = newest_records(consumer, topic, lambda message: message.key() == POSITION_KEY)
    finally:
        consumer.close()
    return {number: decode_position(message.value() or b"").time for number, message in positions.items()}
