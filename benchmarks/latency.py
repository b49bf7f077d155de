"""From the broker's append of an event to a read-committed poll that returns the alert, at the pace of a busy shop.

Kafka, Triton and one worker of each role with the shipped configuration. Histories of the sample's customers are loaded
first as a backfill, each moved so that it ends some weeks ago, and copied under new names until enough of them are at
risk. Then visitors browse at the given rate for the given time, and customers at risk come back one by one and empty a
cart, which asks for a score at once. Whether a copy will be alerted is worked out before with the same model, so that
the load, and not the outcome, is chosen.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from msgspec.structs import replace

from benchmarks.cluster import SHIPPED, committed, cpu_seconds, peak_rss_mib
from serving.answers import answers
from serving.catalogue import Catalogue
from serving.features import tensors
from serving.in_process import OnnxScorer
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.shop import SHOP_FILE, read_shop
from stream.configuration.clients import client_properties
from stream.configuration.load import load
from stream.configuration.repository import open_registry
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.codec import encode
from stream.contracts.emission import Origin, Rejected
from stream.contracts.events import Event, Item
from stream.contracts.scores import ScoreRequest
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.operations.brokers import make_producer
from stream.operations.demo_events import sample
from stream.operations.observe import AlertObserver, percentile
from stream.operations.stack import Stack
from stream.profiles.fold import fold
from stream.profiles.profile import Profile

SILENT_DAYS = (20, 75)
"""How long ago the last order of a copy was, in days: the policies alert within these."""
BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--rate", type=int, default=2_000, help="events a second")
    parser.add_argument("--alerts", type=int, default=700, help="customers at risk who come back")
    parser.add_argument("--visitors", type=int, default=50_000)
    arguments = parser.parse_args()
    configuration = load(SHIPPED, {}).configuration
    engine, triton = configuration.engine, configuration.triton
    print(
        f"commit_interval_ms {engine.commit_interval_ms}  store {engine.store}  partitions "
        f"{configuration.topics.partitions}  max_batch {triton.max_batch}  in_flight {triton.in_flight}  "
        f"deadline_ms {triton.deadline_ms}"
    )
    with tempfile.TemporaryDirectory() as folder:
        configuration = replace(configuration, data_dir=folder)
        with Stack(configuration, SHIPPED, Path(folder), say=lambda line: print(line, flush=True)) as stack:
            stack.start()
            measure(stack, arguments)


def measure(stack: Stack, arguments: argparse.Namespace) -> None:
    configuration = stack.configuration
    names = configuration.topics.topic_names()
    now = int(time.time() * 1000)
    producer = make_producer(configuration.kafka, **{"linger.ms": 2})
    histories, items = _histories()
    for item in items.values():
        producer.produce(names.physical(topics.CATALOGUE), encode(item), item.item_id.encode())
    producer.flush()
    chosen = _at_risk(configuration, histories, items, now, arguments.alerts)
    print(f"{len(chosen)} copies of {len(histories)} customers will be at risk", flush=True)
    events = names.physical(topics.EVENTS)
    written = 0
    for copy in chosen:
        for event in copy:
            _produce(producer, events, event)
            written += 1
    producer.flush()
    admin = AdminClient(client_properties(configuration.kafka))
    while sum(committed(admin, configuration, "tidemark.profiles", events)) < written:
        time.sleep(0.1)
    time.sleep(2.0)

    pids = {role: worker.pid for role, worker in stack.workers.items()}
    used = {role: cpu_seconds(pid) for role, pid in pids.items()}
    with AlertObserver(configuration) as observer:
        sent, seconds = _live(producer, events, arguments, [copy[0].customer_id for copy in chosen])
        time.sleep(3.0)
        seen = [alert for alert in observer.seen() if alert.status == "raised"]
    latencies = [alert.latency_ms for alert in seen]
    print(f"events_per_second {sent / seconds:,.0f}  seconds {seconds:.0f}  alerts {len(latencies)}")
    for role, pid in pids.items():
        share = (cpu_seconds(pid) - used[role]) / seconds
        print(f"{role}: {share:.0%} of a core, peak {peak_rss_mib(pid):,.0f} MiB")
    if not latencies:
        raise SystemExit("no alert came")
    by_model = sum(alert.reasons_method != "rule" for alert in seen)
    print(f"reasons by the model {by_model} of {len(seen)}")
    p50, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
    print(f"p50_ms {p50:,.0f}  p99_ms {p99:,.0f}  most_ms {max(latencies):,.0f}")


def _histories() -> tuple[dict[str, list[Event]], dict[str, CatalogueItem]]:
    """Events of each customer of the sample in order, and the products in them."""
    histories: dict[str, list[Event]] = {}
    items: dict[str, CatalogueItem] = {}
    for event in sample():
        histories.setdefault(event.customer_id, []).append(event)
        for item in event.items:
            items[item.item_id] = CatalogueItem(item_id=item.item_id, item_name=item.item_name)
    return histories, items


def _copy(history: list[Event], name: str, end: int) -> list[Event]:
    """A history under another name, as a backfill, moved so that its last event is at ``end``."""
    shift = end - to_epoch_ms(history[-1].time)
    return [
        replace(
            event,
            event_id=f"{name}-{number}",
            customer_id=name,
            time=to_epoch_ms(event.time) + shift,
            mode="backfill",
            simulated=True,
        )
        for number, event in enumerate(history)
    ]


def _return_visit(name: str, now: int) -> list[Event]:
    """Something is put into the cart, and the cart is emptied: a score is asked for at once."""
    cart = Event(
        event_id=f"{name}-cart",
        type="cart",
        time=now,
        customer_id=name,
        items=[Item(item_id="85123A", quantity=1)],
        action="add",
        simulated=True,
    )
    return [cart, replace(cart, event_id=f"{name}-clear", time=now + 1, items=[], action="clear")]


def _at_risk(
    configuration: Configuration,
    histories: dict[str, list[Event]],
    items: dict[str, CatalogueItem],
    now: int,
    wanted: int,
) -> list[list[Event]]:
    """Copies whose score will be above the threshold when they come back."""
    _, folder, card = open_registry(configuration).default()
    scorer = OnnxScorer(folder, card)
    catalogue = Catalogue.from_items(
        items.values(), read_item_tower(folder / ITEM_TOWER_FILE), read_shop(folder / SHOP_FILE)
    )
    policies = configuration.policies.in_force(card)
    threshold = max(rule.raise_threshold for rule in policies.rules.values()) + 0.02
    draw = random.Random(1)
    chosen: list[list[Event]] = []
    number = 0
    while len(chosen) < wanted and number < 40 * wanted:
        batch: list[tuple[list[Event], Profile]] = []
        while len(batch) < BATCH:
            number += 1
            history = histories[draw.choice(list(histories))]
            name = f"r{number}"
            copy = _copy(history, name, now - int(draw.uniform(*SILENT_DAYS) * DAY_MS))
            batch.append((copy, _folded(configuration, [*copy, *_return_visit(name, now)])))
        profiles = [profile for _, profile in batch]
        requests = [ScoreRequest(kind="score", customer_id=p.customer_id, as_of=now + 1) for p in profiles]
        outputs = scorer.run(tensors(profiles, [now + 1] * len(profiles), catalogue))
        for (copy, _), answer in zip(batch, answers(outputs, profiles, requests, catalogue, card.stamp), strict=True):
            if answer.churn[policies.horizon] >= threshold:
                chosen.append(copy)
    return chosen[:wanted]


def _folded(configuration: Configuration, events: list[Event]) -> Profile:
    profile: Profile | None = None
    for event in events:
        try:
            profile = fold(profile, event, to_epoch_ms(event.time), Origin("", 0, 0), configuration.profiles).profile
        except Rejected:
            continue
    assert profile is not None
    return profile


def _live(producer: Producer, topic: str, arguments: argparse.Namespace, names: list[str]) -> tuple[int, float]:
    """Visitors browse, customers at risk come back; evenly over the time."""
    draw = random.Random(2)
    began = time.monotonic()
    sent = returned = 0
    total = arguments.rate * arguments.seconds
    while sent < total:
        elapsed = time.monotonic() - began
        while sent < min(total, elapsed * arguments.rate):
            now = int(time.time() * 1000)
            if returned < len(names) and returned < sent / total * len(names):
                for event in _return_visit(names[returned], now):
                    _produce(producer, topic, event)
                    sent += 1
                returned += 1
            _produce(producer, topic, _visit(draw, sent, now, arguments.visitors))
            sent += 1
        producer.poll(0.002)
    producer.flush()
    return sent, time.monotonic() - began


def _visit(draw: random.Random, number: int, now: int, visitors: int) -> Event:
    return Event(
        event_id=f"v{number}",
        type="browse",
        time=now,
        customer_id=f"v{draw.randrange(visitors)}",
        items=[Item(item_id=f"p{draw.randrange(500)}")],
        simulated=True,
    )


def _produce(producer: Producer, topic: str, event: Event) -> None:
    while True:
        try:
            producer.produce(topic, encode(event), event.customer_id.encode())
            return
        except BufferError:
            producer.poll(0.1)


if __name__ == "__main__":
    main()
