"""From a file of reviews to a version of the repository, with every stage."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from serving.text.encoder import shipped_encoder
from serving.text.settings import AdaptationSettings, Schedule, StudentSettings, TeacherSettings, TextSettings
from serving.text.train import train
from tests.unit.serving.text.tiny_encoder import write_encoder
from tests.unit.serving.text.words import GOOD, PLAIN, reviews


@pytest.mark.slow
def test_training_ships_what_it_measured_and_does_no_stage_twice(tmp_path):
    base = write_encoder(tmp_path / "base")
    found = reviews(360)
    table = {"title": found.titles, "review_text": found.texts, "rating": found.ratings + 1}
    pq.write_table(pa.table(table | {"recommended": found.recommended}), tmp_path / "reviews.parquet")
    names = [f"{good} {plain} {other}" for good in GOOD for plain in PLAIN for other in PLAIN]
    pq.write_table(pa.table({"description": names * 2}), tmp_path / "products.parquet")
    settings = TextSettings(
        base=str(base),
        longest=24,
        adaptation=AdaptationSettings(schedule=Schedule(epochs=1, batch_size=32, learning_rate=1e-3)),
        teacher=TeacherSettings(
            folds=2, seeds=1, schedule=Schedule(epochs=3, batch_size=16, learning_rate=3e-3, head_factor=3.0)
        ),
        student=StudentSettings(
            layers=(1,),
            feed_forward=32,
            vocabulary=70,
            vector=8,
            variants=3,
            variants_per_epoch=3,
            schedule=Schedule(epochs=4, batch_size=32, learning_rate=3e-3),
        ),
    )
    stages: list[str] = []

    def run():
        stages.clear()
        return train(
            tmp_path / "reviews.parquet",
            tmp_path / "products.parquet",
            tmp_path / "models",
            tmp_path / "work",
            settings,
            lambda what, done, of: stages.append(what),
            students=2,
        )

    card = run()
    assert {"domain adaptation", "teacher (full)", "teachers", "student"} <= set(stages)
    assert card.metrics["shipped"]["accuracy"].value > 0.8
    assert card.training_reviews + card.validation_reviews + card.test_reviews == 360
    assert card.settings.base == "base"
    encoder = shipped_encoder(tmp_path / "models")
    assert encoder.encode(["love great soft dress", "awful torn return it"]).labels.tolist() == [2, 0]
    assert np.allclose(np.linalg.norm(encoder.encode(names[:5]).vectors, axis=1), 1, atol=1e-4)
    again = run()
    assert set(stages) == {"teachers"}
    assert again == card
