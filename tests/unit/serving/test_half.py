"""The graphs for a GPU say what the shipped ones say."""

import shutil

import pytest

pytest.importorskip("onnx", reason="the fp16 graph needs the extra `train`, which `make test` installs")
pytest.importorskip("torch", reason="the fp16 graph needs the extra `train`, which `make test` installs")

import numpy as np
import onnx
import onnxruntime

from serving.half import body, to_half, without_integers, write_half, write_single
from serving.model_card import model_repository, version_folder
from serving.scorer import OUTPUTS
from serving.text.card import TEXT_MODEL_NAME, read_text_card
from serving.text.tokens import TextTokens
from serving.text.triton_config import config_text
from serving.triton_config import GPU_MODEL_FILE
from tests.unit.serving.small_network import inputs

FILES = ("model.onnx", GPU_MODEL_FILE)
TEXTS = ["Love it, so soft and pretty!", "Awful. It fell apart, I returned it.", "It is okay, but runs large.", "ok"]


def run(path, given):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, given)


@pytest.fixture(scope="module")
def customer(tmp_path_factory):
    copy = tmp_path_factory.mktemp("version") / "1"
    shutil.copytree(version_folder(model_repository()), copy)
    write_half(copy)
    return copy


def test_what_decides_about_alerts_is_computed_in_fp32_to_the_last_bit(customer):
    made = inputs(40)
    made["stats"] = made["stats"] + np.float32(1e-5)  # which fp16 would round away
    exact, half = (dict(zip([s.name for s in OUTPUTS], run(customer / name, made), strict=True)) for name in FILES)
    for name in ("churn", "raw_churn", "revenue"):
        assert np.array_equal(exact[name], half[name]), name
    assert np.abs(exact["query"] - half["query"]).max() < 0.01
    assert not np.array_equal(exact["query"], half["query"])


def test_all_of_the_sequence_model_is_in_fp16_and_little_is_cast(customer):
    model = onnx.shape_inference.infer_shapes(onnx.load(customer / GPU_MODEL_FILE))
    layers = body(model.graph)
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    products = [n for n in model.graph.node if n.op_type in ("MatMul", "Softmax") and n.name in layers]
    assert len(products) > 10
    assert all(kinds[node.output[0]] == onnx.TensorProto.FLOAT16 for node in products)
    assert sum(node.op_type == "Cast" for node in model.graph.node) < 8
    assert (customer / GPU_MODEL_FILE).stat().st_size < 0.6 * (customer / "model.onnx").stat().st_size


def test_a_graph_of_which_nothing_is_chosen_stays_as_it_is(customer):
    model = onnx.load(customer / "model.onnx")
    nodes = [node.name for node in model.graph.node]
    after = to_half(model, ())
    assert [node.name for node in after.graph.node] == nodes
    made = inputs(3)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(run(after.SerializeToString(), made), run(customer / "model.onnx", made), strict=True)
    )


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
    shipped, half = (run(folder / name, given) for name in FILES)
    write_single(folder, folder / "single.onnx")
    single = run(folder / "single.onnx", given)
    assert np.abs(single[0] - half[0]).max() < 0.001
    assert half[0].dtype == np.float32
    assert np.abs(shipped[0] - half[0]).max() < 0.03
    assert (np.sum(shipped[1] * half[1], axis=1) > 0.99).all()


def test_another_kind_of_quantisation_is_refused(folder):
    model = onnx.load(folder / "model.onnx")
    cast = next(node for node in model.graph.node if node.op_type == "Cast" and "output_quantized" in node.input[0])
    cast.op_type = "Identity"
    with pytest.raises(ValueError, match="cannot be turned back"):
        without_integers(model)
