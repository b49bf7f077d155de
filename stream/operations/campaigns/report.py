"""What the report says: for each draw of the arms, all customers and then kinds, segments, months and weeks.

A function of customers and what became of them. Called by `reading.py`; `stream.cli.campaigns_view` shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np

from stream.contracts.alerts import Arm
from stream.contracts.times import to_rfc3339
from stream.operations.campaigns.cohort import Unit
from stream.operations.campaigns.outcomes import Outcome
from stream.operations.campaigns.statistics import (
    Difference,
    Draw,
    Effect,
    Floats,
    cap_of,
    customers_for,
    difference_of_means,
    difference_of_shares,
    effect_on_reached,
    mismatch,
)

By = Literal["kind", "segment", "month", "week"]
BYS: Final[tuple[By, ...]] = ("kind", "segment", "month", "week")

MISMATCH: Final = 0.001
"""Below it a draw is not what it should be: nothing that is reported of it can be believed."""


class Followed(NamedTuple):
    """A customer, and what became of them; None: the window is not over yet."""

    unit: Unit
    outcome: Outcome | None


class ArmFigures(msgspec.Struct, frozen=True):
    """One arm, added up."""

    customers: int
    """Whose window is over."""
    not_over: int
    buyers: int
    revenue: float
    reached: int
    """To whom an ``engagement`` event says that a message went."""
    corrected: int
    """Whose alert a repair took back."""


class Reached(msgspec.Struct, frozen=True):
    """The effect on those who were reached; None where the draw says too little of it."""

    strength: float | None
    """F statistic of the draw for being reached; None: without bound."""
    buyers: Effect | None
    """On the share who bought."""
    revenue: Effect | None
    """On revenue a customer."""


class Row(msgspec.Struct, frozen=True):
    """Some customers of a draw."""

    by: By | Literal["all"]
    value: str
    treated: ArmFigures
    holdout: ArmFigures
    buyers: Difference | None
    """Share of customers who bought; None where an arm is empty."""
    revenue: Difference | None
    """Revenue a customer, at most the ``cap`` each; None where an arm has fewer than two."""
    revenue_uncapped: Difference | None
    """Revenue a customer, without a cap."""
    reached: Reached | None
    """None where no event says that anybody was."""


class Campaign(msgspec.Struct, frozen=True):
    """One draw of the arms: customers are compared within it alone."""

    experiment: str
    salt_version: str
    share: float
    first_raise: str
    """RFC 3339."""
    last_raise: str
    """RFC 3339."""
    cap: float | None
    """Revenue that one customer counts for at the most."""
    draw: Draw | None
    """None: the share leaves an arm empty."""
    mismatched: bool
    """The arms are not as they were to be drawn: nothing here can be believed."""
    moved: int
    """Customers with alerts in both arms, since the share was changed; their first one counts."""
    enough: bool | None
    """Whether ``detect`` would be seen, or, without it, whether a difference is; None: nothing can be compared."""
    needed: int | None
    """Customers, both arms together, that ``detect`` asks for, or the difference in the share who bought as it is."""
    rows: list[Row]


class Report(msgspec.Struct, frozen=True):
    """All draws that the log has, the newest first."""

    currency: str
    days: int | None
    """Length of the windows; None: the horizon of each alert."""
    detect: float | None
    """The difference in the share who bought that is to be seen."""
    until: str
    """How far the log has come where it has come least far, RFC 3339: windows that end later are not over."""
    campaigns: list[Campaign]
    customers_left_out: dict[str, int]
    """By why."""
    alerts_left_out: dict[str, int]
    """By mode, or ``simulated``."""


def campaigns(followed: Sequence[Followed], bys: Sequence[By], detect: float | None) -> list[Campaign]:
    """One for each draw, that with the newest raise first."""

    def draw(each: Followed) -> tuple[str, str, float]:
        return each.unit.experiment, each.unit.salt_version, each.unit.share

    drawn = [_campaign(list(own), bys, detect) for _, own in groupby(sorted(followed, key=draw), key=draw)]
    return sorted(drawn, key=lambda campaign: campaign.last_raise, reverse=True)


def _campaign(followed: list[Followed], bys: Sequence[By], detect: float | None) -> Campaign:
    units = [each.unit for each in followed]
    first, last = min(unit.raised_at for unit in units), max(unit.raised_at for unit in units)
    share = units[0].share
    sizes = {arm: sum(unit.arm == arm for unit in units) for arm in ("treatment", "holdout")}
    drawn = mismatch(sizes["treatment"], sizes["holdout"], share)
    cap = cap_of(_revenue([each.outcome for each in followed if each.outcome is not None]))
    rows = [_row("all", "all", followed, cap)]
    for by in bys:
        values = sorted({_VALUE[by](unit) for unit in units})
        groups = [[each for each in followed if _VALUE[by](each.unit) == value] for value in values]
        rows += [_row(by, value, group, cap) for value, group in zip(values, groups, strict=True)]
    enough, needed = _sufficient(rows[0], share, detect)
    return Campaign(
        experiment=units[0].experiment,
        salt_version=units[0].salt_version,
        share=share,
        first_raise=to_rfc3339(first),
        last_raise=to_rfc3339(last),
        cap=cap,
        draw=drawn,
        mismatched=drawn is not None and drawn.p < MISMATCH,
        moved=sum(unit.moved for unit in units),
        enough=enough,
        needed=needed,
        rows=rows,
    )


def _row(by: By | Literal["all"], value: str, followed: Sequence[Followed], cap: float | None) -> Row:
    treated, holdout = (_of_arm(followed, arm) for arm in ("treatment", "holdout"))
    one, other = _revenue(treated), _revenue(holdout)
    capped = (one, other) if cap is None else (np.minimum(one, cap), np.minimum(other, cap))
    arms = _figures(followed, "treatment", treated), _figures(followed, "holdout", holdout)
    return Row(
        by=by,
        value=value,
        treated=arms[0],
        holdout=arms[1],
        buyers=difference_of_shares(arms[0].buyers, len(treated), arms[1].buyers, len(holdout)),
        revenue=difference_of_means(*capped),
        revenue_uncapped=difference_of_means(one, other),
        reached=_reached(treated, holdout, *capped) if any(each.reached for each in (*treated, *holdout)) else None,
    )


def _reached(treated: list[Outcome], holdout: list[Outcome], one: Floats, other: Floats) -> Reached:
    mailed = [np.array([float(each.reached) for each in arm]) for arm in (treated, holdout)]
    bought = [np.array([float(each.orders > 0) for each in arm]) for arm in (treated, holdout)]
    buyers, strength = effect_on_reached(bought[0], mailed[0], bought[1], mailed[1])
    revenue, _ = effect_on_reached(one, mailed[0], other, mailed[1])
    return Reached(strength if math.isfinite(strength) else None, buyers, revenue)


def _sufficient(everybody: Row, share: float, detect: float | None) -> tuple[bool | None, int | None]:
    seen = everybody.buyers
    if seen is None:
        return None, None
    if detect is None:
        clear = seen.clear or (everybody.revenue is not None and everybody.revenue.clear)
        return clear, seen.needed
    # Before anybody has bought, a share of a half: what asks for most.
    base = seen.holdout if 0.0 < seen.holdout < 1.0 else 0.5
    spread = math.sqrt(base * (1.0 - base))
    needed = customers_for(detect, spread, share) if 0.0 < share < 1.0 else None
    return seen.detectable is not None and seen.detectable <= detect, needed


def _of_arm(followed: Sequence[Followed], arm: Arm) -> list[Outcome]:
    return [each.outcome for each in followed if each.unit.arm == arm and each.outcome is not None]


def _figures(followed: Sequence[Followed], arm: Arm, outcomes: list[Outcome]) -> ArmFigures:
    own = [each for each in followed if each.unit.arm == arm]
    return ArmFigures(
        customers=len(outcomes),
        not_over=len(own) - len(outcomes),
        buyers=sum(outcome.orders > 0 for outcome in outcomes),
        revenue=round(math.fsum(outcome.revenue for outcome in outcomes), 2),
        reached=sum(outcome.reached for outcome in outcomes),
        corrected=sum(each.unit.corrected for each in own),
    )


def _revenue(outcomes: list[Outcome]) -> Floats:
    return np.array([outcome.revenue for outcome in outcomes], np.float64)


def _month(unit: Unit) -> str:
    return to_rfc3339(unit.raised_at)[:7]


def _week(unit: Unit) -> str:
    """Of ISO 8601, in UTC."""
    year, week, _ = datetime.fromtimestamp(unit.raised_at / 1000, UTC).isocalendar()
    return f"{year}-W{week:02d}"


_VALUE: Final[dict[By, Callable[[Unit], str]]] = {
    "kind": lambda unit: unit.kind,
    "segment": lambda unit: unit.segment,
    "month": _month,
    "week": _week,
}
