"""The report for people: it needs nothing but itself, says everything twice, and claims no more than its intervals."""

import re
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from serving.dataset import by_customer
from serving.evaluation.bootstrap import Interval
from serving.evaluation.comparison import Figure
from serving.evaluation.page.chart import Chart
from serving.evaluation.page.document import Told, document
from serving.evaluation.page.plots import charts
from serving.evaluation.page.svg import svg
from serving.evaluation.page.tables import headline
from serving.evaluation.predictions import predict_at
from serving.evaluation.report import evaluate, sellable
from serving.evaluation.segments import Groups
from serving.history import journeys
from serving.model_card import model_repository, read_model_card, version_folder
from stream.contracts.times import DAY_MS
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import START, shop_events
from tests.unit.serving.test_evaluation_report import by_recency

SETTINGS = ProfileSettings()
EVENTS = shop_events(customers=120)
CARD = read_model_card(version_folder(model_repository()))


@pytest.fixture(scope="module")
def evaluation():
    bought, cutoff = journeys(EVENTS, SETTINGS), START + 330 * DAY_MS
    catalogue = sellable(EVENTS, cutoff - 1, None)
    said = predict_at(by_customer(EVENTS), bought, cutoff, catalogue, by_recency, SETTINGS)
    return evaluate(said, bought, START + 540 * DAY_MS, draws=20, groups=Groups(300.0))


@pytest.fixture(scope="module")
def drawn(evaluation) -> list[Chart]:
    return charts(evaluation.details, evaluation.cutoff)


def test_the_page_asks_for_nothing_from_elsewhere(evaluation):
    page = document(CARD, [Told(evaluation, True)])
    assert not re.search(r"<(script|link|img|iframe)|@import|url\(", page)
    assert {link for link in re.findall(r'(?:href|src)="([^"]+)"', page) if not link.startswith("#")} == set()
    for anchor in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{anchor}"' in page


def test_every_plot_has_a_title_and_says_in_words_what_it_shows(drawn):
    assert {chart.name.partition("-")[0] for chart in drawn} == {"calibration", "gain", "lift", "value"}
    for chart in drawn:
        root = ElementTree.fromstring(svg(chart))  # noqa: S314
        space = "{http://www.w3.org/2000/svg}"
        assert root.attrib["role"] == "img"
        assert root.find(f"{space}title").text == chart.title
        assert len(root.find(f"{space}desc").text) > 80
    assert len({chart.name for chart in drawn}) == len(drawn)


def test_no_point_of_a_plot_lies_outside_of_it(drawn):
    for chart in drawn:
        for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", svg(chart)):
            assert 62 <= float(x) <= 508
            assert 14 <= float(y) <= 304


def test_every_table_has_headed_columns_and_rows(evaluation):
    page = document(CARD, [Told(evaluation, True)])
    tables = re.findall(r"<table>.*?</table>", page, re.S)
    assert len(tables) >= 8
    for table in tables:
        assert "<caption>" in table
        assert 'scope="col"' in table
        assert 'scope="row"' in table


def figure(low: float, high: float, higher: bool = True) -> Figure:
    values = {"model": 0.8, "recency": 0.7}
    return Figure("churn_90d_auc", higher, values, "recency", 0.1, Interval(low, high))


def test_the_verdict_follows_the_interval_not_the_figure():
    assert "▲ better" in headline([figure(0.01, 0.2)])
    assert "· alike" in headline([figure(-0.01, 0.2)])
    assert "▼ worse" in headline([figure(-0.2, -0.01)])
    assert "▼ worse" in headline([figure(0.01, 0.2, higher=False)])
    assert "▲ better" in headline([figure(-0.2, -0.01, higher=False)])


def test_a_model_that_knew_what_came_is_said_to_flatter(evaluation):
    assert "these figures flatter it" in document(CARD, [Told(evaluation, False)])
    assert "these figures flatter it" not in document(CARD, [Told(evaluation, True)])
    assert "LightGBM is not compared" in document(CARD, [Told(evaluation, True)], ["lightgbm"])


def test_names_from_files_are_no_markup(evaluation):
    card = replace(CARD, version="<script>alert(1)</script>")
    assert "<script" not in document(card, [Told(evaluation, True)])
