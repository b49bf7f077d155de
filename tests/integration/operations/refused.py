"""Events that are refused for six reasons, each with what mends it, and the command that re-drives them."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Producer

from stream.configuration.clients import producer_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.dead_letters import dead_letter
from stream.contracts.emission import Origin, Rejected
from stream.contracts.times import to_rfc3339
from tests.integration.bad_input.shop import Sent, encoded, event, milliseconds

HOUR_S = 3_600


class Kind(NamedTuple):
    """A reason to refuse, what is wrong with the events, and the options that mend them."""

    code: str
    wrong: dict[str, Any]
    options: list[str]


KINDS = [
    Kind("too_late", {"time": to_rfc3339(milliseconds(240 * HOUR_S))}, []),
    Kind("out_of_range", {"time": milliseconds(HOUR_S) // 1000}, ["--set", "time=@*1000"]),
    Kind(
        "wrong_shape",
        {"items": [{"item_id": "tea", "price": "2.50", "quantity": 1}]},
        ["--set", "items[*].price=number(@)"],
    ),
    Kind("unknown_type", {"type": "buy"}, ["--patch", '{"type": "purchase"}']),
    Kind("unknown_currency", {"currency": "XXX"}, ["--patch", '[{"op": "remove", "path": "/currency"}]']),
    Kind("wrong_key", {}, ["--rekey"]),
]


def refused(kind: Kind, number: int, customers: int) -> Sent:
    """The ``number``-th event of a kind, which is refused for its reason and no other."""
    customer = f"c{number % customers}"
    key = "nobody" if kind.code == "wrong_key" else customer
    return Sent(key.encode(), encoded(event(customer, f"{kind.code}-{number}", **kind.wrong)))


def write_letters(configuration: Configuration, records: Sequence[Sent], code: str = "out_of_range") -> None:
    """Dead letters as a worker would write them, without one."""
    names = configuration.topics.topic_names()
    producer = Producer(producer_properties(configuration.kafka))
    for offset, record in enumerate(records):
        letter = dead_letter(
            Rejected(code, "not believed", "$.time"),  # type: ignore[arg-type]
            Origin(names.physical(topics.EVENTS), 0, offset),
            key=record.key,
            value=record.value,
            headers=record.headers,
            timestamp=milliseconds(),
            worker_version="1",
        )
        producer.produce(
            names.physical(topics.DEAD_LETTERS), letter.value, letter.key, headers=list(letter.headers), partition=0
        )
    assert producer.flush(20) == 0


def start(environ: Mapping[str, str], folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """`tidemark dead-letters` as a process of its own."""
    command = [sys.executable, "-m", "stream.cli", "dead-letters", *arguments]
    return subprocess.Popen(
        command,
        env={**os.environ, **environ},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
