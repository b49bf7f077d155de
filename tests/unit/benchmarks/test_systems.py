"""What each system of the comparison keeps in its changelog is read as the same state."""

import struct
from pathlib import Path

import msgspec

from benchmarks.peers.job import Job
from benchmarks.peers.oracle import Totals
from benchmarks.peers.systems import FAUST, KAFKA_STREAMS, QUIX, TIDEMARK
from benchmarks.peers.tidemark_job import Customer, CustomerCodec, SimpleJob
from stream.contracts.emission import Origin
from stream.engine.position import POSITION_KEY, frame
from stream.engine.processor import Context, Record

ADA = Totals({"browse": 2, "purchase": 1}, 7.5, ["p1", "pé"])


def test_tidemark_has_framed_states_and_a_position_that_is_none() -> None:
    state = CustomerCodec().encode(Customer(ADA.counts, ADA.spend, ADA.items))
    assert TIDEMARK.decode(b"ada", frame(0, False, state)) == ("ada", ADA)
    assert TIDEMARK.decode(POSITION_KEY, b"position") is None


def test_kafka_streams_has_packed_bytes() -> None:
    items = b"".join(bytes([len(item.encode())]) + item.encode() for item in ADA.items)
    packed = struct.pack(">6id", 2, 0, 1, 0, 0, 0, ADA.spend) + items
    assert KAFKA_STREAMS.decode(b"ada", packed) == ("ada", ADA)


def test_quix_streams_and_faust_have_json() -> None:
    state = msgspec.json.encode(ADA._asdict())
    assert QUIX.decode(b'"ada"|"customer"', state) == ("ada", ADA)
    assert QUIX.decode(b'"ada"|"another"', state) is None
    assert FAUST.decode(b'"ada"', state) == ("ada", ADA)


def test_a_job_reaches_a_program_by_its_environment(monkeypatch, tmp_path: Path) -> None:
    job = Job("localhost:1", "group", "events", "summaries", 4, tmp_path, threads=2)
    for name, value in job.environ().items():
        monkeypatch.setenv(name, value)
    assert Job.from_environ() == job


def test_the_job_on_tidemark_puts_out_a_summary_of_each_purchase() -> None:
    processor = SimpleJob(Job("", "group", "events", "summaries", 4, Path()))
    context: Context = Context(1_000)
    state = None
    for value in (
        b'{"customer_id":"ada","type":"browse","items":[{"item_id":"p1","price":2.5}]}',
        b'{"customer_id":"ada","type":"purchase","items":[{"item_id":"p2","price":2.5,"quantity":3}]}',
    ):
        parsed = processor.parse(Record("events", 0, 0, 0, b"ada", value, ()))
        context.origin = Origin("events", 0, 0)
        state = processor.fold(state, parsed, None, context)
    assert state == Customer({"browse": 1, "purchase": 1}, 7.5, ["p1", "p2"])
    (summary,) = context.outputs
    assert (summary.topic, summary.key) == ("summaries", b"ada")
    assert summary.value == b'{"customer_id":"ada","events":2,"spend":7.5,"last_item":"p2"}'
