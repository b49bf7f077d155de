"""Which alerts the model and the policies would have raised on a recorded history, and what they were worth.

Questions, answers and decisions are made by the code that makes them live; only Kafka and Triton are left out. Called
by `tidemark evaluate --alerts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from serving.answers import answers
from serving.catalogue import Catalogue
from serving.dataset import Example, by_customer, examples
from serving.evaluation.alerts import ACTIVE_DAYS, AlertWorth, worth_of
from serving.evaluation.episodes import Episode, FiredAlert, episodes_of
from serving.evaluation.purchase_table import PurchaseTable
from serving.features import tensors
from serving.history import journeys
from serving.in_process import OnnxScorer
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import read_model_card
from serving.shop import SHOP_FILE, read_shop
from stream.contracts import topics
from stream.contracts.alerts import AlertEvent
from stream.contracts.emission import Origin
from stream.contracts.events import Event
from stream.contracts.scores import Answer, ScoreRequest
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.decisions import timers
from stream.decisions.budget import Budget
from stream.decisions.decide import decide
from stream.decisions.deployment import Deployment
from stream.decisions.policies import Policies, PoliciesInForce
from stream.decisions.state import DecisionState
from stream.operations.evaluate import NothingToEvaluate, day_of, model_scorer
from stream.profiles import codec
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings

_BATCH: Final = 256
_DEPLOYMENT: Final = Deployment(secret=b"evaluation")


class ModelInForce(NamedTuple):
    """A version of the model, and from when on it answers."""

    since: int
    """Epoch milliseconds."""
    folder: Path
    """Version folder."""


class AlertEvaluation(msgspec.Struct, frozen=True):
    """What alerts were worth, and how far the model can have known it."""

    horizon_days: int
    worth: dict[str, AlertWorth]
    """By kind, and ``all``."""
    episodes: list[Episode]
    customers: int
    """Who could have been alerted."""
    unseen_customers: int
    """Of them those that the model's card lists as kept out of training."""
    known_until: str
    """RFC 3339: the newest event of the data that the model was trained on; alerts after it are of unseen months."""
    unseen_months: bool
    """All that the model was trained on lies before the first alert that was looked for."""


