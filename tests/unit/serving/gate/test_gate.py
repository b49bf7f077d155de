"""A bad version is not let through, each for its own reason; on real customers and with real networks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from serving.gate.comparison import judge
from serving.gate.scored import NothingToCompare
from serving.gate.verdict import Verdict
from serving.registry import RegisteredVersion, Registry
from stream.contracts.events import Event
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.operations.demo_events import sample
from stream.profiles.settings import ProfileSettings
from tests.models.variants import (
    base_rate_for,
    registry_at,
    shifted,
    told_nothing,
    variant,
    wider,
    without_output,
)

EVERY = 2
"""Every other customer of the sample: enough to tell, and twice as quick."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return registry_at(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def history() -> list[Event]:
    events = sorted(sample(), key=lambda event: to_epoch_ms(event.time))
    kept = set(sorted({event.customer_id for event in events})[::EVERY])
    return [event for event in events if event.customer_id in kept]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return tmp_path / "made"


Judge = Callable[..., Verdict]


@pytest.fixture(scope="module")
def judged(registry: Registry, history: list[Event]) -> Judge:
    end = (to_epoch_ms(history[-1].time) // DAY_MS + 1) * DAY_MS

    def against(candidate: RegisteredVersion, present: RegisteredVersion | None = None) -> Verdict:
        return judge(candidate, present or registry.get("1"), history, [end - 95 * DAY_MS], ProfileSettings())

    return against


def _failed(verdict: Verdict) -> dict[str, str]:
    return {check.name: check.finding for check in verdict.checks if not check.passed}


def test_the_same_network_with_a_constant_factor_may_come_in(registry: Registry, judged: Judge, made: Path) -> None:
    verdict = judged(variant(registry, made, shifted(0.99)))
    assert verdict.passed
    assert not _failed(verdict)
    assert verdict.worse_segments == []
    assert verdict.customers > 100
    assert {segment.baskets for segment in verdict.segments} == {"1", "2 to 4", "5 to 9", "10 or more"}


def test_probabilities_a_little_too_low_are_refused(registry: Registry, judged: Judge, made: Path) -> None:
    assert "calibration in the large" in _failed(judged(variant(registry, made, shifted(0.96))))


def test_nan_is_refused(registry: Registry, judged: Judge, made: Path) -> None:
    assert "NaN" in _failed(judged(variant(registry, made, shifted(float("nan")))))["answers"]


def test_what_is_no_probability_is_refused(registry: Registry, judged: Judge, made: Path) -> None:
    assert "no probability" in _failed(judged(variant(registry, made, shifted(1.5))))["answers"]


@pytest.mark.parametrize(("edit", "word"), [(wider("query"), "64"), (without_output("revenue"), "missing")])
def test_wrong_shapes_are_refused(registry: Registry, judged: Judge, made: Path, edit: Callable, word: str) -> None:
    assert word in _failed(judged(variant(registry, made, edit)))["tensors"]


def test_a_file_that_is_no_network_is_refused(registry: Registry, judged: Judge, made: Path) -> None:
    added = variant(registry, made)
    (added.folder / "model.onnx").write_bytes(b"no network")
    assert "cannot open" in _failed(judged(added))["opens"]


def test_other_features_are_refused(registry: Registry, judged: Judge, made: Path) -> None:
    assert "feature schema" in _failed(judged(variant(registry, made, feature_schema="0" * 16)))["features"]


def test_another_fold_of_profiles_is_refused(registry: Registry, judged: Judge, tmp_path: Path) -> None:
    assert "fold version 99" in _failed(judged(variant(registry, tmp_path / "a", fold_version=99)))["features"]
    assert "EUR" in _failed(judged(variant(registry, tmp_path / "b", currency="EUR")))["currency"]


def test_what_shuffled_labels_teach_is_refused(registry: Registry, judged: Judge, made: Path) -> None:
    failed = _failed(judged(variant(registry, made, told_nothing(0.55))))
    assert {"churn 90d auc", "churn 90d brier"} <= failed.keys()


def test_a_leaked_feature_is_seen_by_what_the_card_claims(registry: Registry, judged: Judge, made: Path) -> None:
    # Trained on features that knew the future, a network is nearly always right on its own examples, and not better
    # than before on what can be known.
    known = registry.get("1").card.metrics
    claimed = {name: {**figures, "model": 0.97} if "90d_auc" in name else figures for name, figures in known.items()}
    verdict = judged(variant(registry, made, metrics=claimed))
    assert list(_failed(verdict)) == ["claims"]
    assert "knew the future" in _failed(verdict)["claims"]


def test_better_on_the_whole_and_worse_for_some_is_said(registry: Registry, judged: Judge, tmp_path: Path) -> None:
    blind_elsewhere = variant(registry, tmp_path / "a", base_rate_for(2, 4, 0.05, others=True))
    blind_there = variant(registry, tmp_path / "b", base_rate_for(2, 4, 0.2))
    verdict = judged(blind_there, blind_elsewhere)
    overall = {difference.metric: difference for difference in verdict.differences}
    assert overall["churn_90d_brier"].better
    assert verdict.worse_segments == ["2 to 4"]


def test_customers_that_a_version_was_trained_on_do_not_count(
    registry: Registry, judged: Judge, tmp_path: Path
) -> None:
    saw_them_all = variant(registry, tmp_path / "made", demo_customers=[])
    with pytest.raises(NothingToCompare, match="behind what both versions were trained on"):
        judged(saw_them_all)
