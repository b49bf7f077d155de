"""What has to change so that readers and state of the live deployment say what a replay says.

All is at rest meanwhile: the replay has folded the log as far as the live workers have, and nothing new comes in.
Profiles are taken over as they are. What was said is not taken back but followed by what should have been said, and the
decisions' state is that of the replay with the live numbers of revisions. Called by ``repair``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from confluent_kafka import Consumer
from msgspec.structs import replace

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.alerts import Alert, Correction
from stream.contracts.codec import encode
from stream.contracts.ids import message_id, recommendation_id
from stream.contracts.partitioning import partition_for
from stream.contracts.repairs import Repair
from stream.contracts.scores import ScoreRequest
from stream.contracts.times import to_rfc3339
from stream.decisions import codec
from stream.decisions.descriptions import NO_ACTION
from stream.decisions.messages import ENDED
from stream.decisions.repair import bare, digest
from stream.decisions.state import DecisionState
from stream.engine.position import HEADER_BYTES, Position
from stream.operations.brokers import connect_admin
from stream.operations.history.reading import live_states, open_consumer
from stream.operations.repairs.finals import Newest, Run, Views
from stream.workers import decisions, profiles

Change = Literal["corrected", "revised", "raised", "ended"]
"""What becomes of an alert that should not have been, that says something else, that is missing and open, that is
missing and over."""


class PartitionPlan(NamedTuple):
    """What changes on one partition."""

    partition: int
    position: Position
    """Of the replay, which is the live one's, but for what the fold keeps beside the states."""
    states: dict[bytes, bytes | None]
    """Framed states to write, by key; None: the customer is to have none."""
    requests: list[ScoreRequest]
    other_fold: bool = False
    """Whether another version of the fold has made the live states."""
    decided: Position | None = None
    """Where the live decisions are, with the replay's version of their fold, if another one has made their states."""

    @property
    def changes(self) -> int:
        """Customers who change, counted once for each role; at least 1 where anything is to be written."""
        return len(self.states) + len(self.requests) or self.other_fold


class Plan(NamedTuple):
    """What changes on all of them."""

    partitions: list[PartitionPlan]
    counts: Counter[str]
    """Of alerts by ``Change``, and of ``predictions``, ``recommendations`` and ``profiles``."""
    left_out: int
    """Customers who say something else in the replay, and to whom the fallback has answered: what they were asked later
    is not in it. Their profiles are put right all the same."""

    @property
    def empty(self) -> bool:
        return not any(plan.changes for plan in self.partitions)


class _Alerts(NamedTuple):
    """The alerts of both runs that differ, by alert id."""

    live: dict[str, Alert]
    again: dict[str, Alert]


def plan(live: Configuration, sandbox: Configuration, partitions: int, correction: Correction) -> Plan:
    """Find what has to change.

    Args:
        sandbox: configuration of the replay.
        correction: what the transitions say of why they are.

    Raises:
        StateUnreadable, NewerState: a state of either cannot be read.
        MissingTopicError, KafkaUnreachableError, AccessError: Kafka cannot say.
    """
    admin = connect_admin(live.kafka)
    ours, theirs = Run(live, admin), Run(sandbox, admin)
    alerts = _different_alerts(ours, theirs)
    views = _different_views(ours.views(), theirs.views())
    unsure = ours.answered_by_fallback() | theirs.answered_by_fallback()
    customers = {alert.customer_id for side in alerts for alert in side.values()}
    customers.update(views.predictions, views.recommendations)
    making = _Making(ours, theirs, alerts, views, unsure, correction)
    consumer = open_consumer(live.kafka)
    try:
        by_partition: dict[int, set[str]] = defaultdict(set)
        for customer in customers:
            by_partition[partition_for(customer.encode(), partitions)].add(customer)
        plans = [
            making.partition(live, sandbox, consumer, number, by_partition[number]) for number in range(partitions)
        ]
    finally:
        consumer.close()
    return Plan([each for each in plans if each is not None], making.counts, making.left_out)


def _different_alerts(ours: Run, theirs: Run) -> _Alerts:
    live, again = ours.alerts(), theirs.alerts()
    different = {each for each in live.keys() | again.keys() if not _same(live.get(each), again.get(each))}
    return _Alerts(ours.published(different), theirs.published(different)) if different else _Alerts({}, {})


def _same(live: Newest | None, again: Newest | None) -> bool:
    if live is None or again is None:
        return live is not None and live.corrected
    return live.digest == again.digest


def _different_views(ours: Views, theirs: Views) -> Views:
    """Those of ``theirs`` that differ, or whose customer has none there (no bytes)."""
    return Views(*(_different(mine, other) for mine, other in zip(ours, theirs, strict=True)))


def _different(mine: Mapping[str, bytes], other: Mapping[str, bytes]) -> dict[str, bytes]:
    return {each: other.get(each, b"") for each in mine.keys() | other.keys() if mine.get(each) != other.get(each)}


