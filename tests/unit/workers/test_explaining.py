"""The model is asked why for alerts that are about to be raised, in its own time, and for nothing else."""

import asyncio
import time

import numpy as np
import pytest
from msgspec.structs import replace

from serving.catalogue import Catalogue
from serving.in_process import OnnxScorer
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import ReferenceCustomer, model_repository, read_model_card, version_folder
from serving.scorer import BadOutput, ScorerUnavailable
from serving.shop import SHOP_FILE, read_shop
from stream.configuration.settings import TritonSettings
from stream.contracts.events import Event
from stream.contracts.scores import ScoreRequest
from stream.contracts.times import DAY_MS
from stream.decisions.policies import KINDS, Policies, Rule
from stream.workers.decisions import Question
from stream.workers.explaining import Explainer
from stream.workers.models import Answering, OneModel
from stream.workers.scoring import ScoringStage
from tests.unit.serving.recorded_shop import START, item, shop_items
from tests.unit.serving.test_features import folded

FOLDER = version_folder(model_repository())
CARD = read_model_card(FOLDER)
CATALOGUE = Catalogue.from_items(shop_items(), read_item_tower(FOLDER / ITEM_TOWER_FILE), read_shop(FOLDER / SHOP_FILE))
EAGER = Rule(raise_threshold=0.2, resolve_threshold=0.1, silent_from_days=14)
POLICIES = Policies(churn_risk=EAGER, second_purchase=EAGER).in_force(CARD)
AT = START + 400 * DAY_MS
FREE = frozenset(KINDS)


class Line:
    """The shipped model behind a line that can be slow or broken; notes the size of each call."""

    def __init__(self, delay_s: float = 0.0, failure: Exception | None = None) -> None:
        self.stamp = CARD.stamp
        self.calls: list[int] = []
        self.most_at_once = 0
        self._at_once = 0
        self._model = OnnxScorer(FOLDER, CARD)
        self._delay_s = delay_s
        self._failure = failure

    async def ready(self) -> bool:
        return True

    async def infer(self, tensors, timeout_s):
        self.calls.append(len(tensors["stats"]))
        if len(self.calls) == 1:
            return self._model.run(tensors)
        # The first call scores; those that follow explain.
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(self._delay_s)
            if self._failure is not None:
                raise self._failure
            return self._model.run(tensors)
        finally:
            self._at_once -= 1

    async def close(self) -> None:
        pass


def question(days=(40, 100, 160, 220, 280, 340), free=FREE, asked_at=None, name="c", **fields):
    events = [
        Event(f"{name}{n}", "purchase", START + day * DAY_MS, name, transaction_id=f"{name}{n}", items=[item(n)])
        for n, day in enumerate(days)
    ]
    request = ScoreRequest("score", f"r-{name}", name, AT, **fields)
    return Question(request, folded(events), asked_at or int(time.time() * 1000), free)


def ask(line, questions, deadline_ms=5_000, reference=CARD.reference):
    """Answers to ``questions``, the explainer, and seconds."""
    settings = TritonSettings(deadline_ms=5_000, reasons_deadline_ms=deadline_ms)
    explainer = Explainer(lambda version, as_of: POLICIES, settings)
    stage = ScoringStage(OneModel(line, lambda: CATALOGUE, reference), settings, "GBP", explainer)
    began = time.monotonic()
    answered = asyncio.run(stage.run(questions))
    return answered, explainer, time.monotonic() - began


def test_contributions_add_up_to_the_raw_score_less_the_reference_s():
    line = Line()
    (answer,), explainer, _ = ask(line, [question()])
    assert answer.reasons
    told = sum(reason.contribution for reason in answer.reasons)
    assert told == pytest.approx(answer.raw_churn["90d"] - answer.reference_churn, abs=0.0005)
    assert len(line.calls) == 2
    assert (explainer.explained, explainer.missed) == (1, 0)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (question(free=frozenset()), "an alert is open or rests"),
        (question(days=(390,)), "too early"),
        (question(days=(10, 60)), "too late"),
        (question(free=frozenset({"second_purchase"})), "of another kind"),
    ],
)
def test_who_will_not_be_alerted_is_not_explained(other, why):
    line = Line()
    (answer,), explainer, _ = ask(line, [other])
    assert answer.reasons == [], why
    assert len(line.calls) == 1
    assert explainer.missed == 0