def evaluate_alerts(
    events: Iterable[Event],
    folder: Path,
    start: int | None,
    settings: ProfileSettings,
    policies: Policies,
    on_progress: Callable[[str], None] = lambda what: None,
) -> AlertEvaluation:
    """What alerts raised from ``start`` on (epoch milliseconds; None: half a year before the end) were worth, by kind.

    Every customer's decisions are taken on their own: the daily budget, which couples customers, does not count.

    Raises:
        OtherFeatures: the model was made for other features than this program makes.
        NothingToEvaluate: no purchases, or ``start`` lies before the first day of the history or after its last.
    """
    card = read_model_card(folder)
    on_progress("folding events")
    histories = by_customer(events)
    purchases = purchase_times(histories, settings)
    if not purchases:
        raise NothingToEvaluate("there are no purchases to evaluate alerts on")
    end = (max(times[-1] for times in purchases.values()) // DAY_MS + 1) * DAY_MS - 1
    since = end + 1 - 180 * DAY_MS if start is None else start
    if start is not None:
        _require_within(start, min(times[0] for times in purchases.values()), end)
    alerts = raised(histories, [ModelInForce(since, folder)], end, settings, policies, on_progress)
    on_progress("judging")
    horizon_ms = policies.horizon_days * DAY_MS
    table = PurchaseTable(purchases)
    episodes = episodes_of(alerts, table, horizon_ms, ACTIVE_DAYS * DAY_MS, end)
    window = (since, max(since, end - horizon_ms))
    kinds = {"all": episodes} | {
        kind: [episode for episode in episodes if episode.kind == kind]
        for kind in sorted({episode.kind for episode in episodes})
    }
    return AlertEvaluation(
        policies.horizon_days,
        {kind: worth_of(own, table, policies.horizon_days, end, window=window) for kind, own in kinds.items()},
        episodes,
        len(purchases),
        card.kept_out(purchases),
        card.known_until,
        bool(card.known_until) and to_epoch_ms(datetime.fromisoformat(card.known_until)) < since,
    )


def _require_within(start: int, first: int, end: int) -> None:
    # Before the first day nobody could be alerted, which rates by week would count as weeks without alerts.
    runs = f"the history runs from {day_of(first)} to {day_of(end)}: choose a --cutoff within it"
    if start > end:
        raise NothingToEvaluate(f"nobody bought anything from {day_of(start)} on, so no alert can be judged; {runs}")
    if start < first // DAY_MS * DAY_MS:
        raise NothingToEvaluate(f"nobody had bought anything yet at {day_of(start)}; {runs}")


def purchase_times(histories: Mapping[str, Sequence[Event]], settings: ProfileSettings) -> dict[str, list[int]]:
    """Epoch milliseconds of each customer's purchases, ascending; customers without any are left out."""
    everything = (event for own in histories.values() for event in own)
    return {
        customer: [int(time) for time in journey.times] for customer, journey in journeys(everything, settings).items()
    }


def raised(
    histories: dict[str, list[Event]],
    models: Sequence[ModelInForce],
    end: int,
    settings: ProfileSettings,
    policies: Policies,
    on_progress: Callable[[str], None] = lambda what: None,
) -> list[FiredAlert]:
    """Every alert that would have been raised until ``end`` (epoch milliseconds), customer by customer.

    Args:
        models: ascending in time; each answers until the next one does, the last until ``end``. Nothing is asked
            before the first. What was decided under one model is remembered under the next.
    """
    scoring = {model: _Scoring.of(model.folder, policies) for model in models}
    asked = [e for e in examples(histories, [], end, settings) if e.trigger is not None and e.as_of >= models[0].since]
    on_progress("scoring")
    found = []
    for alert in _raised(asked, lambda at: scoring[max((m for m in models if m.since <= at), key=lambda m: m.since)]):
        data = alert.data
        at = to_epoch_ms(datetime.fromisoformat(data.as_of))
        found.append(FiredAlert(data.customer_id, at, data.score, data.kind, data.raise_threshold))
    return found


class _Scoring(NamedTuple):
    """A model and the policy as it is in force under it."""

    scorer: OnnxScorer
    catalogue: Catalogue
    policies: PoliciesInForce

    @classmethod
    def of(cls, folder: Path, policies: Policies) -> _Scoring:
        card = read_model_card(folder)
        # Without items: no alert reads a ranking.
        empty = Catalogue.from_items((), read_item_tower(folder / ITEM_TOWER_FILE), read_shop(folder / SHOP_FILE))
        return cls(model_scorer(folder, card), empty, policies.in_force(card))


def _raised(asked: Sequence[Example], scoring_at: Callable[[int], _Scoring]) -> Iterator[AlertEvent]:
    states: dict[str, DecisionState | None] = {}
    budget = Budget()
    for offset, (request, profile, answer, policies) in enumerate(_answered(asked, scoring_at)):
        state = states.get(request.customer_id)
        if state is not None and 0 < (due := timers.due(state)) <= request.as_of:
            state, _ = timers.on_timer(state, due, policies, _DEPLOYMENT)
        origin = Origin(topics.SCORE_REQUESTS, 0, offset)
        budget.days.clear()
        states[request.customer_id], outputs = decide(
            state, request, origin, answer, profile, budget, policies, _DEPLOYMENT
        )
        for output in outputs:
            if output.topic in (topics.ALERTS, topics.ALERTS_HOLDOUT) and output.value is not None:
                alert = msgspec.json.decode(output.value, type=AlertEvent)
                if alert.data.revision == 1:
                    yield alert


def _answered(
    asked: Sequence[Example], scoring_at: Callable[[int], _Scoring]
) -> Iterator[tuple[ScoreRequest, Profile, Answer, PoliciesInForce]]:
    """Each question with its answer, in the order asked; questions to one model are put to it together."""
    for start in range(0, len(asked), _BATCH):
        chunk = asked[start : start + _BATCH]
        scorings = [scoring_at(example.as_of) for example in chunk]
        answered: dict[int, tuple[ScoreRequest, Profile, Answer, PoliciesInForce]] = {}
        for scoring in {id(scoring): scoring for scoring in scorings}.values():
            places = [place for place, own in enumerate(scorings) if own is scoring]
            said = _said([chunk[place] for place in places], scoring)
            answered |= {place: (*one, scoring.policies) for place, one in zip(places, said, strict=True)}
        yield from (answered[place] for place in range(len(chunk)))


def _said(chunk: Sequence[Example], scoring: _Scoring) -> list[tuple[ScoreRequest, Profile, Answer]]:
    profiles = [codec.decode(example.profile) for example in chunk]
    requests = [
        ScoreRequest("score", example.customer_id, example.customer_id, example.as_of, example.trigger or "interval")
        for example in chunk
    ]
    outputs = scoring.scorer.run(tensors(profiles, [request.as_of for request in requests], scoring.catalogue))
    said = answers(outputs, profiles, requests, scoring.catalogue, scoring.scorer.stamp)
    return list(zip(requests, profiles, said, strict=True))