class _Making:
    """Makes the requests, customer by customer."""

    def __init__(
        self, ours: Run, theirs: Run, alerts: _Alerts, views: Views, unsure: set[str], correction: Correction
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.left_out = 0
        self._unsure = unsure
        self._correction = correction
        self._views = views
        self._predictions = theirs.predictions(views.predictions) if views.predictions else {}
        self._recommendations = theirs.recommendations(views.recommendations) if views.recommendations else {}
        self._alerts = alerts
        self._ids: dict[str, set[str]] = defaultdict(set)
        for side in alerts:
            for alert_id, alert in side.items():
                self._ids[alert.customer_id].add(alert_id)

    def partition(
        self, live: Configuration, sandbox: Configuration, consumer: Consumer, number: int, customers: Iterable[str]
    ) -> PartitionPlan | None:
        """What changes on one partition; None where nothing was ever committed."""
        theirs = sandbox.topics.topic_names()
        names = live.topics.topic_names()

        def states(role: str) -> tuple[dict[bytes, bytes], dict[bytes, bytes], Position | None, Position | None]:
            own = live_states(live.kafka, consumer, names.changelog(role), number)
            again = live_states(live.kafka, consumer, theirs.changelog(role), number)
            return own.states, again.states, own.position, again.position

        own, again, was, position = states(profiles.ROLE)
        if position is None:
            return None
        other_fold = was is not None and was.fold_version != position.fold_version
        changed = {key: again.get(key) for key in own.keys() | again.keys() if own.get(key) != again.get(key)}
        self.counts["profiles"] += len(changed)
        own, again, decided, by = states(decisions.ROLE)
        wanted = {customer.encode() for customer in customers}
        wanted.update(key for key in own.keys() | again.keys() if own.get(key) != again.get(key))
        requests = []
        for key in sorted(wanted):
            customer = key.decode()
            repair = self._repair(customer, _decoded(own.get(key)), _decoded(again.get(key)))
            if repair is not None:
                request = ScoreRequest(
                    kind="repair",
                    customer_id=customer,
                    as_of=0 if decided is None else decided.time,
                    events_topic=names.physical(topics.EVENTS),
                    events_partition=number,
                    # What was asked because of an event before an erasure is skipped.
                    last_offset=position.offset - 1,
                    repair=encode(repair),
                )
                requests.append(request)
        renamed = None
        if decided is not None and by is not None and decided.fold_version != by.fold_version:
            renamed = replace(decided, fold_version=by.fold_version)
        return PartitionPlan(number, position, changed, requests, other_fold, renamed)

    def _repair(self, customer: str, own: DecisionState | None, again: DecisionState | None) -> Repair | None:
        """What puts one customer right; None where nothing is wrong, or nobody can say."""
        ids = sorted(self._ids.get(customer, ()))
        predicted, recommended = customer in self._views.predictions, customer in self._views.recommendations
        if not (ids or predicted or recommended) and _alike(own, again):
            return None
        if customer in self._unsure:
            self.left_out += 1
            return None
        recommendation = self._recommendations.get(customer)
        revision = 0 if own is None else own.shown_revision
        if recommendation is not None and recommended:
            revision += 1
            number = recommendation_id(customer, revision)
            recommendation = replace(recommendation, recommendation_id=number, revision=revision)
        prediction = self._predictions.get(customer)
        gone = [topics.PREDICTIONS] if predicted and prediction is None else []
        gone += [topics.RECOMMENDATIONS] if recommended and recommendation is None else []
        self.counts["predictions"] += predicted
        self.counts["recommendations"] += recommended
        return Repair(
            expects=digest(own),
            state=b"" if again is None else codec.encode(_continued(again, own, revision)),
            alerts=[self._transition(each) for each in ids],
            prediction=prediction,
            recommendation=recommendation,
            gone=gone,
        )

    def _transition(self, alert_id: str) -> Alert:
        change, alert = transition_of(
            self._alerts.live.get(alert_id), self._alerts.again.get(alert_id), self._correction
        )
        self.counts[change] += 1
        return alert


def transition_of(was: Alert | None, should: Alert | None, correction: Correction) -> tuple[Change, Alert]:
    """The transition that follows what was said of an alert, so that it says what should have been said.

    Args:
        was: the newest transition that readers have; None: they know of no such alert.
        should: the newest one of the replay; None: there should have been none. One of the two is there.
    """
    if was is None:
        assert should is not None  # noqa: S101 - for the type checker
        new = replace(should, supersedes=None, previous_status=None, previous_score=None, correction=correction)
        return "ended" if should.status in ENDED else "raised", new
    follows = replace(
        was if should is None else should,
        revision=was.revision + 1,
        supersedes=message_id(was.alert_id, was.revision),
        previous_status=was.status,
        previous_score=was.score,
        correction=correction,
    )
    if should is None:
        return "corrected", replace(follows, status="corrected", resolve_reason="corrected", suggested_action=NO_ACTION)
    if should.status not in ENDED:
        # Whoever acts on "raised" has done so already, unless it was over.
        follows.status = "raised" if was.status in ENDED else "updated"
    return "revised", follows


def correction_of(name: str, reason: str, at: int) -> Correction:
    """Why a transition of this repair is.

    Args:
        at: epoch milliseconds.
    """
    return Correction(repair=name, reason=reason, at=to_rfc3339(at))


def _decoded(framed: bytes | None) -> DecisionState | None:
    return None if framed is None else codec.decode(framed[HEADER_BYTES:])


def _alike(own: DecisionState | None, again: DecisionState | None) -> bool:
    """Whether they lead to the same from now on."""
    if own is None or again is None:
        return own is again
    return _essence(own) == _essence(again)


def _essence(state: DecisionState) -> bytes:
    episodes = {kind: replace(each, alert=bare(each.alert)) for kind, each in state.episodes.items()}
    return codec.encode(replace(state, episodes=episodes, shown_revision=0, waiting=None, retry_id=""))


def _continued(again: DecisionState, own: DecisionState | None, shown_revision: int) -> DecisionState:
    """The replay's state, with what belongs to the live topics alone: numbers of revisions, and open questions."""
    if own is None:
        return replace(again, shown_revision=shown_revision or again.shown_revision, waiting=None, retry_id="")
    published = {episode.alert.alert_id: episode.alert for episode in own.episodes.values()}
    episodes = {
        kind: replace(each, alert=published.get(each.alert.alert_id, each.alert))
        for kind, each in again.episodes.items()
    }
    return replace(again, episodes=episodes, shown_revision=shown_revision, waiting=own.waiting, retry_id=own.retry_id)
