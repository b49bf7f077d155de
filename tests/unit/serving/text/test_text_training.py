"""Training of the text encoder, on networks of some hundred weights."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")
pytest.importorskip("peft", reason="training needs the extra `train`, which `make test` installs")

from itertools import islice

import msgspec
import numpy as np
import onnxruntime
import torch

from serving.text import fit as fitting
from serving.text.adapt import adapt
from serving.text.base import load_encoder, sentence_vectors
from serving.text.calibration import TextCalibration
from serving.text.export import quantise, write_float_onnx
from serving.text.measure import macro_f1
from serving.text.network import ServedStudent, log_sentiments
from serving.text.pool import label_pool, make_pool
from serving.text.settings import AdaptationSettings, Schedule, StudentSettings, TeacherSettings
from serving.text.student import cut_student, load_student, save_student, similarity_loss
from serving.text.teacher import fit_teacher, opinions, sentiment_probabilities
from serving.text.tokens import TextTokens
from serving.text.tuning import prepared
from tests.unit.serving.small_network import quiet
from tests.unit.serving.text.tiny_encoder import write_encoder
from tests.unit.serving.text.words import PIECES, reviews

CPU = torch.device("cpu")
LONGEST = 24
TEACHER = TeacherSettings(
    schedule=Schedule(epochs=4, batch_size=16, learning_rate=3e-3, head_factor=3.0), folds=2, seeds=1, lora_rank=4
)
STUDENT = StudentSettings(layers=(1,), feed_forward=16, vocabulary=70, vector=8, variants=3, variants_per_epoch=1)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def teacher(base):
    return fit_teacher(base, reviews(240), reviews(60, seed=1), TEACHER, LONGEST, 1, CPU).network


def test_a_teacher_learns_which_words_are_good(base, teacher):
    unseen = reviews(90, seed=2)
    said = opinions(teacher, TextTokens(base, LONGEST), unseen.whole, CPU)
    assert np.allclose(said[:, :5].sum(1), 1, atol=1e-5)
    assert macro_f1(unseen.sentiments, sentiment_probabilities(said).argmax(1)) > 0.8


@pytest.mark.parametrize("method", ["frozen", "upper", "lora", "prefix", "adapters", "full"])
def test_each_method_changes_what_it_says_it_changes(base, method):
    settings = msgspec.structs.replace(
        TEACHER, method=method, upper_layers=1, schedule=Schedule(epochs=1, batch_size=16, learning_rate=1e-2)
    )
    before = load_encoder(base).state_dict()
    trained = fit_teacher(base, reviews(32), reviews(16, seed=1), settings, LONGEST, 1, CPU)
    after = {_plain(name): tensor for name, tensor in trained.network.encoder.state_dict().items()}
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    added = {name for name in after if name not in before}
    if method in ("frozen", "lora", "prefix", "adapters"):
        assert not changed
    elif method == "upper":
        assert changed
        assert all(".layer.1." in name for name in changed)
    else:
        assert any("word_embeddings" in name for name in changed)
    beside = {"lora": "lora_", "prefix": "prefix", "adapters": "dense.1."}
    assert bool(added) == (method in beside)
    assert all(beside[method] in name and bool(tensor.any()) for name, tensor in after.items() if name in added)
    assert trained.learned < sum(tensor.numel() for tensor in after.values()) or method == "full"


def _plain(name):
    """A weight's name in the encoder as it was before it was prepared."""
    name = name.replace("base_layer.", "").replace("output.dense.0.", "output.dense.")
    return name.removeprefix("encoder.") if name.startswith(("encoder.embeddings.", "encoder.encoder.")) else name


class Killed(BaseException):
    """Stands for a kill: nothing of the process is used afterwards."""


