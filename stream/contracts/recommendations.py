"""What a shop shows next: ``customer.recommendations.v1``, compacted, keyed by customer; null after an erasure."""

import msgspec

from stream.contracts.alerts import Experiment
from stream.contracts.events import Mode
from stream.contracts.scores import ModelStamp, Retriever


class RecommendationReason(msgspec.Struct, omit_defaults=True, gc=False):
    """Why an item is there: ``code`` for people and programs, ``item_id`` where an own item led to it."""

    code: str
    """Why, such as ``bought_before`` or ``bought_together``."""
    item_id: str = ""
    """The customer's own item that led here."""


class RecommendedItem(msgspec.Struct, omit_defaults=True, gc=False):
    """One place of the list."""

    index: int
    """Zero-based."""
    item_id: str
    """The product."""
    score: float
    """Higher is better; comparable within one list only."""
    reason: RecommendationReason
    """Why it is there."""
    retriever: Retriever
    """What brought it up."""
    item_group_id: str = ""
    """What its variants share; a group appears once at most."""
    propensity: float = 1.0
    """Probability with which the policy that ran would have shown it here, 0 to 1."""


class Recommendation(msgspec.Struct, omit_defaults=True):
    """A customer's ranked items. Written only when it changed materially. Times are RFC 3339."""

    recommendation_id: str
    """UUIDv5 of customer and revision."""
    revision: int
    """1 for the customer's first list, then counting up by one."""
    customer_id: str
    """The customer; the record's key."""
    as_of: str
    """Event time of the list, RFC 3339."""
    valid_until: str
    """Not to be shown after this, RFC 3339."""
    mode: Mode
    """``live`` is for showing; the others are not."""
    items: list[RecommendedItem]
    """Best first."""
    model: ModelStamp
    """Who ranked."""
    policy_version: str
    """The policies that chose: a hash of their content."""
    catalogue_version: str
    """The catalogue that the items come from."""
    experiment: Experiment | None = None
    """The arm that the customer is in, where an experiment runs."""
    fallback: bool = False
    """True when the frozen rule answered instead of the model."""
    simulated: bool = False
    """True if any event behind it was."""
