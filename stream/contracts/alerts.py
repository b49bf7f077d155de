"""What marketing automation reads: ``customer.alerts.v1``, ``customer.alerts.open.v1`` and
``customer.alerts.holdout.v1``.

Each transition of an alert is one CloudEvents 1.0 event in structured JSON. ``alert_id`` names the episode and ``id``
the transition, so a reader that drops what it has seen by ``id`` still sees every end.
"""

from typing import Literal

import msgspec

from stream.contracts.events import Mode
from stream.contracts.scores import Contribution, ModelStamp

AlertStatus = Literal["raised", "updated", "resolved", "expired", "corrected"]
ResolveReason = Literal[
    "purchased", "recovered", "expired", "corrected", "erased", "consent_withdrawn", "policy_changed"
]
Severity = Literal["low", "medium", "high"]
Arm = Literal["treatment", "holdout"]


class Money(msgspec.Struct, frozen=True, gc=False):
    """An amount and the ISO 4217 code of its currency."""

    amount: float
    """In units of the currency, not in cents."""
    currency: str
    """ISO 4217 code."""


class SuggestedAction(msgspec.Struct, omit_defaults=True):
    """What the policy would do about it."""

    code: str
    """What to do, such as ``win_back_offer``; ``none`` on every end."""
    params: dict[str, str | float | int | bool] = {}
    """How, by name; the action's code says which there are."""


class AlertContext(msgspec.Struct, omit_defaults=True):
    """What a message to the customer may want to mention."""

    items: list[str] = []
    """Item ids in the open cart, else of the last purchase."""
    cart_value: Money | None = None
    """Value of the open cart."""
    last_order_at: str | None = None
    """RFC 3339."""


class Experiment(msgspec.Struct, omit_defaults=True, frozen=True, gc=False):
    """The arm that the customer was drawn into; the draw is a keyed hash, so it can be repeated."""

    id: str
    """The experiment."""
    arm: Arm
    """Alerts of the ``holdout`` lie on a topic of their own and are not to be acted on."""
    share: float
    """Share of customers in the hold-out, 0 to 1."""
    salt_version: str
    """Which draw; a new one mixes the arms anew."""


class Evidence(msgspec.Struct, omit_defaults=True):
    """The input that the alert was made from."""

    topic: str
    """Physical name of the events topic."""
    partition: int
    """Its partition."""
    first_offset: int
    """Offset of the earliest event since the previous request."""
    last_offset: int
    """Offset of the event, or of the record that moved time, which led here."""
    event_ids: list[str] = []
    """Ids of those events, at most the 16 newest."""
    request_offset: int = 0
    """Offset in the score-requests topic, on the same partition."""


class Correction(msgspec.Struct, frozen=True):
    """Why a transition was published that no event led to: what was said before rested on a mistake of ours."""

    repair: str
    """Name of the replay by which it was found."""
    reason: str
    """In the words of whoever put it right."""
    at: str
    """When that was, RFC 3339; the time of a clock, not of events."""


class Alert(msgspec.Struct, omit_defaults=True):
    """The ``data`` of an alert's CloudEvent. Times are RFC 3339; scores are probabilities rounded to 1e-3."""

    alert_id: str
    """Names the episode; the same for all its transitions."""
    kind: str
    """What it warns of, such as ``churn_risk``."""
    status: AlertStatus
    """What this transition made of it."""
    revision: int
    """1 for the first transition of the episode, then counting up by one."""
    customer_id: str
    """The customer."""
    episode_started_at: str
    """When it was raised, RFC 3339."""
    as_of: str
    """Event time of this transition, RFC 3339."""
    expires_at: str
    """When it ends by itself unless it is updated, RFC 3339."""
    mode: Mode
    """``live`` is for acting on; the others are not."""
    severity: Severity
    """How urgent, from score and value at risk."""
    score: float
    """Calibrated probability that the customer churns within the horizon, 0 to 1."""
    horizon_days: int
    """Days that ``score`` looks ahead."""
    base_rate: float
    """Share of comparable customers who churned, on the period the model was evaluated on, 0 to 1."""
    raise_threshold: float
    """The score above which an episode begins, 0 to 1."""
    resolve_threshold: float
    """The score below which it ends; at least 0.05 under ``raise_threshold``."""
    value_at_risk: Money
    """The score times what the customer spent, in the last year, in as many days as the horizon has."""
    reasons: list[Contribution]
    """Why: what happened lately comes first, then what moved the score, by strength."""
    reasons_method: Literal["rule", "shapley", "shapley+rule"]
    """How the reasons were found: by rules, by the model, or by the model and, for what happened lately and the model
    does not weigh, by rules."""
    suggested_action: SuggestedAction
    """What the policy would do."""
    context: AlertContext
    """What a message may mention."""
    experiment: Experiment
    """The arm that the customer is in."""
    model: ModelStamp
    """Who scored."""
    policy_version: str
    """The policies that decided: a hash of their content."""
    catalogue_version: str
    """The catalogue that was in force."""
    evidence: Evidence
    """What it was made from."""
    fallback: bool = False
    """True when the fallback answered instead of the model; no score of its raises or resolves an alert."""
    simulated: bool = False
    """True if any event behind it was."""
    previous_status: AlertStatus | None = None
    """Status before this transition; absent for the first."""
    supersedes: str | None = None
    """``id`` of the transition that this one follows."""
    resolve_reason: ResolveReason | None = None
    """Why it ended; absent while it is open. ``policy_changed``: other thresholds, or another version of the model, and
    not the customer."""
    previous_score: float | None = None
    """Score at the previous transition, 0 to 1."""
    correction: Correction | None = None
    """Only in a transition that `tidemark repair` made: the alert as it should have been, or, where there should have
    been none, its end with the status ``corrected``."""


class AlertEvent(msgspec.Struct, omit_defaults=True):
    """A CloudEvents 1.0 envelope around one transition of an alert."""

    specversion: str
    """``1.0``."""
    id: str
    """UUIDv5 of ``alert_id`` and revision."""
    source: str
    """The deployment that wrote it."""
    type: str
    """``io.tidemark.alert.<status>.v1``."""
    subject: str
    """The customer."""
    time: str
    """Event time of the transition, RFC 3339."""
    datacontenttype: str
    """``application/json``."""
    dataschema: str
    """``urn:tidemark:schema:alert.v1``."""
    partitionkey: str
    """The record's key: the customer."""
    sequence: str
    """The revision, zero-padded so that it sorts as text."""
    data: Alert
    """The alert."""
    traceparent: str | None = None
    """W3C trace context of the event that led here."""


class OpenAlert(msgspec.Struct, omit_defaults=True):
    """One record of ``customer.alerts.open.v1`` (compacted, keyed by ``alert_id``): what is open now. Null when it
    ends."""

    alert_id: str
    """The record's key."""
    kind: str
    """What it warns of."""
    customer_id: str
    """The customer."""
    revision: int
    """Number of its latest transition."""
    status: AlertStatus
    """``raised`` or ``updated``."""
    severity: Severity
    """How urgent."""
    score: float
    """Calibrated probability, 0 to 1."""
    episode_started_at: str
    """When it was raised, RFC 3339."""
    as_of: str
    """Event time of its latest transition, RFC 3339."""
    expires_at: str
    """When it ends by itself unless it is updated, RFC 3339."""
    experiment: Experiment
    """The arm that the customer is in."""
    mode: Mode = "live"
    """``live`` is for acting on; the others are not."""
    simulated: bool = False
    """True if any event behind it was."""
