"""Whose events may be learned from: those of nobody who was erased since, or who does not want to be personalised.

The log keeps such events until its retention has passed; a model made from it must not. Called by
``stream.operations.retrain``.
"""

from __future__ import annotations

from collections.abc import Sequence

from stream.contracts.events import Event
from stream.contracts.times import to_epoch_ms


def permitted(events: Sequence[Event]) -> list[Event]:
    """The events that may be learned from, in the order given.

    Left out: what a customer did up to the last ``erase``, and everything of those whose last choice on
    personalisation is a denial (of two in the same millisecond, the denial).
    """
    erased: dict[str, int] = {}
    choices: dict[str, tuple[int, bool]] = {}
    for event in events:
        if event.type == "erase":
            erased[event.customer_id] = max(erased.get(event.customer_id, 0), to_epoch_ms(event.time))
        elif event.consent is not None and event.consent.personalization is not None:
            chosen = (to_epoch_ms(event.time), event.consent.personalization == "denied")
            choices[event.customer_id] = max(choices.get(event.customer_id, chosen), chosen)
    return [
        event
        for event in events
        if to_epoch_ms(event.time) > erased.get(event.customer_id, -1)
        and not (event.customer_id in choices and choices[event.customer_id][1])
    ]
