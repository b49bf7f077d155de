"""Training again, end to end, on a small made-up shop. Needs torch."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

import shutil

import msgspec

from serving.evaluation.canary import CanaryBounds, CanaryMoved
from serving.history import read_events
from serving.holdout import is_demo_customer
from serving.model_card import MODEL_NAME
from serving.registry import Registry
from serving.training import train as training
from serving.training.bounds import WindowRefused
from serving.training.settings import TrainingSettings, settings_of
from stream.contracts.codec import encode
from stream.operations import retrain as operation
from stream.operations.canary_events import CANARIES_FILE
from stream.operations.retrain import Asked, drift_of, read_history, retrain
from stream.operations.retrain_window import from_files, within
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import shop_events
from tests.unit.serving.small_network import SMALL

SETTINGS = ProfileSettings()
TRAINING = TrainingSettings(
    seed=5, epochs=1, query_epochs=1, examples_per_epoch=1_000, threads=1, network=SMALL, calendar_step_days=28
)
DAY_MS = 86_400_000
# Enough canaries, of whom the demo takes one customer in twelve.
SHOP = shop_events(customers=480, days=480)
NOW = max(event.time for event in SHOP) + 1


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A file of events, and a repository with a model that has not seen the last hundred days."""
    folder = tmp_path_factory.mktemp("shop")
    former = folder / "former.jsonl"
    former.write_bytes(b"\n".join(encode(event) for event in SHOP if event.time < NOW - 100 * DAY_MS))
    (folder / "events.jsonl").write_bytes(b"\n".join(map(encode, SHOP)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "EVALUATION_DAYS", (90,))
        training.train([former], folder / "repository", TRAINING, SETTINGS)
    return folder


@pytest.fixture
def registry(shop, monkeypatch):
    monkeypatch.setattr(training, "EVALUATION_DAYS", (90,))
    return Registry(shop / "repository", MODEL_NAME)


@pytest.mark.slow
def test_a_model_is_trained_again_with_the_same_settings_and_is_not_in_force(shop, registry, tmp_path):
    present = registry.default()
    wide = Asked(threads=1, canaries=CanaryBounds(mean=1.0, far_share=1.0))
    work = tmp_path / "work"
    done = retrain(registry, present, lambda: from_files([shop / "events.jsonl"], SETTINGS), work, SETTINGS, wide)
    assert done.version.number == present.number + 1
    assert settings_of(done.version.card) == TRAINING == settings_of(present.card)
    assert done.version.card.data[0].last_event > present.card.data[0].last_event
    assert registry.default() == present
    assert registry.served() == [present.number]
    # All but those who have not ordered for a year.
    assert 30 <= done.moves.customers <= sum(map(is_demo_customer, {event.customer_id for event in SHOP}))
    assert 0 < done.moves.mean < 0.5
    assert not work.exists(), "customers' events are kept no longer than they are needed"
    left = {event.customer_id for event in read_events([tmp_path / CANARIES_FILE], SETTINGS)}
    assert left == set(filter(is_demo_customer, {event.customer_id for event in SHOP}))


def test_a_run_that_was_killed_goes_on_with_the_window_that_it_had_read(shop, registry, tmp_path, monkeypatch):
    present, work = registry.default(), tmp_path / "work"

    def killed(*arguments, **named):
        raise KeyboardInterrupt

    def finished(paths, out, *arguments, **named):
        shutil.copytree(registry.folder, out / MODEL_NAME)

    with monkeypatch.context() as patch:
        patch.setattr(operation, "train", killed)
        with pytest.raises(KeyboardInterrupt):
            retrain(registry, present, lambda: from_files([shop / "events.jsonl"], SETTINGS), work, SETTINGS, Asked())

    def again():
        raise AssertionError("the window was read again")

    numbers, asked = registry.numbers(), Asked(canaries=CanaryBounds(mean=-1.0))
    monkeypatch.setattr(operation, "train", finished)
    with pytest.raises(CanaryMoved, match="was not added"):
        retrain(registry, present, again, work, SETTINGS, asked)
    assert registry.numbers() == numbers
    assert not work.exists(), "a refusal leaves nothing that another run could go on with"


def test_without_drift_nothing_is_trained(shop, registry, tmp_path, monkeypatch):
    monkeypatch.delattr(operation, "train")
    asked = Asked(drift_bound=1.0)
    work = tmp_path / "work"
    read = lambda: from_files([shop / "events.jsonl"], SETTINGS)  # noqa: E731
    done = retrain(registry, registry.default(), read, work, SETTINGS, asked)
    assert done.version is None
    assert done.drift.customers > 200
    assert not work.exists()


def test_drift_is_measured_on_outcomes_that_the_model_has_not_seen(shop, registry):
    history = read_history(shop / "events.jsonl", SETTINGS)
    present = registry.default()
    drift = drift_of(present, history, SETTINGS)
    assert drift.cutoff > present.card.data[0].last_event[:10]
    assert 0 <= drift.happened <= 1
    seen = msgspec.structs.replace(present.card.data[0], last_event="2099-01-01T00:00:00Z")
    assert (
        drift_of(present._replace(card=msgspec.structs.replace(present.card, data=[seen])), history, SETTINGS) is None
    )


def test_a_poisoned_window_is_refused_before_anything_is_trained(shop, registry, tmp_path, monkeypatch):
    monkeypatch.delattr(operation, "train")
    broken = lambda: [*SHOP, *[None] * 2_000]  # noqa: E731
    with pytest.raises(WindowRefused, match="dead letters"):
        retrain(registry, registry.default(), broken, tmp_path / "work", SETTINGS, Asked())
    assert not (tmp_path / "work").exists()


def test_the_window_begins_and_ends_where_it_was_asked_to(tmp_path):
    path = tmp_path / "events.jsonl"
    bad = b'{"type": "purchase", "event_id": "x", "time": 5, "customer_id": "7"}'
    path.write_bytes(b"\n".join([encode(SHOP[0]), bad, *map(encode, SHOP[1:9])]))
    everything = list(from_files([path], SETTINGS))
    assert [event and event.event_id for event in everything] == [
        SHOP[0].event_id, None, *(event.event_id for event in SHOP[1:9])
    ]  # fmt: skip
    later = list(within(everything, SHOP[3].time, SHOP[6].time))
    assert [event.event_id for event in later] == [event.event_id for event in SHOP[3:6]]
