"""What alerts are worth on customers and in months that the model was not trained on: the tables of docs/model.md.

    python -m benchmarks.held_out_alerts EVENTS FOLDER [--folds 4] [--until DAY ...]

Needs the extra `train`. For each group of customers and each day a network is trained on the other customers' events
before that day and exported into FOLDER, where a later run finds it; then the group's events after that day are folded,
scored and decided as live by ``stream.operations.evaluate_alerts``. This module trains and adds up; it measures nothing
itself.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import torch

from serving.dataset import by_customer, calendar_cutoffs, examples
from serving.export import export
from serving.history import journeys, read_events
from serving.model_card import MODEL_NAME
from serving.training.runs import Source, card_of
from serving.training.settings import TrainingSettings
from serving.training.train import EVALUATION_DAYS, FIRST_CUTOFF_DAYS, make, measure
from stream.contracts.events import Event
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.profiles.settings import ProfileSettings

UNTIL: Final = ("2010-10-14", "2010-12-09", "2011-01-13")
"""A network answers from its day until the next one's, the last until alerts cannot be judged any more: never for more
than eight weeks."""

SETTINGS: Final = TrainingSettings(threads=1, query_epochs=0)
"""As shipped, but for the query of the ranking, which no alert reads."""


def group_of(customer_id: str, folds: int) -> int:
    """Which group of customers somebody is in, 0 to ``folds`` - 1."""
    return int.from_bytes(hashlib.sha256(f"fold:{customer_id}".encode()).digest()[:8], "big") % folds


def train_without(
    histories: dict[str, list[Event]],
    unseen: set[str],
    path: Path,
    until: int,
    repository: Path,
    profile_settings: ProfileSettings,
) -> None:
    """Export into ``repository`` a model that knows nothing of ``unseen``, nor of anybody from ``until`` (epoch
    milliseconds) on."""
    own = {
        customer: past
        for customer, events in histories.items()
        if customer not in unseen and (past := [event for event in events if to_epoch_ms(event.time) < until])
    }
    events = [event for past in own.values() for event in past]
    first = min(to_epoch_ms(event.time) for event in events)
    source = Source(events, own, journeys(events, profile_settings), profile_settings, unseen, first, until - 1)
    cutoffs = calendar_cutoffs(first + FIRST_CUTOFF_DAYS * DAY_MS, until - 1, SETTINGS.calendar_step_days)
    found = [e for e in examples(own, cutoffs, until - 1, profile_settings) if e.as_of > cutoffs[0]]
    # The card's thresholds and figures are those of an earlier network, as in `tidemark train`.
    earlier = make(source, found, until - 1 - EVALUATION_DAYS[0] * DAY_MS, SETTINGS, _quiet)
    measured = measure(earlier, source, profile_settings, SETTINGS.alert_budget_share)
    made = make(source, found, until - 1, SETTINGS, _quiet)
    card = card_of([path], source, made, [measured], SETTINGS, ())
    export(made.fitted.served(), made.tower, made.shop, card, repository)


def _quiet(what: str, done: int, of: int) -> None:
    """Training reports every step; here one network a line is told."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what FOLDER lacks, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--until", action="append", metavar="DAY")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(SETTINGS.threads)
    profile_settings = ProfileSettings()
    histories = by_customer(read_events([asked.events], profile_settings))
    for day in asked.until or UNTIL:
        until = to_epoch_ms(datetime.fromisoformat(day).replace(tzinfo=UTC))
        for group in range(asked.folds):
            unseen = {customer for customer in histories if group_of(customer, asked.folds) == group}
            repository = asked.folder / f"without-{group}-of-{asked.folds}-until-{day}"
            if not (repository / MODEL_NAME / "1").exists():
                train_without(histories, unseen, asked.events, until, repository, profile_settings)
            print(f"{repository}: {len(unseen)} customers unseen", flush=True)


if __name__ == "__main__":
    main()
