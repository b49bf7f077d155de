"""What a switch of the model would do to the alerts that are open now, found out before it happens.

The newest question of each customer with an open alert is put to the version in this process, and its answer judged by
the policies that would be in force. It reads topics and writes nothing. Called by `promotion.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from serving.catalogue import Catalogue
from serving.features import tensors
from serving.in_process import OnnxScorer
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import HORIZONS
from serving.registry import RegisteredVersion
from serving.shop import SHOP_FILE, read_shop
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.alerts import OpenAlert
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.codec import decode_open_alert, decode_score_request
from stream.contracts.scores import ScoreRequest
from stream.decisions.decide import SCORE_DIGITS
from stream.decisions.kinds import severity
from stream.decisions.policies import PoliciesInForce
from stream.operations.brokers import connect_admin, make_consumer, read_to_end
from stream.operations.catalogue_items import listed_items
from stream.profiles import codec

HOUR_MS: Final = 3_600_000

_GROUP: Final = "tidemark.impact"
_BATCH: Final = 256


class Impact(msgspec.Struct, frozen=True):
    """What would become of the open alerts when their customers are asked about next."""

    open: int
    resolved: int = 0
    """Scores that fall below the threshold that ends an alert, or alerts of a kind that is switched off."""
    severity: int = 0
    """Alerts that stay open and become more or less urgent."""
    moved: int = 0
    """Alerts that are published again because their score moves by the policies' step, and nothing else."""
    unknown: int = 0
    """Alerts whose customer's newest question is not on the topic any more."""

    @property
    def changing(self) -> int:
        """Alerts with a further transition."""
        return self.resolved + self.severity + self.moved

    def ramp_ms(self, share_an_hour: float) -> int:
        """How long a switch has to take so that at most ``share_an_hour`` (0 to 1) of the open alerts change an hour;
        0 where the whole change is not more than that.

        Customers come over to the new version evenly, so an hour's share of the ramp is its share of the change.
        """
        if not self.open or self.changing <= share_an_hour * self.open:
            return 0
        return math.ceil(self.changing / self.open / share_an_hour * HOUR_MS)


def impact(configuration: Configuration, candidate: RegisteredVersion, policies: PoliciesInForce) -> Impact:
    """What ``candidate`` would change.

    Args:
        policies: as they would be in force for its answers.

    Raises:
        KafkaUnreachableError, MissingTopicError, AccessError: the topics cannot be read.
        ScorerUnavailable: the version cannot be run.
    """
    admin = connect_admin(configuration.kafka)
    names = configuration.topics.topic_names()
    consumer = make_consumer(configuration.kafka, _GROUP, **{"enable.auto.commit": False})
    try:
        alerts = _open_alerts(consumer, admin, names.physical(topics.ALERTS_OPEN))
        if not alerts:
            return Impact(0)
        asked = {alert.customer_id for alert in alerts}
        requests = _newest_requests(consumer, admin, names.physical(topics.SCORE_REQUESTS), asked)
    finally:
        consumer.close()
    scores = _scores(candidate, list(requests.values()), listed_items(configuration), policies.horizon)
    return judged(alerts, scores, policies)


def judged(alerts: Iterable[OpenAlert], scores: Mapping[str, float], policies: PoliciesInForce) -> Impact:
    """Count what ``scores`` by customer would make of ``alerts``; as ``stream.decisions.episodes`` would."""
    counts = dict.fromkeys(("open", "resolved", "severity", "moved", "unknown"), 0)
    for alert in alerts:
        counts["open"] += 1
        rule, score = policies.rules.get(alert.kind), scores.get(alert.customer_id)
        if score is None:
            counts["unknown"] += 1
        elif rule is None or not rule.enabled or score < rule.resolve_threshold:
            counts["resolved"] += 1
        elif severity(score, rule) != alert.severity:
            counts["severity"] += 1
        elif round(abs(score - alert.score), SCORE_DIGITS) >= policies.settings.update_step:
            counts["moved"] += 1
    return Impact(**counts)


def _open_alerts(consumer: Consumer, admin: AdminClient, topic: str) -> list[OpenAlert]:
    found: dict[bytes, OpenAlert] = {}
    for message in read_to_end(consumer, admin, [topic]):
        key, value = message.key() or b"", message.value()
        if value is None:
            found.pop(key, None)
        else:
            found[key] = decode_open_alert(value)
    return list(found.values())


def _newest_requests(
    consumer: Consumer, admin: AdminClient, topic: str, customers: set[str]
) -> dict[str, ScoreRequest]:
    found: dict[str, ScoreRequest] = {}
    for message in read_to_end(consumer, admin, [topic]):
        key = (message.key() or b"").decode(errors="replace")
        if key in customers:
            request = decode_score_request(message.value() or b"")
            if request.kind == "score":
                found[key] = request
            elif request.kind == "erase":
                found.pop(key, None)
    return found


def _scores(
    version: RegisteredVersion, requests: Sequence[ScoreRequest], items: Sequence[CatalogueItem], horizon: str
) -> dict[str, float]:
    folder = version.folder
    catalogue = Catalogue.from_items(items, read_item_tower(folder / ITEM_TOWER_FILE), read_shop(folder / SHOP_FILE))
    scorer, place = OnnxScorer(folder, version.card), HORIZONS.index(horizon)
    found: dict[str, float] = {}
    for start in range(0, len(requests), _BATCH):
        batch = requests[start : start + _BATCH]
        profiles = [codec.decode(request.profile) for request in batch]
        outputs = scorer.run(tensors(profiles, [request.as_of for request in batch], catalogue))
        for request, churn in zip(batch, outputs["churn"][:, place].tolist(), strict=True):
            found[request.customer_id] = round(churn, SCORE_DIGITS)
    return found
