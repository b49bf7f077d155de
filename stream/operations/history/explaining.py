"""Puts together all that Kafka knows of one customer: events folded again, answers and alerts as they were recorded,
and the figures by which alerts were judged.

It changes nothing and asks no model: reasons and scores are those that were stored. Called by `tidemark explain`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from confluent_kafka import Consumer, TopicPartition

from stream.configuration.repository import open_registry
from stream.configuration.settings import Configuration
from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.partitioning import partition_for
from stream.contracts.scores import Score
from stream.contracts.times import to_epoch_ms
from stream.decisions.deployment import Deployment
from stream.decisions.policy_history import PolicyHistory
from stream.engine.processor import Record
from stream.operations.brokers import bounds_of, partitions_of
from stream.operations.erasures import erasures_of
from stream.operations.history.deciding import Judged, judged, recorded
from stream.operations.history.fields import NameOf, by_hash
from stream.operations.history.finding import customer_of
from stream.operations.history.folding import CustomerFold
from stream.operations.history.reading import committed_end, open_consumer, record_of, records
from stream.operations.history.timeline import Answered, Explanation, Transition, in_order
from stream.operations.promotion import in_force
from stream.operations.switches import policy_changes
from stream.workers.decisions import DecisionsProcessor
from stream.workers.policies import RegisteredPolicies
from stream.workers.recorded import RecordedStage, recorded_answers

OTHER_POLICY = (
    "decided by policy {then}; this configuration makes it {now}, so the figures of its rules are not told: "
    "explain it with the configuration of that time (--config)"
)
NOT_THE_SAME = (
    "folded again it would be {now}: the log has lost questions before it, or the code has changed, so no figures are "
    "told"
)
NO_QUESTION = "the question is not in the log any more, so the figures cannot be made again"

Progress = Callable[[str, int, int], None]
"""Called with what is read, how much of it, and of how much."""


class NothingKnown(LookupError):
    """No record of any topic is about this customer or alert."""


def explain(
    configuration: Configuration, named: str, name_of: NameOf = by_hash, progress: Progress | None = None
) -> Explanation:
    """The time line of a customer.

    Args:
        named: a customer, an anonymous visitor, or an alert's id.

    Raises:
        NothingKnown: there is neither a customer nor an alert of that name.
        MissingTopicError, KafkaUnreachableError, AccessError: Kafka cannot say.
    """
    consumer = open_consumer(configuration.kafka)
    try:
        found = customer_of(configuration, consumer, named, _about(progress, "alerts"))
        return _Reading(configuration, consumer, found or named, progress).explained(
            named if found is not None else "", name_of
        )
    finally:
        consumer.close()


class _Reading:
    """One customer's partition of every topic.

    Args:
        consumer: for one partition after the other.
    """

    def __init__(
        self, configuration: Configuration, consumer: Consumer, customer_id: str, progress: Progress | None
    ) -> None:
        self._configuration = configuration
        self._consumer = consumer
        self._customer_id = customer_id
        self._key = customer_id.encode()
        self._names = configuration.topics.topic_names()
        self._progress = progress
        self._erasures = erasures_of(configuration)

    def explained(self, alert_id: str, name_of: NameOf) -> Explanation:
        events = self._all(topics.EVENTS)
        fold = CustomerFold(
            self._configuration, self._key, events.partition, events.partitions, self._erasures, name_of
        )
        for record in events.records():
            fold.take(record)
        others: list[Answered | Transition] = [*self._answers(), *self._transitions()]
        if not fold.entries and not others:
            raise NothingKnown(
                f"nothing is known of {self._customer_id!r}: no customer and no alert is called so. Customers are "
                "named as in customer_id, alerts as in alert_id"
            )
        return Explanation(
            customer_id=self._customer_id,
            partition=events.partition,
            alert_id=alert_id,
            entries=in_order(fold.entries, others),
            profile=fold.profile(),
            currency=self._configuration.profiles.currency,
            log_begins=events.low,
        )

    def _answers(self) -> list[Answered]:
        scores = self._all(topics.SCORES)
        known = recorded(scores.records(), self._key)
        for offset in [
            at for at, (score, _) in known.own.items() if self._erased(scores.partition, score.events_offset)
        ]:
            del known.own[offset]
        if not known.own:
            return []
        requests, limit = self._all(topics.SCORE_REQUESTS), self._configuration.engine.max_output_bytes
        processor = self._decisions(requests.partitions)
        again = judged(processor, scores.topic, limit, self._key, requests.partition, requests.records(), known)
        return [_answered(offset, score, outcome, again.get(offset)) for offset, (score, outcome) in known.own.items()]

    def _decisions(self, partitions: int) -> DecisionsProcessor:
        """The processor of the decisions role as workers have it, but for a stage that asks a model."""
        configuration = self._configuration
        registry = open_registry(configuration)
        rollout = in_force(configuration, registry)
        history = PolicyHistory(configuration.policies, policy_changes(configuration))
        policies = RegisteredPolicies(registry, lambda: history, lambda: rollout)
        deployment = Deployment(
            secret=configuration.deployment.secret.encode(),
            source=configuration.deployment.source,
            partitions=partitions,
        )
        return DecisionsProcessor(
            self._names, policies, deployment, RecordedStage(recorded_answers(())), self._erasures
        )

    def _transitions(self) -> list[Transition]:
        found = []
        for logical in (topics.ALERTS, topics.ALERTS_HOLDOUT):
            for record in self._all(logical).records():
                if record.key == self._key:
                    event = messages.decode_alert_event(record.value or b"")
                    evidence = event.data.evidence
                    if self._erased(evidence.partition, evidence.last_offset):
                        continue
                    found.append(
                        Transition(
                            at=_milliseconds(event.data.as_of),
                            topic=logical,
                            partition=record.partition,
                            offset=record.offset,
                            message_id=event.id,
                            alert=event.data,
                        )
                    )
        return found

    def _erased(self, partition: int, offset: int) -> bool:
        """Whether what the event at ``offset`` has led to is not to be told any more."""
        return self._erasures.before(self._key, partition, offset)

    def _all(self, logical: str) -> _Log:
        """The customer's partition of a topic, as far as it is committed now."""
        topic = self._names.physical(logical)
        partitions = len(partitions_of(self._consumer, [topic]))
        number = partition_for(self._key, partitions)
        low, _ = bounds_of(self._consumer, TopicPartition(topic, number))
        return _Log(
            self._consumer,
            topic,
            number,
            partitions,
            low,
            committed_end(self._configuration.kafka, topic, number),
            _about(self._progress, logical),
        )


