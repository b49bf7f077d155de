"""The systems of the comparison: how each is started, what it promises, and where its state lies in Kafka.

Called by ``benchmarks.peers.comparison``.
"""

import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import orjson

from benchmarks.peers import environments
from benchmarks.peers.environments import FAUST_VERSION, QUIX_VERSION, kafka_streams_classpath, python_of
from benchmarks.peers.job import Job
from benchmarks.peers.oracle import Totals
from benchmarks.peers.tidemark_job import Customer
from stream.embedded.java import find_java
from stream.embedded.kafka import KAFKA_VERSION
from stream.engine.position import HEADER_BYTES, POSITION_KEY

_HERE: Final = Path(__file__).parent
_JAVA_TYPES: Final = ("browse", "cart", "purchase", "return", "review", "engagement")
_JAVA_HEADER: Final = struct.Struct(f">{len(_JAVA_TYPES)}id")

Decoded = tuple[str, Totals] | None
"""A customer's state; None for a record of the changelog that holds none."""


class System(NamedTuple):
    """One system that does the simple job."""

    name: str
    version: str
    guarantee: str
    command: Callable[[Job], list[str]]
    changelog: Callable[[Job], str]
    """Name of its changelog topic."""
    decode: Callable[[bytes, bytes], Decoded]
    """Key and value of a changelog record."""
    store: str = "memory"
    makes_changelog: bool = True
    share: float = 1.0
    """Of the log that it is given: a slow one need not fold all of it."""


def _tidemark(key: bytes, value: bytes) -> Decoded:
    if key == POSITION_KEY:
        return None
    customer = msgspec.msgpack.decode(value[HEADER_BYTES:], type=Customer)
    return key.decode(), Totals(customer.counts, customer.spend, customer.items)


def _kafka_streams(key: bytes, value: bytes) -> Decoded:
    *counts, spend = _JAVA_HEADER.unpack_from(value)
    items, place = [], _JAVA_HEADER.size
    while place < len(value):
        end = place + 1 + value[place]
        items.append(value[place + 1 : end].decode())
        place = end
    present = {kind: count for kind, count in zip(_JAVA_TYPES, counts, strict=True) if count}
    return key.decode(), Totals(present, spend, items)


def _quix(key: bytes, value: bytes) -> Decoded:
    # JSON of the record's key, a bar, and JSON of the name within that key's state.
    customer, _, name = key.partition(b"|")
    return (orjson.loads(customer), _totals(value)) if name == b'"customer"' else None


def _faust(key: bytes, value: bytes) -> Decoded:
    return orjson.loads(key), _totals(value)


def _totals(value: bytes) -> Totals:
    state = orjson.loads(value)
    return Totals(state["counts"], state["spend"], state["items"])


TIDEMARK: Final = System(
    "Tidemark",
    "this checkout",
    "exactly once",
    lambda job: [sys.executable, "-m", "benchmarks.peers.tidemark_job"],
    lambda job: job.changelog,
    _tidemark,
    makes_changelog=False,
)
KAFKA_STREAMS: Final = System(
    "Kafka Streams",
    KAFKA_VERSION,
    "exactly once",
    lambda job: [f"{find_java()}", "-Xmx2g", "-cp", kafka_streams_classpath(), "SimpleJob"],
    lambda job: job.changelog,
    _kafka_streams,
)
QUIX: Final = System(
    "Quix Streams",
    QUIX_VERSION,
    "exactly once",
    lambda job: [f"{python_of(*environments.QUIX)}", f"{_HERE / 'quix_job.py'}"],
    lambda job: f"changelog__{job.group}--{job.events}--default",
    _quix,
    store="rocksdb",
    share=0.25,
)
FAUST: Final = System(
    "Faust",
    FAUST_VERSION,
    "at least once",
    lambda job: [
        f"{python_of(*environments.FAUST)}",
        f"{_HERE / 'faust_job.py'}",
        "worker",
        "--loglevel=warn",
        "--without-web",
    ],
    lambda job: job.changelog,
    _faust,
    share=0.04,
)
SYSTEMS: Final = (TIDEMARK, KAFKA_STREAMS, QUIX, FAUST)
