"""A log of score requests with the profiles that customers of the demo have, and the demo's catalogue beside it.

The requests are what the shipped fold asks of each customer's events, and when. The demo has a few hundred customers;
more are copies of them under other names, an hour apart each, so that neighbours in a batch are not one customer.
Called by ``benchmarks.decisions``, which has the role `decisions` answer the log again and again.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from confluent_kafka.admin import AdminClient
from msgspec.structs import replace

from benchmarks.cluster import produce
from benchmarks.event_log import make_topic
from serving.dataset import by_customer, customer_examples
from serving.history import catalogue_items
from stream.configuration.settings import Configuration
from stream.contracts.codec import encode
from stream.contracts.events import Event
from stream.contracts.ids import request_id
from stream.contracts.scores import ScoreRequest
from stream.contracts.times import DAY_MS, HOUR_MS, to_epoch_ms
from stream.contracts.topics import CATALOGUE, SCORE_REQUESTS, TOPICS
from stream.operations.demo_events import demo_events
from stream.profiles.settings import ProfileSettings

WINDOW_DAYS: Final = 90
"""The log holds what was asked in the last so many days of the demo, where profiles are at their longest."""
APART_MS: Final = HOUR_MS
"""Between a customer's copies."""


class RequestLog(NamedTuple):
    """A log that was written."""

    topic: str
    catalogue: str
    """The topic with what the shop sells."""
    customers: int
    """Who are known; two thirds of them ask."""
    requests: int


def demo_history() -> list[Event]:
    """The demo's good events, in order of time."""
    events = demo_events(now=0)
    return [*events.history, *events.live]


def score_requests(events: Iterable[Event], customers: int, settings: ProfileSettings) -> list[ScoreRequest]:
    """What ``customers`` copies of the customers in ``events`` ask in the last ``WINDOW_DAYS``, in order of time."""
    known = by_customer(events)
    end = max(to_epoch_ms(own[-1].time) for own in known.values())
    originals = list(known.items())
    asked: list[ScoreRequest] = []
    for number in range(customers):
        copy, place = divmod(number, len(originals))
        name, history = originals[place]
        moved = _moved(history, f"{name}-{copy}", copy * APART_MS)
        asked.extend(
            ScoreRequest(
                kind="score",
                request_id=request_id(example.customer_id, example.trigger, example.as_of),
                customer_id=example.customer_id,
                as_of=example.as_of,
                trigger=example.trigger,
                profile=example.profile,
                simulated=True,
            )
            for example in customer_examples(moved, (), end, settings)
            if example.trigger is not None and example.as_of > end - WINDOW_DAYS * DAY_MS
        )
    return sorted(asked, key=lambda request: request.as_of)


def _moved(history: list[Event], name: str, by_ms: int) -> list[Event]:
    """The events of another customer, ``by_ms`` earlier."""
    return [replace(event, customer_id=name, time=to_epoch_ms(event.time) - by_ms) for event in history]


def write_requests(admin: AdminClient, configuration: Configuration, name: str, customers: int) -> RequestLog:
    """Write the requests of so many customers, and the catalogue, to topics of their own that begin with ``name``."""
    events = demo_history()
    items = catalogue_items(events, to_epoch_ms(events[-1].time))
    asked = score_requests(events, customers, configuration.profiles)
    log = RequestLog(f"{name}-requests", f"{name}-catalogue", customers, len(asked))
    partitions = configuration.topics.partitions
    make_topic(admin, log.topic, partitions, TOPICS[SCORE_REQUESTS].settings())
    make_topic(admin, log.catalogue, partitions, TOPICS[CATALOGUE].settings())
    produce(configuration, log.catalogue, ((item.item_id.encode(), encode(item)) for item in items))
    produce(configuration, log.topic, _records(asked))
    return log


def _records(asked: Iterable[ScoreRequest]) -> Iterator[tuple[bytes, bytes]]:
    for request in asked:
        yield request.customer_id.encode(), encode(request)
