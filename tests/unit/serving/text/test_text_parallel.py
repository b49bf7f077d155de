"""Two processes that train networks of text together make the networks that one makes. Needs torch."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

from pathlib import Path

import numpy as np
import torch

from serving.text.adapt import adapt
from serving.text.base import load_encoder
from serving.text.pool import label_pool, make_pool
from serving.text.settings import AdaptationSettings, Schedule, StudentSettings, TeacherSettings
from serving.text.student import Lessons, cut_student, fit_student
from serving.text.teacher import fit_teacher
from serving.training.parallel import ALONE, World
from tests.unit.serving.small_network import quiet
from tests.unit.serving.text.tiny_encoder import write_encoder
from tests.unit.serving.text.words import PIECES, reviews
from tests.unit.serving.two_processes import together

CPU = torch.device("cpu")
LONGEST = 24
# Three reviews are left for the last batch.
LEARNED, HELD = reviews(35), reviews(20, seed=1)
SCHEDULE = Schedule(epochs=2, batch_size=16, learning_rate=3e-3)
TEACHER = TeacherSettings(schedule=SCHEDULE, dropout=0.0, folds=2, seeds=1)
STUDENT = StudentSettings(
    layers=(1,), feed_forward=16, vocabulary=70, vector=8, variants=3, variants_per_epoch=1, schedule=SCHEDULE,
    dropout=0.0,
)  # fmt: skip


def run(world: World, out: Path, base: Path) -> None:
    adapt(base, out / "adapted", LEARNED.whole, AdaptationSettings(schedule=SCHEDULE), LONGEST, 1, CPU, quiet, world)
    teacher = fit_teacher(base, LEARNED, HELD, TEACHER, LONGEST, 1, CPU, world=world).network
    pool = make_pool(LEARNED, STUDENT, TEACHER.folds, 1)
    # Teachers of folds lie in a folder that all processes share.
    shared = base.parent / f"labels of {world.size}"
    inside, _ = label_pool(base, LEARNED, pool, HELD.whole, TEACHER, LONGEST, 1, shared, 1, quiet, world)
    vectors = np.random.default_rng(0).normal(size=(20, 32)).astype(np.float16)
    torch.manual_seed(5)
    student = cut_student(teacher, np.arange(len(PIECES)), STUDENT, LONGEST)
    lessons = Lessons(pool, inside, HELD.whole, vectors, HELD)
    fit_student(student, lessons, base, STUDENT, 1, CPU, None, quiet, world)
    torch.save({"teacher": teacher.state_dict(), "student": student.state_dict(), "labels": inside}, out / "made.pt")


def made(folder: Path) -> dict[str, torch.Tensor]:
    kept = torch.load(folder / "made.pt", weights_only=False)
    networks = {f"{who} {name}": each for who in ("teacher", "student") for name, each in kept[who].items()}
    return networks | {"labels": torch.from_numpy(kept["labels"])}


@pytest.mark.slow
def test_two_processes_teach_what_one_teaches(tmp_path):
    base = write_encoder(tmp_path / "base", dropout=0.0)
    for size in (1, 2):
        (tmp_path / f"labels of {size}").mkdir()
    (tmp_path / "alone").mkdir()
    run(ALONE, tmp_path / "alone", base)
    together(run, tmp_path, base)
    alone, first, second = (made(tmp_path / name) for name in ("alone", "0", "1"))
    for name, tensor in alone.items():
        assert torch.equal(first[name], second[name]), f"{name} is another in the second process"
        assert torch.allclose(tensor, first[name], atol=1e-4), name
    adapted = [load_encoder(tmp_path / name / "adapted").state_dict() for name in ("alone", "0")]
    assert all(torch.allclose(tensor, adapted[1][name], atol=1e-4) for name, tensor in adapted[0].items())
    assert not (tmp_path / "1" / "adapted").exists()
    untaught = load_encoder(base).state_dict()
    assert not all(torch.allclose(tensor, alone[f"teacher encoder.{name}"]) for name, tensor in untaught.items())
