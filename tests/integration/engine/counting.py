"""The smallest processor that has everything: keyed state, timers, signals, a shared state, outputs, and every way to
fail.

A value is ``time amount word``; a key's state is its sum. The word says what else happens, see ``WORDS``. A record
without a key moves time, and with the word ``signal`` it wakes the keys that wait. Used by the engine's tests.
"""

from random import Random
from typing import Any

import msgspec

from stream.contracts.emission import Rejected
from stream.engine.processor import (
    Context,
    NewerState,
    OutputRecord,
    Parsed,
    Processor,
    Record,
    StateUnreadable,
)

SILENCE_MS = 1_000
SILENCES = 2
"""So often a key's timer fires after its last record."""
GRID_MS = 5_000
NEWER = b"\xff"
"""First byte of a state that a newer version has written."""

WORDS = (
    "plain",
    "refuse",  # Rejected, before anything is changed
    "fail",  # an exception, after state, shared state and outputs were changed
    "gone",  # the key has no state any more
    "wait",  # the key waits for a signal
    "poison",  # timers and signals of the key fail from now on
    "heal",
    "unencodable",  # the state cannot be encoded
    "big",  # an output over the engine's limit
    "fat",  # a state over the engine's limit
    "late",  # a timer that lies in the past
)
LIMIT = 1_000_000


class Sum(msgspec.Struct, array_like=True):
    total: int = 0
    records: int = 0
    due: int = 0
    silences: int = 0
    waits: bool = False
    woken: int = 0
    poisoned: bool = False
    ballast: bytes = b""


class SumCodec:
    def encode(self, state: Sum) -> bytes:
        return msgspec.msgpack.encode(state)

    def decode(self, encoded: bytes) -> Sum:
        if encoded[:1] == NEWER:
            raise NewerState("a sum of a newer version: upgrade")
        try:
            return msgspec.msgpack.decode(encoded, type=Sum)
        except msgspec.DecodeError as error:
            raise StateUnreadable(str(error)) from error


class Said(msgspec.Struct):
    """What a record says."""

    amount: int
    word: str = "plain"


class Counting(Processor[Sum, Said]):
    """Counts.

    Args:
        prefix: of the role and of the topics.
        big: bytes of what the word ``big`` puts out.
    """

    role = "counting"
    fold_version = 1
    codec = SumCodec()

    def __init__(self, prefix: str = "", big: int = LIMIT + 1) -> None:
        self.role = f"{prefix}counting"
        self.input_topic = f"{prefix}input"
        self.output_topic = f"{prefix}output"
        self.changelog_topic = f"{prefix}changelog"
        self.dead_letter_topic = f"{prefix}dead"
        # Incompressible: the broker looks at what arrives.
        self.noise = Random(big).randbytes(big)

    def parse(self, record: Record) -> Parsed[Said]:
        try:
            time, amount, *words = (record.value or b"").decode().split()
            said = Said(int(amount), words[0] if words else "plain")
            return Parsed(record.key, int(time), said, signal=record.key is None and said.word == "signal")
        except ValueError as error:
            raise Rejected("wrong_shape", "a value is a time, an amount and a word") from error

    def fold(self, state: Sum | None, parsed: Parsed[Said], answer: Any, context: Context[Said]) -> Sum | None:
        amount, word = parsed.payload.amount, parsed.payload.word
        if word == "refuse":
            raise Rejected("out_of_range", "planted")
        state = state or Sum()
        state.total += amount
        state.records += 1
        state.silences = 0
        state.due = parsed.time + (SILENCE_MS if word != "late" else -SILENCE_MS // 2)
        context.shared["records"] = context.shared.get("records", 0) + 1
        said = b"" if answer is None else b" %d" % answer
        context.emit(
            self.output_topic, parsed.key, b"%d %d %d" % (context.origin.offset, state.records, state.total) + said
        )
        match word:
            case "fail":
                raise RuntimeError("planted: fails after it has changed everything")
            case "gone":
                return None
            case "wait":
                state.waits = True
            case "poison":
                state.poisoned = True
            case "heal":
                state.poisoned = False
            case "unencodable":
                state.total = 2**70
            case "big":
                context.emit(self.output_topic, parsed.key, self.noise)
            case "fat":
                state.ballast = self.noise
        return state

    def on_timer(self, state: Sum, due: int, context: Context[Said]) -> Sum | None:
        state.silences += 1
        state.due = due + SILENCE_MS if state.silences < SILENCES else 0
        context.shared["silences"] = context.shared.get("silences", 0) + 1
        context.emit(self.output_topic, b"silence", b"%d %d at %d" % (due, state.total, context.time))
        if state.poisoned:
            raise RuntimeError("planted: the timer fails after it has changed everything")
        return state

    def on_signal(self, state: Sum, context: Context[Said]) -> Sum | None:
        state.waits = False
        state.woken += 1
        context.emit(self.output_topic, b"woken", b"%d" % state.total)
        if state.poisoned:
            raise RuntimeError("planted: the signal fails after it has changed everything")
        return state

    def on_time(self, time: int, context: Context[Said]) -> None:
        passed = time - time % GRID_MS
        if passed > context.shared.get("passed", 0):
            context.shared["passed"] = passed
            context.emit(self.output_topic, b"time", b"%d" % passed, (), 0)

    def due(self, state: Sum) -> int:
        return state.due

    def waiting(self, state: Sum) -> bool:
        return state.waits

    def new_shared(self) -> Any:
        return {}

    def encode_shared(self, shared: Any) -> bytes:
        return msgspec.msgpack.encode(shared) if shared else b""

    def decode_shared(self, encoded: bytes) -> Any:
        return msgspec.msgpack.decode(encoded)


def dead_letter(topic: str) -> Any:
    """Makes dead letters with the code and the origin as headers."""

    def make(record: Record, refusal: Rejected) -> OutputRecord:
        headers = (("code", refusal.code.encode()), ("offset", b"%d" % record.offset))
        return OutputRecord(topic, record.key, record.value, headers, -1)

    return make
