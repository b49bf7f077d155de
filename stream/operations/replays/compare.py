"""What two runs said differently: alerts that appeared, vanished, moved or changed, and how alike the recommendations
are.

Pure but for ``compare``, which reads both. Called by `tidemark compare`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from stream.configuration.settings import Configuration
from stream.contracts.times import DAY_MS
from stream.operations.brokers import connect_admin
from stream.operations.replays.window import Episode, RankedItems, Said, Transition, said, side, window_of

MOVED_WITHIN_MS: Final = 7 * DAY_MS
"""An alert that vanished and one that appeared, of one customer and kind, are one that moved when they began no further
apart than this."""

TOP: Final = 10

Difference = Literal["appeared", "vanished", "moved", "changed"]
DIFFERENCES: Final[tuple[Difference, ...]] = ("appeared", "vanished", "moved", "changed")


class Example(msgspec.Struct, frozen=True):
    """One alert that is not the same in both runs. Times in epoch milliseconds."""

    difference: Difference
    customer_id: str
    kind: str
    alert_ids: list[str]
    """In the first run and in the second; one where it is in one of them alone, or has one id."""
    started_at: list[int | None]
    """When it was raised in each; None where it was not."""
    statuses: list[list[str]]
    """Its transitions in each."""
    scores: list[float | None]
    """Its first score in each."""
    what: list[str] = []
    """What of it is different: transitions, score, severity, or other fields."""


class Alerts(msgspec.Struct, frozen=True):
    """How the alerts differ; alerts are counted, not transitions."""

    first: int
    second: int
    same: int
    appeared: int
    vanished: int
    moved: int
    changed: int
    largest_score_change: float
    """Among those that both have."""
    examples: list[Example]

    @property
    def different(self) -> int:
        return self.appeared + self.vanished + self.moved + self.changed

    @property
    def share(self) -> float:
        """Of all alerts in either run, 0 to 1."""
        return self.different / max(self.same + self.different, 1)


class Recommendations(msgspec.Struct, frozen=True):
    """How alike the newest recommendations of each customer are."""

    compared: int
    """Customers who have one in both runs."""
    same: int
    """Of those, with the same items in the same order."""
    first_only: int
    second_only: int
    newer: int
    """Customers who were left out: one run has said something newer since, and keeps nothing older."""
    overlap: float
    """Mean share of the first ten items that are in the first ten of the other."""
    rank_correlation: float
    """Mean of Spearman's rho over the items that both have; 1 where the order is the same."""

    @property
    def different(self) -> int:
        return self.compared - self.same + self.first_only + self.second_only

    @property
    def share(self) -> float:
        """Of all customers that count, 0 to 1."""
        return self.different / max(self.compared + self.first_only + self.second_only, 1)


class Comparison(msgspec.Struct, frozen=True):
    """Two runs against each other."""

    first: str
    second: str
    alerts: Alerts
    recommendations: Recommendations

    def within(self, tolerance: float) -> bool:
        """Whether no larger share than ``tolerance`` differs, of the alerts and of the recommendations."""
        return self.alerts.share <= tolerance and self.recommendations.share <= tolerance


def compare(live: Configuration, first: str, second: str, examples: int) -> Comparison:
    """Hold two runs against each other.

    Args:
        first, second: ``live``, or names of replays.
        examples: at most so many of each kind of difference.

    Raises:
        UnknownReplay, NotComparable: they cannot be compared, and why.
        MissingTopicError, KafkaUnreachableError, AccessError: they cannot be read.
    """
    admin = connect_admin(live.kafka)
    sides = side(live, first), side(live, second)
    window = window_of(*sides)
    one, other = (said(each, window, admin) for each in sides)
    return Comparison(first, second, alerts_of(one, other, examples), recommendations_of(one, other))


def alerts_of(one: Said, other: Said, examples: int) -> Alerts:
    """How the alerts of two runs differ."""
    both = one.episodes.keys() & other.episodes.keys()
    counts: dict[Difference, int] = dict.fromkeys(DIFFERENCES, 0)
    shown: dict[Difference, list[Example]] = {difference: [] for difference in DIFFERENCES}
    largest = 0.0

    def note(difference: Difference, before: Episode | None, after: Episode | None, what: Sequence[str] = ()) -> None:
        counts[difference] += 1
        if len(shown[difference]) < examples:
            shown[difference].append(_example(difference, before, after, what))

    for alert_id in sorted(both):
        before, after = one.episodes[alert_id], other.episodes[alert_id]
        largest = max(largest, _score_change(before, after))
        what = _changes(before, after)
        if what:
            note("changed", before, after, what)
    gone = [episode for alert_id, episode in one.episodes.items() if alert_id not in both]
    come = [episode for alert_id, episode in other.episodes.items() if alert_id not in both]
    for old, new in _pairs(gone, come):
        note("moved" if old and new else "vanished" if old else "appeared", old, new)
    return Alerts(
        first=len(one.episodes),
        second=len(other.episodes),
        same=len(both) - counts["changed"],
        largest_score_change=round(largest, 6),
        examples=[example for difference in DIFFERENCES for example in shown[difference]],
        **counts,
    )


