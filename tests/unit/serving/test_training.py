"""Training and export need torch, which the runtime does not have; `make test` installs it."""

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.candidates import candidates
from serving.catalogue import Catalogue
from serving.dataset import by_customer, calendar_cutoffs, examples
from serving.evaluation.metrics import auc
from serving.export import IR_VERSION, OPSET, export, write_onnx
from serving.features import FEATURE_SCHEMA, FEATURES, tensors
from serving.histories import read_interactions, read_own_items
from serving.history import journeys
from serving.in_process import OnnxScorer
from serving.item_tower import ITEM_TOWER_FILE, quantised_queries, read_item_tower
from serving.model.network import CustomerNetwork, Heads, ServedNetwork, raw_churn, revenue_of
from serving.model.settings import NetworkSettings
from serving.model_card import DataLicence, model_repository, read_model_card, version_folder
from serving.scorer import OUTPUTS
from serving.training.arrays import batch_of, example_arrays, labels
from serving.training.calibration import platt, revenue_factor
from serving.training.fit import CALIBRATION_DAYS, split
from serving.training.losses import churn_loss, next_item_loss, revenue_loss
from serving.training.settings import TrainingSettings
from serving.training.train import predictor, train
from stream.contracts.codec import encode
from stream.contracts.times import DAY_MS
from stream.profiles import codec
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import START, shop_events, shop_items
from tests.unit.serving.test_features import profiles

SMALL = NetworkSettings(width=16, heads=2, layers=1, feed_forward=16, dropout=0.0)
CATALOGUE = Catalogue.from_items(shop_items())


def quiet(what: str, done: int, of: int) -> None:
    pass


def network(seed: int = 0) -> CustomerNetwork:
    torch.manual_seed(seed)
    return CustomerNetwork(SMALL).eval()


def served() -> ServedNetwork:
    return ServedNetwork(network(), torch.tensor([0.9, 1.0, 1.1]), torch.tensor([0.1, -0.2, 0.4]), 1.25).eval()


def inputs(customers: int = 10) -> dict[str, np.ndarray]:
    found = profiles(customers=customers)
    return tensors(found, [p.last_time + DAY_MS for p in found], CATALOGUE)


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
    finished = export(served(), tower, card, tmp_path)
    folder = version_folder(tmp_path)
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "item_tower.npz", "card.json"}
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
        export(wide, tower, card, tmp_path)
    with pytest.raises(FileNotFoundError):
        version_folder(tmp_path)


def test_a_history_cut_to_its_newest_part_gives_the_same_answer_as_the_padded_one():
    made = {name: torch.from_numpy(array) for name, array in inputs(3).items()}
    longest = int((made["history_events"] > 0).sum(dim=1).max())
    cut = {name: array if name == "stats" else array[:, -longest:] for name, array in made.items()}
    assert longest < 64
    with torch.no_grad():
        for whole, part in zip(network()(**made), network()(**cut), strict=True):
            assert torch.allclose(whole, part, atol=1e-5)


def test_the_network_is_causal_in_time_and_blind_to_padding():
    made = {name: torch.from_numpy(array) for name, array in inputs(4).items()}
    empty = made["history_events"] == 0
    noisy = dict(made)
    noisy["history_values"] = made["history_values"] + 7.0 * empty
    noisy["history_tokens"] = made["history_tokens"] + 5 * empty[:, :, None].int()
    with torch.no_grad():
        for clean, disturbed in zip(network()(**made), network()(**noisy), strict=True):
            assert torch.allclose(clean, disturbed, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-30, 30), min_size=3, max_size=3))
def test_raw_churn_falls_with_the_horizon_and_stays_off_the_ends(hazard):
    churn = raw_churn(torch.tensor([hazard]))[0].tolist()
    assert 0 < churn[2] <= churn[1] <= churn[0] < 1


