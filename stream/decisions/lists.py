"""A customer's recommendations: which candidates make the list, and whether it differs enough from the last one to be
published.

Ranking is the answer's. This module leaves out what was just bought or sent back, keeps one item of a group and no more
repeats or items for one reason than the policy allows, and keeps quiet while nothing material changed. ``decide`` calls
it.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

from stream.contracts.emission import Output
from stream.contracts.ids import item_hash, recommendation_id
from stream.contracts.recommendations import Recommendation, RecommendationReason, RecommendedItem
from stream.contracts.scores import Candidate, Retriever
from stream.contracts.times import DAY_MS, to_rfc3339
from stream.decisions.case import Case, Terms
from stream.decisions.messages import recommended
from stream.decisions.policies import Policies
from stream.decisions.state import DecisionState

REASONS: Final[dict[Retriever, str]] = {
    "model": "next_in_taste",
    "repeat": "bought_before",
    "co_bought": "bought_together",
    "trending": "popular_now",
}
"""Code of the reason for an item, by what brought it in."""

_ROUNDING: Final = 1e-9


def recommend(state: DecisionState, case: Case, terms: Terms) -> list[Output]:
    """The customer's list, where it is new, changed materially, or ran out; nothing otherwise."""
    settings = terms.policies.settings
    chosen = _chosen(case.answer.candidates, case.facts.paused_items, settings)
    if not chosen or not _material(state, case, [candidate.item_id for candidate in chosen], settings.material_overlap):
        return []
    state.shown = [candidate.item_id for candidate in chosen]
    state.shown_revision += 1
    state.shown_until = case.now + int(settings.recommendation_valid_days * DAY_MS)
    return [recommended(_recommendation(state, case, chosen, terms))]


def overlap(first: Collection[str], second: Collection[str]) -> float:
    """Share of the longer of two lists that is in both.

    >>> overlap(["a", "b", "c", "d"], ["b", "a", "c", "e"])
    0.75
    """
    longer = max(len(first), len(second))
    return len(set(first) & set(second)) / longer if longer else 1.0


def _chosen(candidates: Sequence[Candidate], paused: Collection[int], settings: Policies) -> list[Candidate]:
    length = settings.recommendation_length
    most_repeats = _share(settings.recommendation_repeat_share, length)
    most_for_one = max(1, _share(settings.recommendation_cause_share, length))
    chosen: dict[str, Candidate] = {}
    repeats, caused = 0, Counter[str]()
    for candidate in candidates:
        if len(chosen) == length:
            break
        group, repeat = candidate.item_group_id or candidate.item_id, candidate.retriever == "repeat"
        cause = "" if repeat else candidate.because_item_id
        barred = group in chosen or item_hash(candidate.item_id) in paused
        if barred or (repeat and repeats >= most_repeats) or (cause and caused[cause] >= most_for_one):
            continue
        chosen[group] = candidate
        repeats += repeat
        caused[cause] += 1
    return list(chosen.values())


def _share(share: float, length: int) -> int:
    # .29 of 100 is 28.999999999999996.
    return int(share * length + _ROUNDING)


def _material(state: DecisionState, case: Case, chosen: Collection[str], least_overlap: float) -> bool:
    if not state.shown or case.now >= state.shown_until:
        return True
    if any(item_hash(item_id) in case.facts.paused_items for item_id in state.shown):
        return True
    if case.answer.fallback:
        # What the customer sees must not change because a server is away, and back when it returns.
        return False
    # Answers name what can be bought: an item that is not among the best forty any more is gone, or has lost its place.
    rankable = {candidate.item_id for candidate in case.answer.candidates}
    return overlap(state.shown, chosen) < least_overlap or not rankable.issuperset(state.shown)


def _recommendation(state: DecisionState, case: Case, chosen: Sequence[Candidate], terms: Terms) -> Recommendation:
    request, answer = case.request, case.answer
    return Recommendation(
        recommendation_id=recommendation_id(request.customer_id, state.shown_revision),
        revision=state.shown_revision,
        customer_id=request.customer_id,
        as_of=to_rfc3339(case.now),
        valid_until=to_rfc3339(state.shown_until),
        mode=request.mode,
        items=[
            RecommendedItem(
                index=index,
                item_id=candidate.item_id,
                score=candidate.score,
                reason=RecommendationReason(REASONS[candidate.retriever], candidate.because_item_id),
                retriever=candidate.retriever,
                item_group_id=candidate.item_group_id,
                propensity=candidate.propensity,
            )
            for index, candidate in enumerate(chosen)
        ],
        model=answer.model,
        policy_version=terms.policies.version,
        catalogue_version=answer.catalogue_version,
        fallback=answer.fallback,
        simulated=request.simulated,
    )
