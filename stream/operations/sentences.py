"""Says the reasons of an alert or a recommendation in plain English, one sentence each.

The codes are given by `stream.decisions`; a code that has no sentence here is spelled out with its figures. Called by
`rendering.py` and the demo's report.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stream.contracts.recommendations import RecommendationReason
from stream.contracts.scores import Contribution

_SENTENCES: Final[dict[str, Callable[[str, str], str]]] = {
    "silence_vs_rhythm": lambda value, usual: f"No order for {value} days; usually one comes every {usual} days.",
    "silence_after_first_order": lambda value, usual: (
        f"No second order for {value} days; those who come back mostly do within {usual} days."
    ),
    "recent_order": lambda value, usual: (
        f"The last order is only {value} days old; usually one comes every {usual} days."
    ),
    "frequency_drop": lambda value, usual: f"Orders in the last 90 days: {value}; usual are {usual}.",
    "frequency_rise": lambda value, usual: f"Orders in the last 90 days: {value}; usual are {usual}.",
    "negative_review": lambda value, usual: f"The latest review gave {value} of 5 stars.",
    "positive_review": lambda value, usual: f"The latest review gave {value} of 5 stars.",
    "returns": lambda value, usual: f"Items sent back in the last 60 days: {value}.",
    "cart_emptied": lambda value, usual: f"Emptied the cart {value} days ago and did not order since.",
    "low_engagement": lambda value, usual: f"Opens {value} of the messages; {usual} is ordinary.",
    "engaged": lambda value, usual: f"Opens {value} of the messages; {usual} is ordinary.",
    "silence": lambda value, usual: f"No order for {value} (ordinary: {usual}).",
    "rhythm": lambda value, usual: f"Orders within a year: {value} (ordinary: {usual}).",
    "spending": lambda value, usual: f"Spent within a year: {value} (ordinary: {usual}).",
    "assortment": lambda value, usual: f"Lines an order: {value} (ordinary: {usual}).",
    "cart": lambda value, usual: f"Changes of the cart lately: {value}.",
    "visits": lambda value, usual: f"Items looked at lately: {value}.",
    "opinion": lambda value, usual: f"Stars given on average: {value}.",
    "recent_visits": lambda value, usual: f"Items looked at in the last 14 days: {value}.",
}

_WORDS: Final = {"own_gaps": ("times the own gap between orders",), "days_silent": ("days",)}
"""Of units that no sentence names, because the same reason has the one or the other."""

_RECOMMENDED: Final = {
    "next_in_taste": "fits what was bought lately",
    "bought_before": "bought before",
    "bought_together": "often bought together",
    "popular_now": "popular now",
}


def sentence(reason: Contribution) -> str:
    """One reason of an alert as a sentence."""
    value = " ".join([_figure(reason.value, reason.unit), *_WORDS.get(reason.unit, ())])
    usual = "" if reason.reference is None else _figure(reason.reference, reason.unit)
    known = _SENTENCES.get(reason.code)
    if known is not None:
        return known(value, usual)
    words = reason.code.replace("_", " ").capitalize()
    unit = f" {reason.unit.replace('_', ' ')}" if reason.unit else ""
    return f"{words}: {value}{unit}" + (f" (usual: {usual})." if usual else ".")


def _figure(value: float, unit: str) -> str:
    if unit == "share":
        return f"{value:.0%}"
    return f"{value:,.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.1f}"


def recommended_because(reason: RecommendationReason, name_of: Callable[[str], str]) -> str:
    """Why an item is recommended, in a few words.

    Args:
        name_of: name of an item by its id.
    """
    words = _RECOMMENDED.get(reason.code, reason.code.replace("_", " "))
    if not reason.item_id:
        return words
    return f"{words} with {name_of(reason.item_id)}" if reason.code == "bought_together" else words
