"""The fp16 graphs are made from the shipped ones, and one that decides otherwise does not stay."""

import shutil

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the fp16 graph needs the extra `train`, which `make test` installs")

import onnx
from onnx import numpy_helper

from serving.model_card import model_repository, version_folder
from serving.triton_config import GPU_MODEL_FILE
from stream.operations.demo_events import sample
from stream.operations.prepare_gpu import HalfRefused, known_customers, prepare_customer_model
from stream.profiles.settings import ProfileSettings


@pytest.fixture(scope="module")
def customers():
    events = [event for event in sample() if event.customer_id.endswith("7")]
    return known_customers(events, version_folder(model_repository()), ProfileSettings())


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(version_folder(model_repository()), tmp_path / "1")


def test_the_shipped_network_may_be_served_in_fp16(folder, customers):
    prepared = prepare_customer_model(folder, customers)
    assert prepared.path == folder / GPU_MODEL_FILE
    assert prepared.shift.rows == sum(len(inputs["stats"]) for inputs in customers.inputs) > 100
    assert {len(truth) for truth in customers.churned.values()} == {prepared.shift.rows}
    assert set(customers.churned) == {30, 60, 90}


def test_a_network_that_fp16_cannot_hold_is_refused_and_no_file_stays(folder, customers):
    model = onnx.load(folder / "model.onnx")
    scale = {tensor.name: tensor for tensor in model.graph.initializer}["network.blocks.0.attention_norm.weight"]
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * np.float32(1e6), scale.name))
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(HalfRefused, match="Serve it in fp32"), np.errstate(over="ignore", invalid="ignore"):
        prepare_customer_model(folder, customers)
    assert not (folder / GPU_MODEL_FILE).exists()
