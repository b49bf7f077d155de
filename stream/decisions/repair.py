"""Puts right what was said of a customer, as a replay found that it should have been said.

The repair brings the state and the transitions with it; nothing is scored or judged here. Called by
``stream.workers.decisions`` for a request of the kind ``repair``.
"""

from __future__ import annotations

from hashlib import blake2b

from msgspec.structs import replace

from stream.contracts import codec as contracts
from stream.contracts.alerts import Alert
from stream.contracts.emission import Origin, Output
from stream.contracts.scores import ScoreRequest
from stream.decisions import codec, messages
from stream.decisions.deployment import Deployment
from stream.decisions.state import DecisionState


def digest(state: DecisionState | None) -> str:
    """Names a state, 32 hex digits; empty for none."""
    return "" if state is None else blake2b(codec.encode(state), digest_size=16).hexdigest()


def bare(alert: Alert) -> Alert:
    """The alert as a reader sees it who knows nothing of what was said before, nor where the request lies."""
    return replace(
        alert,
        status=alert.status if alert.status in messages.ENDED else "raised",
        revision=0,
        supersedes=None,
        previous_status=None,
        previous_score=None,
        correction=None,
        evidence=replace(alert.evidence, request_offset=0),
    )


def repair(
    state: DecisionState | None, request: ScoreRequest, origin: Origin, deployment: Deployment
) -> tuple[DecisionState | None, list[Output]]:
    """The state that the repair brings, and what is to be published; nothing where it was made for another state."""
    wanted = contracts.decode_repair(request.repair)
    if digest(state) != wanted.expects:
        return state, []
    after = codec.decode(wanted.state) if wanted.state else None
    alerts = [_made_by(alert, origin) for alert in wanted.alerts]
    if after is not None:
        published = {alert.alert_id: alert for alert in alerts}
        for episode in after.episodes.values():
            episode.alert = published.get(episode.alert.alert_id, episode.alert)
    outputs = [output for alert in alerts for output in messages.transition(alert, deployment)]
    if wanted.prediction is not None:
        outputs.append(messages.predicted(wanted.prediction))
    if wanted.recommendation is not None:
        outputs.append(messages.recommended(wanted.recommendation))
    outputs += [output for output in messages.forgotten(request.customer_id) if output.topic in wanted.gone]
    return after, outputs


def _made_by(alert: Alert, origin: Origin) -> Alert:
    return replace(alert, evidence=replace(alert.evidence, request_offset=origin.offset))
