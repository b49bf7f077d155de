"""What becomes of an alert at one answered request: the conditions in the order in which they count, each with the
figures that it is about.

It judges and changes nothing. ``episodes`` acts on the verdict; whoever asks why gets the same conditions told, so the
two cannot say different things.
"""

from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple

import msgspec

from stream.contracts.times import DAY_MS
from stream.decisions.budget import Budget, partition_share
from stream.decisions.case import Case, Terms
from stream.decisions.kinds import severity, timing, value_at_risk
from stream.decisions.policies import RuleInForce
from stream.decisions.state import DecisionState, Episode

Outcome = Literal[
    "raised",
    "updated",
    "unchanged",
    "purchased",
    "recovered",
    "corrected",
    "policy_changed",
    "below_threshold",
    "below_value",
    "too_early",
    "too_late",
    "cool_down",
    "daily_cap",
    "budget",
    "quiet_hours",
    "fallback",
    "out_of_order",
    "disabled",
    "no_consent",
]
"""What became of an alert at one request: the transition made, the reason of its end, or what stood in the way of
one."""

Unit = Literal["", "probability", "days", "time", "alerts", "amount"]
"""Of a condition's figures; ``time`` is epoch milliseconds of event time, ``amount`` is in the configured currency."""

_MILLI: Final = 1_000


class Unraised(NamedTuple):
    """A customer without an open alert, and the kind of alert that could be raised."""

    kind: str
    state: DecisionState
    case: Case
    budget: Budget
    terms: Terms
    rule: RuleInForce


class Open(NamedTuple):
    """An open alert that is looked at again."""

    kind: str
    episode: Episode
    case: Case
    terms: Terms
    rule: RuleInForce | None
    """None: the policy knows no such kind any more."""


