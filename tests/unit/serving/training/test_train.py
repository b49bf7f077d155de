"""From event files to a model repository."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

import numpy as np
import torch

from serving.candidates import candidates
from serving.dataset import by_customer, calendar_cutoffs, examples
from serving.evaluation.metrics import auc
from serving.features import FEATURE_SCHEMA, tensors
from serving.histories import read_interactions, read_own_items
from serving.history import journeys
from serving.in_process import OnnxScorer
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import DataLicence, read_model_card, version_folder
from serving.shop import SHOP_FILE, read_shop
from serving.training import train as training
from serving.training.arrays import batch_of, example_arrays, labels
from serving.training.checkpoints import Checkpoints
from serving.training.settings import TrainingSettings
from serving.training.train import train
from stream.contracts.codec import encode
from stream.contracts.times import DAY_MS
from stream.profiles import codec
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import START, shop_events
from tests.unit.serving.small_network import CATALOGUE, SMALL, quiet


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
def test_training_learns_who_stopped_and_ships_what_it_measured(tmp_path, monkeypatch):
    # Two of the four cut-offs: the others do the same again.
    monkeypatch.setattr(training, "EVALUATION_DAYS", (180, 90))
    # Half of the made-up customers stop for good: whoever has been silent for long does not come back.
    events = shop_events(customers=150, days=500)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(map(encode, events)))
    settings = TrainingSettings(epochs=2, query_epochs=1, examples_per_epoch=2_000, threads=1, network=SMALL)
    told: list[str] = []
    card = train(
        [path], tmp_path / "repository", settings, ProfileSettings(), [DataLicence("t", "a", "s", "l")],
        lambda what, done, of: told.append(what),
    )  # fmt: skip
    folder = version_folder(tmp_path / "repository")
    assert read_model_card(folder) == card
    assert card.feature_schema == FEATURE_SCHEMA
    assert set(told) == {"features", "rehearsal", "hazards", "queries", "evaluation"}
    assert card.metrics[f"churn_60d_auc at {card.evaluation.last}"]["model"] > 0.6
    assert card.demo_customers
    assert {levels.horizon for levels in card.score_levels} == {"30d", "60d", "90d"}

    histories = by_customer(events)
    cutoff = START + 400 * DAY_MS
    found = [e for e in examples(histories, [cutoff], cutoff, ProfileSettings()) if e.trigger is None]
    own = labels(found, journeys(events, ProfileSettings()), START + 500 * DAY_MS, CATALOGUE)
    profiles_then = [codec.decode(e.profile) for e in found]
    outputs = OnnxScorer(folder, card).run(tensors(profiles_then, [e.as_of for e in found], CATALOGUE))
    assert auc(own.churned(1) > 0, outputs["churn"][:, 1]) > 0.7
    tower, shop = read_item_tower(folder / ITEM_TOWER_FILE), read_shop(folder / SHOP_FILE)
    assert len(shop.items.hashes) == 32
    mine = read_own_items(profiles_then, np.full(len(found), cutoff, np.int64), read_interactions(profiles_then))
    assert all(len(row) == 32 for row in candidates(outputs["query"], mine, CATALOGUE.with_model(tower, shop)))


def test_too_short_a_history_says_how_much_is_needed(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(map(encode, shop_events(customers=5, days=70))))
    with pytest.raises(ValueError, match="seven months"):
        train([path], tmp_path, TrainingSettings(network=SMALL, threads=1), ProfileSettings())
    (tmp_path / "none.jsonl").write_bytes(b"")
    with pytest.raises(ValueError, match="no customer's events"):
        train([tmp_path / "none.jsonl"], tmp_path, TrainingSettings(), ProfileSettings())


def test_a_run_that_was_interrupted_goes_on_after_its_last_finished_step(tmp_path):
    made: list[str] = []

    def step(name: str) -> str:
        made.append(name)
        return name

    first = Checkpoints(tmp_path / "run", "seed 1")
    assert first.step("a", lambda: step("a")) == "a"
    again = Checkpoints(tmp_path / "run", "seed 1")
    assert again.step("a", lambda: step("a")) == "a"
    assert again.step("b", lambda: step("b")) == "b"
    assert made == ["a", "b"]
    other = Checkpoints(tmp_path / "run", "seed 2")
    assert other.step("a", lambda: step("a of another seed")) == "a of another seed"
    again.forget()
    assert not (tmp_path / "run").exists()
