"""The smallest processor that has everything: keyed state, timers, outputs, a shared state and a dead letter.

Each value is ``time amount``; a key's state is its sum, its number of records and when it fell silent. Used by the engine's tests.
"""

from typing import Any

import msgspec

from stream.contracts.emission import Rejected
from stream.engine.processor import Context, OutputRecord, Parsed, Processor, Record, StateUnreadable

SILENCE_MS = 1_000


class Sum(msgspec.Struct, array_like=True):
    total: int = 0
    records: int = 0
    due: int = 0
    silences: int = 0


class SumCodec:
    def encode(self, state: Sum) -> bytes:
        return msgspec.msgpack.encode(state)

    def decode(self, encoded: bytes) -> Sum:
        try:
            return msgspec.msgpack.decode(encoded, type=Sum)
        except msgspec.DecodeError as error:
            raise StateUnreadable(str(error)) from error


class Counting(Processor[Sum, int]):
    role = "counting"
    fold_version = 1
    codec = SumCodec()

    def __init__(self, prefix: str) -> None:
        self.role = f"{prefix}counting"
        self.input_topic = f"{prefix}input"
        self.output_topic = f"{prefix}output"
        self.changelog_topic = f"{prefix}changelog"
        self.dead_letter_topic = f"{prefix}dead"

    def parse(self, record: Record) -> Parsed[int]:
        if record.key is None:
            return Parsed(None, int(record.value or b"0"), 0)
        try:
            time, amount = (record.value or b"").split()
            return Parsed(record.key, int(time), int(amount))
        except ValueError as error:
            raise Rejected("wrong_shape", "a value is a time and an amount") from error

    def fold(self, state: Sum | None, parsed: Parsed[int], answer: Any, context: Context[int]) -> Sum | None:
        state = state or Sum()
        state.total += parsed.payload
        state.records += 1
        if parsed.payload == 666:
            raise RuntimeError("planted: fails after it has changed the state")
        state.due = parsed.time + SILENCE_MS
        key = parsed.key or b""
        context.shared["records"] = context.shared.get("records", 0) + 1
        context.emit(self.output_topic, key, b"%d %d %d" % (context.origin.offset, state.records, state.total))
        if parsed.payload == -1:
            return None
        return state

    def on_timer(self, state: Sum, due: int, context: Context[int]) -> Sum | None:
        state.silences += 1
        state.due = 0
        context.emit(self.output_topic, b"silence", b"%d %d" % (due, state.total))
        return state

    def due(self, state: Sum) -> int:
        return state.due

    def new_shared(self) -> Any:
        return {}

    def encode_shared(self, shared: Any) -> bytes:
        return msgspec.msgpack.encode(shared)

    def decode_shared(self, encoded: bytes) -> Any:
        return msgspec.msgpack.decode(encoded)


def dead_letter(topic: str) -> Any:
    def make(record: Record, refusal: Rejected) -> OutputRecord:
        return OutputRecord(topic, record.key, record.value, (("code", refusal.code.encode()),), -1)

    return make
