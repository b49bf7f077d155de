"""Whether a question that is still to be answered may raise an alert: a guess, made before the fold decides.

What an alert costs extra, such as asking the model for its reasons, is worth it only where one will be raised. A wrong
guess does no harm, because the fold (``episodes``) looks for itself. Called by the decisions worker when a question
comes in, and by its stage when the answer is known.
"""

from stream.contracts.scores import ScoreRequest
from stream.contracts.times import DAY_MS
from stream.decisions.facts import Facts
from stream.decisions.kinds import kind_of, timing
from stream.decisions.policies import KINDS, AlertKind, PoliciesInForce
from stream.decisions.state import DecisionState


def free_kinds(state: DecisionState | None, request: ScoreRequest, policies: PoliciesInForce) -> frozenset[AlertKind]:
    """Kinds of alert that nothing which is remembered of the customer stands in the way of."""
    if request.mode == "backfill" or not (request.marketing and request.personalization):
        return frozenset()
    if state is None:
        return frozenset(KINDS)
    at = request.as_of
    spent = state.raised_today >= policies.settings.daily_cap and at // DAY_MS <= state.raised_day
    is_open = any(episode.expires_at > at for episode in state.episodes.values())
    if is_open or spent or not state.marketing or at < state.as_of:
        return frozenset()
    rested = {kind: rest.until for kind, rest in state.rests.items()}
    for kind, episode in state.episodes.items():
        if kind in policies.rules:
            # Its time is up, though the timer has not said so yet.
            rested[kind] = episode.expires_at + int(policies.rules[kind].cool_down_days * DAY_MS)
    return frozenset(kind for kind in KINDS if at >= rested.get(kind, 0))


def will_raise(free: frozenset[AlertKind], facts: Facts, score: float, policies: PoliciesInForce) -> bool:
    """Whether a customer with these facts and this score would have an alert of a kind that is ``free``."""
    if not free or not facts.baskets:
        return False
    kind = kind_of(facts, policies)
    rule = policies.rules[kind]
    return kind in free and rule.enabled and score >= rule.raise_threshold and timing(facts, facts.at, rule) == "due"