@settings(max_examples=40, deadline=None)
@given(st.floats(-4, 4), st.floats(0, 11), st.floats(0.3, 2.0))
def test_mean_and_median_are_those_of_the_zero_inflated_log_normal(buys, location, scale):
    heads = Heads(
        torch.zeros(1, 3), torch.tensor([buys]), torch.tensor([location]), torch.tensor([scale]), torch.zeros(1, 32)
    )
    mean, median = revenue_of(heads)
    random = np.random.default_rng(1)
    bought = random.random(200_000) < 1 / (1 + np.exp(-buys))
    drawn = np.where(bought, np.exp(random.normal(location, scale, 200_000)), 0.0)
    assert float(mean) == pytest.approx(drawn.mean(), rel=0.12)
    if abs(buys) > 0.3:
        assert float(median) == pytest.approx(np.median(drawn), rel=0.12, abs=0.01)


def test_a_hazard_counts_until_the_first_purchase_and_only_where_known():
    hazard = torch.tensor([[2.0, -1.0, 0.5]])

    def loss(*bought: float) -> float:
        return float(churn_loss(hazard, torch.tensor([bought], dtype=torch.float32)))

    softplus = np.log1p(np.exp([2.0, -1.0, 0.5]))
    assert loss(0, 0, 0) == pytest.approx(softplus.mean(), rel=1e-4)
    assert loss(1, 0, 0) == pytest.approx(softplus[0] - 2.0, rel=1e-4)
    assert loss(0, 1, 0) == pytest.approx((softplus[0] + softplus[1] + 1.0) / 2, rel=1e-4)
    assert loss(0, -1, -1) == pytest.approx(softplus[0], rel=1e-4)
    assert loss(-1, -1, -1) == 0.0


def test_unknown_revenue_teaches_nothing():
    heads = Heads(torch.zeros(2, 3), torch.zeros(2), torch.tensor([5.0, 1.0]), torch.ones(2), torch.zeros(2, 32))
    known = revenue_loss(Heads(*(part[:1] for part in heads)), torch.tensor([100.0]))
    assert float(revenue_loss(heads, torch.tensor([100.0, -1.0]))) == pytest.approx(float(known))
    assert float(revenue_loss(heads, torch.tensor([-1.0, -1.0]))) == 0.0


def test_the_next_item_is_learned_against_all_items():
    items = torch.nn.functional.normalize(torch.randn(20, 32, generator=torch.Generator().manual_seed(1)), dim=1)
    query = items[3:4] * 5
    right = next_item_loss(query, items, torch.zeros(20), torch.tensor([[3, -1]]))
    wrong = next_item_loss(query, items, torch.zeros(20), torch.tensor([[4, -1]]))
    assert float(right) < float(wrong)
    assert float(next_item_loss(query, items, torch.zeros(20), torch.tensor([[-1, -1]]))) == 0.0


def test_item_vectors_of_the_network_and_of_the_tower_agree():
    from serving.item_tower import ItemTower

    torch_vectors = network().item_vectors(torch.from_numpy(CATALOGUE.tokens[:-1].astype(np.int64))).detach().numpy()
    embeddings = network().words.weight.detach().numpy().astype(np.float16)
    tower = ItemTower(embeddings, np.array([], np.uint64), np.array([], np.float16), 0.0)
    assert np.abs(tower.vectors(CATALOGUE.tokens[:-1]) / 127 - torch_vectors).max() < 0.01
    assert quantised_queries(torch_vectors).shape == torch_vectors.shape


def test_platt_scaling_repairs_a_distorted_probability():
    random = np.random.default_rng(3)
    logit = random.normal(size=20_000)
    churned = (random.random(20_000) < 1 / (1 + np.exp(-(0.5 * logit + 1.0)))).astype(np.float32)
    slope, intercept = platt(1 / (1 + np.exp(-logit)), churned)
    assert (slope, intercept) == (pytest.approx(0.5, abs=0.05), pytest.approx(1.0, abs=0.05))


def test_nothing_is_calibrated_on_too_little_or_against_the_ranking():
    raw = np.linspace(0.1, 0.9, 300)
    assert platt(raw, np.full(300, -1.0, np.float32)) == (1.0, 0.0)
    assert platt(raw, np.ones(300, np.float32)) == (1.0, 0.0)
    assert platt(raw, (raw < 0.5).astype(np.float32)) == (1.0, 0.0)
    assert revenue_factor(np.ones(10), np.ones(10, np.float32)) == 1.0
    assert revenue_factor(np.ones(300), np.full(300, 1.5, np.float32)) == pytest.approx(1.5)
    assert revenue_factor(np.ones(300), np.full(300, 9.0, np.float32)) == 2.0


