"""The port of the whole fold to Kafka Streams makes of a log what the straight fold makes of it."""

import heapq
import time
from collections.abc import Iterator
from random import Random

import pytest
from msgspec.structs import replace

from benchmarks.cluster import configured, produce, quiet_admin
from benchmarks.event_log import MIXES, EventLog, make_load, make_topic
from benchmarks.peers.whole_fold import Port, straight_fold
from stream.contracts.codec import encode
from stream.contracts.events import Event
from stream.contracts.times import HOUR_MS
from stream.contracts.topics import EVENTS, TOPICS
from stream.embedded.kafka import EmbeddedKafka
from stream.operations.simulate import synthetic
from stream.profiles.settings import ProfileSettings
from stream.testing.topics import Topics

EVENTS_OF_A_MIX = 2_500
CUSTOMERS = 40
"""So few that the busy ones reach the bound of a profile."""
SETTINGS = ProfileSettings(ask_interval_ms=12 * HOUR_MS)
"""So long that many requests have to wait."""
WITHIN_LATENESS = 80
"""Places by which some events come after their turn: two days of event time."""
TOO_LATE = 400
SHARES = {"on time": 0.71, "after its turn": 0.25, "too late": 0.02, "twice": 0.02}
DEADLINE_S = 120.0


def disordered(mix: str, draw: Random) -> Iterator[tuple[int, Event]]:
    """Place in the log and event: purchases with several lines, amounts of half a cent, some events late or twice, and
    now and then all that a customer did in two days at once."""
    load = make_load("zipf", CUSTOMERS, EVENTS_OF_A_MIX, mix)._replace(most_lines=3)
    for place, event in enumerate(synthetic(load)):
        own = replace(event, event_id=f"{mix}-{event.event_id}", customer_id=f"{mix}-{event.customer_id}")
        if draw.random() < 0.1:
            own.items = [replace(item, price=int(item.price or 0) + 0.125) for item in own.items]
        window, at = divmod(place, WITHIN_LATENESS)
        if window % 4 == 0 and event.customer_id in ("c0", "c1"):
            yield place - at + WITHIN_LATENESS, own
            continue
        match draw.choices(list(SHARES), list(SHARES.values()))[0]:
            case "after its turn":
                yield place + draw.randrange(WITHIN_LATENESS), own
            case "too late":
                yield place + TOO_LATE, own
            case "twice":
                yield from ((place, own), (place + 5, own))
            case _:
                yield place, own


@pytest.fixture
def log(embedded_kafka: EmbeddedKafka, topics: Topics) -> EventLog:
    """A log of both mixes."""
    configuration, _ = configured(embedded_kafka.bootstrap_servers)
    name, partitions = topics.name("events"), configuration.topics.partitions
    make_topic(quiet_admin(embedded_kafka.bootstrap_servers), name, partitions, TOPICS[EVENTS].settings())
    draw = Random("whole fold")
    by_place = [sorted(disordered(mix, draw), key=lambda placed: placed[0]) for mix in MIXES]
    records = [
        (event.customer_id.encode(), encode(event)) for _, event in heapq.merge(*by_place, key=lambda placed: placed[0])
    ]
    produce(configuration, name, records)
    load = make_load("zipf", len(MIXES) * CUSTOMERS, len(records))
    return EventLog(name, load, partitions)


def test_the_port_has_the_states_requests_and_dead_letters_of_the_straight_fold(
    embedded_kafka: EmbeddedKafka, log: EventLog, topics: Topics
) -> None:
    straight = straight_fold(embedded_kafka, log, SETTINGS)
    assert len(straight.refused) > 10
    assert len(straight.requests) > 100
    port = Port(embedded_kafka, log, SETTINGS, topics.name("port"))
    deadline = time.monotonic() + DEADLINE_S
    with port.running() as program:
        while port.folded() < log.load.events:
            program.check()
            assert time.monotonic() < deadline, f"{port.folded()} of {log.load.events} events are folded"
            time.sleep(0.1)
    straight.check(port.found(), exact=False)
    port.drop()