class _Log(NamedTuple):
    """One partition, to be read to its end before the next one."""

    consumer: Consumer
    topic: str
    partition: int
    partitions: int
    low: int
    end: int
    progress: Callable[[int, int], None] | None

    def records(self) -> Iterator[Record]:
        found = records(self.consumer, self.topic, self.partition, self.low, self.end, self.progress)
        return map(record_of, found)


def _answered(offset: int, score: Score, outcome: str, again: Judged | None) -> Answered:
    answer = score.answer
    remark = ""
    if "=" in outcome:
        remark = _remark(score, outcome, again)
    return Answered(
        at=score.as_of,
        partition=score.request_partition,
        offset=offset,
        request_id=score.request_id,
        trigger=score.trigger,
        model=answer.model,
        fallback_reason=answer.fallback_reason,
        churn=answer.churn,
        reasons=answer.reasons,
        policy_version=score.policy_version,
        mode=score.mode,
        outcome=outcome,
        judged=[] if remark or again is None else again.weighed,
        remark=remark,
    )


def _remark(score: Score, outcome: str, again: Judged | None) -> str:
    """Why no figures are told; empty where they are."""
    if again is None:
        return NO_QUESTION
    if again.policy_version != score.policy_version:
        return OTHER_POLICY.format(then=score.policy_version, now=again.policy_version)
    return "" if again.outcome == outcome else NOT_THE_SAME.format(now=again.outcome.replace("_", " "))


def _about(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, of: progress(what.replace("_", " "), done, of)


def _milliseconds(moment: str) -> int:
    return to_epoch_ms(datetime.fromisoformat(moment))