def test_calibration_examples_are_later_than_all_training_examples_and_known():
    until = START + 400 * DAY_MS
    as_of = np.arange(START, until, DAY_MS)
    parts = split(as_of, until)
    assert as_of[parts.training].max() < as_of[parts.calibration].min()
    assert as_of[parts.calibration].max() <= until - 90 * DAY_MS
    assert len(parts.calibration) == CALIBRATION_DAYS + 1


def test_arrays_hold_the_very_features_and_labels_known_at_the_time():
    events = shop_events(customers=8)
    histories, own = by_customer(events), journeys(events, ProfileSettings())
    found = list(
        examples(
            histories,
            calendar_cutoffs(START + 60 * DAY_MS, START + 400 * DAY_MS, 30),
            START + 400 * DAY_MS,
            ProfileSettings(),
        )
    )
    arrays = example_arrays(found, CATALOGUE, quiet)
    made = tensors([codec.decode(e.profile) for e in found], [e.as_of for e in found], CATALOGUE)
    assert all(np.array_equal(arrays.tensors[name], made[name]) for name in made)
    known = labels(found, own, START + 400 * DAY_MS, CATALOGUE)
    recent = arrays.as_of > START + 370 * DAY_MS
    assert (known.bought[recent] == -1).all()
    assert (known.churned(0)[recent] == -1).all()
    assert set(known.churned(2)) <= {-1.0, 0.0, 1.0}
    batch = batch_of(arrays, np.flatnonzero(arrays.lengths <= 20))
    assert batch["history_tokens"].shape[1] <= 20
    assert batch["history_tokens"].dtype == torch.int32


@pytest.mark.slow
def test_training_learns_who_stopped_and_ships_what_it_measured(tmp_path):
    # Half of the made-up customers stop for good: whoever has been silent for long does not come back.
    events = shop_events(customers=150, days=500)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(map(encode, events)))
    settings = TrainingSettings(epochs=2, examples_per_epoch=2_000, threads=1, network=SMALL)
    told: list[str] = []
    card = train(
        [path], tmp_path / "repository", settings, ProfileSettings(), [DataLicence("t", "a", "s", "l")],
        lambda what, done, of: told.append(what),
    )  # fmt: skip
    folder = version_folder(tmp_path / "repository")
    assert read_model_card(folder) == card
    assert card.feature_schema == FEATURE_SCHEMA
    assert set(told) == {"features", "training", "evaluation"}
    assert card.metrics[f"churn_60d_auc at {card.evaluation.last}"]["model"] > 0.6
    assert card.demo_customers

    histories = by_customer(events)
    cutoff = START + 400 * DAY_MS
    found = [e for e in examples(histories, [cutoff], cutoff, ProfileSettings()) if e.trigger is None]
    own = labels(found, journeys(events, ProfileSettings()), START + 500 * DAY_MS, CATALOGUE)
    profiles_then = [codec.decode(e.profile) for e in found]
    outputs = OnnxScorer(folder, card).run(tensors(profiles_then, [e.as_of for e in found], CATALOGUE))
    assert auc(own.churned(1) > 0, outputs["churn"][:, 1]) > 0.7
    tower = read_item_tower(folder / ITEM_TOWER_FILE)
    mine = read_own_items(profiles_then, np.full(len(found), cutoff, np.int64), read_interactions(profiles_then))
    assert all(len(row) == 32 for row in candidates(outputs["query"], mine, CATALOGUE.with_tower(tower)))


def test_too_short_a_history_says_how_much_is_needed(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(map(encode, shop_events(customers=5, days=70))))
    with pytest.raises(ValueError, match="seven months"):
        train([path], tmp_path, TrainingSettings(network=SMALL, threads=1), ProfileSettings())
    (tmp_path / "none.jsonl").write_bytes(b"")
    with pytest.raises(ValueError, match="no customer's events"):
        train([tmp_path / "none.jsonl"], tmp_path, TrainingSettings(), ProfileSettings())
