"""The simple job as a processor on Tidemark's engine, and a worker that runs it with the shipped engine settings.

Only the commit interval is another: it is the one that all systems of the comparison are given. Started as a process of
its own by ``benchmarks.peers.systems``.
"""

import signal
from typing import Any

import msgspec
from msgspec.structs import replace

from benchmarks.cluster import SHIPPED
from benchmarks.peers.job import COMMIT_INTERVAL_MS, LAST_ITEMS, Job
from stream.configuration.load import load
from stream.contracts.emission import Rejected
from stream.engine.processor import Context, Parsed, Processor, Record, StateUnreadable
from stream.engine.stores.memory import open_memory_store
from stream.engine.worker import Worker
from stream.workers.process import dead_letter_maker


class Item(msgspec.Struct, gc=False):
    """What the job reads of an item."""

    item_id: str
    price: float = 0.0
    quantity: int = 1


class Event(msgspec.Struct):
    """What the job reads of an event."""

    customer_id: str
    type: str
    items: list[Item] = []


class Customer(msgspec.Struct, array_like=True):
    """The state of one customer."""

    counts: dict[str, int] = {}
    spend: float = 0.0
    items: list[str] = []


class Summary(msgspec.Struct):
    """What is put out for each purchase."""

    customer_id: str
    events: int
    spend: float
    last_item: str


class CustomerCodec:
    """MessagePack arrays."""

    encode = staticmethod(msgspec.msgpack.Encoder().encode)
    _decode = staticmethod(msgspec.msgpack.Decoder(Customer).decode)

    def decode(self, encoded: bytes) -> Customer:
        try:
            return self._decode(encoded)
        except msgspec.DecodeError as error:
            raise StateUnreadable(str(error)) from error


_read_event = msgspec.json.Decoder(Event).decode
_write = msgspec.json.Encoder().encode


class SimpleJob(Processor[Customer, Event]):
    """Counts, spend and the last items of each customer."""

    role = "simple"
    fold_version = 1
    codec = CustomerCodec()

    def __init__(self, job: Job) -> None:
        self.input_topic = job.events
        self.changelog_topic = job.changelog
        self.dead_letter_topic = f"{job.group}-dead-letters"
        self._group, self._summaries = job.group, job.summaries

    @property
    def group(self) -> str:
        return self._group

    def parse(self, record: Record) -> Parsed[Event]:
        try:
            return Parsed(record.key, record.append_time, _read_event(record.value or b""))
        except msgspec.DecodeError as error:
            raise Rejected("wrong_shape", str(error)) from error

    def fold(
        self, state: Customer | None, parsed: Parsed[Event], answer: Any, context: Context[Event]
    ) -> Customer | None:
        event = parsed.payload
        customer = Customer() if state is None else state
        counts, items, kind = customer.counts, customer.items, event.type
        counts[kind] = counts.get(kind, 0) + 1
        for item in event.items:
            items.append(item.item_id)
            if kind == "purchase":
                customer.spend += item.price * item.quantity
        if len(items) > LAST_ITEMS:
            del items[:-LAST_ITEMS]
        if kind == "purchase":
            summary = Summary(event.customer_id, sum(counts.values()), customer.spend, items[-1])
            context.emit(self._summaries, parsed.key, _write(summary))
        return customer

    def on_timer(self, state: Customer, due: int, context: Context[Event]) -> Customer | None:
        return state

    def due(self, state: Customer, /) -> int:
        return 0


def main() -> None:
    job = Job.from_environ()
    settings = replace(
        load(SHIPPED, {}).configuration.engine,
        commit_interval_ms=COMMIT_INTERVAL_MS,
        backlog_commit_interval_ms=COMMIT_INTERVAL_MS,
    )
    processor = SimpleJob(job)
    letters = dead_letter_maker(processor.dead_letter_topic)
    kafka = {"bootstrap.servers": job.bootstrap_servers}
    worker = Worker(processor, kafka, settings, "bench", open_memory_store, letters)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    worker.run()


if __name__ == "__main__":
    main()
