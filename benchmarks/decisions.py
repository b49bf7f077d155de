"""How many customers a second the role `decisions` scores, by batch and calls in flight; model time against the rest.

    python -m benchmarks.decisions                              # an embedded Triton, on the CPU
    python -m benchmarks.decisions --triton HOST:8001           # a Triton elsewhere, such as one with a GPU

A log of score requests is written once and answered from the beginning by each run, by a worker as it is shipped with
topics of its own. A run counts only when the model answered every request, once. Called by ``benchmarks.suite`` too.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import msgspec

from benchmarks.cluster import committed, configured, make_topics, members, offsets_of, quiet_admin, worker_process
from benchmarks.event_log import drop_topics
from benchmarks.model_time import ModelServer, ModelTime
from benchmarks.request_log import RequestLog, write_requests
from benchmarks.watched import Measured, watch
from serving.model_card import model_repository
from stream.configuration.settings import Configuration, TritonSettings
from stream.contracts.codec import decode_score
from stream.contracts.topics import CATALOGUE, SCORE_REQUESTS, SCORES
from stream.embedded.kafka import EmbeddedKafka
from stream.embedded.triton import EmbeddedTriton
from stream.operations.brokers import make_consumer, read_to_end
from stream.operations.topics import wanted_topics

ROLE: Final = "decisions"
CUSTOMERS: Final = 20_000
BATCHES: Final = (1, 16, 64, 256)
IN_FLIGHT: Final = (1, 2, 4)
SHIPPED: Final = TritonSettings()


class Setting(NamedTuple):
    """How the worker asks the model."""

    max_batch: int
    """Customers a call, at most."""
    in_flight: int
    """Calls at once."""


class Scoring(msgspec.Struct, kw_only=True):
    """One setting: medians over the runs, and the range of the rates.

    Attributes:
        requests: of the log, in each run; each is one customer scored.
        worker_us, broker_us: CPU microseconds a customer.
        model_us: microseconds a customer for which the server ran the model; where several instances run side by side,
            a share of each.
        other_us: the rest of the microseconds that went by a customer. Meanwhile no model ran.
        joined: customers in a run of the model: the server joins calls that wait.
        queue_ms: milliseconds for which a call waited at the server.
        peak_rss_mib: of the worker, the most of any run.
    """

    max_batch: int
    in_flight: int
    customers: int
    requests: int
    customers_per_second: float
    worker_us: float
    broker_us: float
    model_us: float
    other_us: float
    joined: float
    queue_ms: float
    peak_rss_mib: float
    runs: int
    range: tuple[float, float]


class NotScored(RuntimeError):
    """The model did not answer every request once, so that the run says nothing of its speed."""


def settings(batches: Sequence[int], in_flight: Sequence[int]) -> list[Setting]:
    """Each batch with the shipped number of calls at once, and each number of calls with the shipped batch."""
    by_batch = [Setting(batch, SHIPPED.in_flight) for batch in batches]
    by_calls = [Setting(SHIPPED.max_batch, calls) for calls in in_flight]
    return list(dict.fromkeys([*by_batch, *by_calls]))


def require_scores(configuration: Configuration, requests: int) -> None:
    """See that every request was answered by the model, and once.

    Raises:
        NotScored: with what was found instead.
    """
    topic = configuration.topics.topic_names().physical(SCORES)
    consumer = make_consumer(configuration.kafka, f"{topic}.check", **{"enable.auto.commit": False})
    admin = quiet_admin(configuration.kafka.bootstrap_servers)
    try:
        scores = [decode_score(message.value() or b"") for message in read_to_end(consumer, admin, [topic])]
    finally:
        consumer.close()
    reasons = Counter(score.answer.fallback_reason for score in scores if score.answer.fallback)
    if reasons:
        raise NotScored(
            f"the fallback answered {reasons.total():,} of {requests:,} requests ({', '.join(sorted(reasons))}): see "
            "that the model server runs, serves this model, and is quick enough for triton.backlog_deadline_ms"
        )
    different = len({score.request_id for score in scores})
    if len(scores) != requests or different != requests:
        raise NotScored(f"{requests:,} requests have {len(scores):,} answers, to {different:,} of them")


def measure(
    kafka: EmbeddedKafka, model: ModelServer, log: RequestLog, setting: Setting, run: str
) -> tuple[Measured, ModelTime]:
    """One run: a worker without state answers the whole log.

    Raises:
        NotScored: not by the model, or not all of it.
        TooShort: the log ended before a rate could be taken.
    """
    configuration, environ = configured(
        kafka.bootstrap_servers,
        TIDEMARK__TOPICS__PREFIX=f"{run}.",
        TIDEMARK__TOPICS__NAMES=json.dumps({SCORE_REQUESTS: log.topic, CATALOGUE: log.catalogue}),
        TIDEMARK__TRITON__URL=model.url,
        TIDEMARK__TRITON__MAX_BATCH=f"{setting.max_batch}",
        TIDEMARK__TRITON__IN_FLIGHT=f"{setting.in_flight}",
    )
    make_topics(configuration)
    admin, group = quiet_admin(kafka.bootstrap_servers), configuration.topics.topic_names().group(ROLE)
    offsets = offsets_of(configuration, group)
    before = model.look()
    with tempfile.TemporaryDirectory() as folder, worker_process(ROLE, environ, Path(folder)) as worker:
        joined = [False]

        def answered() -> int:
            joined[0] = joined[0] or members(admin, group) == 1
            return sum(committed(offsets, configuration, log.topic)) if joined[0] else 0

        measured = watch(answered, [worker.pid], kafka.pid, log.requests, worker.check)
    spent = model.look().since(before)
    require_scores(configuration, log.requests)
    own = [topic.name for topic in wanted_topics(configuration.topics) if topic.name not in (log.topic, log.catalogue)]
    drop_topics(admin, own)
    return measured, spent


def scoring(setting: Setting, log: RequestLog, found: Sequence[tuple[Measured, ModelTime]], instances: int) -> Scoring:
    """One line from all runs of it.

    Args:
        instances: runs of the model that may be under way at once.
    """
    rates = [run.events_per_second for run, _ in found]
    model_us = [spent.compute_ns / spent.customers / instances / 1000 for _, spent in found]
    return Scoring(
        max_batch=setting.max_batch,
        in_flight=setting.in_flight,
        customers=log.customers,
        requests=log.requests,
        customers_per_second=median(rates),
        worker_us=median(run.cpu_us_per_event for run, _ in found),
        broker_us=median(run.broker_us_per_event for run, _ in found),
        model_us=median(model_us),
        other_us=median(1e6 / rate - model for rate, model in zip(rates, model_us, strict=True)),
        joined=median(spent.customers / spent.executions for _, spent in found),
        queue_ms=median(spent.queue_ns / spent.calls / 1e6 for _, spent in found),
        peak_rss_mib=max(run.peak_rss_mib for run, _ in found),
        runs=len(found),
        range=(min(rates), max(rates)),
    )


def measure_all(
    batches: Sequence[int], in_flight: Sequence[int], customers: int, runs: int, triton: str = ""
) -> Iterator[Scoring]:
    """A line for each setting, over one log. ``triton``: ``host:port`` of one that runs; "": one of its own."""
    with EmbeddedKafka() as kafka, ExitStack() as stack:
        url = triton or stack.enter_context(EmbeddedTriton(model_repository())).grpc_url
        model = ModelServer(url)
        stack.callback(model.close)
        instances = model.instances()
        configuration, _ = configured(kafka.bootstrap_servers)
        log = write_requests(quiet_admin(kafka.bootstrap_servers), configuration, "bench", customers)
        for setting in settings(batches, in_flight):
            named = f"b{setting.max_batch}-f{setting.in_flight}"
            found = [measure(kafka, model, log, setting, f"{named}-{number}") for number in range(runs)]
            yield scoring(setting, log, found, instances)


HEADER: Final = (
    f"{'batch':>5}{'calls':>6}{'scored/s':>10}{'worker us':>10}{'model us':>9}{'other us':>9}"
    f"{'joined':>7}{'queue ms':>9}  range"
)


def line(one: Scoring) -> str:
    """A setting in 80 columns."""
    least, most = one.range
    return (
        f"{one.max_batch:>5}{one.in_flight:>6}{one.customers_per_second:>10,.0f}{one.worker_us:>10,.0f}"
        f"{one.model_us:>9,.0f}{one.other_us:>9,.0f}{one.joined:>7,.0f}{one.queue_ms:>9,.1f}"
        f"  {least:,.0f}..{most:,.0f}"
    )


COLUMNS: Final = (
    "batch",
    "calls at once",
    "scored/s",
    "range",
    "runs",
    "worker's CPU us",
    "broker's",
    "model us",
    "all other us",
    "customers a run of it",
    "a call's wait ms",
    "peak MiB",
)


def cells(one: Scoring) -> tuple[str, ...]:
    """A setting as a line of the page, under ``COLUMNS``."""
    return (
        f"{one.max_batch}",
        f"{one.in_flight}",
        f"{one.customers_per_second:,.0f}",
        f"{one.range[0]:,.0f} … {one.range[1]:,.0f}",
        f"{one.runs}",
        f"{one.worker_us:,.0f}",
        f"{one.broker_us:,.0f}",
        f"{one.model_us:,.0f}",
        f"{one.other_us:,.0f}",
        f"{one.joined:,.0f}",
        f"{one.queue_ms:,.1f}",
        f"{one.peak_rss_mib:,.0f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=CUSTOMERS, help="who ask 1.6 times each")
    parser.add_argument("--batch", type=int, nargs="+", default=BATCHES, help="customers a call, at most 256")
    parser.add_argument("--in-flight", type=int, nargs="+", default=IN_FLIGHT, help="calls at once")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--triton", default="", help="HOST:PORT of a Triton with this repository, such as on a GPU")
    arguments = parser.parse_args()
    print(HEADER)
    for one in measure_all(arguments.batch, arguments.in_flight, arguments.customers, arguments.runs, arguments.triton):
        print(line(one), flush=True)


if __name__ == "__main__":
    main()
