"""The figures of a subscription for Prometheus. Labels name the subscription, never a customer."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class SubscriptionMetrics:
    """Counters and gauges of one process."""

    def __init__(self, registry: CollectorRegistry, name: str) -> None:
        own = ("subscription",)
        ends = Counter(
            "tidemark_deliveries",
            "Alerts that are done with: delivered, skipped, erased, refused, exhausted or unreadable",
            (*own, "end"),
            registry=registry,
        )
        self._ends = {end: ends.labels(name, end) for end in ENDS}
        self.failures = Counter(
            "tidemark_delivery_failures", "Attempts that are made again", own, registry=registry
        ).labels(name)
        self.waiting = Gauge(
            "tidemark_deliveries_waiting", "Alerts that were read and are not done with", own, registry=registry
        ).labels(name)
        self.down = Gauge(
            "tidemark_endpoint_down", "1 while the endpoint takes nothing of anybody", own, registry=registry
        ).labels(name)

    def ended(self, end: str) -> None:
        """One more is done with."""
        self._ends[end].inc()


ENDS = ("delivered", "skipped", "erased", "refused", "exhausted", "unreadable")
