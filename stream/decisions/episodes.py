"""The life of an alert: raised once per episode, updated, and ended by a purchase, a recovery, time, or a correction.

Steps over a ``DecisionState``, which they change; each returns the records of the transitions that it made. ``decide``
calls them for requests, ``timers`` for due times. Nothing here scores, and what an alert says of the customer comes
from ``descriptions``.
"""

from typing import Final, Literal

from msgspec.structs import replace

from stream.contracts.alerts import Alert, AlertContext, AlertStatus, ResolveReason
from stream.contracts.emission import Output
from stream.contracts.times import DAY_MS
from stream.decisions.budget import Budget, partition_share
from stream.decisions.case import Case, Terms
from stream.decisions.descriptions import NO_ACTION, described, drawn, evidence, following
from stream.decisions.kinds import kind_of, timing, value_at_risk
from stream.decisions.messages import transition
from stream.decisions.state import DecisionState, Episode, Rest

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
    "fallback",
    "out_of_order",
    "disabled",
    "no_consent",
]
"""What became of an alert at one request: the transition made, the reason of its end, or what stood in the way of
one."""

_MILLI: Final = 1_000


def judge(state: DecisionState, case: Case, budget: Budget, terms: Terms) -> tuple[dict[str, Outcome], list[Output]]:
    """Look again at every open alert; where there is none, raise the one that the customer can have, if it is time.

    Returns:
        Outcomes by kind of alert, for whoever asks why something was or was not raised; and the transitions.
    """
    outputs = expire(state, case.now, terms)
    outcomes: dict[str, Outcome] = {}
    for kind in sorted(state.episodes):
        outcomes[kind], transitions = _look_again(state, kind, case, terms)
        outputs += transitions
    if not outcomes:
        kind = kind_of(case.facts, terms.policies)
        outcomes[kind] = _obstacle(state, kind, case, budget, terms) or "raised"
        if outcomes[kind] == "raised":
            outputs += _raise(state, kind, case, budget, terms)
    return outcomes, outputs


def expire(state: DecisionState, now: int, terms: Terms) -> list[Output]:
    """End the episodes whose time is up by ``now``, each at its own time and in the order of those times."""
    outputs: list[Output] = []
    for expires_at, kind in sorted((episode.expires_at, kind) for kind, episode in state.episodes.items()):
        if expires_at <= now:
            outputs += _end(state, kind, "expired", "expired", expires_at, terms)
    return outputs


def withdraw(state: DecisionState, at: int, terms: Terms, traceparent: str) -> list[Output]:
    """End every open episode because the customer does not want to be written to."""
    outputs = expire(state, at, terms)
    for kind in sorted(state.episodes):
        outputs += _end(state, kind, "resolved", "consent_withdrawn", at, terms, traceparent=traceparent)
    return outputs


def forget(state: DecisionState, at: int, terms: Terms, traceparent: str) -> list[Output]:
    """End every open episode because the customer was erased, saying no more of them than a reader needs to stop."""
    for episode in state.episodes.values():
        episode.alert.reasons, episode.alert.context = [], AlertContext()
        episode.alert.evidence = replace(episode.alert.evidence, event_ids=[])
    outputs = expire(state, at, terms)
    for kind in sorted(state.episodes):
        outputs += _end(state, kind, "resolved", "erased", at, terms, traceparent=traceparent)
    return outputs


def _look_again(state: DecisionState, kind: str, case: Case, terms: Terms) -> tuple[Outcome, list[Output]]:
    episode, rule = state.episodes[kind], terms.policies.rules.get(kind)
    alert = episode.alert
    if case.facts.last_purchase_at > episode.last_purchase_at:
        if case.facts.last_purchase_at <= episode.started_at:
            # The purchase came late: had it been known, the silence that raised the alert would not have been one.
            return "corrected", _end(state, kind, "corrected", "corrected", case.now, terms, case)
        return "purchased", _end(state, kind, "resolved", "purchased", case.now, terms, case)
    if rule is None or not rule.enabled:
        return "policy_changed", _end(state, kind, "resolved", "policy_changed", case.now, terms, case)
    if (unjudged := _unjudged(case)) is not None:
        return unjudged, []
    if case.score < rule.resolve_threshold:
        # Under the thresholds that the alert was published with, such a score would have left it open; and another
        # model that sees it otherwise says nothing of a change in the customer.
        ours = case.score >= alert.resolve_threshold or case.answer.model != alert.model
        reason: Literal["policy_changed", "recovered"] = "policy_changed" if ours else "recovered"
        return reason, _end(state, kind, "resolved", reason, case.now, terms, case)
    seen = described(kind, episode.started_at, episode.expires_at, alert.experiment, case, rule, terms)
    if not _moved(alert, seen, terms):
        return "unchanged", []
    episode.alert = following(seen, alert, "updated", case.now, terms)
    return "updated", transition(episode.alert, terms.deployment, case.request.traceparent)


