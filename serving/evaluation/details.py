"""Everything about one cut-off that a table of figures leaves out: curves, and figures by segment.

It costs some times what the figures cost, so it is made only when asked for. Called by ``serving.evaluation.report``
for ``tidemark evaluate --segments`` and ``--report``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from serving.evaluation.bootstrap import Draws
from serving.evaluation.comparison import MODEL, Forecast
from serving.evaluation.curves import Calibration, Gain, ValueDecile, calibration, gain, value_deciles
from serving.evaluation.segments import Groups, Segment, segments
from serving.evaluation.truth import Truth
from serving.history import Journey


class Details(msgspec.Struct, frozen=True):
    """Curves and segments; lists are empty where no outcome is known yet."""

    calibration: list[Calibration]
    """By horizon, the shortest first."""
    gains: list[Gain]
    value: list[ValueDecile]
    segments: list[Segment]


def details(
    forecasts: Mapping[str, Forecast],
    truth: Truth,
    customers: Sequence[str],
    journeys: Mapping[str, Journey],
    as_of: int,
    groups: Groups,
    draws: Draws,
) -> Details:
    """Of the forecast named ``MODEL``, with the others beside it."""
    said = forecasts[MODEL]
    known = {days: churned for days, churned in truth.churned.items() if days in said.churn}
    value: list[ValueDecile] = []
    if truth.revenue is not None and said.revenue_mean is not None:
        value = value_deciles(truth.revenue, said.revenue_mean, draws)
    return Details(
        [calibration(days, churned, said.churn[days], draws) for days, churned in known.items()],
        [gain(days, churned, forecasts, draws) for days, churned in known.items()],
        value,
        segments(forecasts, truth, customers, journeys, as_of, groups),
    )
