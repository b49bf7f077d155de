import numpy as np
import pytest

from serving.catalogue import Catalogue
from serving.dataset import by_customer
from serving.evaluation.baselines import rfm as baselines
from serving.evaluation.baselines.bgnbd import BuyTillYouDie, counted
from serving.evaluation.baselines.items import item_rankings
from serving.evaluation.predictions import DifferentCutoffs, predict_at, read_predictions, write_predictions
from serving.evaluation.report import RESOLVE_BELOW, evaluate, sellable, thresholds
from serving.history import journeys
from serving.item_tower import ITEM_DIMENSIONS
from serving.model_card import HORIZONS
from stream.contracts.events import Event, Item
from stream.contracts.times import DAY_MS
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import START, shop_events, shop_items

SETTINGS = ProfileSettings()
EVENTS = shop_events(customers=120)
HISTORIES = by_customer(EVENTS)
JOURNEYS = journeys(EVENTS, SETTINGS)
CUTOFF = START + 360 * DAY_MS
END = START + 560 * DAY_MS
CATALOGUE = Catalogue.from_items(shop_items())


def by_recency(tensors):
    """Stands for a model: churn grows with the days since the last purchase."""
    from serving.statistics import STATISTICS

    recency = tensors["stats"][:, STATISTICS.index("recency_days")]
    churn = np.repeat((recency / 8)[:, None], 3, axis=1).astype(np.float32)
    revenue = np.column_stack([100 - 10 * recency, 80 - 10 * recency]).astype(np.float32)
    return {"churn": churn, "revenue": revenue, "query": np.zeros((len(churn), ITEM_DIMENSIONS), np.float32)}


@pytest.fixture(scope="module")
def said():
    return predict_at(HISTORIES, JOURNEYS, CUTOFF, CATALOGUE, by_recency, SETTINGS)


def test_every_customer_of_the_last_year_is_scored_with_what_was_known_before(said):
    assert said.customers == baselines.eligible(JOURNEYS, CUTOFF - 1)
    future_changed = [
        event
        if event.time < CUTOFF
        else Event(event.event_id, "purchase", END - 1, event.customer_id, items=event.items)
        for event in EVENTS
    ]
    again = predict_at(by_customer(future_changed), JOURNEYS, CUTOFF, CATALOGUE, by_recency, SETTINGS)
    assert np.array_equal(again.churn, said.churn)
    assert again.items == said.items


def test_figures_of_the_model_stand_beside_those_of_the_baselines(said):
    found = evaluate(said, JOURNEYS, END)
    assert found.cutoff == "2010-12-27"
    assert found.customers == len(said.customers)
    assert set(found.base_rates) == set(HORIZONS)
    for horizon in HORIZONS:
        assert found.value(f"churn_{horizon}_auc") == pytest.approx(
            found.value(f"churn_{horizon}_auc", "recency"), abs=0.01
        )
        assert found.value(f"churn_{horizon}_auc") > 0.6
        assert np.isfinite(found.value(f"churn_{horizon}_brier", "bgnbd"))
    figures = {figure.metric: figure for figure in found.figures}
    assert {"last_year_revenue", "bgnbd", "model"} <= set(figures["value_180d_spearman"].values)
    assert {"popularity_30d", "own_repeats_x_popularity", "item_knn", "ease"} <= set(figures["recall_20"].values)
    for figure in found.figures:
        if figure.best_baseline and np.isfinite(figure.interval.low):
            assert figure.interval.low <= figure.difference + 0.05
            assert figure.interval.high >= figure.difference - 0.05


def test_the_best_baseline_is_the_one_that_is_compared(said):
    for figure in evaluate(said, JOURNEYS, END, draws=5).figures:
        if figure.metric.endswith(("auc", "brier")):
            others = [value for name, value in figure.values.items() if name != "model"]
            best = max(others) if figure.higher_is_better else min(others)
            assert figure.values[figure.best_baseline] == best
            assert figure.difference == pytest.approx(figure.values["model"] - best)


def test_written_predictions_are_read_back_and_those_of_another_cutoff_are_refused(said, tmp_path):
    write_predictions(tmp_path / "one.parquet", said)
    again = read_predictions(tmp_path / "one.parquet", said)
    assert np.array_equal(again.churn, said.churn)
    assert np.array_equal(again.revenue, said.revenue)
    assert (again.items, again.new_items) == (said.items, said.new_items)
    later = predict_at(HISTORIES, JOURNEYS, CUTOFF + 30 * DAY_MS, CATALOGUE, by_recency, SETTINGS)
    with pytest.raises(DifferentCutoffs, match="made at cut-off 2010-12-27, this evaluation is at 2011-01-26"):
        read_predictions(tmp_path / "one.parquet", later)
    said.customers.append("somebody else")
    with pytest.raises(DifferentCutoffs, match="not the same"):
        read_predictions(tmp_path / "one.parquet", said)
    said.customers.pop()


