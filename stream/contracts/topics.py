"""The topics of Tidemark: logical names, physical names, keys, retention and clean-up.

Code names topics by the constants below; ``TopicNames`` turns them into physical names at the edges. Nothing here
talks to a broker: ``tidemark topics`` creates what this module lists, and refuses what differs from it.
"""

import re
from typing import Final, Literal

import msgspec

from stream.contracts.times import DAY_MS, HOUR_MS

EVENTS: Final = "events"
CATALOGUE: Final = "catalogue"
SCORE_REQUESTS: Final = "score_requests"
SCORES: Final = "scores"
PREDICTIONS: Final = "predictions"
ALERTS: Final = "alerts"
ALERTS_OPEN: Final = "alerts_open"
ALERTS_HOLDOUT: Final = "alerts_holdout"
ALERTS_UNDELIVERED: Final = "alerts_undelivered"
RECOMMENDATIONS: Final = "recommendations"
DEAD_LETTERS: Final = "dead_letters"
SETTLEMENTS: Final = "settlements"
ERASURES: Final = "erasures"
ERASED: Final = "erased"
CONTROL: Final = "control"

CUSTOMERS: Final = "customers"
"""The co-partition group of everything that is folded, or replayed, partition by partition beside the events."""

FOR_EVER: Final = -1
"""``retention.ms`` of a topic that never deletes."""

CleanupPolicy = Literal["delete", "compact"]
TimestampType = Literal["CreateTime", "LogAppendTime"]

COMPACTION: Final[dict[str, str]] = {
    "segment.bytes": str(64 * 1024 * 1024),
    "min.cleanable.dirty.ratio": "0.2",
    "max.compaction.lag.ms": str(24 * HOUR_MS),
    "delete.retention.ms": str(48 * HOUR_MS),
}
"""Kafka's defaults (1 GiB segments, never forced to compact) would keep the bytes of an erased customer without
bound."""

FILLER_KEY: Final = b"tidemark.filler"
"""Key of the nulls that are written to compacted topics only to be written: Kafka closes a segment when something is
appended to it, and cleans closed ones alone. Readers see a null for somebody they never heard of."""

_LEGAL_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


class TopicSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a topic must be like on the broker."""

    name: str
    """Logical name."""
    base_name: str
    """Physical name without prefix."""
    key: str
    """What the record's key is, in words."""
    description: str
    cleanup_policy: CleanupPolicy
    retention_ms: int | None = None
    """``retention.ms``; ``FOR_EVER``, or None where compaction alone cleans up."""
    timestamp_type: TimestampType = "CreateTime"
    copartition_group: str = ""
    """Topics of one group have the same number of partitions, so that one customer lies on the same partition of
    each."""
    partitions: int | None = None
    """Fixed number of partitions; None: as configured."""
    extra: dict[str, str] = {}
    """Further Kafka topic settings."""

    def settings(self) -> dict[str, str]:
        """Every Kafka topic setting that the topic must have, by Kafka's name."""
        settings: dict[str, str] = {
            "cleanup.policy": self.cleanup_policy,
            "message.timestamp.type": self.timestamp_type,
        }
        if self.retention_ms is not None:
            settings["retention.ms"] = str(self.retention_ms)
        return settings | self.extra


