"""The AsyncAPI 3.0 document: every topic with its key, its settings on the broker and its messages.

Made from the topic table and the structs, so it cannot say anything else than the code does. It describes Tidemark as
the application: it receives what shops write and sends what they read.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from stream.contracts import dead_letters, topics
from stream.contracts.codec import MESSAGES, Message
from stream.contracts.json_schema import definitions_of
from stream.contracts.topics import TOPICS, TopicSpec

BINDING_VERSION: Final = "0.5.0"
CLOUDEVENTS_JSON: Final = "application/cloudevents+json"

RECEIVED: Final = (topics.EVENTS, topics.CATALOGUE, topics.CONTROL)
"""What shops and operators write."""
INTERNAL: Final = (topics.SCORE_REQUESTS,)
"""What one role writes and another reads."""

Document = dict[str, Any]


def document(version: str, examples: Mapping[str, Any]) -> Document:
    """The AsyncAPI document.

    Args:
        version: of Tidemark.
        examples: one payload for each message that has one, by the message's name.
    """
    messages = {message.name: _message(message, examples) for message in MESSAGES if message.topics}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:tidemark",
        "info": {
            "title": "Tidemark",
            "version": version,
            "description": (
                "Churn alerts and recommendations from a shop's live events, exactly once. Read with "
                "`isolation.level=read_committed`; write with `partitioner=murmur2_random`, as Java clients do anyway."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {spec.name: _channel(spec) for spec in TOPICS.values()},
        "operations": dict(_operations()),
        "components": {
            "messages": messages | {"dead-letter.v1": _dead_letter()},
            "schemas": definitions_of([message.type for message in MESSAGES], "#/components/schemas/{name}"),
        },
    }


def _channel(spec: TopicSpec) -> Document:
    configuration: Document = {
        name: int(value) if value.lstrip("-").isdigit() else value for name, value in spec.settings().items()
    }
    configuration["cleanup.policy"] = [spec.cleanup_policy]
    binding: Document = {
        "topic": spec.base_name,
        "topicConfiguration": configuration,
        "bindingVersion": BINDING_VERSION,
    }
    if spec.partitions is not None:
        binding["partitions"] = spec.partitions
    if spec.copartition_group:
        binding["x-copartition-group"] = spec.copartition_group
    return {
        "address": spec.base_name,
        "description": f"{spec.description} Key: {spec.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _names_on(spec)},
        "bindings": {"kafka": binding},
    }


def _operations() -> Iterator[tuple[str, Document]]:
    for name in TOPICS:
        channel = {"channel": {"$ref": f"#/channels/{name}"}}
        if name not in RECEIVED:
            yield f"send_{name}", {"action": "send", **channel}
        if name in RECEIVED or name in INTERNAL:
            yield f"receive_{name}", {"action": "receive", **channel}


def _names_on(spec: TopicSpec) -> list[str]:
    if spec.name == topics.DEAD_LETTERS:
        return ["dead-letter.v1"]
    return [message.name for message in MESSAGES if spec.name in message.topics]


def _message(message: Message, examples: Mapping[str, Any]) -> Document:
    keys = sorted({TOPICS[name].key for name in message.topics})
    described: Document = {
        "name": message.name,
        "contentType": CLOUDEVENTS_JSON if "-event." in message.name else "application/json",
        "payload": {"$ref": f"#/components/schemas/{message.type.__name__}"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "; ".join(keys)},
                "bindingVersion": BINDING_VERSION,
            }
        },
    }
    if message.name in examples:
        described["examples"] = [{"payload": examples[message.name]}]
    return described


def _dead_letter() -> Document:
    described = {
        dead_letters.CODE: "Why, for programs.",
        dead_letters.MESSAGE: "Why, and what to do, for people.",
        dead_letters.FIELD: "Path of the offending field; empty where no field is to blame.",
        dead_letters.TOPIC: "Physical name of the topic that it came from.",
        dead_letters.PARTITION: "Partition that it came from.",
        dead_letters.OFFSET: "Offset that it came from.",
        dead_letters.TIMESTAMP: "The original record's timestamp, epoch milliseconds.",
        dead_letters.ATTEMPT: "1 when it was refused for the first time.",
        dead_letters.WORKER: "Version of the worker that refused it.",
        dead_letters.LENGTH: "Bytes of the original value, where it was cut.",
        dead_letters.SHA256: "SHA-256 of the original value in hex, where it was cut.",
    }
    optional = {dead_letters.LENGTH, dead_letters.SHA256}
    return {
        "name": "dead-letter.v1",
        "contentType": "application/octet-stream",
        "description": "The original record, with its own headers and these.",
        "headers": {
            "type": "object",
            "properties": {name: {"type": "string", "description": text} for name, text in described.items()},
            "required": [name for name in described if name not in optional],
        },
        "payload": {"description": "The original bytes, cut where key and value exceed 900 KiB."},
    }
