"""Evaluating the shipped model on a recorded history of another shop, as somebody does who has only the program."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from serving.dataset import by_customer
from serving.evaluation.page import png
from serving.evaluation.predictions import DifferentCutoffs, UnreadablePredictions
from serving.history import journeys
from serving.model_card import model_repository, read_model_card, version_folder, write_model_card
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.times import DAY_MS
from stream.decisions.policies import Policies, Rule
from stream.operations.evaluate import Asked, NothingToEvaluate, OtherFeatures, evaluate_model
from stream.operations.evaluate_alerts import ModelInForce, evaluate_alerts, raised
from stream.operations.evaluate_report import write_report
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import START, shop_events

SETTINGS = ProfileSettings()
EVENTS = shop_events(customers=80)
CUTOFF = START + 360 * DAY_MS
FOLDER = version_folder(model_repository())


def test_predictions_have_a_row_for_every_eligible_customer_and_the_columns_promised(tmp_path):
    out = tmp_path / "said.parquet"
    listed = [CatalogueItem("99999", "RED LANTERN")]
    found = evaluate_model(EVENTS, FOLDER, Asked(cutoffs=[CUTOFF], predictions=out, items=listed), SETTINGS)
    table = pq.read_table(out)
    bought = journeys(EVENTS, SETTINGS)
    recent = {c for c, j in bought.items() if ((j.times < CUTOFF) & (j.times >= CUTOFF - 365 * DAY_MS)).any()}
    assert set(table["customer_id"].to_pylist()) == recent
    assert found.cutoffs[0].customers == len(recent)
    for name in ("churn_30d", "churn_90d"):
        churn = table[name].to_numpy()
        assert ((churn > 0) & (churn < 1)).all()
    assert (table["churn_30d"].to_numpy() >= table["churn_90d"].to_numpy()).all()
    assert (table["expected_revenue_180d"].to_numpy() >= table["median_revenue_180d"].to_numpy()).all()
    for items, new in zip(table["items"].to_pylist(), table["new_items"].to_pylist(), strict=True):
        assert len(set(items)) == len(items) == 33
        assert set(new) < set(items)
        assert "99999" in new


def test_what_happens_after_the_cutoff_changes_no_prediction(tmp_path):
    past = [event for event in EVENTS if event.time < CUTOFF]
    for name, events in (("all", EVENTS), ("past", past)):
        evaluate_model(events, FOLDER, Asked(cutoffs=[CUTOFF], predictions=tmp_path / name), SETTINGS)
    assert pq.read_table(tmp_path / "all").equals(pq.read_table(tmp_path / "past"))


def test_predictions_of_another_cutoff_are_not_compared(tmp_path):
    evaluate_model(EVENTS, FOLDER, Asked(cutoffs=[CUTOFF], predictions=tmp_path / "one"), SETTINGS)
    same = evaluate_model(EVENTS, FOLDER, Asked(cutoffs=[CUTOFF], against=[tmp_path / "one"]), SETTINGS)
    brier = next(figure for figure in same.cutoffs[0].figures if figure.metric == "churn_90d_brier")
    assert brier.values[str(tmp_path / "one")] == brier.values["model"]
    with pytest.raises(DifferentCutoffs, match="must not be compared"):
        evaluate_model(EVENTS, FOLDER, Asked(cutoffs=[CUTOFF + DAY_MS], against=[tmp_path / "one"]), SETTINGS)


def test_a_cutoff_before_the_history_says_so():
    runs = "nobody bought within the year before 2009-01-01: .* runs from 2010-01-02 to 2011-06-2"
    with pytest.raises(NothingToEvaluate, match=runs):
        evaluate_model(EVENTS, FOLDER, Asked(cutoffs=[START - 365 * DAY_MS]), SETTINGS)
    with pytest.raises(NothingToEvaluate, match="no events"):
        evaluate_model([], FOLDER, Asked(), SETTINGS)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (START + 600 * DAY_MS, "nobody bought anything from 2011-08-24 on"),
        (START - 365 * DAY_MS, "nobody had bought anything yet at 2009-01-01"),
    ],
)
def test_alerts_of_a_time_that_the_history_does_not_hold_are_refused(start, message):
    with pytest.raises(NothingToEvaluate, match=f"{message}.*runs from 2010-01-02 to 2011-06-2"):
        evaluate_alerts(EVENTS, FOLDER, start, SETTINGS, Policies())


def test_where_nothing_follows_the_cutoff_nothing_is_compared_and_predictions_are_made_all_the_same(tmp_path):
    end = (EVENTS[-1].time // DAY_MS + 1) * DAY_MS
    asked = Asked(cutoffs=[end], predictions=tmp_path / "said.parquet", detailed=True)
    found = evaluate_model(EVENTS, FOLDER, asked, SETTINGS)
    assert found.cutoffs[0].figures == []
    assert len(pq.read_table(tmp_path / "said.parquet")) == found.cutoffs[0].customers > 0
    page = write_report(tmp_path / "report.html", found)[0].read_text(encoding="utf-8")
    assert "Nothing follows this day in the events" in page


def test_a_model_made_for_other_features_is_no_server_that_is_away(tmp_path):
    folder = Path(shutil.copytree(FOLDER, tmp_path / "1"))
    write_model_card(folder, msgspec.structs.replace(read_model_card(folder), feature_schema="other"))
    for measure in (
        lambda: evaluate_model(EVENTS, folder, Asked(cutoffs=[CUTOFF]), SETTINGS),
        lambda: evaluate_alerts(EVENTS, folder, CUTOFF, SETTINGS, Policies()),
    ):
        with pytest.raises(OtherFeatures, match="train the model again"):
            measure()


def test_predictions_that_are_not_there_are_named(tmp_path):
    with pytest.raises(FileNotFoundError) as missing:
        evaluate_model(EVENTS, FOLDER, Asked(cutoffs=[CUTOFF], against=[tmp_path / "none"]), SETTINGS)
    assert missing.value.filename == str(tmp_path / "none")


def test_alerts_are_counted_once_an_episode_and_judged_by_what_followed():
    rule = Rule(raise_threshold=0.3, resolve_threshold=0.1, silent_from_days=7.0)
    policies = Policies(churn_risk=rule, second_purchase=rule)
    found = evaluate_alerts(EVENTS, FOLDER, START + 200 * DAY_MS, SETTINGS, policies)
    worth = found.worth["all"]
    assert worth.counted > 5
    assert worth.fired == sum(each.fired for kind, each in found.worth.items() if kind != "all")
    assert 0 <= worth.precision <= 1
    assert worth.difference.low <= worth.precision - worth.rule_precision <= worth.difference.high
    assert 0 <= worth.recall <= 1
    assert worth.per_1000_a_week > 0
    # Nobody is above 1: nothing is raised, and nothing is claimed.
    never = Rule(raise_threshold=1.0, resolve_threshold=0.9)
    silent = evaluate_alerts(EVENTS, FOLDER, None, SETTINGS, Policies(churn_risk=never, second_purchase=never))
    assert silent.worth["all"].fired == 0
    assert np.isnan(silent.worth["all"].precision)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("said") / "said.parquet"
    evaluate_model(EVENTS, FOLDER, Asked(cutoffs=[CUTOFF], predictions=out), SETTINGS)
    return out


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda table: table.drop_columns(["churn_60d"]), UnreadablePredictions, "has no column churn_60d: horizons"),
        (lambda table: table.slice(1), DifferentCutoffs, "are not the same: evaluate both models on one file"),
        (lambda table: table.take([0, *range(len(table))]), UnreadablePredictions, "1 customers twice"),
        (lambda table: table.replace_schema_metadata({}), DifferentCutoffs, "made at cut-off unknown"),
    ],
)
def test_a_file_that_is_not_about_the_same_is_refused_and_says_why(written, tmp_path, change, error, message):
    pq.write_table(change(pq.read_table(written)), tmp_path / "other.parquet")
    with pytest.raises(error, match=message):
        evaluate_model(EVENTS, FOLDER, Asked(cutoffs=[CUTOFF], against=[tmp_path / "other.parquet"]), SETTINGS)


def test_what_is_no_parquet_file_is_said_to_be_none(tmp_path):
    (tmp_path / "notes.txt").write_text("churn is high")
    with pytest.raises(UnreadablePredictions, match="is no parquet file"):
        evaluate_model(EVENTS, FOLDER, Asked(cutoffs=[CUTOFF], against=[tmp_path / "notes.txt"]), SETTINGS)


def test_a_report_is_one_page_and_the_same_plots_as_pictures_where_they_can_be_drawn(tmp_path):
    found = evaluate_model(EVENTS, FOLDER, Asked(cutoffs=[CUTOFF], detailed=True), SETTINGS)
    page, *plots = write_report(tmp_path / "report", found)
    assert page == tmp_path / "report" / "index.html"
    assert "2010-12-27" in page.read_text(encoding="utf-8")
    assert bool(plots) == png.drawable()
    assert all(plot.read_bytes().startswith(b"\x89PNG") for plot in plots)
    assert write_report(tmp_path / "one.html", found)[0] == tmp_path / "one.html"
    names = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert names <= {".html", ".png"}


def test_figures_of_a_time_that_the_model_knew_are_not_called_unseen():
    found = evaluate_model(EVENTS, FOLDER, Asked(cutoffs=[CUTOFF]), SETTINGS)
    assert not found.unseen("2010-12-27")
    assert found.unseen("2011-07-01")


def test_alerts_say_how_far_they_are_of_customers_and_months_unseen():
    rule = Rule(raise_threshold=0.3, resolve_threshold=0.1)
    policies = Policies(churn_risk=rule, second_purchase=rule)
    found = evaluate_alerts(EVENTS, FOLDER, START + 400 * DAY_MS, SETTINGS, policies)
    assert (found.unseen_months, found.unseen_customers, found.customers) == (False, 0, 80)
    assert len(found.episodes) == found.worth["all"].fired
    assert sum(episode.counted for episode in found.episodes) == found.worth["all"].counted


def test_the_same_model_in_force_from_two_days_on_raises_what_one_raises():
    rule = Rule(raise_threshold=0.3, resolve_threshold=0.1)
    policies = Policies(churn_risk=rule, second_purchase=rule)
    histories, first, end = by_customer(EVENTS), START + 200 * DAY_MS, START + 540 * DAY_MS
    once = raised(histories, [ModelInForce(first, FOLDER)], end, SETTINGS, policies)
    twice = raised(
        histories, [ModelInForce(first, FOLDER), ModelInForce(first + 90 * DAY_MS, FOLDER)], end, SETTINGS, policies
    )
    assert once == twice
    assert len(once) > 5
    assert min(alert.as_of for alert in once) >= first