def _unjudged(case: Case) -> Outcome | None:
    """Why this score opens and ends nothing; None: it may."""
    if case.answer.fallback:
        return "fallback"
    # It tells of a moment before one that was judged already; what it knows of purchases is believed all the same.
    return "out_of_order" if case.request.as_of < case.now else None


def _moved(published: Alert, seen: Alert, terms: Terms) -> bool:
    # In thousandths: to a float, 0.75 - 0.7 is less than 0.05.
    step = round(terms.policies.settings.update_step * _MILLI)
    return (
        abs(round(seen.score * _MILLI) - round(published.score * _MILLI)) >= step or seen.severity != published.severity
    )


def _obstacle(state: DecisionState, kind: str, case: Case, budget: Budget, terms: Terms) -> Outcome | None:
    """What stands in the way of a new alert; None: nothing."""
    settings, rule = terms.policies.settings, terms.policies.rules[kind]
    rest = state.rests.get(kind)
    day = case.now // DAY_MS
    obstacle: Outcome | None = None
    if not state.marketing:
        obstacle = "no_consent"
    elif not rule.enabled:
        obstacle = "disabled"
    elif (unjudged := _unjudged(case)) is not None:
        obstacle = unjudged
    elif case.score < rule.raise_threshold:
        obstacle = "below_threshold"
    elif (
        rule.raise_value > 0
        and value_at_risk(case.score, case.facts, terms.policies, case.answer.currency).amount < rule.raise_value
    ):
        obstacle = "below_value"
    elif (moment := timing(case.facts, case.now, rule)) != "due":
        obstacle = moment
    elif rest is not None and (case.now < rest.until or case.now <= rest.started_at):
        obstacle = "cool_down"
    elif state.raised_today >= settings.daily_cap and day <= state.raised_day:
        obstacle = "daily_cap"
    elif budget.spent(kind, day) >= partition_share(
        rule.daily_budget, case.origin.partition, terms.deployment.partitions
    ):
        obstacle = "budget"
    return obstacle


def _raise(state: DecisionState, kind: str, case: Case, budget: Budget, terms: Terms) -> list[Output]:
    rule = terms.policies.rules[kind]
    expires_at = case.now + int(rule.expiry_days * DAY_MS)
    alert = described(kind, case.now, expires_at, drawn(case.request.customer_id, terms), case, rule, terms)
    state.episodes[kind] = Episode(alert, case.now, expires_at, case.facts.last_purchase_at)
    day = case.now // DAY_MS
    # Both arms spend alike, else the budget would tell them apart.
    budget.count(kind, day)
    state.raised_today = state.raised_today + 1 if day <= state.raised_day else 1
    state.raised_day = max(day, state.raised_day)
    return transition(alert, terms.deployment, case.request.traceparent)


def _end(
    state: DecisionState,
    kind: str,
    status: AlertStatus,
    reason: ResolveReason,
    at: int,
    terms: Terms,
    case: Case | None = None,
    traceparent: str = "",
) -> list[Output]:
    """End one episode at ``at`` and let its kind rest. Without a case the alert repeats what it last said."""
    episode, rule = state.episodes.pop(kind), terms.policies.rules.get(kind)
    alert = episode.alert
    if case is not None:
        traceparent = case.request.traceparent
        if rule is not None and not case.answer.fallback:
            alert = described(kind, episode.started_at, episode.expires_at, alert.experiment, case, rule, terms)
        else:
            # A fallback's score is not comparable with the one that the alert was raised by.
            alert = replace(alert, evidence=evidence(case), mode=case.request.mode, simulated=case.request.simulated)
    alert = following(alert, episode.alert, status, at, terms)
    alert.resolve_reason, alert.suggested_action = reason, NO_ACTION
    cool_down_ms = int(rule.cool_down_days * DAY_MS) if rule is not None else 0
    state.rests[kind] = Rest(started_at=episode.started_at, until=at + cool_down_ms)
    return transition(alert, terms.deployment, traceparent)
