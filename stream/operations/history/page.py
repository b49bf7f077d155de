"""A time line as one HTML page that needs nothing else: no script, no font, no network. It can be sent to a colleague.

Everything that comes from events is escaped: names and ids are whatever a visitor has typed. Words come from
`telling.py`. Called by `tidemark explain`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any, Final

from serving.evaluation.page.chart import Axis, Chart, Series
from serving.evaluation.page.style import STYLE
from serving.evaluation.page.svg import svg
from stream.contracts.times import DAY_MS
from stream.operations.history.telling import figures, told
from stream.operations.history.timeline import (
    Answered,
    Change,
    Entry,
    Explanation,
    Fired,
    Happened,
    Transition,
)
from stream.operations.rendering import CONTROL_CHARACTERS, minute

_HORIZON: Final = "90d"
_POINTS: Final = 2
"""Answers that a curve needs."""
_IN_A_ROW: Final = 3
"""Events that led to nothing; longer rows of them are folded away."""

_STYLE: Final = """
ol.line { list-style: none; margin: 1rem 0; padding: 0; border-left: 2px solid var(--line); }
ol.line > li { position: relative; max-width: none; margin: 0 0 .7rem; padding: .1rem 0 .1rem 1.2rem; }
ol.line > li::before { content: ""; position: absolute; left: -.42rem; top: .55rem; width: .7rem; height: .7rem;
  border-radius: 50%; background: var(--ground); border: 2px solid var(--soft); box-sizing: border-box; }
