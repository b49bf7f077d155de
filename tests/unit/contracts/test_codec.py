"""Messages survive the wire, as the same bytes every time, and the examples are messages."""

from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts import codec, ids, topics
from stream.contracts.alerts import AlertEvent
from stream.contracts.codec import MESSAGES, Message
from stream.contracts.json_schema import message_schema
from stream.contracts.schemas import read_folder

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = read_folder(DOCS / "schemas" / "examples")
ON_TOPICS = [message for message in MESSAGES if message.topics]


@pytest.mark.parametrize("message", ON_TOPICS, ids=lambda message: message.name)
def test_the_example_is_a_message(message: Message) -> None:
    example = EXAMPLES[message.name]
    decoded = msgspec.convert(example, message.type, strict=True)
    assert msgspec.json.decode(codec.encode(decoded), type=message.type) == decoded
    jsonschema.Draft202012Validator(message_schema(message)).validate(example)
    assert example.keys() <= set(message.type.__struct_fields__)


def test_there_is_an_example_for_every_topic_with_messages() -> None:
    assert EXAMPLES.keys() == {message.name for message in ON_TOPICS}
    assert {name for message in ON_TOPICS for name in message.topics} == topics.TOPICS.keys() - {topics.DEAD_LETTERS}


def test_the_example_alert_keeps_the_promises_of_its_ids() -> None:
    event = msgspec.convert(EXAMPLES["alert-event.v1"], AlertEvent)
    assert event.id == ids.message_id(event.data.alert_id, event.data.revision)
    assert event.dataschema == codec.ALERT.schema_uri
    assert event.type == f"io.tidemark.alert.{event.data.status}.v1"


@pytest.mark.parametrize("message", ON_TOPICS, ids=lambda message: message.name)
def test_unknown_fields_are_ignored(message: Message) -> None:
    example = EXAMPLES[message.name]
    encoded = msgspec.json.encode({"a_field_to_come": {"x": [1]}} | example)
    assert msgspec.json.decode(encoded, type=message.type) == msgspec.convert(example, message.type)


@given(st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)))
def test_equal_messages_are_equal_bytes(churn: dict[str, float]) -> None:
    turned = dict(reversed(churn.items()))
    assert codec.encode(churn) == codec.encode(turned)
    assert msgspec.json.decode(codec.encode(churn)) == churn


def test_each_decoder_reads_its_message() -> None:
    for decode, name in (
        (codec.decode_event, "event.v1"),
        (codec.decode_catalogue_item, "catalogue-item.v1"),
        (codec.decode_score_request, "score-request.v1"),
        (codec.decode_score, "score.v1"),
        (codec.decode_prediction, "prediction.v1"),
        (codec.decode_alert_event, "alert-event.v1"),
        (codec.decode_open_alert, "open-alert.v1"),
        (codec.decode_recommendation, "recommendation.v1"),
        (codec.decode_control, "control.v1"),
        (codec.decode_erasure, "erasure.v1"),
        (codec.decode_erased_event, "customer-erased-event.v1"),
    ):
        (message,) = (message for message in MESSAGES if message.name == name)
        assert isinstance(decode(msgspec.json.encode(EXAMPLES[name])), message.type)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"{", "truncated"),
        (b'{"event_id": "1", "type": "purchse", "time": 1}', r"\$\.type"),
        (b'{"event_id": "1", "type": "purchase"}', "time"),
        (b'{"event_id": "1", "type": "purchase", "time": "2011-06-01T09:12:00"}', r"\$\.time"),
        (b'{"event_id": "1", "type": "cart", "time": 1, "items": [{"item_id": 5}]}', r"\$\.items\[0\]\.item_id"),
        (b'{"event_id": "1", "type": "cart", "time": NaN}', "invalid"),
    ],
)
def test_what_is_no_event_is_refused_with_the_path(value: bytes, said: str) -> None:
    with pytest.raises(msgspec.DecodeError, match=said):
        codec.decode_event(value)