def test_new_items_were_never_bought_before_and_keep_the_order(said):
    for customer, items, new in zip(said.customers, said.items, said.new_items, strict=True):
        journey = JOURNEYS[customer]
        before = {item for t, ids in zip(journey.times, journey.items, strict=True) if t < CUTOFF for item in ids}
        assert not before.intersection(new)
        assert new == [item for item in items if item not in before]


def test_a_figure_whose_outcome_is_not_known_yet_is_left_out(said):
    found = evaluate(said, JOURNEYS, CUTOFF + 45 * DAY_MS)
    assert set(found.base_rates) == {"30d"}
    assert not any("90d" in figure.metric or "value" in figure.metric for figure in found.figures)


def test_thresholds_alert_the_budgeted_share_of_active_customers(said):
    for threshold in thresholds(said, JOURNEYS, END, budget_share=0.2):
        active = [
            row
            for row, customer in enumerate(said.customers)
            if baselines.rfm(JOURNEYS[customer], said.as_of)[0] <= np.log1p(90)
        ]
        churn = said.churn[active, HORIZONS.index(threshold.horizon)]
        assert (churn >= threshold.raise_at).mean() == pytest.approx(0.2, abs=0.03)
        assert threshold.resolve_at == pytest.approx(threshold.raise_at - RESOLVE_BELOW)
        assert 0 <= threshold.base_rate <= 1
    assert [t.horizon for t in thresholds(said, JOURNEYS, CUTOFF + 61 * DAY_MS, 0.2)] == ["30d", "60d"]


def test_baselines_know_nothing_from_after_the_cutoff():
    past = {customer: journeys(own, SETTINGS)[customer] for customer, own in cut(CUTOFF).items()}
    known = {customer: JOURNEYS[customer] for customer in past}
    before, after = baselines.past_cutoffs(past, CUTOFF), baselines.past_cutoffs(known, CUTOFF)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert item_rankings(past, sorted(past), CUTOFF) == item_rankings(known, sorted(known), CUTOFF)
    assert BuyTillYouDie.fit(past, CUTOFF) == BuyTillYouDie.fit(known, CUTOFF)
    for customer in past:
        assert baselines.table_row(past[customer], CUTOFF) == baselines.table_row(known[customer], CUTOFF)
        one, other = counted([past[customer]], [CUTOFF]), counted([known[customer]], [CUTOFF])
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
        assert baselines.last_year_revenue(past[customer], CUTOFF) == baselines.last_year_revenue(
            known[customer], CUTOFF
        )


def cut(until: int) -> dict[str, list[Event]]:
    own = {customer: [e for e in events if e.time <= until] for customer, events in HISTORIES.items()}
    return {customer: events for customer, events in own.items() if any(e.type == "purchase" for e in events)}


def test_a_history_too_short_for_a_baseline_gives_none():
    past = baselines.past_cutoffs(JOURNEYS, START + 120 * DAY_MS)
    assert baselines.churn_baseline(past, START + 120 * DAY_MS, 90, baselines.RFM) is None


def test_own_repeats_prefer_the_recent_and_the_frequent():
    def buy(day: int, *items: str) -> Event:
        return Event(f"{day}", "purchase", START + day * DAY_MS, "c", items=[Item(i, price=1.0) for i in items])

    own = journeys([buy(0, "old", "twice"), buy(200, "new"), buy(201, "twice")], SETTINGS)["c"]
    ranked = item_rankings({"c": own}, ["c"], START + 260 * DAY_MS)["own_repeats_x_popularity"].items
    assert ranked == [["twice", "new", "old"]]


def test_what_could_be_bought_at_the_cutoff_keeps_its_variants():
    variants = [Item(i, f"LANTERN {i}", item_group_id="lantern", price=1.0) for i in ("red", "blue")]
    events = [Event("1", "purchase", START, "c", items=variants), Event("2", "browse", END, "c", items=[Item("later")])]
    catalogue = sellable(events, CUTOFF, None)
    assert catalogue.item_ids == ["blue", "red"]
    assert catalogue.groups == ["blue", "red"]


def test_names_alike_are_ranked_by_their_rare_words():
    def buy(number: int, customer: str, *items: str) -> Event:
        return Event(
            f"{number}", "purchase", START + number * DAY_MS, customer, items=[Item(i, price=1.0) for i in items]
        )

    names = {
        "a": "RED RETRO LANTERN",
        "b": "BLUE RETRO LANTERN",
        "c": "RED CLOCK",
        "d": "RED BUNTING",
        "e": "RED CLOCK 2",
    }
    events = [buy(1, "c", "a"), *(buy(n, f"x{n}", item) for n, item in enumerate("abcde", 2))]
    bought = journeys(events, SETTINGS)
    ranked = item_rankings(bought, ["c"], START + 20 * DAY_MS, names)["tf_idf"]
    assert ranked.items[0][:2] == ["a", "b"]
    assert ranked.new_items[0][0] == "b"
    assert "tf_idf" not in item_rankings(bought, ["c"], START + 20 * DAY_MS)
