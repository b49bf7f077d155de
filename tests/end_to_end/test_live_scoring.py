"""The same questions, put to the model once in large batches by Triton and once in small ones in process.

Arithmetic of floats depends on the batch in the last digits, so the answers may differ by as little. Scores are rounded
to 1e-3, which hides it but where a score lies beside an edge of the rounding. Only episodes that such a score has
touched may differ; they are listed, and are under 0.05 % of all.
"""

import hashlib
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.catalogue import Catalogue
from serving.client import TritonScorer
from serving.features import FEATURES, tensors
from serving.in_process import OnnxScorer
from serving.model_card import model_repository, read_model_card, version_folder
from serving.scorer import Scorer, Tensors
from stream.configuration.settings import BreakerSettings, TritonSettings
from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.scores import ModelStamp
from stream.embedded.triton import EmbeddedTriton
from stream.profiles import codec as profile_codec
from stream.testing.topics import Topics
from stream.workers.models import OneModel
from stream.workers.scoring import ScoringStage
from tests.chaos.read_back import flat
from tests.end_to_end.repeats import Outputs, Shop, Speed

EDGE = 1e-4
DIFFERENT_AT_MOST = 0.0005
PATIENCE_MS = 60_000
"""No call may run out of time here: a fallback's answer is another answer."""

Heard = dict[bytes, npt.NDArray[Any]]
"""Churn as the model gave it, before any rounding, by the bytes of a row's inputs."""


class Noting:
    """A scorer that notes what the model answered before anybody rounds it."""

    def __init__(self, scorer: Scorer, heard: Heard) -> None:
        self._scorer = scorer
        self._heard = heard

    @property
    def stamp(self) -> ModelStamp:
        return self._scorer.stamp

    async def ready(self) -> bool:
        return await self._scorer.ready()

    async def infer(self, tensors: Tensors, timeout_s: float) -> dict[str, npt.NDArray[Any]]:
        outputs = await self._scorer.infer(tensors, timeout_s)
        for row, churn in enumerate(outputs["churn"]):
            self._heard[_row_key(tensors, row)] = np.array(churn, np.float64)
        return outputs

    async def close(self) -> None:
        await self._scorer.close()


class Episode(NamedTuple):
    """One alert, and everything that was published of it."""

    customer_id: str
    transitions: list[bytes]


def test_batches_change_no_episode_but_those_beside_an_edge_of_the_rounding(
    shop: Shop, own_topics: Topics, original: Outputs, original_prefix: str, embedded_triton: EmbeddedTriton
) -> None:
    folder = version_folder(model_repository())
    card, catalogue = read_model_card(folder), Catalogue.from_items(())

    def stage_of(scorer: Scorer, heard: Heard, max_batch: int, in_flight: int) -> ScoringStage:
        settings = TritonSettings(
            deadline_ms=PATIENCE_MS, max_batch=max_batch, in_flight=in_flight, breaker=BreakerSettings(failures=1_000)
        )
        return ScoringStage(OneModel(Noting(scorer, heard), lambda: catalogue), settings, "GBP")

    large: Heard = {}
    small: Heard = {}
    by_triton = shop.run(
        own_topics.name("triton."),
        Speed(2, 100, 5_000, 2_000, 0.0),
        lambda: stage_of(TritonScorer(embedded_triton.grpc_url, card), large, 64, 8),
        original_prefix,
    )
    in_process = shop.run(
        own_topics.name("in-process."),
        Speed(1, 25, 100, 2_000, 0.0),
        lambda: stage_of(OnnxScorer(folder, card), small, 3, 1),
        original_prefix,
    )
    given = [messages.decode_score(record.value or b"") for record in flat(by_triton[topics.SCORES])]
    assert not any(score.answer.fallback for score in given)
    assert large.keys() == small.keys()
    apart = max(float(np.abs(large[key] - small[key]).max()) for key in large)

    first, second = _episodes(by_triton), _episodes(in_process)
    differing = {alert for alert in first.keys() | second.keys() if first.get(alert) != second.get(alert)}
    touched = _touched_customers(original, large, catalogue) | _touched_customers(original, small, catalogue)
    print(f"\n{len(given)} scores, at most {apart:.1e} apart; {len(first)} episodes, {len(differing)} of them differ")
    for alert in sorted(differing):
        print(f"differs: {alert} of {(first.get(alert) or second[alert]).customer_id}")
    assert len(first) > 40
    assert {(first.get(alert) or second[alert]).customer_id for alert in differing} <= touched
    assert len(differing) <= DIFFERENT_AT_MOST * len(first)


def _row_key(rows: Tensors, row: int) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for spec in FEATURES:
        digest.update(np.ascontiguousarray(rows[spec.name][row]).tobytes())
    return digest.digest()


def _episodes(outputs: Outputs) -> dict[str, Episode]:
    found: dict[str, Episode] = {}
    for topic in (topics.ALERTS, topics.ALERTS_HOLDOUT):
        for record in flat(outputs[topic]):
            alert = messages.decode_alert_event(record.value or b"").data
            episode = found.setdefault(alert.alert_id, Episode(alert.customer_id, []))
            episode.transitions.append(record.value or b"")
    return found


def _touched_customers(original: Outputs, heard: Heard, catalogue: Catalogue) -> set[str]:
    """Customers who have a score within ``EDGE`` of where its rounding turns over."""
    touched = set()
    for record in flat(original[topics.SCORE_REQUESTS]):
        request = messages.decode_score_request(record.value or b"")
        if request.kind != "score":
            continue
        profile = profile_codec.decode(request.profile)
        churn = heard.get(_row_key(tensors([profile], [request.as_of], catalogue), 0))
        if churn is not None and (np.abs(churn * 1_000 % 1 - 0.5) < EDGE * 1_000).any():
            touched.add(request.customer_id)
    return touched
