"""Says in words what a time line holds: what an event did, why an alert was raised, left alone or not raised.

Pure: plain text without line breaks, for a terminal and for a page alike. Called by `page.py` and `tidemark explain`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from stream.contracts.alerts import Alert
from stream.contracts.scores import Contribution
from stream.decisions.verdicts import Condition, Weighed
from stream.operations.history.timeline import Answered, Asked, Change, Entry, Fired, Happened, Transition
from stream.operations.rendering import CONTROL_CHARACTERS, minute
from stream.operations.sentences import sentence

_CENTS: Final = 100.0
_NOT_RAISED: Final = "not raised"
_LEFT: Final = "left as it is"


class Told(NamedTuple):
    """One entry in words."""

    at: str
    """To the minute."""
    title: str
    lines: list[str]
    """What there is to it."""
    verdicts: list[str]
    """What became of alerts, and why."""
    place: str
    """Topic in a word, partition and offset, such as ``events 1:3141``."""


def told(entry: Entry, currency: str) -> Told:
    """An entry for people. Control characters, which visitors can put into names and ids, are U+FFFD."""
    match entry:
        case Happened():
            found = _happened(entry, currency)
        case Fired():
            found = _fired(entry, currency)
        case Answered():
            found = _answered(entry, currency)
        case Transition():
            found = _transition(entry)
    at, title, lines, verdicts, place = found
    return Told(at, _safe(title), list(map(_safe, lines)), list(map(_safe, verdicts)), place)


def verdict(judged: Weighed, currency: str) -> str:
    """What became of an alert, and the condition that decided."""
    kind = judged.kind.replace("_", " ")
    became = _became(judged.outcome, judged.open)
    decided = [each for each in judged.conditions if each.holds]
    if decided:
        return f"{kind}: {became}: {condition(decided[-1], currency)}"
    if judged.outcome == "raised":
        return f"{kind}: raised: {_passed(judged.conditions, currency)}"
    return f"{kind}: {became}: {_between(judged.conditions)}"


def condition(each: Condition, currency: str) -> str:
    """One condition that holds, with its figures."""
    return _HOLDS[each.outcome](*figures(each, currency))


def figures(each: Condition, currency: str) -> tuple[str, str]:
    """What was observed, and what it was held against; empty where there is nothing to say."""
    return _figure(each.observed, each.unit, currency), _figure(each.limit, each.unit, currency)


def recorded_outcome(kind: str, outcome: str) -> str:
    """What became of an alert where the record alone is left, without figures."""
    return f"{kind.replace('_', ' ')}: {outcome.replace('_', ' ')}"


def _happened(entry: Happened, currency: str) -> Told:
    title = f"{entry.type} {entry.detail}".rstrip()
    lines = []
    if entry.outcome == "duplicate":
        title += ": a duplicate, dropped"
    elif entry.outcome == "erased":
        title += ": everything is forgotten"
    elif entry.outcome != "folded":
        title += f": refused ({entry.outcome.replace('_', ' ')})"
        lines.append(entry.message)
    lines += _changed(entry.changes, currency) + _asked(entry.asked)
    return Told(minute(entry.at), title, lines, [], f"events {entry.partition}:{entry.offset}")


def _fired(entry: Fired, currency: str) -> Told:
    fields = {change.field for change in entry.changes}
    title = "silence noticed" if "silence_step" in fields else "the interval between two questions is over"
    if "customer_id" in fields:
        title = "the visitor is forgotten"
    lines = _changed(entry.changes, currency) + _asked(entry.asked)
    return Told(minute(entry.at), title, lines, [], f"events {entry.partition}:{entry.offset}")


def _answered(entry: Answered, currency: str) -> Told:
    churn = ", ".join(f"{probability:.3f} in {horizon}" for horizon, probability in entry.churn.items())
    by = f"{entry.model.name} {entry.model.version}"
    if entry.fallback_reason:
        by = f"the fallback ({entry.fallback_reason.replace('_', ' ')})"
    title = f"churn {churn}, asked because of {entry.trigger.replace('_', ' ')}"
    lines = [f"by {by}, policy {entry.policy_version}"]
    lines += [contribution(each) for each in entry.reasons]
    if entry.judged:
        verdicts = [verdict(each, currency) for each in entry.judged]
    elif entry.outcomes:
        verdicts = [recorded_outcome(*each) for each in entry.outcomes.items()]
    else:
        verdicts = [_NO_ALERT.get(entry.outcome, entry.outcome)]
    if entry.remark:
        lines.append(entry.remark)
    return Told(minute(entry.at), title, lines, verdicts, f"score requests {entry.partition}:{entry.offset}")


def _transition(entry: Transition) -> Told:
    alert = entry.alert
    end = f" ({alert.resolve_reason.replace('_', ' ')})" if alert.resolve_reason else ""
    title = f"{alert.status} {alert.kind.replace('_', ' ')}{end}: score {alert.score:.3f}, {alert.severity}"
    lines = []
    if alert.correction is not None:
        correction = alert.correction
        lines.append(f"put right on {correction.at[:10]} by repair {correction.repair}: {correction.reason}")
    if alert.experiment.arm == "holdout":
        lines.append("in the control group: published on the hold-out topic alone, nobody is to act on it")
    lines.append(_terms(alert))
    if not alert.resolve_reason:
        lines += [contribution(each) for each in alert.reasons]
        if alert.suggested_action.code != "none":
            lines.append(f"suggested: {alert.suggested_action.code.replace('_', ' ')}")
    evidence = alert.evidence
    lines.append(
        f"made from {evidence.topic} {evidence.partition}:{evidence.first_offset} to {evidence.last_offset}, "
        f"question {evidence.request_offset}; model {alert.model.name} {alert.model.version}, policy "
        f"{alert.policy_version}"
    )
    lines.append(f"alert {alert.alert_id}, revision {alert.revision}, message {entry.message_id}")
    topic = "alerts" if entry.topic == "alerts" else "holdout"
    return Told(minute(entry.at), title, lines, [], f"{topic} {entry.partition}:{entry.offset}")


def contribution(each: Contribution) -> str:
    """A stored reason with its share of the score."""
    share = f"{each.contribution:+.3f}  " if each.contribution else ""
    return f"{share}{sentence(each)}"


def _terms(alert: Alert) -> str:
    worth = f"{alert.value_at_risk.amount:,.2f} {alert.value_at_risk.currency}"
    return (
        f"raised from {alert.raise_threshold:.3f}, ended below {alert.resolve_threshold:.3f}; of comparable customers "
        f"{alert.base_rate:.0%}; {worth} at risk; reasons by the {_METHODS[alert.reasons_method]}"
    )


def _asked(asked: Sequence[Asked]) -> list[str]:
    return [
        f"asks for a score as of {minute(each.as_of)}, because of {each.trigger.replace('_', ' ')}"
        if each.kind == "score"
        else f"tells the decisions: {each.kind}"
        for each in asked
    ]


def _changed(changes: Sequence[Change], currency: str) -> list[str]:
    """What a person wants to know of what has changed; the whole is in the page and in --json."""
    by_field = {change.field: change for change in changes}
    found = []
    for field, words in _FIELDS.items():
        change = by_field.get(field)
        if change is None or change.before == change.after:
            continue
        if field == "revenue_cents":
            found.append(f"{words} {change.before / _CENTS:,.2f} → {change.after / _CENTS:,.2f} {currency}")
        elif field in ("silence_due", "ask_due"):
            found.append(f"{words} {minute(change.after) if change.after else 'no more'}")
        else:
            found.append(f"{words} {_plain(change.before)} → {_plain(change.after)}")
    return ["; ".join(found)] if found else []


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _became(outcome: str, is_open: bool) -> str:
    if outcome in ("raised", "updated"):
        return outcome
    if outcome == "quiet_hours":
        return "held"
    if is_open:
        return _LEFT if outcome in ("unchanged", "fallback", "out_of_order") else "ended"
    return _NOT_RAISED


def _passed(conditions: Sequence[Condition], currency: str) -> str:
    """The conditions that a raised alert has met, as far as they have figures."""
    met = {each.outcome: each for each in conditions}
    score, early = met.get("below_threshold"), met.get("too_early")
    said = []
    if score is not None:
        observed, limit = figures(score, currency)
        said.append(f"score {observed} is at least {limit}")
    if early is not None:
        said.append(f"last order {figures(early, currency)[0]} ago")
    return ", ".join([*said, "nothing stood in the way"])


def _between(conditions: Sequence[Condition]) -> str:
    """Why an open alert was neither ended nor updated: hysteresis."""
    met = {each.outcome: each for each in conditions}
    low, moved = met.get("recovered"), met.get("updated")
    said = []
    if low is not None and low.limit is not None:
        said.append(f"score {low.observed:.3f} is not below {low.limit:.3f}, where it would end")
    if moved is not None and moved.limit is not None:
        said.append(f"it moved by {moved.observed:.3f}, an update needs {moved.limit:.3f} or another severity")
    return ", ".join(said)


def _figure(value: float | str | None, unit: str, currency: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.replace("_", " ")
    match unit:
        case "time":
            return minute(int(value))
        case "days":
            return f"{value:g} days"
        case "probability":
            return f"{value:.3f}"
        case "amount":
            return f"{value:,.2f} {currency}"
        case _:
            return f"{value:,g}"


def _safe(text: str) -> str:
    return CONTROL_CHARACTERS.sub("\ufffd", text)


_HOLDS: Final[dict[str, Callable[[str, str], str]]] = {
    "no_consent": lambda observed, limit: "the customer does not allow marketing",
    "disabled": lambda observed, limit: "alerts of this kind are switched off",
    "policy_changed": lambda observed, limit: (
        "by other thresholds or another model, not by the customer"
        + (f" (score {observed}, ended below {limit})" if observed else "")
    ),
    "fallback": lambda observed, limit: f"the model did not answer ({observed}); a fallback's score decides nothing",
    "out_of_order": lambda observed, limit: f"it is about {observed}, and {limit} was judged already",
    "below_threshold": lambda observed, limit: f"score {observed} is below {limit}, from which one is raised",
    "below_value": lambda observed, limit: f"{observed} at risk is less than {limit}",
    "too_early": lambda observed, limit: f"last order {observed} ago, one is raised from {limit} on",
    "too_late": lambda observed, limit: f"last order {observed} ago, one is raised up to {limit}",
    "cool_down": lambda observed, limit: f"cool-down until {limit}",
    "daily_cap": lambda observed, limit: f"the daily cap: {observed} raised that day, at most {limit}",
    "budget": lambda observed, limit: f"the daily budget: {observed} raised on this partition that day, it has {limit}",
    "quiet_hours": lambda observed, limit: f"raised in quiet hours, and held until {limit}",
    "purchased": lambda observed, limit: f"ordered again on {observed}",
    "corrected": lambda observed, limit: f"an order of {observed}, from before the alert, came late",
    "recovered": lambda observed, limit: f"score {observed} is below {limit}",
    "updated": lambda observed, limit: f"the score moved by {observed} ({limit} are published), or the severity did",
}
"""What it means that a condition holds, by its outcome."""
_NO_ALERT: Final = {
    "no_purchase": "no alert was judged: there is no order yet",
    "anonymous": "no alert was judged: an anonymous visitor",
    "backfill": "no alert was judged: history is loaded, which fires nothing",
    "superseded": "no alert was judged: a later question was answered before this one, which was put again",
}
_METHODS: Final = {"rule": "rules", "shapley": "model", "shapley+rule": "model and the rules"}
_FIELDS: Final = {
    "purchases": "purchases",
    "returns": "returns",
    "revenue_cents": "revenue",
    "personalization": "personalization allowed",
    "marketing": "marketing allowed",
    "silence_due": "silence is noticed next on",
    "ask_due": "asks again on",
}
"""Fields whose change is told in a line."""
