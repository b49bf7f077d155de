"""The exported graph says what the network says, in the form that Triton reads."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

import msgspec
import numpy as np
import onnx
import onnxruntime
import torch

from serving.export import IR_VERSION, OPSET, export, write_onnx
from serving.features import FEATURES
from serving.in_process import OnnxScorer
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model.network import CustomerNetwork, ServedNetwork
from serving.model.settings import NetworkSettings
from serving.model_card import model_repository, read_model_card, version_folder
from serving.scorer import OUTPUTS
from serving.shop import Shop
from serving.training.train import predictor
from tests.unit.serving.small_network import inputs, served


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    write_onnx(served(), path)
    return path


def test_onnx_answers_as_torch_does_at_any_batch_size(exported):
    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    for customers in (1, 2, 10):
        made = inputs(customers)
        expected = predictor(served())(made)
        found = session.run([spec.name for spec in OUTPUTS], made)
        for spec, array in zip(OUTPUTS, found, strict=True):
            assert array.shape == (customers, *spec.shape)
            assert np.allclose(array, expected[spec.name], rtol=1e-5, atol=1e-5), spec.name


def test_the_exported_graph_has_fixed_features_a_free_batch_and_pinned_versions(exported):
    model = onnx.load(exported)
    assert model.ir_version == IR_VERSION
    assert [(o.domain, o.version) for o in model.opset_import if o.domain in ("", "ai.onnx")] == [("", OPSET)]
    for declared, specs in ((model.graph.input, FEATURES), (model.graph.output, OUTPUTS)):
        assert [value.name for value in declared] == [spec.name for spec in specs]
        for value, spec in zip(declared, specs, strict=True):
            batch, *rest = value.type.tensor_type.shape.dim
            assert batch.dim_param
            assert tuple(dim.dim_value for dim in rest) == spec.shape


def test_exporting_twice_gives_the_same_bytes_and_names_no_path(exported, tmp_path):
    write_onnx(served(), tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == exported.read_bytes()
    assert b"/serving/" not in exported.read_bytes()


def test_the_shipped_network_is_in_the_form_that_export_writes():
    model = onnx.load(version_folder(model_repository()) / "model.onnx")
    assert model.ir_version == IR_VERSION
    assert [o.version for o in model.opset_import if o.domain == ""] == [OPSET]


def test_an_exported_model_is_complete_and_serves(tmp_path):
    card = msgspec.structs.replace(read_model_card(version_folder(model_repository())), version="")
    tower = read_item_tower(version_folder(model_repository()) / ITEM_TOWER_FILE)
    finished = export(served(), tower, Shop.unknown(), card, tmp_path)
    folder = version_folder(tmp_path)
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "item_tower.npz", "shop.npz", "card.json"}
    assert read_model_card(folder) == finished
    assert finished.version.startswith("1.")
    made = inputs()
    expected = predictor(served())(made)
    found = OnnxScorer(folder, finished).run(made)
    assert all(np.allclose(found[name], expected[name], rtol=1e-5, atol=1e-5) for name in expected)


def test_a_model_too_large_to_commit_is_refused_and_leaves_the_present_one(tmp_path):
    folder = version_folder(model_repository())
    card, tower = read_model_card(folder), read_item_tower(folder / ITEM_TOWER_FILE)
    wide = ServedNetwork(
        CustomerNetwork(NetworkSettings(width=256, feed_forward=1024)), torch.ones(3), torch.zeros(3), 1.0
    )
    with pytest.raises(ValueError, match="make the network narrower"):
        export(wide, tower, Shop.unknown(), card, tmp_path)
    with pytest.raises(FileNotFoundError):
        version_folder(tmp_path)
