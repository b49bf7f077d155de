"""What an alert says: score, reasons, value at risk, suggested action, arm, and the evidence that it was made from.

It fills the fields of the contract from one case; when an alert is raised or ends is decided in ``episodes``, which
calls it.
"""

from typing import Final

from msgspec.structs import replace

from stream.contracts.alerts import Alert, AlertContext, AlertStatus, Evidence, Experiment, Money, SuggestedAction
from stream.contracts.ids import alert_id, arm_fraction, item_hash, message_id
from stream.contracts.times import to_rfc3339
from stream.decisions.case import Case, Terms
from stream.decisions.kinds import segment, severity, suggested_action, value_at_risk
from stream.decisions.policies import RuleInForce
from stream.decisions.reasons import reasons

NO_ACTION: Final = SuggestedAction("none")
"""On every end: whatever was suggested is to stop."""


def drawn(customer_id: str, terms: Terms) -> Experiment:
    """The arm that the customer falls into."""
    settings = terms.policies.settings
    place = arm_fraction(terms.deployment.secret, customer_id, settings.experiment_id, settings.salt_version)
    return Experiment(
        id=settings.experiment_id,
        arm="holdout" if place < settings.holdout_share else "treatment",
        share=settings.holdout_share,
        salt_version=settings.salt_version,
    )


def described(
    kind: str, started_at: int, expires_at: int, experiment: Experiment, case: Case, rule: RuleInForce, terms: Terms
) -> Alert:
    """The alert as its case shows it, worded as the first transition of its episode."""
    request, answer, facts = case.request, case.answer, case.facts
    level = severity(case.score, rule)
    group = segment(kind, facts, terms.policies)
    why, method = reasons(answer.reasons, case.profile, facts, case.score - rule.base_rate)
    return Alert(
        alert_id=alert_id(terms.deployment.secret, request.customer_id, kind, started_at),
        kind=kind,
        status="raised",
        revision=1,
        customer_id=request.customer_id,
        episode_started_at=to_rfc3339(started_at),
        as_of=to_rfc3339(case.now),
        expires_at=to_rfc3339(expires_at),
        mode=request.mode,
        severity=level,
        score=case.score,
        horizon_days=terms.policies.settings.horizon_days,
        base_rate=rule.base_rate,
        raise_threshold=rule.raise_threshold,
        resolve_threshold=rule.resolve_threshold,
        value_at_risk=value_at_risk(case.score, facts, terms.policies, answer.currency),
        reasons=why,
        reasons_method=method,
        suggested_action=suggested_action(kind, level, group, terms.policies),
        context=_context(case),
        experiment=experiment,
        model=answer.model,
        policy_version=terms.policies.version,
        catalogue_version=answer.catalogue_version,
        evidence=evidence(case),
        simulated=request.simulated,
    )


def following(alert: Alert, previous: Alert, status: AlertStatus, at: int, terms: Terms) -> Alert:
    """``alert`` worded as the transition to ``status`` that comes after ``previous``, at ``at`` in epoch
    milliseconds."""
    return replace(
        alert,
        status=status,
        previous_status=previous.status,
        revision=previous.revision + 1,
        supersedes=message_id(previous.alert_id, previous.revision),
        previous_score=previous.score,
        as_of=to_rfc3339(at),
        policy_version=terms.policies.version,
    )


def evidence(case: Case) -> Evidence:
    """The input of a case."""
    request = case.request
    return Evidence(
        topic=request.events_topic,
        partition=request.events_partition,
        first_offset=request.first_offset,
        last_offset=request.last_offset,
        event_ids=request.event_ids,
        request_offset=case.origin.offset,
    )


def _context(case: Case) -> AlertContext:
    facts, currency = case.facts, case.answer.currency
    # Profiles know items by hash alone; an answer's candidates are what gives a decision their ids.
    ids = {item_hash(candidate.item_id): candidate.item_id for candidate in case.answer.candidates}
    return AlertContext(
        items=[ids[item] for item in facts.items if item in ids],
        cart_value=Money(facts.cart_value, currency) if facts.cart_value else None,
        last_order_at=to_rfc3339(facts.last_purchase_at) if facts.baskets else None,
    )