@pytest.mark.parametrize("batches", [4, 6])
def test_a_killed_run_goes_on_as_if_it_had_not_been(base, tmp_path, monkeypatch, batches):
    monkeypatch.setattr(fitting, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    learned, held = reviews(64), reviews(32, seed=1)
    whole = fit_teacher(base, learned, held, TEACHER, LONGEST, 3, CPU)

    def kill(what: str, done: int, of: int) -> None:
        if done > batches:
            raise Killed

    # Of four batches in an epoch: killed at the beginning of the second, and within it.
    checkpoint = tmp_path / "teacher.checkpoint"
    with pytest.raises(Killed):
        fit_teacher(base, learned, held, TEACHER, LONGEST, 3, CPU, checkpoint, kill)
    resumed = fit_teacher(base, learned, held, TEACHER, LONGEST, 3, CPU, checkpoint)
    assert resumed.fitted == whole.fitted
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name


def test_an_adapter_that_has_not_learned_changes_nothing(base):
    untouched = load_encoder(base).eval()
    adapted = prepared(load_encoder(base), msgspec.structs.replace(TEACHER, method="adapters")).eval()
    ids = torch.arange(40, 56)[None]
    with torch.no_grad():
        mine, theirs = (each(input_ids=ids, attention_mask=torch.ones_like(ids)) for each in (adapted, untouched))
    assert torch.equal(mine.last_hidden_state, theirs.last_hidden_state)


def test_a_prefix_moves_every_text_and_padding_moves_none(base):
    encoder = prepared(load_encoder(base), msgspec.structs.replace(TEACHER, method="prefix", prefix_length=5)).eval()
    ids, mask = torch.arange(40, 56)[None], torch.ones(1, 16, dtype=torch.int64)
    longer = torch.nn.functional.pad(ids, (0, 8), value=60), torch.nn.functional.pad(mask, (0, 8))
    with torch.no_grad():
        short, padded = encoder(ids, mask).last_hidden_state, encoder(*longer).last_hidden_state
        assert torch.allclose(short, padded[:, :16], atol=1e-6)
        encoder.prefix += 1.0
        assert not torch.allclose(short, encoder(ids, mask).last_hidden_state, atol=1e-3)


def gradients(network, loss):
    network.zero_grad()
    loss.backward()
    return {name: weights.grad for name, weights in network.named_parameters() if weights.grad is not None}


@pytest.mark.parametrize("method", ["full", "upper", "lora", "adapters"])
def test_layers_that_are_computed_again_have_the_same_gradients(base, method):
    found = []
    for again in (False, True):
        torch.manual_seed(1)
        schedule = msgspec.structs.replace(TEACHER.schedule, gradient_checkpointing=again)
        settings = msgspec.structs.replace(TEACHER, method=method, upper_layers=1, schedule=schedule)
        encoder = prepared(load_encoder(base), settings).train()
        torch.manual_seed(2)
        ids = torch.arange(40, 56)[None]
        hidden = encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        found.append(gradients(encoder, (hidden**2).sum()))
    kept, computed = found
    assert kept.keys() == computed.keys() != set()
    assert all(torch.allclose(kept[name], computed[name], atol=1e-6) for name in kept)


def test_a_student_that_computes_layers_again_has_the_same_gradients_and_keeps_less(teacher):
    student = cut_student(teacher, np.arange(len(PIECES)), STUDENT, LONGEST).train()
    ids, found, kept = torch.arange(40, 56)[None], [], []
    for student.recomputed in (False, True):
        torch.manual_seed(2)
        saved: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda each, to=saved: to.append(each.numel()) or each, lambda each: each
        ):
            said = student(ids, torch.ones_like(ids)).ratings
        kept.append(sum(saved))
        found.append(gradients(student, (said**2).sum()))
    assert all(torch.allclose(found[0][name], found[1][name], atol=1e-6) for name in found[0])
    assert kept[1] < kept[0]


def test_a_prefix_does_not_go_with_layers_that_are_computed_again(base):
    schedule = msgspec.structs.replace(TEACHER.schedule, gradient_checkpointing=True)
    with pytest.raises(ValueError, match="prefix"):
        prepared(load_encoder(base), msgspec.structs.replace(TEACHER, method="prefix", schedule=schedule))


def test_another_seed_is_another_network(base):
    settings = msgspec.structs.replace(TEACHER, schedule=Schedule(epochs=1, batch_size=16, learning_rate=1e-3))
    one, other = (fit_teacher(base, reviews(32), reviews(16), settings, LONGEST, seed, CPU) for seed in (1, 2))
    assert one.fitted.held_out != other.fitted.held_out


def test_adaptation_guesses_masked_words_better_and_is_done_once(base, tmp_path):
    texts = ["love the great soft dress."] * 100 + ["awful torn color."] * 100
    settings = AdaptationSettings(schedule=Schedule(epochs=1, batch_size=32, learning_rate=3e-3))
    first = adapt(base, tmp_path / "one", texts, settings, LONGEST, 1, CPU, quiet)
    longer = msgspec.structs.replace(settings, schedule=Schedule(epochs=10, batch_size=32, learning_rate=3e-3))
    later = adapt(base, tmp_path / "ten", texts, longer, LONGEST, 1, CPU, quiet)
    assert later.held_out < first.held_out * 0.8
    assert load_encoder(tmp_path / "ten").config.hidden_size == 32
    assert adapt(base, tmp_path / "ten", texts, longer, LONGEST, 1, CPU, quiet) is None


