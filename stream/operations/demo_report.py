"""Reads what a run of the demo left in Kafka, and makes the report of it: figures, one alert, one list, and broken
promises.

Nothing here has seen the run; it reads committed records as anybody could, and the changelog of the profiles to see
that every event was folded once. Called by `tidemark demo`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Final

import msgspec
from confluent_kafka import Message

from serving.evaluation.alerts import AlertWorth, alert_worth
from serving.evaluation.episodes import FiredAlert
from serving.history import journeys
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.alerts import AlertEvent
from stream.contracts.codec import decode_alert_event, decode_recommendation, decode_score, decode_score_request
from stream.contracts.dead_letters import read_verdict
from stream.contracts.recommendations import Recommendation
from stream.contracts.times import to_epoch_ms
from stream.engine.position import HEADER_BYTES, POSITION_KEY
from stream.operations import promises
from stream.operations.brokers import connect_admin, headers_of, make_consumer, read_to_end
from stream.operations.catalogue_items import item_names
from stream.operations.demo import DemoRun
from stream.operations.demo_events import DemoEvents
from stream.profiles import codec as profile_codec
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings

SHOWN_ITEMS: Final = 5


class DemoReport(msgspec.Struct):
    """What the demo shows at its end. Times in epoch milliseconds, latencies in milliseconds."""

    run: DemoRun
    customers: int
    first_event: int
    last_event: int
    history_records: int
    """Sent at full speed."""
    records: int
    """Sent in all."""
    dead_letters: dict[str, int]
    """By code."""
    duplicates: int
    profiles: int
    scores: int
    fallbacks: int
    """Of the scores, those that the fallback gave."""
    model: str
    transitions: dict[str, dict[str, int]]
    """Of alerts, by kind and status; both arms."""
    held_out: int
    """Of the transitions, those of the control group."""
    recommendations: int
    """Lists published, one customer's newer ones included."""
    worth: AlertWorth
    alert: AlertEvent | None
    """The raised alert with the most at risk."""
    recommendation: Recommendation | None
    """The newest list of that customer."""
    names: dict[str, str]
    """Of the items shown, by id."""
    broken: list[str]
    """Promises that were not kept, a sentence each."""


def demo_report(configuration: Configuration, events: DemoEvents, run: DemoRun) -> DemoReport:
    """Read the topics and compare them with what was sent."""
    with closing(_Reader(configuration)) as reader:
        return _report(reader, configuration, events, run)


def _report(reader: _Reader, configuration: Configuration, events: DemoEvents, run: DemoRun) -> DemoReport:
    profiles = reader.profiles()
    dead = [read_verdict(headers_of(message)).code for message in reader.records(topics.DEAD_LETTERS)]
    requests = [decode_score_request(message.value() or b"") for message in reader.records(topics.SCORE_REQUESTS)]
    scores = [decode_score(message.value() or b"") for message in reader.records(topics.SCORES)]
    transitions = [
        decode_alert_event(message.value() or b"")
        for topic in (topics.ALERTS, topics.ALERTS_HOLDOUT)
        for message in reader.records(topic)
    ]
    still_open = reader.latest(topics.ALERTS_OPEN)
    lists = (message.value() for message in reader.records(topics.RECOMMENDATIONS))
    recommendations = [decode_recommendation(value) for value in lists if value is not None]
    names = item_names(configuration)
    model_scores = [score for score in scores if not score.answer.fallback]

    broken = [
        *_broken_counts(sum(1 for _ in reader.records(topics.EVENTS)), events.records),
        *promises.broken_folds(events.by_type(), promises.folded_by_type(profiles)),
        *promises.broken_dead_letters((bad.code for bad in events.bad), dead),
        *promises.broken_answers(
            [request.request_id for request in requests if request.kind == "score"],
            [score.request_id for score in scores],
        ),
        *promises.broken_transitions(transitions, still_open),
        *promises.broken_recommendations(recommendations, names),
    ]
    if len(model_scores) <= len(scores) / 2:
        broken.append(f"the model gave only {len(model_scores):,} of {len(scores):,} answers, the fallback all others")
    raised = [transition for transition in transitions if transition.data.status == "raised"]
    if not raised:
        broken.append("no alert was raised")
    shown = max(
        (alert for alert in raised if alert.data.experiment.arm == "treatment"),
        key=lambda alert: alert.data.value_at_risk.amount,
        default=None,
    )
    by_kind: dict[str, Counter[str]] = {}
    for transition in transitions:
        by_kind.setdefault(transition.data.kind, Counter())[transition.data.status] += 1
    all_events = [*events.history, *events.live]
    times = [to_epoch_ms(event.time) for event in all_events]
    stamp = model_scores[-1].answer.model if model_scores else None
    return DemoReport(
        run=run,
        customers=len({event.customer_id for event in all_events}),
        first_event=times[0],
        last_event=times[-1],
        history_records=len(events.history),
        records=events.records,
        dead_letters=dict(Counter(dead).most_common()),
        duplicates=len(events.duplicates),
        profiles=len(profiles),
        scores=len(scores),
        fallbacks=len(scores) - len(model_scores),
        model=f"{stamp.name} {stamp.version}" if stamp else "none",
        transitions={kind: dict(counts) for kind, counts in sorted(by_kind.items())},
        held_out=sum(transition.data.experiment.arm == "holdout" for transition in transitions),
        recommendations=len(recommendations),
        worth=_worth(raised, events, configuration.profiles),
        alert=shown,
        recommendation=_list_of(shown, recommendations),
        names=names,
        broken=broken,
    )


