"""Asking for a score and answering: ``customer.score-requests.v1``, ``customer.scores.v1`` and
``customer.predictions.v1``.

A request is written by the profiles role and read by the decisions role; answers are kept so that a replay can use
what the model said at the time. Times are integer epoch milliseconds: these topics are written by Tidemark alone.
"""

from typing import Literal

import msgspec

from stream.contracts.events import Mode

RequestKind = Literal["score", "tick", "erase", "consent", "repair"]
Trigger = Literal["purchase", "return", "review", "cart_emptied", "browse", "silence", "interval", "go_live", "retry"]
Retriever = Literal["model", "repeat", "co_bought", "trending"]
FallbackReason = Literal["", "breaker_open", "timeout", "unavailable", "bad_output", "no_model"]


class ScoreRequest(msgspec.Struct, omit_defaults=True, gc=False):
    """One record of ``customer.score-requests.v1``, keyed by customer and co-partitioned with the events.

    ``score`` asks; ``tick`` carries partition time on (no key); ``erase`` forgets the customer; ``consent`` tells of
    a withdrawal; ``repair`` puts right what was said of a customer.
    """

    kind: RequestKind
    """What is asked of the decisions role."""
    request_id: str = ""
    """UUIDv5 of customer, trigger and ``as_of``; a retry has its own. After an erasure the same may be asked once more:
    the two questions have one id, and differ by ``last_offset``."""
    customer_id: str = ""
    """The customer; empty for a tick."""
    as_of: int = 0
    """Event time at which the answer is wanted; for a tick, the partition time. Epoch milliseconds."""
    trigger: Trigger = "interval"
    """What made the profile ask."""
    profile: bytes = b""
    """The encoded customer state at ``as_of``, base64 in JSON; read with ``stream.profiles.codec``."""
    events_topic: str = ""
    """Physical name of the topic whose events led here."""
    events_partition: int = 0
    """Partition of those events; that of this request too."""
    first_offset: int = 0
    """Offset of the earliest event since the last request of this customer."""
    last_offset: int = 0
    """Offset of the event, or of the record that moved time, which made the profile ask."""
    event_ids: list[str] = []
    """Ids of the events since the last request, at most the 16 newest."""
    personalization: bool = True
    """False where the customer denied it: no score and no recommendation."""
    marketing: bool = True
    """False where the customer denied it: no alert."""
    mode: Mode = "live"
    """That of the newest event since the last request."""
    simulated: bool = False
    """True if any event since the last request was."""
    attempt: int = 0
    """How often this question was put again because a fallback had answered it."""
    traceparent: str = ""
    """W3C trace context of the event that made the profile ask."""
    repair: bytes = b""
    """What a ``repair`` is to make of the customer, base64 in JSON: a ``stream.contracts.repairs.Repair``."""


class Candidate(msgspec.Struct, omit_defaults=True, gc=False):
    """An item that may be recommended, as ranked by the answer."""

    item_id: str
    """The product."""
    score: float
    """Ranking score, higher is better; comparable within one answer only."""
    retriever: Retriever
    """What brought it up."""
    item_group_id: str = ""
    """What its variants share."""
    because_item_id: str = ""
    """The customer's own item that led here, where there is one."""
    propensity: float = 1.0
    """Probability with which the policy that ran would have shown it."""


class ModelStamp(msgspec.Struct, omit_defaults=True, frozen=True, gc=False):
    """Which model answered."""

    name: str
    """Its name in the model repository, or ``fallback``."""
    version: str
    """Its version there, or the fallback's."""
    feature_schema: str
    """First 16 hex digits of the SHA-256 over names, order and types of the features."""


class Contribution(msgspec.Struct, omit_defaults=True, gc=False):
    """What one group of features did to the churn score."""

    code: str
    """Which group of features or rule, such as ``silence``."""
    value: float
    """What was observed, in ``unit``."""
    unit: str = ""
    """Unit of ``value`` and ``reference``, such as ``days``."""
    reference: float | None = None
    """What is usual for this customer or comparable ones, in ``unit``."""
    contribution: float = 0.0
    """Change of the score that this group brought, positive towards churn; 0 for what happened and the model does not
    weigh."""


class Answer(msgspec.Struct, omit_defaults=True, gc=False):
    """What the model, or the fallback, said of one customer."""

    churn: dict[str, float]
    """Calibrated probability of no purchase within the horizon, by horizon: ``{"30d": …, "90d": …}``."""
    raw_churn: dict[str, float]
    """The same before calibration."""
    expected_revenue_180d: float
    """Mean of the revenue of the next 180 days, in ``currency``."""
    median_revenue_180d: float
    """Median of the same."""
    currency: str
    """ISO 4217 code of the amounts."""
    candidates: list[Candidate]
    """Ranked, best first, at most 40. Empty from the fallback when no catalogue is known."""
    model: ModelStamp
    """Who answered."""
    catalogue_version: str = ""
    """The catalogue that the candidates come from."""
    fallback: bool = False
    """True when the model did not answer and the frozen rule did."""
    fallback_reason: FallbackReason = ""
    """Why the model did not; empty where it did."""
    reasons: list[Contribution] = []
    """What moved the score against a reference customer, by groups of features (exact Shapley values); what speaks for
    churn first, each by strength. Empty where the model was not asked why."""
    reference_churn: float | None = None
    """Raw churn of that customer at the policies' horizon: the contributions add up to the raw churn less this."""


class Score(msgspec.Struct, omit_defaults=True, gc=False):
    """One record of ``customer.scores.v1``: the request it answers, and the answer."""

    request_id: str
    """The request that is answered."""
    customer_id: str
    """The customer; the record's key."""
    as_of: int
    """Event time of the answer, epoch milliseconds."""
    trigger: Trigger
    """What made the profile ask."""
    answer: Answer
    """What was said."""
    request_partition: int
    """Partition of the request."""
    request_offset: int
    """Offset of the request in the score-requests topic."""
    mode: Mode = "live"
    """That of the request."""
    simulated: bool = False
    """True if the request was."""
    policy_version: str = ""
    """The policies under which it was decided."""
    events_offset: int = -1
    """Offset, on the same partition of the events topic, of the record that made the profile ask; -1 where the score is
    older than this field."""
    profile_digest: str = ""
    """Digest of the profile that was asked about: what was said of one profile is no answer for another. Empty where
    the score is older than this field."""


class Prediction(msgspec.Struct, omit_defaults=True, gc=False):
    """One record of ``customer.predictions.v1`` (compacted): a customer's latest view."""

    customer_id: str
    """The customer; the record's key."""
    as_of: int
    """Event time of the prediction, epoch milliseconds."""
    churn: dict[str, float]
    """Calibrated probability of no purchase within the horizon, by horizon: ``{"30d": …, "90d": …}``."""
    expected_revenue_180d: float
    """Mean of the revenue of the next 180 days, in ``currency``."""
    median_revenue_180d: float
    """Median of the same."""
    currency: str
    """ISO 4217 code of the amounts."""
    model: ModelStamp
    """Who answered."""
    fallback: bool = False
    """True when the frozen rule answered instead of the model."""
    request_id: str = ""
    """The request that was answered."""
    mode: Mode = "live"
    """That of the request."""
    simulated: bool = False
    """True if the request was."""
    catalogue_version: str = ""
    """The catalogue that was in force."""
    policy_version: str = ""
    """The policies under which it was decided."""
