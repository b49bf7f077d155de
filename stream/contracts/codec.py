"""JSON of the messages: one encoder, and one decoder for each message.

msgspec does both ways: it writes structs as they are, where orjson would need them turned into dicts first. (orjson
writes what was never a struct, such as ``--json`` on the command line.) The same message always gives the same bytes:
fields in the order of the struct, mappings sorted by key, floats in their shortest form.
"""

from typing import Final, NamedTuple

import msgspec

from stream.contracts import topics
from stream.contracts.alerts import Alert, AlertEvent, OpenAlert
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.control import Control
from stream.contracts.erasures import CustomerErased, ErasedEvent, Erasure
from stream.contracts.events import Event
from stream.contracts.recommendations import Recommendation
from stream.contracts.repairs import Repair
from stream.contracts.scores import Prediction, Score, ScoreRequest
from stream.contracts.settlements import Settlement

encode: Final = msgspec.json.Encoder(order="deterministic").encode
"""Bytes of any message. Not-a-number and infinity become null, which no decoder here takes: check numbers before."""

decode_event: Final = msgspec.json.Decoder(Event).decode
decode_catalogue_item: Final = msgspec.json.Decoder(CatalogueItem).decode
decode_score_request: Final = msgspec.json.Decoder(ScoreRequest).decode
decode_score: Final = msgspec.json.Decoder(Score).decode
decode_prediction: Final = msgspec.json.Decoder(Prediction).decode
decode_alert_event: Final = msgspec.json.Decoder(AlertEvent).decode
decode_open_alert: Final = msgspec.json.Decoder(OpenAlert).decode
decode_recommendation: Final = msgspec.json.Decoder(Recommendation).decode
decode_control: Final = msgspec.json.Decoder(Control).decode
decode_repair: Final = msgspec.json.Decoder(Repair).decode
decode_settlement: Final = msgspec.json.Decoder(Settlement).decode
decode_erasure: Final = msgspec.json.Decoder(Erasure).decode
decode_erased_event: Final = msgspec.json.Decoder(ErasedEvent).decode
"""Each raises ``msgspec.DecodeError`` for bytes that are not JSON, and its subclass ``msgspec.ValidationError`` for
JSON that is not the message; its text ends with the path of the field."""


class Message(NamedTuple):
    """A published type of message."""

    name: str
    """Stem of its schema's file name, version included."""
    type: type[msgspec.Struct]
    topics: tuple[str, ...]
    """Logical names of the topics whose values it is; none for the data inside an envelope."""

    @property
    def schema_uri(self) -> str:
        """The schema's ``$id``, and ``dataschema`` of a CloudEvent that carries the message."""
        return f"urn:tidemark:schema:{self.name}"


EVENT: Final = Message("event.v1", Event, (topics.EVENTS,))
CATALOGUE_ITEM: Final = Message("catalogue-item.v1", CatalogueItem, (topics.CATALOGUE,))
SCORE_REQUEST: Final = Message("score-request.v1", ScoreRequest, (topics.SCORE_REQUESTS,))
SCORE: Final = Message("score.v1", Score, (topics.SCORES,))
PREDICTION: Final = Message("prediction.v1", Prediction, (topics.PREDICTIONS,))
ALERT: Final = Message("alert.v1", Alert, ())
ALERT_EVENT: Final = Message(
    "alert-event.v1", AlertEvent, (topics.ALERTS, topics.ALERTS_HOLDOUT, topics.ALERTS_UNDELIVERED)
)
OPEN_ALERT: Final = Message("open-alert.v1", OpenAlert, (topics.ALERTS_OPEN,))
RECOMMENDATION: Final = Message("recommendation.v1", Recommendation, (topics.RECOMMENDATIONS,))
CONTROL: Final = Message("control.v1", Control, (topics.CONTROL,))
SETTLEMENT: Final = Message("dead-letter-settlement.v1", Settlement, (topics.SETTLEMENTS,))
ERASURE: Final = Message("erasure.v1", Erasure, (topics.ERASURES,))
CUSTOMER_ERASED: Final = Message("customer-erased.v1", CustomerErased, ())
ERASED_EVENT: Final = Message("customer-erased-event.v1", ErasedEvent, (topics.ERASED,))

MESSAGES: Final[tuple[Message, ...]] = (
    EVENT,
    CATALOGUE_ITEM,
    SCORE_REQUEST,
    SCORE,
    PREDICTION,
    ALERT,
    ALERT_EVENT,
    OPEN_ALERT,
    RECOMMENDATION,
    CONTROL,
    SETTLEMENT,
    ERASURE,
    CUSTOMER_ERASED,
    ERASED_EVENT,
)
