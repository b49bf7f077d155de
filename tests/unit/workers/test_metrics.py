"""What Prometheus reads of a worker of the decisions role."""

from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import CollectorRegistry

from serving.rollout import Rollout
from stream.contracts.control import Control
from stream.workers.metrics import DecisionsMetrics


def test_answers_reasons_alerts_and_the_share_of_each_version_are_told_as_they_are_when_asked() -> None:
    stage: Any = SimpleNamespace(model_answers=7, fallback_answers=2)
    explainer: Any = SimpleNamespace(explained=5, missed=4, late=3)
    rollout = Rollout("1.a", [Control(kind="model", version="2.b", effective_at=1_000, ramp_ms=1_000)])
    now = [0]
    registry = CollectorRegistry()
    transitions = {("churn_risk", "raised"): 3, ("churn_risk", "resolved"): 0}
    registry.register(DecisionsMetrics(stage, explainer, lambda: rollout, transitions, lambda: now[0]))

    def told(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert told("tidemark_model_share", version="1.a") == 1.0
    assert told("tidemark_model_share", version="2.b") is None
    now[0], stage.model_answers = 1_250, 8
    assert told("tidemark_model_share", version="2.b") == 0.25
    assert cast(float, told("tidemark_model_share", version="1.a")) == 0.75
    assert (told("tidemark_answers_total", by="model"), told("tidemark_answers_total", by="fallback")) == (8, 2)
    outcomes = {name: told("tidemark_reasons_total", outcome=name) for name in ("model", "deadline", "not_asked")}
    assert outcomes == {"model": 5, "deadline": 3, "not_asked": 1}
    transitions["churn_risk", "resolved"] += 1
    assert told("tidemark_alerts_total", kind="churn_risk", status="raised") == 3
    assert told("tidemark_alerts_total", kind="churn_risk", status="resolved") == 1
