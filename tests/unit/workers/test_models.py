"""Which version a worker asks, with the real networks in process: switches come into force in time, and a version that
cannot be used never does."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.catalogue import Catalogue
from serving.registry import Registry, UnknownVersion
from serving.rollout import Rollout
from serving.scorer import ScorerUnavailable
from stream.configuration.settings import TritonSettings
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.control import Control
from stream.contracts.scores import ScoreRequest
from stream.decisions.policies import Policies
from stream.decisions.policy_history import PolicyHistory
from stream.profiles.profile import Profile
from stream.workers.decisions import Question
from stream.workers.models import REACH_BACK_MS, RegisteredModels
from stream.workers.policies import RegisteredPolicies
from stream.workers.scoring import ScoringStage
from tests.models.variants import registry_at, shifted, variant

NOW = 1_700_000_000_000


class Clock:
    """Time as the test says it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


class World:
    """A registry of two versions, switches, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.registry = registry_at(folder / "repository")
        self.first = self.registry.get("1").card.version
        self.second = variant(self.registry, folder / "second", shifted(0.5)).card.version
        self.records: list[Control] = []
        self.clock = Clock()
        self.catalogue = Catalogue.from_items([CatalogueItem(item_id="85123A", item_name="WHITE HEART")])

    @property
    def rollout(self) -> Rollout:
        return Rollout(self.first, self.records)

    def switch(self, version: str, at: int, ramp_ms: int = 0) -> None:
        self.records.append(Control("model", version, at, self.rollout.newest(), ramp_ms))

    def models(self) -> RegisteredModels:
        return RegisteredModels(
            self.registry,
            TritonSettings(scorer="in_process"),
            lambda: self.rollout,
            lambda: self.catalogue,
            self.clock,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def _run(steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(steps())


def test_a_version_is_open_before_its_switch_and_answers_only_what_is_asked_after_it(world: World) -> None:
    async def steps() -> None:
        models = world.models()
        world.switch(world.second, NOW + 5_000)
        await models.refresh()
        assert models.settled().scorer.stamp.version == world.first
        assert models.answering("ada", NOW + 4_999).scorer.stamp.version == world.first
        assert models.answering("ada", NOW + 5_000).scorer.stamp.version == world.second
        world.clock.now += 5_000
        assert models.settled().scorer.stamp.version == world.second
        await models.close()

    _run(steps)


def test_a_version_that_is_not_there_yet_is_waited_for_by_nobody(world: World) -> None:
    async def steps() -> None:
        models = world.models()
        world.switch("7.00000000", NOW)
        await models.refresh()
        assert models.answering("ada", NOW).scorer.stamp.version == world.first
        assert models.settled().scorer.stamp.version == world.first
        await models.close()

    _run(steps)


def test_a_version_that_answers_nan_never_answers_a_customer(world: World, tmp_path: Path) -> None:
    async def steps() -> None:
        broken = variant(world.registry, tmp_path / "broken", shifted(float("nan"))).card.version
        models = world.models()
        world.switch(broken, NOW)
        await models.refresh()
        assert models.answering("ada", NOW).scorer.stamp.version == world.first
        await models.close()

    _run(steps)


def test_what_nobody_can_be_asked_about_any_more_is_closed_and_comes_back_when_it_is_needed(world: World) -> None:
    async def steps() -> None:
        models = world.models()
        world.switch(world.second, NOW)
        await models.refresh()
        world.clock.now += REACH_BACK_MS + 1
        await models.refresh()
        # A question of a backlog that is older goes to what is in force now.
        assert models.answering("ada", NOW - 1).scorer.stamp.version == world.second
        world.switch(world.first, world.clock.now)
        await models.refresh()
        assert models.answering("ada", world.clock.now).scorer.stamp.version == world.first
        await models.close()

    _run(steps)


def test_a_worker_that_starts_in_the_middle_of_it_begins_with_what_is_in_force(world: World) -> None:
    world.switch(world.second, NOW - 1)
    assert world.models().settled().scorer.stamp.version == world.second
    world.switch("7.00000000", NOW - 1)
    # As one that runs: what was in force before, and its stamp says so.
    assert world.models().settled().scorer.stamp.version == world.second


def test_one_batch_may_hold_questions_of_two_versions_and_each_gets_its_own(world: World) -> None:
    async def steps() -> None:
        world.switch(world.second, NOW + 100, ramp_ms=1_000)
        stage = ScoringStage(world.models(), TritonSettings(scorer="in_process", deadline_ms=60_000), "GBP")
        await stage.open()
        questions = [
            Question(ScoreRequest("score", customer_id=f"c{number}", as_of=NOW), Profile(), NOW + 25 * number)
            for number in range(60)
        ]
        answered = await stage.run(questions)
        assert [answer.model.version for answer in answered] == [
            world.rollout.version_for(question.request.customer_id, question.asked_at) for question in questions
        ]
        churn = {
            version: {answer.churn["90d"] for answer in answered if answer.model.version == version}
            for version in (world.first, world.second)
        }
        (one,), (other,) = churn[world.first], churn[world.second]
        assert np.isclose(one / 2, other, atol=1e-3)
        assert {answer.catalogue_version for answer in answered} == {world.catalogue.version}
        await stage.close()

    _run(steps)


def test_policies_follow_the_version_that_answered(world: World, tmp_path: Path) -> None:
    card = world.registry.get("1").card
    known = [threshold for threshold in card.thresholds if threshold.horizon != "90d"]
    (own,) = [threshold for threshold in card.thresholds if threshold.horizon == "90d"]
    stricter = type(own)(own.horizon, own.budget_share, 0.9, 0.8, own.precision, 0.33)
    third = variant(world.registry, tmp_path / "third", thresholds=[*known, stricter]).card.version
    policies = RegisteredPolicies(world.registry, lambda: PolicyHistory(Policies()), lambda: world.rollout, world.clock)
    assert policies.policies_of(third, NOW).rules["churn_risk"].raise_threshold == 0.9
    assert policies.policies_of(world.first, NOW).rules["churn_risk"].raise_threshold == round(own.raise_at, 3)
    assert policies.policies_of(third, NOW).version != policies.policies_of(world.first, NOW).version
    # A fallback's version, or one that was taken out since.
    assert policies.policies_of("fallback-1", NOW) == policies.policies_of("", NOW)
    world.switch(third, NOW + 10)
    assert policies.policies_for("ada", NOW, NOW) == policies.policies_of(world.first, NOW)
    assert policies.policies_for("ada", NOW + 10, NOW) == policies.policies_of(third, NOW)
    assert policies.in_force() == f"customer {world.first}"
    world.clock.now += 10
    assert policies.in_force() == f"customer {third}"


def test_the_registry_is_read_when_a_version_is_needed_and_not_before(tmp_path: Path) -> None:
    with pytest.raises(UnknownVersion, match="tidemark train"):
        RegisteredPolicies(Registry(tmp_path), lambda: PolicyHistory(Policies()), lambda: Rollout("1.a"))


def test_where_a_coming_version_does_not_answer_the_one_in_force_does_and_the_breaker_stays_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps() -> None:
        world.switch(world.second, NOW - 100, ramp_ms=1_000_000_000)
        models = world.models()
        stage = ScoringStage(models, TritonSettings(scorer="in_process", deadline_ms=60_000), "GBP")
        await stage.open()
        early = next(f"c{n}" for n in range(10**7) if world.rollout.version_for(f"c{n}", NOW + 10_000) == world.second)
        question = Question(ScoreRequest("score", customer_id=early, as_of=NOW), Profile(), NOW + 10_000)
        (coming,) = await stage.run([question])
        assert coming.model.version == world.second

        async def unloaded(*_: object) -> None:
            raise ScorerUnavailable("the server has unloaded it")

        monkeypatch.setattr(models.answering(early, NOW + 10_000).scorer, "infer", unloaded)
        for _ in range(10):
            (answer,) = await stage.run([question])
            assert (answer.model.version, answer.fallback) == (world.first, False)
        assert stage.recovered()
        await stage.close()

    _run(steps)


def test_a_version_that_was_damaged_since_it_came_in_does_not_end_the_watch(world: World) -> None:
    async def steps() -> None:
        (world.registry.get("2").folder / "shop.npz").write_text("garbage")
        models = world.models()
        world.switch(world.second, NOW)
        await models.refresh()
        assert models.answering("ada", NOW).scorer.stamp.version == world.first
        await models.close()

    _run(steps)
