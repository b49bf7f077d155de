"""Trains the model again on the newest window, and adds it to the repository as a version that is not in force.

Which window may be learned from, how, and what moves too far is decided in `serving`; whether the version comes into
force is decided by whoever promotes it. Called by `tidemark retrain`; needs the extra `train`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from serving.catalogue import Catalogue
from serving.dataset import by_customer, examples
from serving.evaluation.baselines.rfm import eligible
from serving.evaluation.canary import CanaryBounds, CanaryMoved, Moves, canary_moves
from serving.evaluation.drift import Drift, calibration_drift
from serving.features import tensors
from serving.history import Journey, journeys, outcome, read_events
from serving.holdout import is_demo_customer
from serving.in_process import OnnxScorer
from serving.item_statistics import ItemStatistics
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import HORIZONS_DAYS, version_folder
from serving.registry import RegisteredVersion, Registry
from serving.shop import SHOP_FILE, read_shop
from serving.training.arrays import Report
from serving.training.bounds import Bounds, Window, WindowRefused, checked
from serving.training.enough import TooLittleHistory, check_customers
from serving.training.permission import permitted
from serving.training.settings import settings_of
from serving.training.train import train
from stream.contracts.codec import encode
from stream.contracts.events import Event
from stream.contracts.times import DAY_MS, to_epoch_ms, to_rfc3339
from stream.operations.canary_events import CANARIES_FILE
from stream.operations.files import whole_file
from stream.operations.retrain_kept import WINDOW_FILE, Question, Span, keep, kept
from stream.operations.retrain_window import WindowSource
from stream.profiles import codec
from stream.profiles.settings import ProfileSettings

DRIFT_HORIZON: Final = 0
"""The shortest horizon: what it says of a score is known first."""

_BATCH: Final = 256


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is to keep to."""

    source: WindowSource = WindowSource()
    bounds: Bounds = Bounds()
    canaries: CanaryBounds = CanaryBounds()
    drift_bound: float | None = None
    """Train only when the calibration error is beyond it. None: train whatever it is."""
    threads: int = 2


class Retrained(NamedTuple):
    """How a run ended."""

    window: Window | None
    """None where a window of a run that was killed was gone on with."""
    span: Span
    """Of the window, whichever it was."""
    drift: Drift | None
    """None where no outcome is known yet that the present model has not seen."""
    moves: Moves | None
    """None where nothing was trained, or there are too few canaries."""
    version: RegisteredVersion | None
    """The new one; None where there was no drift to train for."""


class History(NamedTuple):
    """The window as it is read back from its file."""

    histories: dict[str, list[Event]]
    purchases: dict[str, Journey]
    end: int
    """Last millisecond of the last day."""


class Said(NamedTuple):
    """What a model says of N customers at a moment."""

    customers: list[str]
    churn: npt.NDArray[np.float64]
    """float64[N, 3]."""


def retrain(
    registry: Registry,
    present: RegisteredVersion,
    read: Callable[[], Iterable[Event | None]],
    work: Path,
    settings: ProfileSettings,
    asked: Asked,
    report: Report = lambda what, done, of: None,
) -> Retrained:
    """Train with the settings of ``present`` on what ``read`` gives, and add the result to ``registry``.

    A run that was killed goes on with the window that it had read and with what it had trained, where the same is
    asked. A refusal leaves nothing in ``work``.

    Args:
        read: gives the events of ``asked.source``, None for each that is refused.
        work: folder for the run under way; what versions are compared by is left beside it.

    Raises:
        WindowRefused: too much of the newest events is refused, absurd, or from customers nobody knew.
        CanaryMoved: the new model moves the scores of customers it was not trained on too far.
        TooLittleHistory: it is too short, or nobody is left to learn from.
    """
    try:
        return _retrain(registry, present, read, work, settings, asked, report)
    except (WindowRefused, CanaryMoved, TooLittleHistory):
        shutil.rmtree(work, ignore_errors=True)
        raise


