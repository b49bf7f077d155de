"""Holds what came out of a run against what was promised, and says in a sentence each what did not happen.

Pure: it compares values that `demo.py` read from Kafka. Of a run that kept its promises it says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

from stream.contracts.alerts import AlertEvent
from stream.contracts.ids import message_id
from stream.contracts.recommendations import Recommendation
from stream.decisions.messages import ENDED
from stream.profiles.profile import Profile


def folded_by_type(profiles: Iterable[Profile]) -> Counter[str]:
    """Events that went into the profiles, by what they were counted as."""
    folded: Counter[str] = Counter()
    for profile in profiles:
        folded["browse"] += profile.browses
        folded["cart"] += profile.cart_changes
        folded["purchase"] += profile.purchases
        folded["return"] += profile.returns
        folded["review"] += profile.reviews
        folded["sent"] += profile.messages_sent
        folded["opened"] += profile.messages_opened
        folded["clicked"] += profile.messages_clicked
    return folded


def broken_folds(sent: Mapping[str, int], folded: Mapping[str, int]) -> list[str]:
    """Every good event is folded once, whatever else came with it."""
    return [
        f"{sent.get(kind, 0):,} distinct {kind} events were sent, the profiles hold {folded.get(kind, 0):,}"
        for kind in sorted(sent.keys() | folded.keys())
        if sent.get(kind, 0) != folded.get(kind, 0)
    ]


def broken_dead_letters(expected: Iterable[str], found: Iterable[str]) -> list[str]:
    """Every bad record is a dead letter, once, with the right code."""
    wanted, present = Counter(expected), Counter(found)
    return [
        f"{wanted[code]} records should have become dead letters {code}, {present[code]} did"
        for code in sorted(wanted.keys() | present.keys())
        if wanted[code] != present[code]
    ]


def broken_answers(asked: Sequence[str], answered: Sequence[str]) -> list[str]:
    """Every request for a score is answered once. Both are request ids."""
    broken = []
    twice = sum(count - 1 for count in Counter(answered).values())
    if twice:
        broken.append(f"{twice:,} answers were given twice")
    missing = len(set(asked) - set(answered))
    if missing:
        broken.append(f"{missing:,} of {len(asked):,} requests for a score were not answered")
    unasked = len(set(answered) - set(asked))
    if unasked:
        broken.append(f"{unasked:,} answers were given that nobody asked for")
    return broken


def broken_transitions(transitions: Sequence[AlertEvent], still_open: Iterable[str]) -> list[str]:
    """The transitions of each alert are 1, 2, 3 …, each names the one before, the end is the last, and none comes
    twice.

    Args:
        transitions: of both arms, in any order between alerts and in order within each.
        still_open: ids in the topic of open alerts.
    """
    broken = []
    twice = sum(count - 1 for count in Counter(transition.id for transition in transitions).values())
    if twice:
        broken.append(f"{twice} transitions of alerts came twice by id")
    open_now = set()
    for alert_id, episode in _episodes(transitions).items():
        revisions = [transition.data.revision for transition in episode]
        if revisions != list(range(1, len(episode) + 1)):
            broken.append(f"alert {alert_id} has revisions {revisions}")
        for previous, following in pairwise(episode):
            if following.data.supersedes != message_id(alert_id, previous.data.revision):
                broken.append(f"alert {alert_id}: revision {following.data.revision} does not supersede the one before")
            if previous.data.status in ENDED:
                broken.append(f"alert {alert_id} went on after its end as {previous.data.status}")
        last = episode[-1].data
        if last.status not in ENDED and last.experiment.arm == "treatment":
            open_now.add(alert_id)
    difference = open_now ^ set(still_open)
    if difference:
        broken.append(f"{len(difference)} alerts are open in one topic and not in the other")
    return broken


def broken_recommendations(lists: Sequence[Recommendation], known_items: Collection[str]) -> list[str]:
    """There are lists, none is empty or twice there, and they name items of the catalogue alone."""
    if not lists:
        return ["no recommendation was published"]
    broken = []
    twice = len(lists) - len({each.recommendation_id for each in lists})
    if twice:
        broken.append(f"{twice} lists of recommendations came twice by id")
    empty = sum(not each.items for each in lists)
    if empty:
        broken.append(f"{empty} lists of recommendations are empty")
    unknown = {item.item_id for each in lists for item in each.items if item.item_id not in known_items}
    if unknown:
        broken.append(f"{len(unknown)} recommended items are not in the catalogue, such as {min(unknown)}")
    return broken


def _episodes(transitions: Iterable[AlertEvent]) -> dict[str, list[AlertEvent]]:
    episodes: dict[str, list[AlertEvent]] = {}
    for transition in transitions:
        episodes.setdefault(transition.data.alert_id, []).append(transition)
    return episodes
