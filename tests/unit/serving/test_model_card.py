import hashlib

import msgspec
import pytest

from serving.features import FEATURE_SCHEMA
from serving.holdout import is_demo_customer, listed_hash
from serving.in_process import MODEL_FILE
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import (
    HORIZONS,
    ModelCard,
    model_repository,
    read_model_card,
    version_folder,
    write_model_card,
)
from serving.registry import with_versions
from serving.shop import SHOP_FILE, read_shop
from serving.triton_config import CONFIG_FILE, config_text
from stream.profiles.fold import FOLD_VERSION

FOLDER = version_folder(model_repository())
CARD = read_model_card(FOLDER)


def test_the_card_names_the_very_network_beside_it():
    digest = hashlib.sha256((FOLDER / MODEL_FILE).read_bytes()).hexdigest()
    assert CARD.version == f"{FOLDER.name}.{digest[:8]}"
    assert CARD.repository_version == FOLDER.name
    assert CARD.stamp.version == CARD.version


def test_the_shipped_model_was_made_by_this_fold_for_these_features():
    assert CARD.feature_schema == FEATURE_SCHEMA
    assert CARD.fold_version == FOLD_VERSION


def test_the_configuration_is_the_one_that_the_code_writes():
    assert (FOLDER.parent / CONFIG_FILE).read_text() == with_versions(config_text("cpu"), [1])


def test_all_files_of_the_version_stay_below_three_megabytes():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 3 * 1024 * 1024
    assert read_item_tower(FOLDER / ITEM_TOWER_FILE).embeddings.any()
    assert len(read_shop(FOLDER / SHOP_FILE).items.hashes) > 3_000


def test_the_demo_customers_listed_are_those_of_the_rule():
    listed = set(CARD.demo_customers)
    customers = [str(number) for number in range(12_346, 18_288)]
    assert listed == {listed_hash(c) for c in customers if is_demo_customer(c) and listed_hash(c) in listed}
    assert 300 <= len(listed) <= 450
    assert not any(listed_hash(c) in listed for c in customers if not is_demo_customer(c))


def test_it_was_evaluated_on_a_later_period_than_it_was_trained_on():
    assert CARD.evaluated_training.last < CARD.evaluation.last
    assert CARD.training.first < CARD.calibration.first <= CARD.calibration.last <= CARD.training.last


def test_it_says_where_its_data_comes_from():
    assert any("CC BY 4.0" in licence.licence for licence in CARD.licences)
    assert all(len(file.sha256) == 64 for file in CARD.data)


def test_it_beats_the_simple_baselines_on_the_last_cutoff():
    latest = CARD.evaluation.last
    for metric in (f"churn_30d_auc at {latest}", f"churn_90d_auc at {latest}"):
        figures = CARD.metrics[metric]
        assert figures["model"] > figures["recency"]
        assert figures["model"] >= figures["rfm_logistic"] - 0.005
    for metric in ("recall_20", "ndcg_10", "new_recall_20", "new_ndcg_10"):
        # The interval of the difference to the best baseline lies above zero.
        assert CARD.metrics[f"{metric} at {latest}"]["low"] > 0


def test_it_recommends_thresholds_that_find_more_than_the_base_rate():
    for horizon in HORIZONS:
        threshold = CARD.threshold(horizon)
        assert round(threshold.raise_at - threshold.resolve_at, 3) >= 0.05
        assert threshold.precision > threshold.base_rate
    with pytest.raises(KeyError, match="no threshold for 7d"):
        CARD.threshold("7d")


def test_a_written_card_is_read_back(tmp_path):
    write_model_card(tmp_path, CARD)
    assert read_model_card(tmp_path) == CARD
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(msgspec.ValidationError):
        read_model_card(tmp_path)
    assert isinstance(CARD, ModelCard)


def test_the_newest_version_counts_and_a_repository_without_one_says_what_to_do(tmp_path):
    for name in ("1", "2", "10", ".unfinished-11"):
        (tmp_path / "customer" / name).mkdir(parents=True)
    assert version_folder(tmp_path).name == "10"
    with pytest.raises(FileNotFoundError, match="tidemark train"):
        version_folder(tmp_path, "other")
