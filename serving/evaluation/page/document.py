"""The report as one HTML page that needs nothing else: no script, no font, no network.

It puts together what others measured and drew, and says how to read it. Called by
``stream.operations.evaluate_report``.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

from serving.evaluation.comparison import MODEL, Figure
from serving.evaluation.page.chart import Chart
from serving.evaluation.page.plots import charts
from serving.evaluation.page.style import STYLE
from serving.evaluation.page.svg import svg
from serving.evaluation.page.tables import calibration_table, everybody, headline, segment_table
from serving.evaluation.report import Evaluation
from serving.evaluation.wording import by_task, ends, forecast_name, measure_name, number, task_of
from serving.model_card import ModelCard


class Told(NamedTuple):
    """One cut-off, and whether the model can have known its outcome."""

    evaluation: Evaluation
    unseen: bool


def document(card: ModelCard, cutoffs: Sequence[Told], missing: Sequence[str] = ()) -> str:
    """The page.

    Args:
        missing: baselines that are not installed.
    """
    sections = "".join(_cutoff(told) for told in cutoffs)
    links = "".join(f'<a href="#c-{t.evaluation.cutoff}">{t.evaluation.cutoff}</a>' for t in cutoffs)
    absent = "".join(
        f"<p class='warn'>{escape(forecast_name(name))} is not compared: it was not installed where this report was "
        "made.</p>"
        for name in missing
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Model {escape(card.name)} {escape(card.version)}: evaluation</title><style>{STYLE}</style></head>"
        f"<body><main><h1>What the customer model is worth</h1>"
        f'<p class="soft">Model {escape(card.name)} {escape(card.version)}, which knew orders until '
        f"{card.known_until[:10] or 'an unknown day'}, measured on what customers did after each day below.</p>"
        f'<nav aria-label="Days and sections">{links}<a href="#model">model and data</a><a href="#reading">how to read '
        f"this</a></nav>{absent}{sections}{_model(card)}{_READING}</main></body></html>\n"
    )


def _cutoff(told: Told) -> str:
    each = told.evaluation
    rates = "; ".join(f"{rate:.1%} without one in {h.removesuffix('d')} days" for h, rate in each.base_rates.items())
    seen = (
        ""
        if told.unseen
        else "<p class='warn'>The model was trained on orders from after this day: these figures flatter it.</p>"
    )
    head = (
        f'<h2 id="c-{each.cutoff}">{each.cutoff}: {each.customers:,} customers</h2>'
        f'<p class="soft">Everybody with an order in the year before. {rates}.</p>{seen}'
    )
    if not each.figures:
        return head + "<p>Nothing follows this day in the events, so there is nothing to compare with.</p>"
    parts = [head, _summary(each), headline(each.figures)]
    details = each.details
    if details is not None:
        drawn: dict[str, list[Chart]] = {}
        for chart in charts(details, each.cutoff):
            kind = chart.name.partition("-")[0]
            # Side by side: they are two readings of one curve.
            drawn.setdefault("gain" if kind == "lift" else kind, []).append(chart)
        parts.append("<h3>Are the probabilities right?</h3>")
        parts.append(calibration_table(details.calibration) + _plots(drawn.get("calibration", [])))
        parts.append("<h3>Whom would one look at first?</h3>" + _plots(drawn.get("gain", [])))
        if details.value:
            parts.append("<h3>Is the revenue right?</h3>" + _plots(drawn.get("value", [])))
    parts.append("<h3>Every baseline</h3>")
    parts += [everybody(task, figures) for task, figures in by_task(each.figures).items()]
    if details is not None and details.segments:
        parts.append("<h3>For whom does it hold?</h3>" + segment_table(details.segments))
    return "".join(parts)


def _summary(each: Evaluation) -> str:
    compared = [figure for figure in each.figures if figure.best_baseline]
    count = {name: sum(figure.verdict == name for figure in compared) for name in ("better", "alike", "worse")}
    worse = [
        f"{measure_name(figure.metric)} ({task_of(figure.metric)})" for figure in compared if figure.verdict == "worse"
    ]
    sentence = (
        f"Of {len(compared)} figures the model is better than the best baseline in {count['better']}, not told apart "
        f"from it in {count['alike']}, and worse in {count['worse']}" + (f": {', '.join(worse)}." if worse else ".")
    )
    tiles = "".join(
        _tile(figure, title) for metric, title in _TILES.items() for figure in compared if figure.metric == metric
    )
    return f'<p class="lead">{escape(sentence)}</p><div class="tiles">{tiles}</div>'


_TILES: Final = {
    "churn_90d_auc": "ranks who leaves within 90 days (AUC)",
    "churn_90d_brier": "error of the probability, 90 days (Brier)",
    "value_180d_spearman": "ranks the revenue of 180 days (Spearman)",
    "recall_20": "of the next basket among 20 items (recall)",
    "new_recall_20": "of its new items among 20 (recall)",
}


_TILE_VERDICTS: Final = {"better": "▲ better than", "alike": "· not told apart from", "worse": "▼ worse than"}


def _tile(figure: Figure, title: str) -> str:
    return (
        f'<div class="tile"><b>{number(figure.values[MODEL])}</b>{escape(title)}'
        f'<span class="{figure.verdict}">{_TILE_VERDICTS[figure.verdict]} '
        f"{escape(forecast_name(figure.best_baseline))}, {number(figure.values[figure.best_baseline])}</span>"
        f"<span>difference {escape(ends(figure.interval))}</span></div>"
    )


def _plots(found: Sequence[Chart]) -> str:
    figures = "".join(
        f"<figure><h3>{escape(chart.title)}</h3>{svg(chart)}<figcaption>{escape(chart.description)}</figcaption></figure>"
        for chart in found
    )
    return f'<div class="plots">{figures}</div>'


def _model(card: ModelCard) -> str:
    data = "".join(
        f"<dt>data</dt><dd>{escape(file.name)}: {file.events:,} events of {file.customers:,} customers, "
        f"{file.first_event[:10]} to {file.last_event[:10]}; SHA-256 {file.sha256}</dd>"
        for file in card.data
    )
    licences = "".join(
        f"<dt>licence of the data</dt><dd>{escape(each.title)}, {escape(each.authors)}: {escape(each.licence)} "
        f"({escape(each.source)})</dd>"
        for each in card.licences
    )
    thresholds = "".join(
        f"<dt>threshold, {each.horizon.removesuffix('d')} days</dt><dd>{each.raise_at:.3f} alerts "
        f"{each.budget_share:.0%} of the active; {each.precision:.1%} of them do not order, "
        f"of all active {each.base_rate:.1%}</dd>"
        for each in card.thresholds
    )
    facts = {
        "version": f"{card.name} {card.version}",
        "trained on cut-offs": f"{card.training.first} to {card.training.last}, {card.examples:,} examples",
        "calibrated on": f"{card.calibration.first} to {card.calibration.last}",
        "kept out": f"{len(card.demo_customers):,} customers",
        "features": f"schema {card.feature_schema}, fold {card.fold_version}",
        "amounts in": card.currency,
    }
    listed = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return f'<h2 id="model">Model and data</h2><dl>{listed}{data}{licences}{thresholds}</dl>'


_READING: Final = """<h2 id="reading">How to read this</h2>
<p>Every customer with an order in the year before the day is scored with what was known on that day. What they did
afterwards is the truth. Baselines are what an analyst has after an afternoon: they know the same orders, fitted anew
for each day.</p>
<dl>
<dt>better, alike, worse</dt><dd>by the 95 % interval of the difference, not by the figure. Customers are drawn with
replacement 300 times, the same ones for both sides; where the interval holds zero, chance alone could have made the
difference. One row in twenty is expected to lie outside by chance.</dd>
<dt>best baseline</dt><dd>the best of them on these very customers: harder to beat than any one chosen beforehand.</dd>
<dt>AUC</dt><dd>how often a customer who left has a higher score than one who came back; .5 is chance. AP: the mean
precision over all who left.</dd>
<dt>Brier, ECE</dt><dd>the mean squared error of the probability, and its mean distance from what happened in ten
groups; less is better. They move with the base rate, so never compare two days.</dd>
<dt>slope, intercept</dt><dd>1 and 0 where probabilities are right. A slope below 1: too extreme; above: too cautious.
An intercept above 0: too few said to leave.</dd>
<dt>top 10 %</dt><dd>share that left among the tenth with the highest scores.</dd>
<dt>Gini, Spearman</dt><dd>how well predicted revenue orders customers; 1 is perfect. Bias: the predicted total over the
actual one, less 1.</dd>
<dt>recall@20, NDCG@10</dt><dd>share of the next basket among the first 20 items ranked; the same for 10, earlier places
counting more. New items: without what the customer had bought before.</dd>
<dt>gain and lift</dt><dd>of those who left, how many are found by looking at so many customers; and how much denser
they lie there than everywhere.</dd>
</dl>"""
