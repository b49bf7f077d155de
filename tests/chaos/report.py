"""What a run found, as lines for a terminal and as a page.

Written by the command at the end of a run; ``docs/chaos.md`` is such a page.
"""

import platform
from collections import Counter, defaultdict
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median
from typing import Final

from stream.contracts import topics
from stream.embedded.kafka import KAFKA_VERSION
from tests.chaos.checker import Verdict
from tests.chaos.crew import DAMAGED_STORE, Death
from tests.chaos.kinds.stores import Damaged
from tests.chaos.run import Run, Struck

_LONGEST: Final = 300


def complaints(run: Run, verdict: Verdict) -> list[str]:
    """What was wrong beside the outputs and states, a line each."""
    found = [f"{struck.fault.name}: {struck.error}" for struck in run.struck if struck.error]
    found += [f"{each.fault.name}: not recovered" for each in run.struck if each.recovery.seconds is None]
    found += [
        f"{death.role} {death.instance} ended by itself with {death.status}: {death.log_tail[-_LONGEST:]}"
        for death in _unexplained(run)
    ]
    if run.unwritten:
        found.append(
            f"{run.unwritten} records were written and do not lie in the log, or lie there and were not written"
        )
    in_log = sum(map(len, run.reading.topics[topics.EVENTS]))
    if verdict.events != in_log:
        found.append(f"{in_log} records lie in the log, and {verdict.events} are folded")
    return found


def _unexplained(run: Run) -> list[Death]:
    """Deaths that no fault accounts for. A store that was damaged may end its worker once, when the damage is found."""
    damages = sum(each.fault.name == Damaged.name for each in run.struck)
    found: Counter[str] = Counter()
    unexplained = []
    for death in run.watch.unexplained:
        store = DAMAGED_STORE.search(death.log_tail)
        if store is not None:
            found[store[1]] += 1
        if store is None or found[store[1]] > damages:
            unexplained.append(death)
    return unexplained


def page(run: Run, verdict: Verdict, command: str, seed: int) -> str:
    """The report in Markdown."""
    stall, where = run.watch.longest_stall
    wrong = complaints(run, verdict)
    restarts = len(run.watch.given_up)
    return "\n".join(
        [
            "# Faults",
            "",
            "A known log is written at a pace while faults strike at random, then everything is read back and held",
            "against a straight fold of the log that shares no code with the engine. This page is a report of",
            "",
            f"    {command}",
            "",
            f"on {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}, Kafka "
            f"{KAFKA_VERSION}, confluent-kafka {version('confluent-kafka')}.",
            "",
            f"* seed {seed}, {run.seconds / 60:.0f} minutes, {len(run.struck)} faults of {len(_kinds(run))} kinds",
            f"* {verdict.events:,} events; {run.aborted:,} records were written in transactions that did not commit",
            f"* events that the client which wrote the log sent twice by itself: {run.resent}",
            f"* lost {len(verdict.lost)}, twice {len(verdict.twice)}, wrong states {len(verdict.wrong_states)}",
            f"* longest stall of a partition with something to read: {stall:.1f} s ({where}), faults included",
            f"* workers that ended because Kafka was away, and were started again: {restarts}",
            f"* looks five times a second that a broker did not answer: {len(run.watch.unanswered)}",
            f"* model servers that died while they were not being struck, and were started again: {run.model_deaths}",
            f"* most memory of a worker: {max((look.mib for look in run.watch.memory), default=0):.0f} MiB",
            f"* anything else wrong: {len(wrong) or 'nothing'}",
            *(f"    * {line}" for line in wrong),
            "",
            "A fault is *recovered* when every partition of both roles has committed what lay in its input when the",
            "fault was lifted. One in five faults strikes before the one before it is recovered.",
            "",
            "| fault | what happens | times | recovered after, s: median, most |",
            "| --- | --- | ---: | ---: |",
            *(_row(struck) for _, struck in sorted(_kinds(run).items())),
            "",
            *_floods(run),
            verdict.figures(len(run.struck)),
            "",
        ]
    )


def _kinds(run: Run) -> dict[str, list[Struck]]:
    kinds: dict[str, list[Struck]] = defaultdict(list)
    for struck in run.struck:
        kinds[struck.fault.name].append(struck)
    return kinds


def _row(struck: list[Struck]) -> str:
    seconds = [each.recovery.seconds for each in struck if each.recovery.seconds is not None]
    fault = struck[0].fault
    times = f"{median(seconds):.1f}, {max(seconds):.1f}" if seconds else "never"
    return f"| {fault.name} | {fault.what} | {len(struck)} | {times} |"


def _floods(run: Run) -> list[str]:
    floods = _kinds(run).get("flood", [])
    if not floods:
        return []
    return ["Floods:", "", *(f"* {flood.detail}" for flood in floods), ""]
