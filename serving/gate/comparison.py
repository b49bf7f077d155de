"""Whether a version is worse than the one in force: both score the same customers at the same moments, and what the
customers did afterwards is held against both. Called by `tidemark models`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.evaluation import metrics
from serving.evaluation.bootstrap import DRAWS, interval
from serving.evaluation.comparison import REVENUE_CAP
from serving.gate.calibration import calibration_in_the_large, not_further_off
from serving.gate.fitness import fitness
from serving.gate.scored import HORIZON_DAYS, NothingToCompare, Scored, canaries, score_both
from serving.gate.verdict import Check, Difference, Segment, Verdict
from serving.model_card import ModelCard
from serving.registry import RegisteredVersion
from stream.contracts.events import Event
from stream.contracts.times import DAY_MS, to_epoch_ms, to_rfc3339
from stream.profiles.settings import ProfileSettings

Floats = npt.NDArray[np.float64]

CLAIMED_TOO_MUCH: Final = 0.05
"""By so much more than the present version's may the AUC on the card exceed what is measured here. What is claimed in
excess was made with features that knew the future."""

DAYS_BEFORE_END: Final = (210, 180, 150, 120, 90)
"""Cut-offs where none are given: several, since a month of a shop is unlike the next, and their outcomes are known."""

_LENGTHS: Final = (("1", 1, 1), ("2 to 4", 2, 4), ("5 to 9", 5, 9), ("10 or more", 10, 1 << 30))
_SEED: Final = 20110609


def judge(
    candidate: RegisteredVersion,
    present: RegisteredVersion,
    history: Sequence[Event],
    cutoffs: Sequence[int],
    settings: ProfileSettings,
    on_progress: Callable[[str], None] = lambda what: None,
) -> Verdict:
    """The gate.

    Args:
        history: canonical events in the order of time.
        cutoffs: epoch milliseconds at which both versions score; without any, ``DAYS_BEFORE_END``.
        on_progress: told what is being done.

    Raises:
        NothingToCompare: no events, hardly any customers that neither version was trained on, or no outcome yet.
    """
    if not history:
        raise NothingToCompare("there are no events to compare versions on")
    end = (to_epoch_ms(history[-1].time) // DAY_MS + 1) * DAY_MS - 1
    moments = sorted(cutoffs) or [end + 1 - days * DAY_MS for days in DAYS_BEFORE_END]
    on_progress("looking at the network")
    checks = fitness(candidate, present, canaries(present, history, moments[-1], settings))
    verdict = Verdict(candidate=candidate.card.version, present=present.card.version, checks=checks)
    if not verdict.passed:
        return verdict
    rows = score_both(candidate, present, history, moments, end, settings, on_progress)
    customers = len(np.unique(rows.owner))
    on_progress("intervals")
    everybody = np.arange(len(rows.owner))
    differences = [_difference(rows, measured, everybody) for measured in _measures(rows)]
    on_the_whole = calibration_in_the_large(rows.owner, rows.churned, *rows.churn)
    checks += [
        *map(_not_worse, differences),
        not_further_off(on_the_whole, customers),
        _claims(candidate.card, present.card, differences[0]),
    ]
    return Verdict(
        candidate=verdict.candidate,
        present=verdict.present,
        checks=checks,
        customers=customers,
        cutoffs=[to_rfc3339(moment)[:10] for moment in moments],
        differences=[*differences, on_the_whole],
        segments=list(_segments(rows)),
    )


class _Measured(NamedTuple):
    metric: str
    higher_is_better: bool
    of: Callable[[int, npt.NDArray[np.intp]], float]
    """The figure of the present version (0) or the candidate (1) over some rows."""


def _measures(rows: Scored) -> Iterator[_Measured]:
    yield from _of_churn(rows)
    yield _Measured("churn_90d_ece", False, lambda who, at: metrics.ece(rows.churned[at], rows.churn[who][at]))
    if np.isfinite(rows.revenue).any():
        yield _Measured("value_180d_spearman", True, lambda who, at: _value(rows, who, at, metrics.spearman))
        yield _Measured("value_180d_mae_capped", False, lambda who, at: _value_error(rows, who, at))
    yield _Measured("recall_20", True, lambda who, at: _mean(rows.recall[who][at]))
    yield _Measured("new_recall_20", True, lambda who, at: _mean(rows.new_recall[who][at]))


def _of_churn(rows: Scored) -> Iterator[_Measured]:
    yield _Measured("churn_90d_auc", True, lambda who, at: metrics.auc(rows.churned[at], rows.churn[who][at]))
    yield _Measured("churn_90d_brier", False, lambda who, at: metrics.brier(rows.churned[at], rows.churn[who][at]))


def _value(rows: Scored, who: int, at: npt.NDArray[np.intp], metric: Callable[[Floats, Floats], float]) -> float:
    known = at[np.isfinite(rows.revenue[at])]
    return metric(rows.revenue[known], rows.expected[who][known])


def _value_error(rows: Scored, who: int, at: npt.NDArray[np.intp]) -> float:
    known = at[np.isfinite(rows.revenue[at])]
    capped = np.minimum(rows.revenue[known], REVENUE_CAP)
    return float(np.abs(capped - np.minimum(rows.median[who][known], REVENUE_CAP)).mean())


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _difference(rows: Scored, measured: _Measured, within: npt.NDArray[np.intp]) -> Difference:
    random = np.random.default_rng(_SEED)
    customers = int(rows.owner.max()) + 1
    drawn = []
    for _ in range(DRAWS):
        # All rows of a customer come as often as the customer is drawn.
        times = np.bincount(random.integers(0, customers, customers), minlength=customers)
        at = np.repeat(within, times[rows.owner[within]])
        drawn.append(measured.of(1, at) - measured.of(0, at) if len(at) else float("nan"))
    return Difference(
        measured.metric,
        measured.higher_is_better,
        measured.of(0, within),
        measured.of(1, within),
        interval(np.array(drawn)),
    )


def _not_worse(difference: Difference) -> Check:
    low, high = difference.interval
    return Check(
        difference.metric.replace("_", " "),
        not difference.worse,
        f"{difference.candidate:.3f}, the present one {difference.present:.3f} ({low:+.3f} to {high:+.3f})",
    )


def _claims(candidate: ModelCard, present: ModelCard, auc: Difference) -> Check:
    """Whether the card says more of the model than can be seen of it, by more than the present one's does."""
    own, other = _claimed(candidate), _claimed(present)
    if own is None or other is None:
        return Check("claims", own is not None, "the card has no AUC on a later period" if own is None else "")
    excess = (own - auc.candidate) - (other - auc.present)
    finding = f"AUC {own:.3f} on the card, {auc.candidate:.3f} here; the present one {other:.3f} and {auc.present:.3f}"
    if excess > CLAIMED_TOO_MUCH:
        finding += ": what cannot be seen here was made with features that knew the future"
    return Check("claims", excess <= CLAIMED_TOO_MUCH, finding)


def _claimed(card: ModelCard) -> float | None:
    prefix = f"churn_{HORIZON_DAYS}d_auc at "
    found = [figures["model"] for name, figures in card.metrics.items() if name.startswith(prefix)]
    return float(np.mean(found)) if found else None


def _segments(rows: Scored) -> Iterator[Segment]:
    for name, least, most in _LENGTHS:
        within = np.flatnonzero((rows.history >= least) & (rows.history <= most))
        if len(np.unique(rows.churned[within])) == 2:
            differences = [_difference(rows, measured, within) for measured in _of_churn(rows)]
            yield Segment(name, len(np.unique(rows.owner[within])), differences)
