"""Which plots a report has, made from the details of one cut-off.

They are data, see ``chart``; the page and the PNG files draw the same ones. Called by
``serving.evaluation.page.document`` and ``stream.operations.evaluate_report``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from serving.evaluation.comparison import MODEL
from serving.evaluation.curves import Calibration, Gain, ValueDecile
from serving.evaluation.details import Details
from serving.evaluation.page.chart import Axis, Chart, Series
from serving.evaluation.wording import forecast_name

_TENTHS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_MOST_OTHERS: Final = 6
_LIFT_UNTIL: Final = 0.5


def charts(details: Details, cutoff: str) -> list[Chart]:
    """All plots of a cut-off, calibration first."""
    found = [calibration_chart(each, cutoff) for each in details.calibration]
    for each in details.gains:
        found += [gain_chart(each, cutoff), lift_chart(each, cutoff)]
    return [*found, value_chart(details.value, cutoff)] if details.value else found


def calibration_chart(each: Calibration, cutoff: str) -> Chart:
    """What was said against what happened, ten bins of equal mass."""
    said, observed = [b.said for b in each.bins], [b.observed for b in each.bins]
    worst = max(abs(s - o) for s, o in zip(said, observed, strict=True))
    series = [
        Series("exactly as said", (0, 1), (0, 1), role="guide"),
        Series(
            "model, 95 %",
            said,
            observed,
            [b.interval.low for b in each.bins],
            [b.interval.high for b in each.bins],
            "points",
            "model",
        ),
    ]
    return Chart(
        f"calibration-{each.horizon}-{cutoff}",
        f"Calibration: no order within {_days(each.horizon)}",
        f"Ten groups of customers by predicted probability of no order within {_days(each.horizon)}, against the share "
        f"without one. The largest distance from the diagonal is {worst:.3f}; the slope is {each.slope:.2f}, the "
        f"intercept {round(each.intercept, 2) + 0.0:+.2f}.",
        _share_axis("said"),
        _share_axis("happened"),
        series,
    )


def gain_chart(each: Gain, cutoff: str) -> Chart:
    """Share of churners found over share of customers looked at."""
    shares = [0.0, *each.shares]
    series = [
        Series("best possible", shares, [0.0, *each.perfect], role="guide"),
        Series("by chance", (0, 1), (0, 1), role="guide"),
        *(Series(forecast_name(who), shares, [0.0, *each.found[who]]) for who in _others(each)),
        _of_model(each, shares, [0.0, *each.found[MODEL]], 0.0),
    ]
    return Chart(
        f"gain-{each.horizon}-{cutoff}",
        f"Gain: churners found, {_days(each.horizon)}",
        f"Of the customers without an order within {_days(each.horizon)}, the share found among those with the highest "
        f"scores. Looking at a fifth of the customers the model finds {_at(each, MODEL, 0.2):.0%}; "
        + ", ".join(f"{forecast_name(who)} {_at(each, who, 0.2):.0%}" for who in _others(each))
        + ".",
        _share_axis("customers looked at, highest scores first"),
        _share_axis("churners found"),
        series,
    )


def lift_chart(each: Gain, cutoff: str) -> Chart:
    """Precision over base rate, over share of customers looked at."""
    shares = [share for share in each.shares if share <= _LIFT_UNTIL]

    def lift(found: Sequence[float]) -> list[float]:
        return [value / share for value, share in zip(found, shares, strict=False)]

    model = lift(each.found[MODEL])
    low, high = lift([end.low for end in each.intervals]), lift([end.high for end in each.intervals])
    perfect = lift(each.perfect)
    others = [lift(each.found[who]) for who in _others(each)]
    known = [v for values in (low, high, model, perfect, *others) for v in values if math.isfinite(v)]
    ticks = _ticks(min(known, default=1.0), max(known, default=1.0))
    return Chart(
        f"lift-{each.horizon}-{cutoff}",
        f"Lift over the base rate, {_days(each.horizon)}",
        f"Share without an order within {_days(each.horizon)} among those with the highest scores, over the share "
        f"among all. Among the highest tenth the model has {_at(each, MODEL, 0.1) / 0.1:.2f}; "
        + ", ".join(f"{forecast_name(who)} {_at(each, who, 0.1) / 0.1:.2f}" for who in _others(each))
        + ".",
        Axis(
            "customers looked at, highest scores first",
            (0, 0.1, 0.2, 0.3, 0.4, 0.5),
            ("0", "10 %", "20 %", "30 %", "40 %", "50 %"),
        ),
        Axis("lift", ticks, [f"{tick:.1f}" for tick in ticks]),
        [
            Series("best possible", shares, perfect, role="guide"),
            Series("by chance", (0, _LIFT_UNTIL), (1, 1), role="guide"),
            *(Series(forecast_name(who), shares, said) for who, said in zip(_others(each), others, strict=True)),
            Series("model, 95 %", shares, model, low, high, "line", "model"),
        ],
    )


def value_chart(deciles: Sequence[ValueDecile], cutoff: str) -> Chart:
    """Mean revenue by tenths of the prediction, on a logarithmic axis."""
    tenths = list(range(1, len(deciles) + 1))
    said, actual = [d.said for d in deciles], [d.actual for d in deciles]
    positive = [v for v in (*said, *actual, *(d.interval.low for d in deciles)) if v > 0]
    lowest = 10 ** math.floor(math.log10(min(positive, default=1.0)))
    highest = 10 ** math.ceil(math.log10(max(*said, *(d.interval.high for d in deciles), lowest * 10)))
    ticks = [10.0**power for power in range(round(math.log10(lowest)), round(math.log10(highest)) + 1)]
    return Chart(
        f"value-{cutoff}",
        "Revenue of 180 days by tenths of the prediction",
        "Mean revenue a customer by tenths of predicted revenue, the smallest first, predicted against actual: "
        + "; ".join(f"tenth {t}: {s:,.0f} and {a:,.0f}" for t, s, a in zip(tenths, said, actual, strict=True))
        + ".",
        Axis("tenth of the customers, by prediction", [0.5, *tenths, len(tenths) + 0.5], ["", *map(str, tenths), ""]),
        Axis(
            "mean revenue, logarithmic", ticks, [f"{tick:,.0f}" if tick >= 1 else f"{tick:g}" for tick in ticks], True
        ),
        [
            Series("predicted", tenths, said, role="guide"),
            Series(
                "actual, 95 %",
                tenths,
                actual,
                [d.interval.low for d in deciles],
                [d.interval.high for d in deciles],
                "points",
                "model",
            ),
        ],
    )


def _of_model(each: Gain, x: Sequence[float], y: Sequence[float], first: float) -> Series:
    low, high = [end.low for end in each.intervals], [end.high for end in each.intervals]
    return Series("model, 95 %", x, y, [first, *low], [first, *high], "line", "model")


def _others(each: Gain) -> list[str]:
    return [who for who in each.found if who != MODEL][:_MOST_OTHERS]


def _at(each: Gain, who: str, share: float) -> float:
    nearest = min(range(len(each.shares)), key=lambda place: abs(each.shares[place] - share))
    return each.found[who][nearest]


def _days(horizon: str) -> str:
    return f"{horizon.removesuffix('d')} days"


def _share_axis(label: str) -> Axis:
    return Axis(label, _TENTHS, [f"{tick:.0%}".replace("%", " %") if tick else "0" for tick in _TENTHS])


def _ticks(lowest: float, highest: float) -> list[float]:
    """Round numbers around a lift of 1, at most ten of them or one a hundred."""
    low, high = min(lowest, 0.9), max(highest, 1.1)
    step = next((step for step in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0) if (high - low) / step <= 8), 100.0)
    return [step * place for place in range(math.floor(low / step), math.ceil(high / step) + 1)]