class _Reader:
    """Reads whole topics, one after the other."""

    def __init__(self, configuration: Configuration) -> None:
        self._consumer = make_consumer(configuration.kafka, "tidemark.demo", **{"fetch.wait.max.ms": 20})
        self._admin = connect_admin(configuration.kafka)
        self._names = configuration.topics.topic_names()

    def records(self, topic: str) -> Iterator[Message]:
        """Every committed record of a topic by its logical name."""
        return read_to_end(self._consumer, self._admin, [self._names.physical(topic)])

    def latest(self, topic: str) -> list[str]:
        """The keys of a compacted topic that are not deleted."""
        last: dict[bytes, bytes | None] = {}
        for message in self.records(topic):
            last[message.key() or b""] = message.value()
        return [key.decode() for key, value in last.items() if value is not None]

    def profiles(self) -> list[Profile]:
        """The customers' states as the changelog has them."""
        last: dict[bytes, bytes | None] = {}
        for message in read_to_end(self._consumer, self._admin, [self._names.changelog("profiles")]):
            last[message.key() or b""] = message.value()
        last.pop(POSITION_KEY, None)
        return [profile_codec.decode(framed[HEADER_BYTES:]) for framed in last.values() if framed is not None]

    def close(self) -> None:
        self._consumer.close()


def _broken_counts(found: int, sent: int) -> list[str]:
    return [] if found == sent else [f"{sent:,} records were sent, the events topic holds {found:,}"]


def _worth(raised: list[AlertEvent], events: DemoEvents, settings: ProfileSettings) -> AlertWorth:
    """What the alerts were worth, judged by the real orders that followed."""
    real = (event for event in (*events.history, *events.live) if not event.simulated)
    orders = journeys(real, settings)
    purchases = {customer: [int(time) for time in journey.times] for customer, journey in orders.items()}
    fired = [_fired(alert) for alert in raised]
    horizon = raised[0].data.horizon_days if raised else 90
    return alert_worth(fired, purchases, horizon, max(times[-1] for times in purchases.values()))


def _fired(alert: AlertEvent) -> FiredAlert:
    at = to_epoch_ms(datetime.fromisoformat(alert.data.as_of))
    return FiredAlert(alert.data.customer_id, at, alert.data.score)


def _list_of(alert: AlertEvent | None, lists: list[Recommendation]) -> Recommendation | None:
    """The newest list of the alert's customer, else of anybody."""
    own = [each for each in lists if alert is None or each.customer_id == alert.data.customer_id] or lists
    return max(own, key=lambda each: (each.as_of, each.revision), default=None)
