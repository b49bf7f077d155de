"""The life of an alert: raised once per episode, updated, and ended by a purchase, a recovery, time, or a correction.
What is raised in quiet hours is held until they end: it is an episode that nobody has been told of yet.

Steps over a ``DecisionState``, which they change; each returns the records of the transitions that it made. ``decide``
calls them for requests, ``timers`` for due times. Nothing here scores, and what an alert says of the customer comes
from ``descriptions``.
"""

from typing import Final

from msgspec.structs import replace

from stream.contracts.alerts import AlertContext, AlertStatus, ResolveReason
from stream.contracts.emission import Output
from stream.contracts.times import DAY_MS, to_rfc3339
from stream.decisions.budget import Budget
from stream.decisions.case import Case, Terms
from stream.decisions.descriptions import NO_ACTION, described, drawn, evidence, following
from stream.decisions.kinds import kind_of
from stream.decisions.messages import transition
from stream.decisions.state import DecisionState, Episode, Rest
from stream.decisions.verdicts import Open, Outcome, Unraised, Witness, obstacle, told_at, turn

_ENDS: Final[dict[Outcome, tuple[AlertStatus, ResolveReason]]] = {
    "corrected": ("corrected", "corrected"),
    "purchased": ("resolved", "purchased"),
    "policy_changed": ("resolved", "policy_changed"),
    "recovered": ("resolved", "recovered"),
}
"""What an alert says of its end where a request ends it."""


def judge(
    state: DecisionState, case: Case, budget: Budget, terms: Terms, witness: Witness | None = None
) -> tuple[dict[str, Outcome], list[Output]]:
    """Look again at every open alert; where there is none, raise the one that the customer can have, if it is time.

    Args:
        witness: is shown each of them before it is judged.

    Returns:
        Outcomes by kind of alert, for whoever asks why something was or was not raised; and the transitions.
    """
    outputs = elapse(state, case.now, terms)
    outcomes: dict[str, Outcome] = {}
    for kind in sorted(state.episodes):
        at = Open(kind, state.episodes[kind], case, terms, terms.policies.rules.get(kind))
        if witness is not None:
            witness(at)
        outcomes[kind], transitions = _look_again(state, at)
        outputs += transitions
    if not outcomes:
        kind = kind_of(case.facts, terms.policies)
        unraised = Unraised(kind, state, case, budget, terms, terms.policies.rules[kind])
        if witness is not None:
            witness(unraised)
        outcomes[kind] = obstacle(unraised) or "raised"
        if outcomes[kind] in ("raised", "quiet_hours"):
            outputs += _raise(state, kind, case, budget, terms)
    return outcomes, outputs


def elapse(state: DecisionState, now: int, terms: Terms) -> list[Output]:
    """What time alone brings by ``now``: episodes that were held through quiet hours are published, those whose time is
    up end, each at its own time and in the order of those times."""
    outputs: list[Output] = []
    for held_until, kind in sorted((episode.held_until, kind) for kind, episode in state.episodes.items()):
        if 0 < held_until <= now:
            state.episodes[kind].held_until = 0
            outputs += transition(state.episodes[kind].alert, terms.deployment)
    for expires_at, kind in sorted((episode.expires_at, kind) for kind, episode in state.episodes.items()):
        if expires_at <= now:
            outputs += _end(state, kind, "expired", "expired", expires_at, terms)
    return outputs


def withdraw(state: DecisionState, at: int, terms: Terms, traceparent: str) -> list[Output]:
    """End every open episode because the customer does not want to be written to."""
    outputs = elapse(state, at, terms)
    for kind in sorted(state.episodes):
        outputs += _end(state, kind, "resolved", "consent_withdrawn", at, terms, traceparent=traceparent)
    return outputs


def forget(state: DecisionState, at: int, terms: Terms, traceparent: str) -> list[Output]:
    """End every open episode because the customer was erased, saying no more of them than a reader needs to stop."""
    for episode in state.episodes.values():
        episode.alert.reasons, episode.alert.context = [], AlertContext()
        episode.alert.evidence = replace(episode.alert.evidence, event_ids=[])
    outputs = elapse(state, at, terms)
    for kind in sorted(state.episodes):
        outputs += _end(state, kind, "resolved", "erased", at, terms, traceparent=traceparent)
    return outputs


def _look_again(state: DecisionState, at: Open) -> tuple[Outcome, list[Output]]:
    kind, episode, case, terms, rule = at
    outcome = turn(at)
    if outcome in _ENDS:
        return outcome, _end(state, kind, *_ENDS[outcome], case.now, terms, case)
    if outcome != "updated" or rule is None:
        return outcome, []
    alert = episode.alert
    seen = described(kind, episode.started_at, episode.expires_at, alert.experiment, case, rule, terms)
    if episode.held_until:
        episode.alert = replace(seen, as_of=alert.as_of)
        return outcome, []
    episode.alert = following(seen, alert, "updated", case.now, terms)
    return outcome, transition(episode.alert, terms.deployment, case.request.traceparent)


def _raise(state: DecisionState, kind: str, case: Case, budget: Budget, terms: Terms) -> list[Output]:
    rule, at = terms.policies.rules[kind], told_at(case, terms)
    expires_at = at + int(rule.expiry_days * DAY_MS)
    alert = described(kind, at, expires_at, drawn(case.request.customer_id, terms), case, rule, terms)
    state.episodes[kind] = Episode(alert, at, expires_at, case.facts.last_purchase_at)
    day = case.now // DAY_MS
    # Both arms spend alike, else the budget would tell them apart.
    budget.count(kind, day)
    state.raised_today = state.raised_today + 1 if day <= state.raised_day else 1
    state.raised_day = max(day, state.raised_day)
    if at > case.now:
        alert.as_of, state.episodes[kind].held_until = to_rfc3339(at), at
        return []
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
    if episode.held_until:
        # Nobody has heard of it, so nobody needs to hear of its end, and nothing rests.
        return []
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
