"""The shipped text encoder on a real Triton and by the command: same answers as in process."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.evaluation.metrics import auc
from serving.model_card import model_repository
from serving.text.encoder import shipped_encoder
from serving.text.measure import macro_f1
from serving.text.reviews import read_reviews, split
from serving.text.tokens import TextTokens

SHARED = Path(os.environ.get("TIDEMARK_SHARED_DATA", Path(__file__).resolve().parents[3].parent / "shared" / "data"))
REVIEWS = SHARED / "womens_clothing_reviews.parquet"
TEXTS = ["Love it, so soft!", "Terrible, it fell apart and I returned it.", "Just okay, runs a little large for me."]


def test_triton_answers_as_the_encoder_in_process():
    import tritonclient.grpc as grpc
    from tritonclient.grpc import aio
    from tritonclient.utils import np_to_triton_dtype

    from stream.embedded.triton import EmbeddedTriton

    encoder = shipped_encoder()
    folder = model_repository() / "text_encoder" / "1"
    batch = next(TextTokens(folder, encoder.card.longest).batches(TEXTS, 8))

    async def ask(url: str) -> tuple[np.ndarray, np.ndarray]:
        client = aio.InferenceServerClient(url)
        inputs = []
        for name, array in (("input_ids", batch.input_ids), ("attention_mask", batch.attention_mask)):
            given = grpc.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
            given.set_data_from_numpy(array)
            inputs.append(given)
        found = await client.infer("text_encoder", inputs)
        await client.close()
        return found.as_numpy("probabilities"), found.as_numpy("vector")

    with EmbeddedTriton(model_repository()) as triton:
        probabilities, vectors = asyncio.run(ask(triton.grpc_url))
    wanted = encoder.encode(TEXTS)
    # Different releases of onnxruntime round the quantised activations differently.
    assert np.abs(probabilities - wanted.probabilities[batch.rows]).max() < 0.01
    assert np.abs(vectors - wanted.vectors[batch.rows]).max() < 0.01


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "stream.cli", *arguments], capture_output=True, text=True, check=False)


def test_the_command_writes_predictions_and_says_what_it_did(tmp_path):
    pq.write_table(pa.table({"text": [*TEXTS, None]}), tmp_path / "t.parquet")
    done = run(
        "sentiment", str(tmp_path / "t.parquet"), "--text-column", "text", "--predictions", str(tmp_path / "o.parquet")
    )
    assert done.returncode == 0, done.stderr
    assert "1 rows have no text" in " ".join(done.stderr.split())
    assert pq.read_table(tmp_path / "o.parquet")["label"].to_pylist()[:2] == ["positive", "negative"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("no.csv", "--text-column", "x", "--predictions", "o.parquet"), 5, "there is no file"),
        (("t.csv", "--text-column", "x", "--predictions", "o.parquet"), 2, "no column x; it has note"),
        (("t.csv", "--predictions", "o.parquet"), 2, "--text-column"),
    ],
)
def test_the_command_says_what_is_wrong_in_a_line(tmp_path, arguments, code, message):
    (tmp_path / "t.csv").write_text("note\nfine\n")
    done = run("sentiment", *(str(tmp_path / each) if "." in each else each for each in arguments))
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_command_reaches_the_targets_on_reviews_that_nothing_was_chosen_on(tmp_path):
    if not REVIEWS.is_file():
        pytest.skip(f"the reviews are not at {REVIEWS}")
    found = read_reviews(REVIEWS)
    test = found.take(split(found, 0.2, 0.1).test)
    pq.write_table(pa.table({"title": test.titles, "review_text": test.texts}), tmp_path / "t.parquet")
    done = run(
        *("sentiment", str(tmp_path / "t.parquet"), "--text-column", "review_text"),
        *("--predictions", str(tmp_path / "o.parquet")),
    )
    assert done.returncode == 0, done.stderr
    table = pq.read_table(tmp_path / "o.parquet")
    said = np.array([("negative", "neutral", "positive").index(label) for label in table["label"].to_pylist()])
    assert np.mean(said == test.sentiments) >= 0.835
    assert macro_f1(test.sentiments, said) >= 0.655
    assert auc(test.sentiments == 0, table["p_negative"].to_numpy()) >= 0.943
