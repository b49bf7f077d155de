"""Why an alert is what it is: what happened lately, and what moved the score, by the model where it was asked in time
and otherwise by rules that a person can check.

A rule names a group of behaviour, a figure, and what it is held against. Its weight, 0 to 1, is the share of the
distance between the score and the base rate that the rule can account for by itself; weights were set by hand, as a
convention. Rules that point in the direction of the distance share it out by weight. Where their weights do not add
up to 1 they explain only so much of it, and the rest stays unexplained: there is no group called "other".
``descriptions`` calls this module; decision 12 says why the order is as it is.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from stream.contracts.scores import Contribution
from stream.contracts.times import DAY_MS
from stream.decisions.facts import Facts
from stream.profiles.profile import Profile
from stream.profiles.statistics import decayed_count, sentiment

MOST_REASONS: Final = 5

Method = Literal["rule", "shapley", "shapley+rule"]

_OCCASION_DAYS: Final = 30
_TOLD_BY: Final = {"cart_emptied": ("cart_emptied", "cart"), "negative_review": ("negative_review", "opinion")}
"""Codes under which a rule or the model tells of the same."""

_RECENT_DAYS: Final = 90
_VISIT_DAYS: Final = 14
_LEAST_MESSAGES: Final = 5
_ENGAGED: Final = 0.2
"""Share of messages opened that is ordinary; a convention."""
_NEUTRAL_RATING: Final = 3.0
_LEAST_RETURNS: Final = 0.25
"""Decayed: one return, 60 days ago."""
_LEAST_REVIEWS: Final = 0.5
"""Decayed: one review, 90 days ago."""
_ORDINARY_RETURN_DAYS: Final = 45.0
"""Days after which a one-time buyer who comes back at all has come back, more often than not, in Online Retail II."""


class _Finding(NamedTuple):
    code: str
    weight: float
    """Positive towards churn, negative away from it."""
    value: float
    unit: str
    reference: float | None


def reasons(
    given: list[Contribution], profile: Profile, facts: Facts, distance: float
) -> tuple[list[Contribution], Method]:
    """What an alert gives as its reasons, and how they were found.

    What happened within 30 days and speaks against the customer's coming back (a cart emptied by hand since the last
    order, a review of one or two stars) comes first, because it is what can be answered; its contribution is what the
    score owes to it, which is 0 where the model does not weigh such things.

    Args:
        given: the model's own reasons; empty where it was not asked.
        profile: the customer's.
        facts: read from it.
        distance: score less base rate.
    """
    method: Method = "shapley" if given else "rule"
    found = given or rule_reasons(profile, facts, distance)
    if distance <= 0:
        return found, method
    first: list[Contribution] = []
    for occasion in _occasions(profile, facts):
        told = next((each for each in found if each.code in _TOLD_BY[occasion.code] and each.contribution > 0), None)
        if told is not None:
            found = [each for each in found if each is not told]
        first.append(_told(occasion, 0.0 if told is None else told.contribution))
        method = "shapley+rule" if given else "rule"
    return first + found, method


def _occasions(profile: Profile, facts: Facts) -> list[_Finding]:
    """What happened lately, the weightier first."""
    since = facts.at - _OCCASION_DAYS * DAY_MS
    found = []
    if profile.cart_cleared_at > since and (emptied := _cart(profile, facts)) is not None:
        found.append(emptied)
    rated = [each for each in facts.interactions if each.type == "review" and each.quantity and each.time > since]
    if rated and rated[-1].quantity < _NEUTRAL_RATING:
        stars = rated[-1].quantity
        found.append(_Finding("negative_review", 0.2 * (_NEUTRAL_RATING - stars), stars, "stars", _NEUTRAL_RATING))
    return sorted(found, key=lambda finding: -finding.weight)


def rule_reasons(profile: Profile, facts: Facts, distance: float) -> list[Contribution]:
    """The reasons for a score, strongest first, at most ``MOST_REASONS``.

    Args:
        profile: the customer's.
        facts: read from it.
        distance: score less base rate; its sign says which rules are asked for. The contributions have that sign, and
            their sum is at most that far from zero.
    """
    sign = -1.0 if distance < 0 else 1.0
    findings = [found for rule in _RULES if (found := rule(profile, facts)) is not None and found.weight * sign > 0]
    findings.sort(key=lambda found: (-abs(found.weight), found.code))
    findings = findings[:MOST_REASONS]
    explained = max(1.0, sum(abs(found.weight) for found in findings))
    return [_told(found, round(distance * abs(found.weight) / explained, 3)) for found in findings]


def _told(found: _Finding, contribution: float) -> Contribution:
    return Contribution(
        code=found.code,
        # A count, too: it comes back from a kept state as a float, and the alert would be written in two ways.
        value=float(round(found.value, 2)),
        unit=found.unit,
        reference=None if found.reference is None else round(found.reference, 2),
        contribution=contribution,
    )


def _silence(_: Profile, facts: Facts) -> _Finding | None:
    """The time since the last order against the customer's own gap, or against what one-time buyers take who return."""
    if not facts.baskets:
        return None
    silence = facts.silence_days
    if facts.mean_gap_days < 1.0:
        weight = _clipped(silence / _ORDINARY_RETURN_DAYS, 2.0) * 0.35
        return _Finding("silence_after_first_order", weight, silence, "days", _ORDINARY_RETURN_DAYS)
    ratio = silence / facts.mean_gap_days
    if ratio < 0.5:
        return _Finding("recent_order", -0.7 * (1.0 - ratio), silence, "days", facts.mean_gap_days)
    return _Finding("silence_vs_rhythm", _clipped(ratio, 2.0) * 0.35, silence, "days", facts.mean_gap_days)


