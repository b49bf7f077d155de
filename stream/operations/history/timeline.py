"""A customer's time line: what happened, what was asked and answered, and what became of alerts, in one order.

It holds what was read and folded, and puts it in order; how it reads is `telling.py`'s, how it looks `page.py`'s. Made
by `explaining.py`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from stream.contracts.alerts import Alert
from stream.contracts.scores import Contribution, ModelStamp, RequestKind, Trigger
from stream.decisions.verdicts import Weighed


class Change(msgspec.Struct, frozen=True):
    """A field of the profile that was changed. Rows that stayed are left out of tables."""

    field: str
    before: Any
    after: Any


class Asked(msgspec.Struct, frozen=True):
    """A question to the model, or the news of a withdrawal or an erasure, that the profile put."""

    kind: RequestKind
    request_id: str
    trigger: Trigger
    as_of: int
    first_offset: int
    """Of the events since the question before."""
    last_offset: int


class Happened(msgspec.Struct, tag="event", tag_field="entry"):
    """An event of the customer. Times are epoch milliseconds."""

    at: int
    """Event time; the append time of one that cannot be read."""
    partition: int
    offset: int
    appended_at: int
    type: str
    event_id: str
    detail: str
    outcome: str
    """``folded``, ``duplicate``, ``erased``, or the code of its dead letter."""
    message: str = ""
    """Why it was refused."""
    changes: list[Change] = []
    asked: list[Asked] = []


class Fired(msgspec.Struct, tag="timer", tag_field="entry"):
    """A timer of the customer's profile."""

    at: int
    """When it was due."""
    partition: int
    offset: int
    """Of the record that moved time."""
    changes: list[Change] = []
    asked: list[Asked] = []


class Answered(msgspec.Struct, tag="answer", tag_field="entry"):
    """An answer as it was recorded, and how alerts were judged by it."""

    at: int
    partition: int
    offset: int
    """Of the question, in the score-requests topic."""
    request_id: str
    trigger: Trigger
    model: ModelStamp
    fallback_reason: str
    """Empty where the model answered."""
    churn: dict[str, float]
    reasons: list[Contribution]
    """As the model gave them then; empty where it was not asked why."""
    policy_version: str
    mode: str
    outcome: str
    """As recorded: ``churn_risk=cool_down``, ``no_purchase`` …"""
    judged: list[Weighed] = []
    """With the figures that decided; empty where they cannot be made again from the log, see ``remark``."""
    remark: str = ""

    @property
    def outcomes(self) -> dict[str, str]:
        """By kind of alert; empty where no alert was judged."""
        pairs = [part.partition("=") for part in self.outcome.split(",")]
        return {kind: became for kind, equals, became in pairs if equals}


class Transition(msgspec.Struct, tag="alert", tag_field="entry"):
    """A transition of an alert, as it was published."""

    at: int
    topic: str
    """``alerts``, or ``alerts_holdout`` for the control group's."""
    partition: int
    offset: int
    message_id: str
    alert: Alert


Entry = Happened | Fired | Answered | Transition
_STAGES: Final[dict[type, int]] = {Happened: 0, Fired: 1, Answered: 2, Transition: 3}


class Explanation(msgspec.Struct):
    """What `tidemark explain` found."""

    customer_id: str
    partition: int
    alert_id: str
    """The alert that was asked about; empty where it was the customer."""
    entries: list[Entry]
    profile: dict[str, Any] | None
    """By field, at the end of the log."""
    currency: str
    log_begins: int
    """Where it is not 0, older events are gone, and states are those of the rest alone."""


def in_order(folded: list[Happened | Fired], others: list[Answered | Transition]) -> list[Entry]:
    """One order: by the customer's own clock, which an event that comes late does not turn back; then events, timers,
    answers, alerts.

    Args:
        folded: in the order of the fold.
    """
    clock = 0
    keyed: list[tuple[int, int, int, Entry]] = []
    for number, each in enumerate(folded):
        clock = max(clock, each.at)
        # In the order of the fold where the clock stands.
        keyed.append((clock, 0, number, each))
    keyed += [(each.at, _STAGES[type(each)], each.offset, each) for each in others]
    return [entry for *_, entry in sorted(keyed, key=lambda key: key[:3])]


def shown_of(explanation: Explanation, last: int) -> tuple[list[Entry], int, int]:
    """The newest ``last`` entries; of an alert, from some before it was raised to some after its end. 0: all.

    Returns:
        The entries, how many there are before them, and how many after.
    """
    entries = explanation.entries
    if not last or len(entries) <= last:
        return entries, 0, 0
    own = [
        place
        for place, entry in enumerate(entries)
        if isinstance(entry, Transition) and entry.alert.alert_id == explanation.alert_id
    ]
    end = len(entries) if not own else min(len(entries), own[-1] + 1 + last // 6)
    start = max(0, end - last)
    if own:
        # Whatever lies within the episode is shown, however much it is.
        start = min(start, max(0, own[0] - last // 3))
    return entries[start:end], start, len(entries) - end
