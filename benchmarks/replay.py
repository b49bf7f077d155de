"""How fast a log is replayed, where every answer is on record, and whether the replay says what was said.

    python -m benchmarks.replay [--events 1000000] [--runs 3]

Two workers, as they are shipped but for a model inside the process that may take its time, fold and answer a log once.
Then `tidemark replay` goes through it, and a run counts only when `tidemark compare` finds no difference.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import msgspec

from benchmarks.cluster import committed, configured, log_ends, make_topics, offsets_of, quiet_admin, worker_process
from benchmarks.event_log import MIXES, SKEWS, drop_topics, make_load, write_log
from stream.configuration.settings import Configuration
from stream.contracts.topics import EVENTS, SCORE_REQUESTS
from stream.embedded.kafka import EmbeddedKafka
from stream.operations.replays.begin import Wanted, begin
from stream.operations.replays.compare import compare
from stream.operations.replays.drop import drop
from stream.operations.replays.run import Run
from stream.operations.watch import MARKERS
from stream.workers.process import configure_logging

_LOOK_S: Final = 1.0


class Differs(RuntimeError):
    """The replay did not say what was said."""


class Replayed(NamedTuple):
    """One replay."""

    events: int
    questions: int
    fold_s: float
    decide_s: float
    cpu_s: float
    """Of this process, all threads."""

    @property
    def events_per_second(self) -> float:
        """Over both roles, from the first record to the last commit; start and end of the clients are in it."""
        return self.events / (self.fold_s + self.decide_s)


def live(configuration: Configuration, environ: dict[str, str], topic: str) -> None:
    """Fold and answer the whole log, once."""
    admin, names = quiet_admin(configuration.kafka.bootstrap_servers), configuration.topics.topic_names()
    with (
        tempfile.TemporaryDirectory() as folder,
        worker_process("profiles", environ, Path(folder), "--instance", "p") as profiles,
        worker_process("decisions", environ, Path(folder), "--instance", "d") as decisions,
    ):
        for role, input_topic in (("profiles", topic), ("decisions", names.physical(SCORE_REQUESTS))):
            offsets = offsets_of(configuration, names.group(role))
            while True:
                profiles.check()
                decisions.check()
                now, ends = committed(offsets, configuration, input_topic), log_ends(admin, configuration, input_topic)
                if sum(ends) and all(offset + MARKERS >= end for offset, end in zip(now, ends, strict=True)):
                    break
                time.sleep(_LOOK_S)


def measure(configuration: Configuration, name: str) -> Replayed:
    """One replay of everything.

    Raises:
        Differs: it did not say what was said, or asked what is on record.
    """
    first: dict[str, float] = {}
    last: dict[str, tuple[float, int]] = {}

    def told(what: str, done: int, _total: int) -> None:
        first.setdefault(what, time.monotonic())
        last[what] = time.monotonic(), done

    replay = begin(configuration, name, Wanted())
    cpu = time.process_time()
    began = time.monotonic()
    ran = Run(configuration, replay, told).work()
    between = first["questions"]
    found = Replayed(
        events=replay.records,
        questions=last["questions"][1],
        fold_s=between - began,
        decide_s=ran.seconds - (between - began),
        cpu_s=time.process_time() - cpu,
    )
    comparison = compare(configuration, "live", name, examples=1)
    if not comparison.within(0.0) or ran.replay.asked:
        raise Differs(f"{ran.replay.asked} questions asked; {msgspec.json.encode(comparison).decode()}")
    drop(configuration, name)
    return found


def measure_all(events: int, customers: int, skew: str, mix: str, runs: int) -> Iterator[Replayed]:
    """Every run, over one log."""
    with EmbeddedKafka() as kafka:
        plain, _ = configured(kafka.bootstrap_servers)
        admin = quiet_admin(kafka.bootstrap_servers)
        log = write_log(admin, plain, "replayed", make_load(skew, customers, events, mix))
        configuration, environ = configured(
            kafka.bootstrap_servers,
            TIDEMARK__TOPICS__NAMES=json.dumps({EVENTS: log.topic}),
            TIDEMARK__TRITON__SCORER="in_process",
            TIDEMARK__TRITON__DEADLINE_MS="60000",
            TIDEMARK__TRITON__BACKLOG_DEADLINE_MS="60000",
            TIDEMARK__LOG_LEVEL="warning",
        )
        make_topics(configuration)
        with tempfile.TemporaryDirectory() as folder:
            configuration = msgspec.structs.replace(configuration, data_dir=folder)
            live(configuration, environ, log.topic)
            for number in range(runs):
                yield measure(configuration, f"run-{number}")
        drop_topics(admin, [log.topic])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--load", choices=SKEWS, default="zipf")
    parser.add_argument("--mix", choices=MIXES, default="clickstream")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    configure_logging("warning")
    rates: list[float] = []
    for run in measure_all(given.events, given.customers, given.load, given.mix, given.runs):
        rates.append(run.events_per_second)
        print(
            f"{run.events:,} events and {run.questions:,} questions: {run.events_per_second:,.0f} events/s "
            f"(fold {run.fold_s:.1f} s, decide {run.decide_s:.1f} s, {run.cpu_s:.1f} CPU s), no difference",
            flush=True,
        )
    print(f"median {median(rates):,.0f} events/s, {min(rates):,.0f} to {max(rates):,.0f}")


if __name__ == "__main__":
    main()