TOPICS: Final[dict[str, TopicSpec]] = {
    spec.name: spec
    for spec in (
        TopicSpec(
            name=EVENTS,
            base_name="customer.events.v1",
            key="customer_id, else anonymous_id",
            description="What customers do, one event a record; CloudEvents 1.0 is read too, structured and binary.",
            cleanup_policy="delete",
            retention_ms=400 * DAY_MS,
            timestamp_type="LogAppendTime",
            copartition_group=CUSTOMERS,
        ),
        TopicSpec(
            name=CATALOGUE,
            base_name="catalog.items.v1",
            key="item_id",
            description="What the shop sells. Null takes an item out of the catalogue.",
            cleanup_policy="compact",
            extra=COMPACTION,
        ),
        TopicSpec(
            name=SCORE_REQUESTS,
            base_name="customer.score-requests.v1",
            key="customer_id; none for a tick",
            description="Profiles ask for a score, carry partition time on, and pass erasures on.",
            cleanup_policy="delete",
            retention_ms=30 * DAY_MS,
            timestamp_type="LogAppendTime",
            copartition_group=CUSTOMERS,
        ),
        TopicSpec(
            name=SCORES,
            base_name="customer.scores.v1",
            key="customer_id",
            description="Every answer, with the request it answers: audit, training, replay.",
            cleanup_policy="delete",
            retention_ms=400 * DAY_MS,
            copartition_group=CUSTOMERS,
        ),
        TopicSpec(
            name=PREDICTIONS,
            base_name="customer.predictions.v1",
            key="customer_id",
            description="A customer's latest prediction. Null after an erasure.",
            cleanup_policy="compact",
            extra=COMPACTION,
        ),
        TopicSpec(
            name=ALERTS,
            base_name="customer.alerts.v1",
            key="customer_id",
            description="Every transition of an alert, as a CloudEvent.",
            cleanup_policy="delete",
            retention_ms=400 * DAY_MS,
        ),
        TopicSpec(
            name=ALERTS_OPEN,
            base_name="customer.alerts.open.v1",
            key="alert_id",
            description="The alerts that are open now, but for the control group's. Null when one ends.",
            cleanup_policy="compact",
            extra=COMPACTION,
        ),
        TopicSpec(
            name=ALERTS_HOLDOUT,
            base_name="customer.alerts.holdout.v1",
            key="customer_id",
            description="The control group's alerts: same contract, own topic, so that nobody mails them by mistake.",
            cleanup_policy="delete",
            retention_ms=400 * DAY_MS,
        ),
        TopicSpec(
            name=ALERTS_UNDELIVERED,
            base_name="customer.alerts.undelivered.v1",
            key="customer_id",
            description="Alerts that a subscription could not deliver: the CloudEvent as it was; which, and why, in "
            "the headers.",
            cleanup_policy="delete",
            retention_ms=30 * DAY_MS,
        ),
        TopicSpec(
            name=RECOMMENDATIONS,
            base_name="customer.recommendations.v1",
            key="customer_id",
            description="A customer's ranked items, each with score and reason. Null after an erasure.",
            cleanup_policy="compact",
            extra=COMPACTION,
        ),
        TopicSpec(
            name=DEAD_LETTERS,
            base_name="customer.dead-letters.v1",
            key="as it came",
            description="Records that could not be folded: the original bytes; why and where in the headers.",
            cleanup_policy="delete",
            retention_ms=30 * DAY_MS,
        ),
        TopicSpec(
            name=SETTLEMENTS,
            base_name="customer.dead-letters.settled.v1",
            key="the dead letter: id of its topic, partition, offset",
            description="Which dead letters were re-driven or discarded, when, by whom and with what fix.",
            cleanup_policy="compact",
            partitions=1,
            extra=COMPACTION,
        ),
        TopicSpec(
            name=ERASURES,
            base_name="customer.erasures.v1",
            key="role and keyed hash of the customer's id",
            description="Who was erased, and from which offset of the events on somebody may be known again. Every "
            "fold of the log reads it.",
            cleanup_policy="compact",
            partitions=1,
            extra=COMPACTION,
        ),
        TopicSpec(
            name=ERASED,
            base_name="customer.erased.v1",
            key="customer_id",
            description="News of every erasure, as a CloudEvent, for whoever keeps something of customers.",
            cleanup_policy="delete",
            retention_ms=30 * DAY_MS,
        ),
        TopicSpec(
            name=CONTROL,
            base_name="tidemark.control.v1",
            key="kind",
            description="Model, policy and catalogue switches, and go-live, in one order for everybody.",
            cleanup_policy="delete",
            retention_ms=FOR_EVER,
            partitions=1,
        ),
    )
}


def changelog(role: str) -> TopicSpec:
    """The internal topic that holds the state of ``role`` (``profiles``, ``decisions``); read by that role alone."""
    return TopicSpec(
        name=f"{role}_changelog",
        base_name=f"tidemark.{role}.changelog.v1",
        key="the state's key",
        description=f"The state of {role}: internal, not a contract.",
        cleanup_policy="compact",
        copartition_group=CUSTOMERS,
        extra=COMPACTION,
    )


REPLAY: Final = TopicSpec(
    name="replay",
    base_name="tidemark.replay.v1",
    key="what it says of the replay",
    description="What a replay is to do, and how far it is: internal, not a contract. Only sandboxes have it.",
    cleanup_policy="compact",
    partitions=1,
    extra=COMPACTION,
)


class TopicNames(msgspec.Struct, frozen=True):
    """Physical topic names of one deployment.

    Raises:
        ValueError: a name that Kafka would refuse, an unknown logical name, or one physical name for two topics.
    """

    prefix: str = ""
    """Set before every name that ``names`` does not give, such as ``staging.``."""
    names: dict[str, str] = {}
    """Physical name in full, by logical name, where it differs from the table's."""

    def __post_init__(self) -> None:
        unknown = sorted(self.names.keys() - TOPICS.keys())
        if unknown:
            raise ValueError(f"unknown topic {unknown[0]!r}: it is one of {', '.join(TOPICS)}")
        taken: dict[str, str] = {}
        for logical in TOPICS:
            physical = self.physical(logical)
            if not _LEGAL_NAME.fullmatch(physical) or physical in (".", ".."):
                raise ValueError(
                    f"topic {logical} cannot be called {physical!r}: letters, digits, '.', '_', '-' only, 249 at most"
                )
            if physical in taken:
                raise ValueError(f"topics {taken[physical]} and {logical} cannot both be called {physical!r}")
            taken[physical] = logical

    def physical(self, logical: str) -> str:
        """The topic's name on the broker.

        Raises:
            KeyError: no topic has this logical name.
        """
        return self.names.get(logical) or self.prefix + TOPICS[logical].base_name

    def group(self, role: str) -> str:
        """Consumer group of the workers of ``role``; deployments that share a cluster differ by their prefix."""
        return f"{self.prefix}tidemark.{role}"

    def changelog(self, role: str) -> str:
        """Name on the broker of the topic that holds the state of ``role``."""
        return self.prefix + changelog(role).base_name