def recommendations_of(one: Said, other: Said) -> Recommendations:
    """How alike the newest recommendations are."""
    newer = one.newer | other.newer
    first, second = one.recommendations.keys() - newer, other.recommendations.keys() - newer
    both = first & second
    pairs = [(one.recommendations[customer], other.recommendations[customer]) for customer in sorted(both)]
    return Recommendations(
        compared=len(both),
        same=sum(before.items == after.items for before, after in pairs),
        first_only=len(first - both),
        second_only=len(second - both),
        newer=len(newer),
        overlap=_mean(overlap(*pair) for pair in pairs),
        rank_correlation=_mean(rank_correlation(*pair) for pair in pairs),
    )


def overlap(before: RankedItems, after: RankedItems) -> float:
    """Share of the first ten items of one that are in the first ten of the other; of as many as the longer one has."""
    heads = set(before.items[:TOP]), set(after.items[:TOP])
    longest = max(len(heads[0]), len(heads[1]))
    return len(heads[0] & heads[1]) / longest if longest else 1.0


def rank_correlation(before: RankedItems, after: RankedItems) -> float:
    """Spearman's rho over the items that both have: 1 - 6 sum(d^2) / (n (n^2 - 1)).

    With fewer than two of them, 1 where the lists are equal and 0 where they are not.
    """
    place = {item: index for index, item in enumerate(after.items)}
    common = [item for item in before.items if item in place]
    n = len(common)
    if n < 2:
        return float(before.items == after.items)
    rank = {item: index for index, item in enumerate(sorted(common, key=place.__getitem__))}
    squares = sum((index - rank[item]) ** 2 for index, item in enumerate(common))
    return 1.0 - 6.0 * squares / (n * (n * n - 1))


def _pairs(gone: Iterable[Episode], come: Iterable[Episode]) -> list[tuple[Episode | None, Episode | None]]:
    """Each episode that is in one run alone, beside the one of the other run that it has become, if any: of the same
    customer and kind, in order of time."""
    waiting: dict[tuple[str, str], list[Episode]] = defaultdict(list)
    for episode in sorted(come, key=lambda each: each.started_at):
        waiting[episode.customer_id, episode.kind].append(episode)
    pairs: list[tuple[Episode | None, Episode | None]] = []
    for episode in sorted(gone, key=lambda each: (each.started_at, each.alert_id)):
        others = waiting[episode.customer_id, episode.kind]
        near = min(others, key=lambda each: abs(each.started_at - episode.started_at), default=None)
        if near is not None and abs(near.started_at - episode.started_at) <= MOVED_WITHIN_MS:
            others.remove(near)
            pairs.append((episode, near))
        else:
            pairs.append((episode, None))
    left = [episode for others in waiting.values() for episode in others]
    return pairs + [(None, episode) for episode in sorted(left, key=lambda each: (each.started_at, each.alert_id))]


def _changes(before: Episode, after: Episode) -> list[str]:
    count = max(before.since_repair, after.since_repair)
    one, other = before.transitions[-count:], after.transitions[-count:]
    if [_told(each, count) for each in one] == [_told(each, count) for each in other]:
        return []
    what: list[str] = []
    if [_turn(each, count) for each in one] != [_turn(each, count) for each in other]:
        what.append("transitions")
    if _score_change(before, after) > 0:
        what.append("score")
    if any(a.severity != b.severity for a, b in zip(one, other, strict=False)):
        what.append("severity")
    return what or ["other fields"]


def _told(transition: Transition, since_repair: int) -> bytes:
    # After a repair one side has said more often what the other one said once.
    return transition.essence if since_repair else transition.digest


def _turn(transition: Transition, since_repair: int) -> tuple[int, str, int]:
    if since_repair:
        return 0, "open" if transition.status in ("raised", "updated") else transition.status, transition.as_of
    return transition.revision, transition.status, transition.as_of


def _score_change(before: Episode, after: Episode) -> float:
    count = max(before.since_repair, after.since_repair)
    if count:
        pairs = zip(before.transitions[-count:], after.transitions[-count:], strict=False)
        return max(abs(one.score - other.score) for one, other in pairs)
    own = {each.revision: each.score for each in before.transitions}
    return max((abs(own[e.revision] - e.score) for e in after.transitions if e.revision in own), default=0.0)


def _example(difference: Difference, before: Episode | None, after: Episode | None, what: Sequence[str]) -> Example:
    episodes = [before, after]
    known = [episode for episode in episodes if episode is not None]
    return Example(
        difference=difference,
        customer_id=known[0].customer_id,
        kind=known[0].kind,
        alert_ids=list(dict.fromkeys(episode.alert_id for episode in known)),
        started_at=[None if episode is None else episode.started_at for episode in episodes],
        statuses=[[] if episode is None else [each.status for each in episode.transitions] for episode in episodes],
        scores=[None if episode is None else episode.transitions[0].score for episode in episodes],
        what=list(what),
    )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 1.0
