import asyncio

import msgspec
import numpy as np
import pytest

from serving.answers import validate
from serving.catalogue import Catalogue
from serving.features import tensors
from serving.in_process import OnnxScorer
from serving.model_card import model_repository, read_model_card, version_folder
from serving.scorer import OUTPUTS, ModelMismatch, ScorerTimeout, ScorerUnavailable
from tests.unit.serving.recorded_shop import shop_items
from tests.unit.serving.test_features import profiles

FOLDER = version_folder(model_repository())
CARD = read_model_card(FOLDER)


def inputs(customers: int = 12) -> dict[str, np.ndarray]:
    found = profiles(customers=customers)
    return tensors(found, [p.last_time for p in found], Catalogue.from_items(shop_items()))


def test_the_shipped_model_answers_what_can_be_believed():
    async def score():
        scorer = OnnxScorer(FOLDER, CARD)
        assert await scorer.ready()
        outputs = await scorer.infer(inputs(), timeout_s=5)
        await scorer.close()
        return scorer.stamp, outputs

    stamp, outputs = asyncio.run(score())
    assert stamp == CARD.stamp
    validate(outputs, 12)
    assert set(outputs) == {spec.name for spec in OUTPUTS}
    assert (np.diff(outputs["churn"], axis=1) <= 0).all()


def test_a_row_does_not_depend_on_the_batch():
    scorer, made = OnnxScorer(FOLDER, CARD), inputs()
    together = scorer.run(made)
    for row in range(12):
        alone = scorer.run({name: array[row : row + 1] for name, array in made.items()})
        for name in together:
            assert np.allclose(together[name][row], alone[name][0], rtol=1e-5, atol=1e-5)


def test_a_model_for_other_features_is_refused():
    other = msgspec.structs.replace(CARD, feature_schema="0" * 16)
    with pytest.raises(ModelMismatch, match="train the model again"):
        OnnxScorer(FOLDER, other)


def test_a_refused_batch_is_no_answer():
    made = inputs()
    made["stats"] = made["stats"][:, :3]
    with pytest.raises(ScorerUnavailable, match="refused the batch"):
        OnnxScorer(FOLDER, CARD).run(made)


def test_an_answer_that_takes_too_long_is_a_timeout():
    big = {name: np.repeat(array, 100, axis=0) for name, array in inputs().items()}

    async def score():
        scorer = OnnxScorer(FOLDER, CARD)
        try:
            await scorer.infer(big, timeout_s=0.001)
        finally:
            await scorer.close()

    with pytest.raises(ScorerTimeout, match="within 1 ms"):
        asyncio.run(score())


def test_several_calls_may_be_in_flight():
    async def score():
        scorer = OnnxScorer(FOLDER, CARD, threads=2)
        made = inputs()
        answered = await asyncio.gather(*(scorer.infer(made, timeout_s=10) for _ in range(6)))
        await scorer.close()
        return answered

    answered = asyncio.run(score())
    assert all(np.array_equal(answered[0]["churn"], each["churn"]) for each in answered)
