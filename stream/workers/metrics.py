"""What the decisions role tells Prometheus beside the engine's figures: who answers, who explains, what becomes of
alerts, and how far a switch of the model is.

Read when Prometheus asks; nothing is counted here. Registered by ``stream.workers.process``.
"""

import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from serving.rollout import Rollout
from stream.workers.explaining import Explainer
from stream.workers.scoring import ScoringStage


class DecisionsMetrics(Collector):
    """Figures of one worker.

    Args:
        rollout: gives the switches so far.
        transitions: of alerts, by kind and status.
        clock: epoch milliseconds.
    """

    def __init__(
        self,
        stage: ScoringStage,
        explainer: Explainer,
        rollout: Callable[[], Rollout],
        transitions: Mapping[tuple[str, str], int],
        clock: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._stage = stage
        self._explainer = explainer
        self._rollout = rollout
        self._transitions = transitions
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        answers = CounterMetricFamily("tidemark_answers", "Questions answered", labels=["by"])
        answers.add_metric(["model"], self._stage.model_answers)
        answers.add_metric(["fallback"], self._stage.fallback_answers)
        yield answers
        explainer = self._explainer
        reasons = CounterMetricFamily(
            "tidemark_reasons",
            "Alerts to be, by whether the model gave their reasons; all but 'model' are explained by rule",
            labels=["outcome"],
        )
        reasons.add_metric(["model"], explainer.explained)
        reasons.add_metric(["deadline"], explainer.late)
        reasons.add_metric(["not_asked"], explainer.missed - explainer.late)
        yield reasons
        alerts = CounterMetricFamily(
            "tidemark_alerts", "Transitions of alerts, the control group's too", labels=["kind", "status"]
        )
        for labels, count in list(self._transitions.items()):
            alerts.add_metric(labels, count)
        yield alerts
        share = GaugeMetricFamily(
            "tidemark_model_share", "Customers whom a version answers, 0 to 1", labels=["version"]
        )
        for version, part in self._rollout().shares(self._clock()).items():
            share.add_metric([version], part)
        yield share
