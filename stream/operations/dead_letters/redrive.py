"""Re-drives or discards dead letters: those that a filter means, with a fix, or tries it without writing.

What may be put back is `judging.py`'s to say, that it happens once `settling.py`'s. Called by
`tidemark dead-letters redrive` and `discard`.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

import msgspec

from stream.configuration.settings import Configuration
from stream.contracts.settlements import Settlement
from stream.operations.dead_letters.filters import Filter
from stream.operations.dead_letters.fixes import Fix
from stream.operations.dead_letters.groups import Group, Groups
from stream.operations.dead_letters.judging import Judge, NotRedrivable, Redriven
from stream.operations.dead_letters.letters import Letter
from stream.operations.dead_letters.settling import Settling
from stream.operations.dead_letters.survey import Survey


class Done(msgspec.Struct):
    """What a run did, or would do."""

    run: str
    """Its id, which every settlement of it carries."""
    applied: bool
    accepted: int = 0
    """Letters that were settled, or would be."""
    by_code: dict[str, int] = {}
    """Of them, how many by the code for which they had been refused."""
    left: list[Group] = []
    """Letters that stay open, by why they cannot be put back now."""
    not_open: int = 0
    """Of the letters that were named one by one: settled before, or gone."""


OnProgress = Callable[[int], None]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Who settles, and whether at all."""

    apply: bool
    """False: only try."""
    actor: str = ""
    on_progress: OnProgress = lambda letters: None
    """Told how many letters were looked at."""


def redrive(configuration: Configuration, wanted: Filter, fix: Fix, run: Run) -> Done:
    """Put letters back that today's validation would accept.

    Raises:
        SettlingStopped: another command took over, or Kafka refused; the same command goes on.
        KafkaUnreachableError, AccessError, MissingTopicError: see `Survey`.
    """

    def judged(letter: Letter, judge: Judge) -> Redriven:
        named = letter.code in wanted.codes or letter.place in wanted.places
        return judge.judge(letter, fix, now(), named)

    return _settle(configuration, wanted, run, judged, Settlement("redriven", 0, "", "", "", fix=fix.described))


def discard(configuration: Configuration, wanted: Filter, reason: str, run: Run) -> Done:
    """Settle letters without putting them back. Raises as ``redrive`` does."""
    said = Settlement("discarded", 0, "", "", "", reason=reason)
    return _settle(configuration, wanted, run, lambda letter, judge: None, said)


def _settle(
    configuration: Configuration,
    wanted: Filter,
    run: Run,
    judged: Callable[[Letter, Judge], Redriven | None],
    said: Settlement,
) -> Done:
    """Args: ``said``: what every settlement of the run says alike."""
    done = Done(uuid.uuid4().hex[:12], run.apply)
    by_code, left, met = Counter[str](), Groups(), 0
    with ExitStack() as stack:
        # First of all: what is settled is read when nobody else can settle any more.
        settling = stack.enter_context(Settling(configuration)) if run.apply else None
        survey = stack.enter_context(Survey(configuration, alone=run.apply))
        judge = survey.judge()
        for letter in survey.letters(wanted):
            met += 1
            run.on_progress(met)
            try:
                redriven = judged(letter, judge)
            except NotRedrivable as refused:
                left.add(letter, refused.code, refused.field, str(refused))
                continue
            by_code[letter.code] += 1
            if settling is not None:
                settlement = msgspec.structs.replace(
                    said, settled_at=now(), code=letter.code, origin=letter.origin, run=done.run, actor=run.actor
                )
                settling.settle(letter.id, settlement, redriven)
    done.accepted, done.by_code, done.left = by_code.total(), dict(by_code.most_common()), left.listed()
    done.not_open = max(len(wanted.places) - met, 0)
    return done


def now() -> int:
    """Epoch milliseconds."""
    return int(time.time() * 1000)
