"""What explanations cost the questions beside them: one Triton, one question of one customer every 20 ms, first alone,
then beside explanations of 256 rows, three a second, in calls of ``max_batch`` and, for comparison, in one call.

    python -m benchmarks.reasons_beside
"""

import asyncio
import time

import numpy as np

from benchmarks.cluster import SHIPPED
from serving.catalogue import Catalogue
from serving.client import TritonScorer
from serving.features import tensors
from serving.model_card import model_repository, read_model_card, version_folder
from serving.reference import reference_profile
from serving.scorer import ScorerUnavailable, Tensors
from stream.configuration.load import load
from stream.embedded.triton import EmbeddedTriton
from stream.operations.observe import percentile

SECONDS = 15.0
EVERY_S = 0.02
EXPLAINED_EVERY_S = 1 / 3
ROWS = 256
AT = 1_300_000_000_000
PATIENCE_S = 5.0


def main() -> None:
    triton = load(SHIPPED, {}).configuration.triton
    card = read_model_card(version_folder(model_repository()))
    assert card.reference is not None, "the shipped model has no reference customer"
    one = tensors([reference_profile(card.reference, AT)], [AT], Catalogue.from_items(()))
    with EmbeddedTriton(model_repository()) as server:
        scorer = TritonScorer(server.grpc_url, card)
        print(f"questions of one customer every {EVERY_S * 1000:.0f} ms; what they wait for their answers, in ms")
        asyncio.run(_measure(scorer, one, triton.max_batch, triton.reasons_deadline_ms / 1000))


async def _measure(scorer: TritonScorer, one: Tensors, max_batch: int, deadline_s: float) -> None:
    await scorer.infer(_repeated(one, ROWS), PATIENCE_S)
    for said, rows in (
        ("alone", 0),
        (f"beside explanations in calls of {max_batch}", max_batch),
        ("in one call", ROWS),
    ):
        explaining = asyncio.create_task(_explain(scorer, one, rows, deadline_s)) if rows else None
        waited = await _ask(scorer, one)
        print(
            f"{said}: p50 {percentile(waited, 0.5):.0f}, p99 {percentile(waited, 0.99):.0f}, most {max(waited):.0f}",
            end="",
        )
        if explaining is not None:
            explaining.cancel()
            took = (await asyncio.gather(explaining, return_exceptions=True))[0]
            assert isinstance(took, list)
            in_time = [ms for ms in took if ms <= deadline_s * 1000]
            print(f"; {len(in_time)} of {len(took)} explanations in time", end="")
        print()
    await scorer.close()


async def _ask(scorer: TritonScorer, one: Tensors) -> list[float]:
    """Milliseconds that each question waited; they are put at their times, whatever became of the ones before."""

    async def put(after_s: float) -> float:
        await asyncio.sleep(after_s)
        began = time.perf_counter()
        await scorer.infer(one, PATIENCE_S)
        return (time.perf_counter() - began) * 1000

    return list(await asyncio.gather(*(put(number * EVERY_S) for number in range(int(SECONDS / EVERY_S)))))


async def _explain(scorer: TritonScorer, one: Tensors, rows: int, deadline_s: float) -> list[float]:
    """Milliseconds of each explanation until it is cancelled; what is late counts as long as it was waited for."""
    took: list[float] = []
    try:
        while True:
            began = time.perf_counter()
            try:
                async with asyncio.timeout(deadline_s):
                    for _ in range(0, ROWS, rows):
                        await scorer.infer(_repeated(one, rows), deadline_s)
            except (TimeoutError, ScorerUnavailable):
                took.append(float("inf"))
            else:
                took.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(max(0.0, EXPLAINED_EVERY_S - (time.perf_counter() - began)))
    except asyncio.CancelledError:
        return took


def _repeated(one: Tensors, rows: int) -> Tensors:
    return {name: np.repeat(array, rows, axis=0) for name, array in one.items()}


if __name__ == "__main__":
    main()
