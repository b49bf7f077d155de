"""The committed documents are what the code says, every field is explained, and what was released stays."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from stream.contracts import schemas
from stream.contracts.codec import MESSAGES, Message
from stream.contracts.json_schema import definitions_of, field_docstrings, message_schema
from stream.contracts.topics import TOPICS

DOCS = Path(__file__).parents[3] / "docs"
DEFINITIONS = definitions_of([message.type for message in MESSAGES], "#/{name}")


def test_committed_documents_are_generated_ones() -> None:
    assert schemas.stale(DOCS) == [], "run: python -m stream.contracts.schemas docs"


def test_contracts_add_to_the_released_ones_and_change_nothing() -> None:
    assert schemas.not_additive(DOCS) == []


def test_every_message_has_been_released_once() -> None:
    assert schemas.read_folder(DOCS / schemas.BASELINE).keys() == {message.name for message in MESSAGES}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_every_field_says_what_it_is(name: str) -> None:
    schema = DEFINITIONS[name]
    assert schema["description"]
    assert [field for field, described in schema["properties"].items() if not described.get("description")] == []


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_every_schema_is_valid_and_complete_in_itself(message: Message) -> None:
    schema = message_schema(message)
    jsonschema.Draft202012Validator.check_schema(schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({})


class Documented(msgspec.Struct):
    """A struct."""

    first: float
    """Seconds since ``start``,
    rounded.

    Not negative.
    """
    second: int
    third: str = ""
    """The last."""


def test_docstrings_of_fields_reach_the_schema() -> None:
    documented = {"first": "Seconds since `start`, rounded.\n\nNot negative.", "third": "The last."}
    assert field_docstrings(Documented) == documented


def test_asyncapi_lists_every_topic_with_its_settings() -> None:
    document = json.loads((DOCS / schemas.ASYNCAPI).read_text())
    assert document["asyncapi"] == "3.0.0"
    assert document["channels"].keys() == TOPICS.keys()
    for name, channel in document["channels"].items():
        binding = channel["bindings"]["kafka"]
        assert channel["address"] == binding["topic"] == TOPICS[name].base_name
        assert binding["topicConfiguration"]["cleanup.policy"] == [TOPICS[name].cleanup_policy]
        assert TOPICS[name].key in channel["description"]
        assert channel["messages"]


def test_asyncapi_references_lead_somewhere() -> None:
    document = json.loads((DOCS / schemas.ASYNCAPI).read_text())
    ahead = [document]
    while ahead:
        node = ahead.pop()
        if isinstance(node, dict):
            if isinstance(reference := node.get("$ref"), str):
                found = document
                for step in reference.removeprefix("#/").split("/"):
                    found = found[step]
            ahead += node.values()
        elif isinstance(node, list):
            ahead += node


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    schemas.main(tmp_path, release=True)
    return tmp_path


def test_a_stale_document_is_named(docs: Path) -> None:
    schemas.main(docs, check=True)
    (docs / "schemas" / "event.v1.json").write_text("{}")
    (docs / "schemas" / "gone.v1.json").write_text("{}")
    (docs / schemas.ASYNCAPI).unlink()
    named = r"stale: schemas/event\.v1\.json, asyncapi\.json, schemas/gone\.v1\.json\. Run"
    with pytest.raises(SystemExit, match=named):
        schemas.main(docs, check=True)


def test_a_breaking_change_is_neither_written_nor_released(docs: Path) -> None:
    released = docs / schemas.BASELINE / "event.v1.json"
    changed = json.loads(released.read_text())
    changed["properties"]["customer"] = {"type": "string"}
    released.write_text(json.dumps(changed))
    (docs / schemas.BASELINE / "click.v1.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"(?s)publish a v2.*click\.v1: removed.*event\.v1\.customer: removed"):
        schemas.main(docs, release=True)
    assert json.loads(released.read_text()) == changed
