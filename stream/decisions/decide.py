"""From an answered request to records: the answer itself, the customer's latest view, alerts, and recommendations.

``decide`` is the fold of the decisions role; ``consent`` and ``erase`` are its other two kinds of request. All are
functions of their arguments alone: they read no clock, draw no lots, and change only the state and the budget that
they are given. The workers processor calls them in the order of the log.
"""

from typing import Final

from stream.contracts import headers
from stream.contracts.emission import Origin, Output
from stream.contracts.ids import profile_digest
from stream.contracts.scores import Answer, Prediction, Score, ScoreRequest
from stream.decisions import episodes, lists, messages
from stream.decisions.budget import Budget
from stream.decisions.case import Case, Terms
from stream.decisions.deployment import Deployment
from stream.decisions.facts import Facts
from stream.decisions.policies import PoliciesInForce
from stream.decisions.state import DecisionState
from stream.decisions.verdicts import Witness
from stream.profiles.profile import Profile

SCORE_DIGITS: Final = 3
"""Decimal places of a score: what lies below is the noise of batches and hardware, and must not open or close an
alert."""

FOLD_VERSION: Final = 1
"""Goes up with every change after which the same log would give other records."""


def decide(
    state: DecisionState | None,
    request: ScoreRequest,
    origin: Origin,
    answer: Answer,
    profile: Profile,
    budget: Budget,
    policies: PoliciesInForce,
    deployment: Deployment,
    witness: Witness | None = None,
) -> tuple[DecisionState | None, list[Output]]:
    """Decide one request of kind ``score``.

    Every request is answered, with two exceptions: a customer who denies personalization is not scored, and a question
    put again on behalf of a customer who was erased meanwhile is void. A question put again whose customer was
    answered since changes nothing but the record of answers.

    Args:
        state: what is remembered of the customer, changed in place; None at the first request.
        origin: where the request lies in the score-requests topic.
        answer: the model's or the fallback's, for this request.
        profile: decoded from the request.
        budget: the partition's, changed in place when an alert is raised.
        witness: is shown what alerts are judged by; for whoever asks why.

    Returns:
        The state to keep, and records in the order in which they are to be written.
    """
    terms = Terms(policies, deployment)
    withdrawn: list[Output] = []
    if request.trigger == "retry":
        if state is None or request.last_offset < state.since_offset or not state.personalization:
            return state, []
        if request.request_id != state.retry_id:
            return state, [_answered(request, origin, answer, policies, "superseded")]
    else:
        state = state or DecisionState(since_offset=request.last_offset)
        withdrawn = _obeyed(state, request, terms)
        if not state.personalization:
            return state, withdrawn
    state.as_of = max(state.as_of, request.as_of)
    state.retry_id = ""
    state.waiting = request if _worth_asking_again(request, answer, policies) else None
    outcome, decided = "backfill", list[Output]()
    if request.mode != "backfill":
        outcome, decided = _decided(state, request, origin, answer, profile, budget, terms, witness)
    return state, [
        *withdrawn,
        _answered(request, origin, answer, policies, outcome),
        messages.predicted(_prediction(request, answer, policies)),
        *decided,
    ]


def consent(
    state: DecisionState | None,
    request: ScoreRequest,
    policies: PoliciesInForce,
    deployment: Deployment,
) -> tuple[DecisionState | None, list[Output]]:
    """Obey a change of consent: without marketing alerts end, without personalization view and list go as well."""
    if state is None:
        return None, [] if request.personalization else messages.forgotten(request.customer_id)
    return state, _obeyed(state, request, Terms(policies, deployment))


def erase(
    state: DecisionState | None,
    request: ScoreRequest,
    policies: PoliciesInForce,
    deployment: Deployment,
) -> tuple[None, list[Output]]:
    """Forget the customer: open alerts end, and tombstones go to every topic kept by key, and everybody is told,
    whatever was known."""
    outputs: list[Output] = []
    if state is not None:
        at = max(request.as_of, state.as_of)
        outputs = episodes.forget(state, at, Terms(policies, deployment), request.traceparent)
    return None, [*outputs, *messages.forgotten(request.customer_id), messages.erased(request, deployment)]


def _obeyed(state: DecisionState, request: ScoreRequest, terms: Terms) -> list[Output]:
    """Take over what the customer allows now, and take back what was published and is no longer allowed."""
    outputs: list[Output] = []
    if not (request.marketing and request.personalization):
        outputs += episodes.withdraw(state, max(request.as_of, state.as_of), terms, request.traceparent)
    if state.personalization and not request.personalization:
        outputs += messages.forgotten(request.customer_id)
        state.shown, state.waiting, state.retry_id = [], None, ""
    state.personalization, state.marketing = request.personalization, request.marketing
    return outputs


def _worth_asking_again(request: ScoreRequest, answer: Answer, policies: PoliciesInForce) -> bool:
    if not answer.fallback:
        return False
    # An open breaker says nothing of the question; whatever else failed may be the question's own fault.
    return answer.fallback_reason == "breaker_open" or request.attempt < policies.settings.ask_again_attempts


def _decided(
    state: DecisionState,
    request: ScoreRequest,
    origin: Origin,
    answer: Answer,
    profile: Profile,
    budget: Budget,
    terms: Terms,
    witness: Witness | None,
) -> tuple[str, list[Output]]:
    """Alerts and recommendations: how it went with the former, and the records of both."""
    facts = Facts(profile, request.as_of, terms.policies.settings)
    score = round(answer.churn[terms.policies.horizon], SCORE_DIGITS)
    case = Case(request, origin, answer, profile, facts, score, state.as_of)
    outcome, transitions = "no_purchase", list[Output]()
    if profile.anonymous:
        outcome = "anonymous"
    elif facts.baskets or state.episodes:
        outcomes, transitions = episodes.judge(state, case, budget, terms, witness)
        outcome = ",".join(f"{kind}={became}" for kind, became in sorted(outcomes.items()))
    return outcome, transitions + lists.recommend(state, case, terms)


def _answered(request: ScoreRequest, origin: Origin, answer: Answer, policies: PoliciesInForce, outcome: str) -> Output:
    score = Score(
        request_id=request.request_id,
        customer_id=request.customer_id,
        as_of=request.as_of,
        trigger=request.trigger,
        answer=answer,
        request_partition=origin.partition,
        request_offset=origin.offset,
        mode=request.mode,
        simulated=request.simulated,
        policy_version=policies.version,
        events_offset=request.last_offset,
        profile_digest=profile_digest(request.profile),
    )
    return messages.answered(score, ((headers.OUTCOME, outcome.encode()),))


def _prediction(request: ScoreRequest, answer: Answer, policies: PoliciesInForce) -> Prediction:
    return Prediction(
        customer_id=request.customer_id,
        as_of=request.as_of,
        churn=answer.churn,
        expected_revenue_180d=answer.expected_revenue_180d,
        median_revenue_180d=answer.median_revenue_180d,
        currency=answer.currency,
        model=answer.model,
        fallback=answer.fallback,
        request_id=request.request_id,
        mode=request.mode,
        simulated=request.simulated,
        catalogue_version=answer.catalogue_version,
        policy_version=policies.version,
    )
