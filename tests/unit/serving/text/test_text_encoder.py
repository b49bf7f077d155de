"""The shipped text encoder: without torch, small, and it reads what people write."""

import subprocess
import sys

import msgspec
import numpy as np
import pytest

from serving.model_card import model_repository, version_folder
from serving.text.card import TEXT_MODEL_NAME, read_text_card, write_text_card
from serving.text.encoder import shipped_encoder
from serving.text.triton_config import config_text

LARGEST_BYTES = 6_000_000

SAID = (
    ("Love it! Fits perfectly and the fabric is so soft. I get compliments every time I wear it.", 2),
    ("Beautiful dress, great quality, true to size. Highly recommend!", 2),
    ("Terrible quality. It fell apart after one wash and looks cheap. I returned it.", 0),
    ("Horrible. Scratchy, see-through and way too big. Going back, very disappointed.", 0),
)


@pytest.fixture(scope="module")
def encoder():
    return shipped_encoder()


def test_what_everybody_understands_is_understood(encoder):
    found = encoder.encode([text for text, _ in SAID])
    assert found.labels.tolist() == [wanted for _, wanted in SAID]
    assert np.allclose(found.probabilities.sum(1), 1, atol=1e-5)


def test_a_text_means_the_same_alone_and_in_company(encoder):
    texts = [text for text, _ in SAID] + ["ok", "a " * 300]
    together = encoder.encode(texts)
    for row, text in enumerate(texts):
        alone = encoder.encode([text])
        # Activations are quantised by the extremes of the whole batch.
        assert np.abs(alone.probabilities[0] - together.probabilities[row]).max() < 0.05
        assert alone.vectors[0] @ together.vectors[row] > 0.98


def test_vectors_have_length_one_and_know_similar_products(encoder):
    vectors = encoder.encode(["WHITE HANGING HEART T-LIGHT HOLDER", "RED HANGING HEART T-LIGHT HOLDER", "ALARM CLOCK"])
    assert np.allclose(np.linalg.norm(vectors.vectors, axis=1), 1, atol=1e-4)
    near, far = vectors.vectors[0] @ vectors.vectors[1], vectors.vectors[0] @ vectors.vectors[2]
    assert near > far + 0.3


def test_no_text_gives_no_rows_and_an_empty_one_a_probability(encoder):
    assert encoder.encode([]).probabilities.shape == (0, 3)
    assert np.isfinite(encoder.encode([""]).probabilities).all()


def test_nothing_beyond_the_longest_text_is_read(encoder):
    base = "word " * 400
    found = encoder.encode([base, base + "horrible terrible awful"])
    assert np.array_equal(found.probabilities[0], found.probabilities[1])


def test_what_is_committed_is_small_and_its_card_true(encoder):
    folder = version_folder(model_repository(), TEXT_MODEL_NAME)
    assert sum(path.stat().st_size for path in folder.parent.rglob("*") if path.is_file()) <= LARGEST_BYTES
    card = encoder.card
    assert card.bytes == sum((folder / name).stat().st_size for name in ("model.onnx", "tokenizer.json"))
    assert sum(card.base_rates) == pytest.approx(1, abs=1e-3)
    shipped = card.metrics["shipped"]
    assert all(figure.low <= figure.value <= figure.high for figure in shipped.values())
    assert (folder.parent / "config.pbtxt").read_text() == config_text("cpu", card.vector)
    assert (folder.parent / "configs" / "gpu.pbtxt").read_text() == config_text("gpu", card.vector)
    assert all("/" not in file.name for file in card.data)
    assert "/" not in card.settings.base


def test_the_shipped_encoder_passes_the_targets_on_reviews_it_was_not_chosen_on(encoder):
    shipped = encoder.card.metrics["shipped"]
    assert shipped["accuracy"].value >= 0.835
    assert shipped["macro_f1"].value >= 0.655
    assert shipped["auc_negative"].value >= 0.943


def test_a_card_is_read_as_it_was_written(encoder, tmp_path):
    write_text_card(tmp_path, encoder.card)
    assert read_text_card(tmp_path) == encoder.card
    (tmp_path / "card.json").write_text('{"name": "x"}')
    with pytest.raises(msgspec.ValidationError):
        read_text_card(tmp_path)


def test_the_runtime_needs_no_torch():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'transformers', 'onnx', 'peft', 'sklearn'])); "
        "from serving.text.encoder import shipped_encoder; print(shipped_encoder().encode(['fine']).labels)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_the_configuration_names_what_the_graph_has(encoder, profile):
    text = config_text(profile, 7)
    session = encoder._session
    for node in (*session.get_inputs(), *session.get_outputs()):
        assert f'name: "{node.name}"' in text
    assert "dims: [ 7 ]" in text
    assert ("KIND_GPU" in text) == (profile == "gpu")
    assert ("thread_count" in text) == (profile == "cpu")
