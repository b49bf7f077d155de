"""The versions of the model that a worker can ask, and which of them a question goes to.

Which one is in force is said by the control topic and worked out by ``serving.rollout``; here they are opened in time,
warmed up, kept while a question may still be theirs, and closed. A version that cannot be opened is not waited for: the
one in force before goes on answering, and its stamp says so. Called by the scoring stage, on its event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import structlog

from serving.answers import answers
from serving.catalogue import Catalogue
from serving.client import TritonScorer
from serving.features import tensors
from serving.in_process import OnnxScorer
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import ReferenceCustomer
from serving.registry import RegisteredVersion, Registry, UnknownVersion, UnusableVersion
from serving.rollout import Rollout
from serving.scorer import Scorer, ScorerUnavailable
from serving.shop import SHOP_FILE, read_shop
from stream.configuration.settings import TritonSettings
from stream.contracts.scores import ScoreRequest
from stream.profiles.profile import Profile

REACH_BACK_MS: Final = 3_600_000
"""Versions stay open for questions that were written up to an hour ago. Older ones, of a backlog, go to the version in
force now."""

WARM_UP_S: Final = 5.0
_AGAIN_S: Final = 5.0
"""Pause before a version that could not be opened is tried again."""

_log = structlog.get_logger(__name__)


class Answering(NamedTuple):
    """A version that can be asked."""

    scorer: Scorer
    catalogue: Catalogue
    """What can be recommended now, as this version sees it."""
    reference: ReferenceCustomer | None
    """Whom its reasons are held against; None: its card knows nobody."""


class Models(Protocol):
    """What the scoring stage needs to know of models."""

    def answering(self, customer_id: str, asked_at: int) -> Answering:
        """The version that answers a question of the customer, written at ``asked_at`` (epoch milliseconds)."""

    def settled(self) -> Answering:
        """The version that is asked whether the server is there."""

    async def refresh(self) -> None:
        """Open what will be needed and close what will not."""

    async def close(self) -> None:
        """Give everything back."""


async def warm_up(model: Answering) -> None:
    """Ask once before the first question, whose deadline is short: the server runs the model, and the catalogue makes
    its arrays.

    Raises:
        ScorerUnavailable: no answer.
        BadOutput: one that cannot be believed.
    """
    profiles, requests = [Profile()], [ScoreRequest(kind="score")]
    inputs = await asyncio.to_thread(tensors, profiles, [0], model.catalogue)
    outputs = await model.scorer.infer(inputs, WARM_UP_S)
    await asyncio.to_thread(answers, outputs, profiles, requests, model.catalogue, model.scorer.stamp)


class OneModel:
    """A single version, for ever; for tests and where nothing is rolled out."""

    def __init__(
        self, scorer: Scorer, catalogue: Callable[[], Catalogue], reference: ReferenceCustomer | None = None
    ) -> None:
        self._scorer = scorer
        self._catalogue = catalogue
        self._reference = reference

    def answering(self, customer_id: str, asked_at: int) -> Answering:
        return self.settled()

    def settled(self) -> Answering:
        return Answering(self._scorer, self._catalogue(), self._reference)

    async def refresh(self) -> None:
        return

    async def close(self) -> None:
        await self._scorer.close()


class RegisteredModels:
    """The versions of a registry, as the switches on the control topic bring them into force.

    Args:
        registry: where the versions lie.
        rollout: gives the switches so far.
        snapshot: gives the newest snapshot of the catalogue.
        clock: epoch milliseconds; questions are stamped by the broker's.

    Raises:
        UnknownVersion: the registry is empty.
        UnusableVersion: the version that is served by default cannot be read.
        ModelMismatch: a version was made for other features.
    """

    def __init__(
        self,
        registry: Registry,
        settings: TritonSettings,
        rollout: Callable[[], Rollout],
        snapshot: Callable[[], Catalogue],
        clock: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._rollout = rollout
        self._snapshot = snapshot
        self._clock = clock
        self._again: dict[str, float] = {}
        self._held = self._begun()

    def answering(self, customer_id: str, asked_at: int) -> Answering:
        held = self._held.get(self._rollout().version_for(customer_id, asked_at))
        return self.settled() if held is None else held.answering(self._snapshot())

    def settled(self) -> Answering:
        in_force = reversed(self._rollout().shares(self._clock()))
        # Until the one in force is open, whatever was in force before goes on.
        held = next((self._held[version] for version in in_force if version in self._held), None)
        return (held or next(iter(self._held.values()))).answering(self._snapshot())

    async def refresh(self) -> None:
        rollout, now = self._rollout(), self._clock()
        needed = rollout.needed(now - REACH_BACK_MS)
        for version in reversed(needed):
            if version not in self._held and self._again.get(version, 0.0) <= time.monotonic():
                await self._try(version)
        if needed[0] not in self._held:
            # Whatever answers instead of the newest is kept, in force or not.
            return
        for version in [held for held in self._held if held not in needed]:
            _log.info("model version is not needed any more", version=version)
            await self._held.pop(version).scorer.close()

    async def close(self) -> None:
        for held in self._held.values():
            await held.scorer.close()

    def _begun(self) -> dict[str, _Held]:
        """The version in force; where it is not here, what was in force before, or what is served by default: a worker
        that starts then does what one does that runs."""
        rollout, now = self._rollout(), self._clock()
        for version in dict.fromkeys([rollout.settled(now), *rollout.needed(now - REACH_BACK_MS), rollout.first]):
            try:
                return {version: self._open(version)}
            except (UnknownVersion, UnusableVersion) as error:
                _log.error("model version cannot be used", version=version, error=str(error))
        default = self._registry.default()
        return {default.card.version: self._open(default.card.version)}

    async def _try(self, version: str) -> None:
        """Open and warm up a version, or say why not and when it is tried again."""
        held = None
        try:
            held = await asyncio.to_thread(self._open, version)
            if not await held.scorer.ready():
                raise ScorerUnavailable("the server has not loaded it")
            await warm_up(held.answering(self._snapshot()))
        except Exception as error:  # whatever is wrong with one version must not end the watch over the others
            _log.error("model version cannot be used yet", version=version, error=str(error))
            self._again[version] = time.monotonic() + _AGAIN_S
            if held is not None:
                await held.scorer.close()
            return
        _log.info("model version is open", version=version)
        self._held[version] = held

    def _open(self, version: str) -> _Held:
        found = self._registry.get(version)
        scorer: Scorer
        if self._settings.scorer == "in_process":
            scorer = OnnxScorer(found.folder, found.card)
        else:
            scorer = TritonScorer(self._settings.url, found.card)
        return _Held(found, scorer)


class _Held:
    """An open version, with the catalogue as it sees it."""

    def __init__(self, version: RegisteredVersion, scorer: Scorer) -> None:
        self.scorer = scorer
        self._reference = version.card.reference
        self._tower = read_item_tower(version.folder / ITEM_TOWER_FILE)
        self._shop = read_shop(version.folder / SHOP_FILE)
        self._seen: tuple[Catalogue, Catalogue] | None = None

    def answering(self, snapshot: Catalogue) -> Answering:
        if self._seen is None or self._seen[0] is not snapshot:
            self._seen = snapshot, snapshot.with_model(self._tower, self._shop)
        return Answering(self.scorer, self._seen[1], self._reference)