def test_what_takes_longer_than_its_deadline_is_left_to_the_rules():
    line = Line(delay_s=2.0)
    (answer,), explainer, seconds = ask(line, [question()], deadline_ms=150)
    assert (answer.reasons, answer.reference_churn, answer.fallback) == ([], None, False)
    assert (explainer.missed, explainer.late) == (1, 1)
    assert seconds < 1.0


@pytest.mark.parametrize("failure", [ScorerUnavailable("gone"), BadOutput("nonsense")])
def test_a_failure_costs_the_reasons_and_nothing_else(failure):
    line = Line(failure=failure)
    (answer,), explainer, _ = ask(line, [question()])
    assert (answer.reasons, answer.fallback, explainer.missed, explainer.late) == ([], False, 1, 0)


def test_coalitions_that_came_back_as_nonsense_are_not_believed():
    line = Line()

    async def nonsense(tensors, timeout_s):
        outputs = line._model.run(tensors)
        if line.calls:
            outputs["raw_churn"] = np.full_like(outputs["raw_churn"], np.nan)
        line.calls.append(len(tensors["stats"]))
        return outputs

    line.infer = nonsense
    (answer,), _, _ = ask(line, [question()])
    assert answer.reasons == []


@pytest.mark.parametrize(
    "without", [{"deadline_ms": 0}, {"reference": None}], ids=["switched off", "a card without a reference"]
)
def test_without_a_reference_or_time_nothing_is_asked(without):
    line = Line()
    (answer,), _, _ = ask(line, [question()], **without)
    assert (answer.reasons, len(line.calls)) == ([], 1)


def test_a_reference_that_cannot_be_used_costs_no_answer():
    (answer,), explainer, _ = ask(
        Line(), [question()], reference=ReferenceCustomer(currency="GBP", customers=0, orders=[])
    )
    assert (answer.reasons, answer.fallback, explainer.missed) == ([], False, 1)


def test_a_backlog_is_worked_off_without_reasons():
    line = Line()
    old = int((time.time() - 60) * 1000)
    (answer,), explainer, _ = ask(line, [question(asked_at=old)])
    assert (answer.reasons, len(line.calls), explainer.missed) == ([], 1, 1)


def test_a_batch_is_explained_up_to_256_rows_in_calls_no_larger_than_those_that_score():
    line = Line()
    questions = [question(days=(40 + n, 100, 160 + n, 220, 280, 330 + n), name=f"c{n}") for n in range(40)]
    answered, explainer, _ = ask(line, questions)
    explained = [answer for answer in answered if answer.reasons]
    assert 128 < sum(line.calls[1:]) <= 256
    assert max(line.calls[1:]) == 64
    assert line.most_at_once == 1
    assert 1 < len(explained) < len(questions)
    assert (explainer.explained, explainer.missed) == (len(explained), len(questions) - len(explained))
    for answer in explained:
        told = sum(reason.contribution for reason in answer.reasons)
        assert told == pytest.approx(answer.raw_churn["90d"] - answer.reference_churn, abs=0.0005)


def test_one_call_is_under_way_at_a_time():
    line = Line(delay_s=0.1)
    settings = TritonSettings(deadline_ms=5_000, reasons_deadline_ms=5_000)
    explainer = Explainer(lambda version, as_of: POLICIES, settings)
    asked = [question(name=f"c{n}") for n in range(3)]
    (given,), _, _ = ask(Line(), [asked[0]], deadline_ms=0)
    answers = [replace(given) for _ in asked]
    line.calls.append(1)

    model = Answering(line, CATALOGUE, CARD.reference)

    async def all_at_once():
        await asyncio.gather(*(explainer.explain([q], [a], model) for q, a in zip(asked, answers, strict=True)))

    asyncio.run(all_at_once())
    assert line.most_at_once == 1
    assert [bool(answer.reasons) for answer in answers] == [True, False, False]
    assert explainer.missed == 2
