"""Messages that several tests need."""

from stream.contracts.alerts import Alert, AlertContext, AlertEvent, Evidence, Experiment, Money, SuggestedAction
from stream.contracts.scores import Contribution, ModelStamp

STAMP = ModelStamp("customer", "1.abc", "0123")
EXPERIMENT = Experiment("alerts", "treatment", 0.1, "1")
AT = "2011-06-01T09:12:00.000Z"
AT_MS = 1_306_919_520_000
SILENCE = Contribution("silence_vs_rhythm", 68.0, "days", 29.0, 0.2)


def alert(**fields: object) -> AlertEvent:
    usual: dict[str, object] = {
        "alert_id": "a1",
        "kind": "churn_risk",
        "status": "raised",
        "revision": 1,
        "customer_id": "13085",
        "episode_started_at": AT,
        "as_of": AT,
        "expires_at": AT,
        "mode": "live",
        "severity": "high",
        "score": 0.83,
        "horizon_days": 90,
        "base_rate": 0.4,
        "raise_threshold": 0.7,
        "resolve_threshold": 0.6,
        "value_at_risk": Money(1234.5, "GBP"),
        "reasons": [SILENCE],
        "reasons_method": "rule",
        "suggested_action": SuggestedAction("recommend_items"),
        "context": AlertContext(),
        "experiment": EXPERIMENT,
        "model": STAMP,
        "policy_version": "p",
        "catalogue_version": "c",
        "evidence": Evidence("customer.events.v1", 0, 1, 2),
    }
    data = Alert(**{**usual, **fields})  # type: ignore[arg-type]
    return AlertEvent("1.0", "id1", "urn:x", "t", "13085", AT, "application/json", "urn:s", "13085", "1", data)
