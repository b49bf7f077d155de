"""The graph for a GPU says what the shipped one says."""

import shutil

import pytest

pytest.importorskip("onnx", reason="the fp16 graph needs the extra `train`, which `make test` installs")
pytest.importorskip("torch", reason="the fp16 graph needs the extra `train`, which `make test` installs")

import numpy as np
import onnx
import onnxruntime

from serving.model_card import model_repository, version_folder
from serving.text.card import TEXT_MODEL_NAME, read_text_card
from serving.text.half import without_integers, write_half
from serving.text.tokens import TextTokens
from serving.text.triton_config import GPU_MODEL_FILE, config_text

TEXTS = ["Love it, so soft and pretty!", "Awful. It fell apart, I returned it.", "It is okay, but runs large.", "ok"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    copy = tmp_path_factory.mktemp("version") / "1"
    shutil.copytree(version_folder(model_repository(), TEXT_MODEL_NAME), copy)
    return copy


def test_the_fp16_graph_agrees_with_the_shipped_one_and_holds_no_integers(folder):
    path = write_half(folder)
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert not kinds & {"MatMulInteger", "DynamicQuantizeLinear"}
    assert f'default_model_filename: "{GPU_MODEL_FILE}"' in config_text("gpu", 8)
    assert path.name == GPU_MODEL_FILE
    batch = next(TextTokens(folder, read_text_card(folder).longest).batches(TEXTS, 8))
    given = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    shipped, half = (
        onnxruntime.InferenceSession(folder / name, providers=["CPUExecutionProvider"]).run(None, given)
        for name in ("model.onnx", path.name)
    )
    assert half[0].dtype == np.float32
    assert np.abs(shipped[0] - half[0]).max() < 0.03
    assert (np.sum(shipped[1] * half[1], axis=1) > 0.99).all()


def test_another_kind_of_quantisation_is_refused(folder):
    model = onnx.load(folder / "model.onnx")
    cast = next(node for node in model.graph.node if node.op_type == "Cast" and "output_quantized" in node.input[0])
    cast.op_type = "Identity"
    with pytest.raises(ValueError, match="cannot be turned back"):
        without_integers(model)