def _frequency(_: Profile, facts: Facts) -> _Finding | None:
    """Orders of the last 90 days against the customer's own rate."""
    known_days = (facts.at - facts.first_purchase_at) / DAY_MS
    if facts.mean_gap_days < 1.0 or known_days < 2 * _RECENT_DAYS:
        return None
    usual = _RECENT_DAYS / facts.mean_gap_days
    lately = sum(1 for time in facts.recent_baskets if time > facts.at - _RECENT_DAYS * DAY_MS)
    if usual < 1.0 or lately == usual:
        return None
    change = _clipped(1.0 - lately / usual, 1.0)
    return _Finding("frequency_drop" if change > 0 else "frequency_rise", 0.4 * change, lately, "orders_90d", usual)


def _opinion(profile: Profile, facts: Facts) -> _Finding | None:
    """The mean rating, halved every 90 days, against three stars; silent where the last review is long ago."""
    opinion = sentiment(profile, facts.at)
    if opinion.weight < _LEAST_REVIEWS or opinion.mean == _NEUTRAL_RATING:
        return None
    below = _NEUTRAL_RATING - opinion.mean
    code = "negative_review" if below > 0 else "positive_review"
    return _Finding(code, 0.2 * below, opinion.mean, "stars", _NEUTRAL_RATING)


def _returned(profile: Profile, facts: Facts) -> _Finding | None:
    """Returns, halved every 30 days."""
    count = decayed_count(profile, "return", facts.at).month
    if count < _LEAST_RETURNS:
        return None
    return _Finding("returns", 0.15 * _clipped(count, 3.0), count, "returns_decayed", None)


def _cart(profile: Profile, facts: Facts) -> _Finding | None:
    """A cart that was emptied by hand since the last order, and is still empty."""
    if facts.cart_value or profile.cart_cleared_at <= facts.last_purchase_at:
        return None
    since = (facts.at - profile.cart_cleared_at) / DAY_MS
    return _Finding("cart_emptied", 0.3, since, "days_ago", None) if since <= _RECENT_DAYS else None


def _engagement(profile: Profile, _: Facts) -> _Finding | None:
    """Share of messages opened against what is ordinary; silent on fewer than five messages."""
    if profile.messages_sent < _LEAST_MESSAGES:
        return None
    opened = min(1.0, profile.messages_opened / profile.messages_sent)
    if opened < _ENGAGED / 2:
        return _Finding("low_engagement", 0.2, opened, "share", _ENGAGED)
    return _Finding("engaged", -0.2, opened, "share", _ENGAGED) if opened > _ENGAGED else None


def _visits(_: Profile, facts: Facts) -> _Finding | None:
    """Items looked at or carted in the last 14 days."""
    count = _count(facts, ("browse", "cart"), _VISIT_DAYS)
    return _Finding("recent_visits", -0.1 * _clipped(count, 5.0), count, "items", None) if count else None


def _count(facts: Facts, types: tuple[str, ...], days: int) -> int:
    return sum(1 for each in facts.interactions if each.type in types and each.time > facts.at - days * DAY_MS)


def _clipped(value: float, bound: float) -> float:
    return max(-bound, min(bound, value))


_RULES: Final[tuple[Callable[[Profile, Facts], _Finding | None], ...]] = (
    _silence,
    _frequency,
    _opinion,
    _returned,
    _cart,
    _engagement,
    _visits,
)