class Condition(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was asked before an alert was raised, ended or left alone."""

    outcome: Outcome
    """What became of the alert where it holds."""
    holds: bool
    observed: float | str | None = None
    limit: float | None = None
    """What ``observed`` was held against; None: against nothing, as where there is no cool-down."""
    unit: Unit = ""


class Weighed(msgspec.Struct, frozen=True):
    """How one alert was judged."""

    kind: str
    open: bool
    """Whether it was open already."""
    outcome: Outcome
    conditions: list[Condition]
    """In the order in which they were asked; the last one decided, unless none holds."""


Witness = Callable[[Unraised | Open], None]
"""Is shown what is about to be judged; see ``weighed``. It may change nothing."""


class _Figures(NamedTuple):
    observed: float | str | None = None
    limit: float | None = None
    unit: Unit = ""


class _Obstacle(NamedTuple):
    """Something that stands in the way of a new alert."""

    outcome: Outcome
    holds: Callable[[Unraised], bool]
    figures: Callable[[Unraised], _Figures] = lambda at: _Figures()


class _Turn(NamedTuple):
    """Something that ends or moves an open alert, or keeps it from being judged."""

    outcome: Outcome
    holds: Callable[[Open], bool]
    figures: Callable[[Open], _Figures] = lambda at: _Figures()


def obstacle(at: Unraised) -> Outcome | None:
    """The first thing that stands in the way of a new alert; None: nothing does, and it is raised. Where only quiet
    hours do, it is raised and held until they end."""
    for outcome, holds, _ in _OBSTACLES:
        if holds(at):
            return outcome
    return None


def turn(at: Open) -> Outcome:
    """What becomes of an open alert."""
    for outcome, holds, _ in _TURNS:
        if holds(at):
            return outcome
    return "unchanged"


def told_at(case: Case, terms: Terms) -> int:
    """When an alert that is raised now would be published: now, or when the quiet hours are over. Epoch
    milliseconds."""
    return terms.policies.settings.quiet_hours.over_at(case.now)


def weighed(at: Unraised | Open) -> Weighed:
    """The verdict with all that led to it. It is ``obstacle``'s or ``turn``'s."""
    if isinstance(at, Open):
        asked = (Condition(each.outcome, each.holds(at), *each.figures(at)) for each in _TURNS)
        return Weighed(at.kind, True, turn(at), _until_one_holds(asked))
    asked = (Condition(each.outcome, each.holds(at), *each.figures(at)) for each in _OBSTACLES)
    return Weighed(at.kind, False, obstacle(at) or "raised", _until_one_holds(asked))


def _until_one_holds(asked: Iterable[Condition]) -> list[Condition]:
    conditions: list[Condition] = []
    for condition in asked:
        conditions.append(condition)
        if condition.holds:
            break
    return conditions


# -- a new alert -----------------------------------------------------


def _too_little_worth(at: Unraised) -> bool:
    least = at.rule.raise_value
    return least > 0 and _worth(at) < least


def _worth(at: Unraised) -> float:
    case = at.case
    return value_at_risk(case.score, case.facts, at.terms.policies, case.answer.currency).amount


def _rests(at: Unraised) -> bool:
    rest = at.state.rests.get(at.kind)
    return rest is not None and (at.case.now < rest.until or at.case.now <= rest.started_at)


def _rest_ends(at: Unraised) -> _Figures:
    rest = at.state.rests.get(at.kind)
    return _Figures(at.case.now, None if rest is None else rest.until, "time")


def _had_enough(at: Unraised) -> bool:
    state = at.state
    return state.raised_today >= at.terms.policies.settings.daily_cap and _day(at) <= state.raised_day


def _had(at: Unraised) -> _Figures:
    had = at.state.raised_today if _day(at) <= at.state.raised_day else 0
    return _Figures(had, at.terms.policies.settings.daily_cap, "alerts")


def _spent(at: Unraised) -> int:
    return at.budget.spent(at.kind, _day(at))


def _share(at: Unraised) -> int:
    return partition_share(at.rule.daily_budget, at.case.origin.partition, at.terms.deployment.partitions)


def _day(at: Unraised) -> int:
    return at.case.now // DAY_MS


def _silence(at: Unraised, limit: float) -> _Figures:
    return _Figures(round((at.case.now - at.case.facts.last_purchase_at) / DAY_MS, 1), limit, "days")


# -- an open one -----------------------------------------------------


def _bought(at: Open) -> bool:
    return at.case.facts.last_purchase_at > at.episode.last_purchase_at


def _newest_purchase(at: Open) -> _Figures:
    return _Figures(at.case.facts.last_purchase_at, at.episode.last_purchase_at, "time")


def _is_low(at: Open) -> bool:
    return at.rule is not None and at.case.score < at.rule.resolve_threshold


def _low_by_policy(at: Open) -> bool:
    # Under the thresholds that the alert was published with, such a score would have left it open; and another model
    # that sees it otherwise says nothing of a change in the customer.
    alert, case = at.episode.alert, at.case
    return _is_low(at) and (case.score >= alert.resolve_threshold or case.answer.model != alert.model)


def _resolves(at: Open) -> _Figures:
    return _Figures(at.case.score, None if at.rule is None else at.rule.resolve_threshold, "probability")


def _moved(at: Open) -> bool:
    published, score = at.episode.alert, at.case.score
    # In thousandths: to a float, 0.75 - 0.7 is less than 0.05.
    step = round(at.terms.policies.settings.update_step * _MILLI)
    far = abs(round(score * _MILLI) - round(published.score * _MILLI)) >= step
    return at.rule is not None and (far or severity(score, at.rule) != published.severity)


def _distance(at: Open) -> _Figures:
    moved = abs(at.case.score - at.episode.alert.score)
    return _Figures(round(moved, 3), at.terms.policies.settings.update_step, "probability")


def _is_fallback(at: Unraised | Open) -> bool:
    return at.case.answer.fallback


def _is_late(at: Unraised | Open) -> bool:
    # It tells of a moment before one that was judged already; what it knows of purchases is believed all the same.
    return at.case.request.as_of < at.case.now


def _why_fallback(at: Unraised | Open) -> _Figures:
    return _Figures(at.case.answer.fallback_reason or None)


def _times(at: Unraised | Open) -> _Figures:
    return _Figures(at.case.request.as_of, at.case.now, "time")


_OBSTACLES: Final = (
    _Obstacle("no_consent", lambda at: not at.state.marketing),
    _Obstacle("disabled", lambda at: not at.rule.enabled),
    _Obstacle("fallback", _is_fallback, _why_fallback),
    _Obstacle("out_of_order", _is_late, _times),
    _Obstacle(
        "below_threshold",
        lambda at: at.case.score < at.rule.raise_threshold,
        lambda at: _Figures(at.case.score, at.rule.raise_threshold, "probability"),
    ),
    _Obstacle("below_value", _too_little_worth, lambda at: _Figures(_worth(at), at.rule.raise_value, "amount")),
    _Obstacle(
        "too_early",
        lambda at: timing(at.case.facts, at.case.now, at.rule) == "too_early",
        lambda at: _silence(at, at.rule.silent_from_days),
    ),
    _Obstacle(
        "too_late",
        lambda at: timing(at.case.facts, at.case.now, at.rule) == "too_late",
        lambda at: _silence(at, at.rule.silent_until_days),
    ),
    _Obstacle("cool_down", _rests, _rest_ends),
    _Obstacle("daily_cap", _had_enough, _had),
    _Obstacle("budget", lambda at: _spent(at) >= _share(at), lambda at: _Figures(_spent(at), _share(at), "alerts")),
    _Obstacle(
        "quiet_hours",
        lambda at: told_at(at.case, at.terms) > at.case.now,
        lambda at: _Figures(at.case.now, told_at(at.case, at.terms), "time"),
    ),
)
_TURNS: Final = (
    # A purchase that came late: had it been known, the silence that raised the alert would not have been one.
    _Turn(
        "corrected",
        lambda at: (
            _bought(at) and not at.episode.held_until and at.case.facts.last_purchase_at <= at.episode.started_at
        ),
        _newest_purchase,
    ),
    _Turn("purchased", _bought, _newest_purchase),
    _Turn("policy_changed", lambda at: at.rule is None or not at.rule.enabled),
    _Turn("fallback", _is_fallback, _why_fallback),
    _Turn("out_of_order", _is_late, _times),
    _Turn("policy_changed", _low_by_policy, _resolves),
    _Turn("recovered", _is_low, _resolves),
    _Turn("updated", _moved, _distance),
)