def _retrain(
    registry: Registry,
    present: RegisteredVersion,
    read: Callable[[], Iterable[Event | None]],
    work: Path,
    settings: ProfileSettings,
    asked: Asked,
    report: Report,
) -> Retrained:
    path, window = work / WINDOW_FILE, None
    question = Question(source=asked.source, version=present.card.version, bounds=asked.bounds, profiles=settings)
    span = kept(work, question)
    if span is None:
        shutil.rmtree(work, ignore_errors=True)
        report("window", 0, 1)
        window = _window(read(), settings, asked)
        span = keep(work, question, window.events)
        report("window", 1, 1)
    history = read_history(path, settings)
    drift = drift_of(present, history, settings)
    if asked.drift_bound is not None and not (drift is not None and drift.beyond(asked.drift_bound)):
        shutil.rmtree(work)
        return Retrained(window, span, drift, None, None)
    chosen = msgspec.structs.replace(settings_of(present.card), threads=asked.threads)
    train([path], work / "repository", chosen, settings, report=report, called=str(asked.source))
    folder = version_folder(work / "repository", registry.name)
    moves = canaries_of(present.folder, folder, history, settings, asked.canaries)
    if moves is not None and moves.beyond(asked.canaries):
        raise CanaryMoved(
            f"the new model moves the churn of {moves.customers} customers whom no model was trained on by "
            f"{moves.mean:.3f} in the mean ({asked.canaries.mean} may be), and {moves.far_share:.1%} of them by more "
            f"than {asked.canaries.far} ({asked.canaries.far_share:.0%} may be): it was not added; look at the newest "
            f"events, and if they are right run it again with a wider --canary-bound"
        )
    with whole_file(work.parent / CANARIES_FILE) as out:
        for customer, events in history.histories.items():
            if is_demo_customer(customer):
                out.writelines(encode(event) + b"\n" for event in events)
    version = registry.add(folder)
    shutil.rmtree(work)
    return Retrained(window, span, drift, moves, version)


def _window(read: Iterable[Event | None], settings: ProfileSettings, asked: Asked) -> Window:
    window = checked(read, settings, asked.bounds)
    learned = permitted(window.events)
    if window.events and not learned:
        raise TooLittleHistory(f"everybody in {asked.source} was erased or denies personalisation: nothing was trained")
    check_customers({event.customer_id for event in learned if event.customer_id}, str(asked.source))
    return window._replace(events=learned)


def read_history(path: Path, settings: ProfileSettings) -> History:
    """The events by customer of a file that holds somebody's."""
    histories = by_customer(read_events([path], settings))
    events = [event for own in histories.values() for event in own]
    newest = max(to_epoch_ms(event.time) for event in events)
    return History(histories, journeys(events, settings), (newest // DAY_MS + 1) * DAY_MS - 1)


def drift_of(present: RegisteredVersion, history: History, settings: ProfileSettings) -> Drift | None:
    """The calibration of the present model at the newest moment whose outcomes are known; None where the model was
    trained on later data than that, or there are too few customers."""
    as_of = history.end - HORIZONS_DAYS[DRIFT_HORIZON] * DAY_MS
    seen = max((to_epoch_ms(datetime.fromisoformat(file.last_event)) for file in present.card.data), default=0)
    if as_of < seen:
        return None
    said = churn_at(present.folder, eligible(history.purchases, as_of), as_of, history, settings)
    churned = [
        outcome(history.purchases[customer], as_of, history.end, HORIZONS_DAYS[:1]).bought[DRIFT_HORIZON] == 0
        for customer in said.customers
    ]
    cutoff = to_rfc3339(as_of + 1)[:10]
    return calibration_drift(cutoff, said.churn[:, DRIFT_HORIZON], np.array(churned, np.bool_))


def canaries_of(
    former: Path, new: Path, history: History, settings: ProfileSettings, bounds: CanaryBounds
) -> Moves | None:
    """How far the churn of customers moves whom neither model was trained on, at the end of the window."""
    customers = list(filter(is_demo_customer, eligible(history.purchases, history.end)))
    before, after = (churn_at(folder, customers, history.end, history, settings).churn for folder in (former, new))
    return canary_moves(before[:, -1], after[:, -1], bounds)


def churn_at(folder: Path, customers: list[str], as_of: int, history: History, settings: ProfileSettings) -> Said:
    """What the model in ``folder`` says of ``customers`` with what was known at ``as_of``."""
    card = Registry(folder.parent.parent, folder.parent.name).get(folder.name).card
    scorer, shop = OnnxScorer(folder, card), read_shop(folder / SHOP_FILE)
    shop = shop._replace(items=ItemStatistics.learned(history.purchases, as_of))
    # Churn reads statistics of the profile and of the shop alone: an item that is not known has no words.
    catalogue = Catalogue.from_items((), read_item_tower(folder / ITEM_TOWER_FILE), shop)
    known = {
        customer: [event for event in history.histories[customer] if to_epoch_ms(event.time) <= as_of]
        for customer in customers
    }
    found = [example for example in examples(known, [as_of + 1], as_of + 1, settings) if example.trigger is None]
    said = [np.empty((0, len(HORIZONS_DAYS)))]
    for start in range(0, len(found), _BATCH):
        chunk = found[start : start + _BATCH]
        profiles = [codec.decode(example.profile) for example in chunk]
        outputs = scorer.run(tensors(profiles, [as_of] * len(chunk), catalogue))
        said.append(outputs["churn"].astype(np.float64))
    return Said([example.customer_id for example in found], np.concatenate(said))
