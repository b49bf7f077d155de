"""Which alerts the model and the policies would have raised on a recorded history, and what they were worth.

Questions, answers and decisions are made by the code that makes them live; only Kafka and Triton are left out. Called
by `tidemark evaluate --alerts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from serving.answers import answers
from serving.catalogue import Catalogue
from serving.dataset import Example, by_customer, examples
from serving.evaluation.alerts import AlertWorth, FiredAlert, alert_worth
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
from stream.profiles import codec
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings

_BATCH: Final = 256
_DEPLOYMENT: Final = Deployment(secret=b"evaluation")


def evaluate_alerts(
    events: Iterable[Event],
    folder: Path,
    start: int | None,
    settings: ProfileSettings,
    policies: Policies,
    on_progress: Callable[[str], None] = lambda what: None,
) -> dict[str, AlertWorth]:
    """What alerts raised from ``start`` on (epoch milliseconds; None: half a year before the end) were worth, by kind.

    Every customer's decisions are taken on their own: the daily budget, which couples customers, does not count.

    Raises:
        ModelMismatch: the model was made for other features than this program makes.
        ValueError: no events.
    """
    card = read_model_card(folder)
    scorer = OnnxScorer(folder, card)
    empty = Catalogue.from_items((), read_item_tower(folder / ITEM_TOWER_FILE), read_shop(folder / SHOP_FILE))
    on_progress("folding events")
    histories = by_customer(events)
    purchases = {
        customer: [int(time) for time in journey.times]
        for customer, journey in journeys((e for own in histories.values() for e in own), settings).items()
    }
    if not purchases:
        raise ValueError("there are no purchases to evaluate alerts on")
    end = (max(times[-1] for times in purchases.values()) // DAY_MS + 1) * DAY_MS - 1
    since = end + 1 - 180 * DAY_MS if start is None else start
    asked = [e for e in examples(histories, [], end, settings) if e.trigger is not None and e.as_of >= since]
    on_progress("scoring")
    in_force = policies.in_force(card)
    fired: dict[str, list[FiredAlert]] = {}
    for alert in _raised(asked, scorer, empty, in_force):
        at = to_epoch_ms(datetime.fromisoformat(alert.data.as_of))
        fired.setdefault(alert.data.kind, []).append(FiredAlert(alert.data.customer_id, at, alert.data.score))
    on_progress("judging")
    everything = [alert for alerts in fired.values() for alert in alerts]
    horizon = in_force.settings.horizon_days
    return {
        kind: alert_worth(alerts, purchases, horizon, end)
        for kind, alerts in [("all", everything), *sorted(fired.items())]
    }


def _raised(
    asked: Sequence[Example], scorer: OnnxScorer, catalogue: Catalogue, policies: PoliciesInForce
) -> Iterator[AlertEvent]:
    states: dict[str, DecisionState | None] = {}
    budget = Budget()
    for start in range(0, len(asked), _BATCH):
        answered = _answered(asked[start : start + _BATCH], scorer, catalogue)
        for offset, (request, profile, answer) in enumerate(answered, start):
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
    chunk: Sequence[Example], scorer: OnnxScorer, catalogue: Catalogue
) -> list[tuple[ScoreRequest, Profile, Answer]]:
    profiles = [codec.decode(example.profile) for example in chunk]
    requests = [
        ScoreRequest("score", example.customer_id, example.customer_id, example.as_of, example.trigger or "interval")
        for example in chunk
    ]
    outputs = scorer.run(tensors(profiles, [request.as_of for request in requests], catalogue))
    said = answers(outputs, profiles, requests, catalogue, scorer.stamp)
    return list(zip(requests, profiles, said, strict=True))