def test_a_teacher_labels_only_what_it_has_not_seen(base, tmp_path):
    learned = reviews(60)
    pool = make_pool(learned, STUDENT, 2, seed=1)
    short = msgspec.structs.replace(TEACHER, schedule=Schedule(epochs=1, batch_size=16, learning_rate=1e-3))
    outside = ["love it", "awful"]

    def label():
        return label_pool(base, learned, pool, outside, short, LONGEST, 1, tmp_path, 1, quiet)

    inside, ensemble = label()
    assert inside.shape == (180, 6)
    assert np.allclose(inside[:, :5].sum(1), 1, atol=1e-5)
    assert ensemble.shape == (2, 2, 6)
    assert not np.allclose(ensemble[0], ensemble[1])
    # The first teacher was trained without fold 0: its labels of it are those of a file that may be replaced.
    mine = np.load(tmp_path / "teacher-0.npy")
    np.save(tmp_path / "teacher-0.npy", np.zeros_like(mine))
    again, _ = label()
    assert (again[pool.fold_of == 0] == 0).all()
    assert np.array_equal(again[pool.fold_of == 1], inside[pool.fold_of == 1])


def test_a_student_with_all_layers_and_words_is_its_teacher(base, teacher):
    everything = msgspec.structs.replace(STUDENT, layers=(0, 1), feed_forward=48)
    student = cut_student(teacher, np.arange(len(PIECES)), everything, LONGEST).eval()
    teacher.eval()
    batch = next(TextTokens(base, LONGEST).batches(reviews(12).whole, 12))
    ids, mask = torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask)
    with torch.no_grad():
        mine, theirs = student(ids, mask), teacher(ids, mask)
    assert torch.allclose(mine.ratings, theirs.ratings, atol=1e-3)
    assert torch.allclose(mine.pooled, theirs.pooled, atol=1e-3)


def test_a_saved_student_is_the_same(teacher, tmp_path):
    student = cut_student(teacher, np.arange(50), STUDENT, LONGEST)
    save_student(tmp_path / "s.pt", student, 0.25)
    found = load_student(tmp_path / "s.pt")
    assert found.held_out == 0.25
    assert found.student.shape == student.shape
    assert all(torch.equal(a, b) for a, b in zip(found.student.parameters(), student.parameters(), strict=True))


def test_the_graph_says_what_the_network_says(base, teacher, tmp_path):
    student = cut_student(teacher, np.arange(len(PIECES)), STUDENT, LONGEST)
    calibration = TextCalibration(0.8, [0.3, -0.2, 0.0])
    write_float_onnx(student, calibration, tmp_path / "float.onnx", quantised_words=True)
    quantise(tmp_path / "float.onnx", tmp_path / "int8.onnx")
    network = ServedStudent(student.eval(), calibration.slope, calibration.offsets, quantised=True)
    sessions = [
        onnxruntime.InferenceSession(tmp_path / name, providers=["CPUExecutionProvider"])
        for name in ("float.onnx", "int8.onnx")
    ]
    for batch in islice(TextTokens(base, LONGEST).batches(["love", *reviews(20).whole], 7), 3):
        given = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        with torch.no_grad():
            wanted = [made.numpy() for made in network(*map(torch.from_numpy, given.values()))]
        for session, allowed in zip(sessions, (1e-5, 0.1), strict=True):
            for made, right in zip(session.run(["probabilities", "vector"], given), wanted, strict=True):
                assert np.abs(made - right).max() < allowed
    assert (tmp_path / "int8.onnx").stat().st_size < (tmp_path / "float.onnx").stat().st_size


def test_sentiments_are_sums_of_ratings():
    ratings = torch.randn(5, 5)
    share = torch.softmax(ratings, 1)
    wanted = torch.stack([share[:, :2].sum(1), share[:, 2], share[:, 3:].sum(1)], 1)
    assert torch.allclose(torch.softmax(log_sentiments(ratings), 1), wanted, atol=1e-6)


def test_similarity_is_kept_by_any_rotation_and_not_by_noise(base):
    vectors = torch.from_numpy(
        sentence_vectors(load_encoder(base), TextTokens(base, LONGEST), reviews(8).whole, CPU)
    ).float()
    rotation, _ = torch.linalg.qr(torch.randn(32, 32))
    assert float(similarity_loss(vectors @ rotation, vectors)) < 1e-4
    noise = torch.nn.functional.normalize(torch.randn(8, 32), dim=1)
    assert float(similarity_loss(noise, vectors)) > 0.01
