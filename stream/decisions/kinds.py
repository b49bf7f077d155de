"""Which kind of alert a customer can have, whether now is the time for it, and how an alert of that kind is labelled.

Everything here is a judgement on one moment; what was decided before (episodes, cool-downs, caps) is ``episodes``'
business.
"""

from typing import Literal

from stream.contracts.alerts import Alert, Money, Severity, SuggestedAction
from stream.contracts.times import DAY_MS
from stream.decisions.facts import Facts
from stream.decisions.policies import AlertKind, PoliciesInForce, RuleInForce, Segment


def kind_of(facts: Facts, policies: PoliciesInForce) -> AlertKind:
    """The kind of alert for a customer who has bought at least once.

    Two orders within ``rhythm_span_days`` are one visit in two parcels: such a customer is still to come back.
    """
    settings = policies.settings
    span_ms = facts.last_purchase_at - facts.first_purchase_at
    if facts.baskets >= settings.rhythm_baskets and span_ms >= settings.rhythm_span_days * DAY_MS:
        return "churn_risk"
    return "second_purchase"


def timing(facts: Facts, now: int, rule: RuleInForce) -> Literal["due", "too_early", "too_late"]:
    """Whether the customer's silence is long enough to speak of and short enough to do something about."""
    silence = now - facts.last_purchase_at
    if silence < rule.silent_from_days * DAY_MS:
        return "too_early"
    return "due" if silence <= rule.silent_until_days * DAY_MS else "too_late"


def severity(score: float, rule: RuleInForce) -> Severity:
    """How bad it is, by score."""
    if score >= rule.high_from:
        return "high"
    return "medium" if score >= rule.medium_from else "low"


def segment(kind: str, facts: Facts, policies: PoliciesInForce) -> Segment:
    """Which customers a suggested action tells apart."""
    if facts.revenue_year >= policies.settings.high_value_from:
        return "high_value"
    return "new" if kind == "second_purchase" else "standard"


def segment_of(alert: Alert, high_value_from: float) -> Segment:
    """The segment of an alert that was published, by what it says is at risk: alerts of any age are told apart alike.

    To half a penny of what is at risk; a customer that near to ``high_value_from`` may be told apart otherwise than the
    suggested action did.
    """
    at_risk = alert.score * high_value_from * alert.horizon_days / 365.0
    if alert.value_at_risk.amount >= round(at_risk, 2) > 0.0:
        return "high_value"
    return "new" if alert.kind == "second_purchase" else "standard"


def suggested_action(kind: str, level: Severity, group: Segment, policies: PoliciesInForce) -> SuggestedAction:
    """The first of the policy's actions whose conditions hold; ``none`` where no action does."""
    for action in policies.settings.actions:
        if action.kind in (None, kind) and action.severity in (None, level) and action.segment in (None, group):
            return SuggestedAction(action.code, action.params)
    return SuggestedAction("none")


def value_at_risk(score: float, facts: Facts, policies: PoliciesInForce, currency: str) -> Money:
    """What the shop stands to lose within the horizon: the score times what the customer spent per horizon of the last
    year.

    Not the answer's expected revenue: that one already takes the churn into account, and is smallest where the risk is
    largest.
    """
    amount = score * facts.revenue_year * policies.settings.horizon_days / 365.0
    return Money(round(max(amount, 0.0), 2), currency)
