"""What `tidemark repair` asks the decisions role to make of a customer: the ``repair`` of a score request.

It is a record of the role's input like any other, so whoever folds that topic again comes to the same state. Written by
``stream.operations.repairs``, obeyed by ``stream.decisions.repair``.
"""

import msgspec

from stream.contracts.alerts import Alert
from stream.contracts.recommendations import Recommendation
from stream.contracts.scores import Prediction


class Repair(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One customer, as a replay says that it should be."""

    expects: str = ""
    """Digest of the state that it was made for; empty for none. A customer who has another one meanwhile is left as
    it is."""
    state: bytes = b""
    """The decisions' state from now on, base64 in JSON; empty: none."""
    alerts: list[Alert] = []
    """Transitions to publish, in this order."""
    prediction: Prediction | None = None
    """The latest view, where it changes."""
    recommendation: Recommendation | None = None
    """The list, where it changes."""
    gone: list[str] = []
    """Logical names of the topics of these two where the customer is to have nothing."""
