"""Which window a run reads, and what a refusal leaves: nothing. Needs torch for the modules, and trains nothing."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

import msgspec

from serving.holdout import is_demo_customer
from serving.model_card import MODEL_NAME
from serving.registry import Registry
from serving.training.enough import TooLittleHistory
from stream.configuration.repository import open_registry
from stream.configuration.settings import Configuration
from stream.contracts.events import Consent
from stream.operations import retrain as operation
from stream.operations.retrain import Asked, retrain
from stream.operations.retrain_window import WindowSource
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import shop_events

SETTINGS = ProfileSettings()
SHOP = shop_events(customers=40, days=120)


@pytest.fixture(scope="module")
def registry():
    found = open_registry(Configuration())
    return Registry(found.folder.parent, MODEL_NAME)


def test_another_question_reads_the_window_anew_and_the_same_one_goes_on(registry, tmp_path, monkeypatch):
    reads: list[int] = []

    def read():
        reads.append(len(reads))
        return SHOP

    def killed(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(operation, "train", killed)
    work, later = tmp_path / "work", Asked(source=WindowSource(since=SHOP[9].time))
    for asked, expected in ((Asked(), 1), (Asked(), 1), (later, 2), (later, 2), (Asked(), 3)):
        with pytest.raises(KeyboardInterrupt):
            retrain(registry, registry.default(), read, work, SETTINGS, asked)
        assert len(reads) == expected


def test_a_run_that_goes_on_says_with_what(registry, tmp_path, monkeypatch):
    def killed(*arguments, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(operation, "train", killed)
        with pytest.raises(KeyboardInterrupt):
            retrain(registry, registry.default(), lambda: SHOP, tmp_path / "work", SETTINGS, Asked())
    done = retrain(registry, registry.default(), list, tmp_path / "work", SETTINGS, Asked(drift_bound=1.0))
    assert done.window is None
    assert (done.span.events, done.span.first_day[:4]) == (len(SHOP), "2010")


def denying(event):
    return msgspec.structs.replace(event, consent=Consent(personalization="denied"))


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([], "no customer's events in the topic shop since 1970-01-02"),
        (
            [msgspec.structs.replace(SHOP[0], customer_id="", anonymous_id="a")],
            "no customer's events in the topic shop",
        ),
        ([e for e in SHOP if is_demo_customer(e.customer_id)], "the topic shop .*kept for the demo"),
        (list(map(denying, SHOP)), "everybody in the topic shop .*denies"),
        (SHOP, "the events of the topic shop .* span too little time, 1[12][0-9] days"),
    ],
    ids=["empty", "anonymous", "demo", "denied", "short"],
)
def test_too_little_history_names_its_source_and_leaves_nothing(events, says, registry, tmp_path):
    asked = Asked(source=WindowSource(topic="shop", since=86_400_000))
    with pytest.raises(TooLittleHistory, match=says):
        retrain(registry, registry.default(), lambda: events, tmp_path / "work", SETTINGS, asked)
    assert not (tmp_path / "work").exists()