ol.line > li.answer::before { border-color: var(--o1); background: var(--o1); }
ol.line > li.alert::before { border-color: var(--o0); background: var(--o0); border-radius: 0; }
ol.line > li.timer::before { border-style: dashed; } ol.line > li.refused::before { border-color: var(--worse); }
ol.line > li.asked-about { background: var(--warn-ground); outline: 2px solid var(--warn); border-radius: .3rem; }
li time, li .place { color: var(--soft); font-size: .85rem; font-variant-numeric: tabular-nums; }
li .place { float: right; margin-left: 1rem; } li .kind { font-weight: 600; }
li b { font-weight: 600; overflow-wrap: anywhere; } li p { margin: .1rem 0; max-width: none; overflow-wrap: anywhere; }
svg circle.other { fill: var(--o0); }
li p.verdict { border-left: 3px solid var(--o1); padding-left: .5rem; margin: .2rem 0; }
details table td, details table th { white-space: normal; text-align: left; overflow-wrap: anywhere; min-width: 6rem; }
@media (max-width: 40rem) { main { padding: 1.2rem .8rem 3rem; } li .place { float: none; display: block; margin: 0; } }
"""


def page(explanation: Explanation) -> str:
    """The whole time line, the newest state and how to read it."""
    name = _text(explanation.customer_id)
    about = f" Asked about alert {_text(explanation.alert_id)}." if explanation.alert_id else ""
    lost = (
        f"<p class='warn'>The log begins at offset {explanation.log_begins:,}: older events of this customer, if there "
        "were any, are not told, and states are those of the rest alone.</p>"
        if explanation.log_begins
        else ""
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Customer {name}: time line</title><style>{STYLE}{_STYLE}</style></head>"
        f"<body><main><h1>Customer {name}</h1>"
        f'<p class="soft">What happened, what was scored, and why an alert was raised or not.{about} Partition '
        f"{explanation.partition}; times are UTC.</p>{lost}{_tiles(explanation)}{_curve(explanation)}"
        f"<h2>Time line</h2>{_line(explanation)}{_state(explanation)}{_READING}</main></body></html>\n"
    )


def _tiles(explanation: Explanation) -> str:
    entries = explanation.entries
    events = [entry for entry in entries if isinstance(entry, Happened)]
    answers = [entry for entry in entries if isinstance(entry, Answered)]
    alerts = [entry for entry in entries if isinstance(entry, Transition)]
    raised = [entry for entry in alerts if entry.alert.status == "raised"]
    judged = [became for entry in answers for became in entry.outcomes.values()]
    kept = [became for became in judged if became in _SUPPRESSED]
    refused = sum(entry.outcome not in ("folded", "duplicate", "erased") for entry in events)
    newest = f"{answers[-1].churn[_HORIZON]:.2f} at the last" if answers and _HORIZON in answers[-1].churn else ""
    most = ", ".join(dict.fromkeys(became.replace("_", " ") for became in kept))
    tiles = (
        (len(events), "events", f"{refused} refused" if refused else "none refused"),
        (len(answers), "scores", newest or "none"),
        (len(raised), "alerts raised", f"{len(alerts)} transitions"),
        (len(kept), "times not raised for a reason other than the score", most or "none"),
    )
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile"><b>{count:,}</b>{escape(title)}<span></span><span>{_text(more)}</span></div>'
            for count, title, more in tiles
        )
        + "</div>"
    )


def _curve(explanation: Explanation) -> str:
    """The score over time, with the thresholds of the alerts."""
    answers = [entry for entry in explanation.entries if isinstance(entry, Answered) and _HORIZON in entry.churn]
    if len(answers) < _POINTS or answers[0].at >= answers[-1].at:
        return ""
    first, span = answers[0].at, answers[-1].at - answers[0].at
    days = [(entry.at - first) / DAY_MS for entry in answers]
    ticks = [span / DAY_MS * part / 4 for part in range(5)]
    labels = [minute(first + int(tick * DAY_MS))[2:10] for tick in ticks]
    series = [Series("churn within 90 days", days, [entry.churn[_HORIZON] for entry in answers], role="model")]
    alerts = [entry for entry in explanation.entries if isinstance(entry, Transition)]
    if alerts:
        newest = alerts[-1].alert
        for name, level in (("raised from", newest.raise_threshold), ("ended below", newest.resolve_threshold)):
            series.append(Series(f"{name} {level:.2f}", (ticks[0], ticks[-1]), (level, level), role="guide"))
        raised = [entry for entry in alerts if entry.alert.status == "raised"]
        series.append(
            Series(
                "alert raised",
                [(entry.at - first) / DAY_MS for entry in raised],
                [entry.alert.score for entry in raised],
                drawn="points",
            )
        )
    said = ", ".join(f"{minute(entry.at)[:10]} {entry.churn[_HORIZON]:.2f}" for entry in answers)
    chart = Chart(
        "score",
        "Score over time",
        f"Probability of no order within 90 days, as it was answered: {said}.",
        Axis("time of the question", ticks, labels),
        Axis("churn", (0.0, 0.25, 0.5, 0.75, 1.0), ("0", "0.25", "0.5", "0.75", "1")),
        series,
    )
    return (
        f'<figure style="max-width: 44rem">{svg(chart)}<figcaption>The score over time, as it was answered then; '
        "thresholds are those of the newest alert.</figcaption></figure>"
    )


def _line(explanation: Explanation) -> str:
    parts: list[str] = []
    quiet: list[str] = []

    def close() -> None:
        if len(quiet) > _IN_A_ROW:
            parts.append(
                f'</ol><details><summary>{len(quiet):,} events that asked for nothing</summary><ol class="line">'
                f'{"".join(quiet)}</ol></details><ol class="line">'
            )
        else:
            parts.extend(quiet)
        quiet.clear()

    for entry in explanation.entries:
        if isinstance(entry, Happened) and entry.outcome == "folded" and not entry.asked:
            quiet.append(_item(entry, explanation))
        else:
            close()
            parts.append(_item(entry, explanation))
    close()
    return f'<ol class="line">{"".join(parts)}</ol>'


def _item(entry: Entry, explanation: Explanation) -> str:
    at, title, lines, verdicts, place = told(entry, explanation.currency)
    kind = {Happened: "event", Fired: "timer", Answered: "answer", Transition: "alert"}[type(entry)]
    classes = [kind]
    if isinstance(entry, Happened) and entry.outcome not in ("folded", "duplicate", "erased"):
        classes.append("refused")
    if isinstance(entry, Transition) and entry.alert.alert_id == explanation.alert_id:
        classes.append("asked-about")
    said = "".join(f"<p>{escape(line)}</p>" for line in lines)
    said += "".join(f'<p class="verdict">{escape(line)}</p>' for line in verdicts)
    changes = _changes(entry.changes) if isinstance(entry, Happened | Fired) and entry.changes else ""
    conditions = _conditions(entry, explanation.currency) if isinstance(entry, Answered) and entry.judged else ""
    return (
        f'<li class="{" ".join(classes)}"><span class="place">{escape(place)}</span><time>{escape(at)}</time> '
        f'<span class="kind">{kind}</span><br><b>{escape(title)}</b>{said}{conditions}{changes}</li>'
    )


def _conditions(entry: Answered, currency: str) -> str:
    rows = "".join(
        f"<tr><th>{escape(condition.outcome.replace('_', ' '))}</th><td>{'yes' if condition.holds else 'no'}</td>"
        + "".join(f"<td>{escape(figure)}</td>" for figure in figures(condition, currency))
        + "</tr>"
        for judged in entry.judged
        for condition in judged.conditions
    )
    return (
        "<details><summary>every condition, in the order in which they were asked</summary>"
        '<div class="scroll"><table><thead><tr><th>condition</th><th>holds</th><th>observed</th><th>held against</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _changes(changes: Sequence[Change]) -> str:
    rows = "".join(
        f"<tr><th>{escape(change.field.replace('_', ' '))}</th><td>{_value(change.before)}</td>"
        f"<td>{_value(change.after)}</td></tr>"
        for change in changes
    )
    return (
        f"<details><summary>state before and after: {len(changes)} fields</summary>"
        '<div class="scroll"><table><thead><tr><th>field</th><th>before</th><th>after</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _state(explanation: Explanation) -> str:
    if explanation.profile is None:
        return "<h2>State</h2><p>Nothing is kept of this customer now.</p>"
    rows = "".join(
        f"<dt>{escape(field.replace('_', ' '))}</dt><dd>{_value(value)}</dd>"
        for field, value in explanation.profile.items()
    )
    return f"<h2>State at the end of the log</h2><details><summary>every field</summary><dl>{rows}</dl></details>"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "<br>".join(_value(each) for each in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{_text(str(name))} {_value(each)}" for name, each in value.items())
    if isinstance(value, str):
        return _text(value)
    return "none" if value is None else escape(json.dumps(value))


def _text(text: str) -> str:
    return escape(CONTROL_CHARACTERS.sub("\ufffd", text))


_SUPPRESSED: Final = frozenset(
    {
        "below_value",
        "budget",
        "cool_down",
        "daily_cap",
        "disabled",
        "fallback",
        "no_consent",
        "out_of_order",
        "quiet_hours",
        "too_early",
        "too_late",
    }
)
"""Outcomes that kept an alert back though its score alone did not."""
_READING: Final = """<h2>How to read this</h2>
<dl>
<dt>event</dt><dd>what the customer did, folded again from the log; what it changed is what a worker changed.</dd>
<dt>timer</dt><dd>something that did not happen: silence, or the end of the interval between two questions.</dd>
<dt>answer</dt><dd>a score as it was given and stored then. Its reasons are the stored ones: shares of the score, in
points of probability, that move it away from an ordinary customer's. No model was asked for this page.</dd>
<dt>alert</dt><dd>a transition as it was published. Those of the control group are on the hold-out topic alone.</dd>
<dt>conditions</dt><dd>what stands between a score and an alert, in order; the first that holds decides. The figures are
made again from the log with the stored answers, and told only where that gives what was recorded.</dd>
<dt>places</dt><dd>topic, partition and offset: <code>tidemark state get CUSTOMER --at OFFSET</code> has the state as of
an event.</dd>
</dl>"""
