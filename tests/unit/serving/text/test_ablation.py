"""The comparison of what learns: every variant on the same reviews, and none of them twice. Needs torch."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

import pyarrow as pa
import pyarrow.parquet as pq

from serving.text import ablation
from serving.text.ablation import Reduced, ablate
from serving.text.settings import AdaptationSettings, Schedule, TeacherSettings, TextSettings
from tests.unit.serving.text.tiny_encoder import write_encoder
from tests.unit.serving.text.words import reviews


def test_a_variant_that_is_finished_is_not_trained_again(tmp_path, monkeypatch):
    found = reviews(150)
    table = {"title": found.titles, "review_text": found.texts, "rating": found.ratings + 1}
    pq.write_table(pa.table(table | {"recommended": found.recommended}), tmp_path / "reviews.parquet")
    pq.write_table(pa.table({"description": ["soft dress"]}), tmp_path / "products.parquet")
    short = Schedule(epochs=1, batch_size=16, learning_rate=1e-3)
    settings = TextSettings(
        base=str(write_encoder(tmp_path / "base")),
        longest=24,
        adaptation=AdaptationSettings(schedule=Schedule(epochs=0, batch_size=16, learning_rate=1e-3)),
        teacher=TeacherSettings(schedule=short),
    )
    trained: list[tuple[str, int]] = []
    fit_teacher = ablation.fit_teacher

    def fit(base, training, validation, given, *others):
        trained.append((given.method, len(training.texts)))
        return fit_teacher(base, training, validation, given, *others)

    monkeypatch.setattr(ablation, "fit_teacher", fit)

    def run(*methods):
        reduced = Reduced(training=40)
        files = tmp_path / "reviews.parquet", tmp_path / "products.parquet"
        return list(ablate(*files, tmp_path / "work", settings, 1, 1, methods, reduced))

    first = run("adapters")
    both = run("adapters", "prefix")
    assert trained == [("adapters", 40), ("prefix", 40)]
    assert both[0] == first[0]
    assert both[0].learned != both[1].learned
    assert [path.suffix for path in (tmp_path / "work" / "ablation").iterdir()] == [".json", ".json"]
