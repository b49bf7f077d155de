"""The search for settings: what it is judged on, that it goes on after a kill, and what it writes. Needs torch."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")
pytest.importorskip("optuna", reason="training needs the extra `train`, which `make test` installs")

import msgspec
import numpy as np

from serving.training import search as searching
from serving.training.judged import TUNING_DAYS, judges, loss_of
from serving.training.search import SPACE, best_of, search
from serving.training.settings import (
    TrainingSettings,
    UnusableSettings,
    changed,
    flat,
    read_settings,
    write_settings,
)
from serving.training.train import EVALUATION_DAYS, read_source
from stream.contracts.codec import encode
from stream.contracts.times import DAY_MS
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import shop_events
from tests.unit.serving.small_network import SMALL, quiet

BASE = TrainingSettings(examples_per_epoch=500, threads=1, epochs=1, query_epochs=1, network=SMALL)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("shop") / "events.jsonl"
    path.write_bytes(b"\n".join(map(encode, shop_events(customers=25, days=540))))
    return read_source([path], ProfileSettings(), "the shop")


@pytest.fixture(scope="module")
def found(source):
    return judges(source, BASE, ProfileSettings(), "the shop", quiet)


def test_what_a_setting_is_judged_by_is_over_before_the_first_cut_off_of_a_figure(source, found):
    first_figure = source.end + 1 - max(EVALUATION_DAYS) * DAY_MS
    assert len(found) == len(TUNING_DAYS)
    for judge in found:
        assert judge.until + 90 * DAY_MS < first_figure
        assert (judge.asked.as_of == judge.until).all()
        assert (judge.known.arrays.as_of <= judge.until).all()
        # Everything is known of those who are asked, and of nobody before whose outcome came later.
        assert (judge.outcomes.bought >= 0).all()
        late = judge.known.arrays.as_of > judge.until - 30 * DAY_MS
        assert (judge.known.labels.bought[late] == -1).all()


def test_hazards_are_held_against_who_bought(found):
    happened = found[0].outcomes
    left = happened.churned(2)[:, None]
    opposite = happened._replace(bought=np.repeat(left, 3, axis=1))
    assert loss_of("hazards", found[0], BASE) < loss_of("hazards", found[0]._replace(outcomes=opposite), BASE)


def test_the_query_is_held_against_what_was_bought(found):
    def everybody_buys(item, outcomes):
        return outcomes._replace(next_items=np.where(outcomes.next_items >= 0, item, -1).astype(np.int32))

    known, happened = found[0].known, found[0].outcomes
    taught = found[0]._replace(known=known._replace(labels=everybody_buys(5, known.labels)))
    settings = changed(BASE, {"query_learning_rate": 5e-3, "query_epochs": 4})
    fifth, sixth = (
        loss_of("query", taught._replace(outcomes=everybody_buys(item, happened)), settings) for item in (5, 6)
    )
    assert fifth < sixth


class Killed(BaseException):
    """Stands for a kill: nothing of the process is used afterwards."""


def test_a_search_that_was_killed_ends_as_one_that_was_not(found, tmp_path, monkeypatch):
    asked, killed_after = [], [0]

    def loss(part, judge, settings):
        asked.append(settings)
        if len(asked) == killed_after[0]:
            raise Killed
        return abs(np.log(settings.learning_rate / 1e-3)) + settings.seed / 1_000

    monkeypatch.setattr(searching, "loss_of", loss)
    whole = search("hazards", found, BASE, 8, tmp_path / "whole.sqlite", "a run")
    steps = len(asked)
    for networks in (1, 3, steps - 9):
        asked.clear()
        killed_after[0] = networks
        with pytest.raises(Killed):
            search("hazards", found, BASE, 8, tmp_path / "killed.sqlite", "a run")
    asked.clear()
    killed_after[0] = 0
    resumed = search("hazards", found, BASE, 8, tmp_path / "killed.sqlite", "a run")
    assert 0 < len(asked) < steps
    assert resumed == whole
    assert whole[0].settings == {name: flat(BASE)[name] for name in SPACE["hazards"]}
    assert any(trial.pruned for trial in whole)
    assert best_of(whole).loss == min(trial.loss for trial in whole if not trial.pruned)
    # A finished search asks for nothing, and another run is another study.
    asked.clear()
    assert search("hazards", found, BASE, 8, tmp_path / "killed.sqlite", "a run") == whole
    assert not asked
    search("hazards", found, BASE, 1, tmp_path / "killed.sqlite", "another run")
    assert asked


def test_settings_are_read_as_they_were_written(tmp_path):
    wanted = changed(TrainingSettings(), {"learning_rate": 1e-3, "network.hazard_width": 32, "seed": 4})
    write_settings(tmp_path / "s.json", wanted)
    assert read_settings(tmp_path / "s.json") == wanted
    assert msgspec.json.decode((tmp_path / "s.json").read_bytes()).keys() == {
        "learning_rate",
        "network.hazard_width",
        "seed",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "holds no settings"), ('{"epochs": "many"}', "epochs"), ('{"learning_rat": 1}', "names learning_rat")],
)
def test_a_file_that_is_no_settings_is_refused(tmp_path, text, says):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(UnusableSettings, match=says):
        read_settings(tmp_path / "s.json")
