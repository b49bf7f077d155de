"""What a partition of the counting processor must come to: a straight fold, one record at a time, on plain
dictionaries.

It knows no commits, roll-backs, budgets or stores, and calls nothing of the engine.
"""

import copy
from typing import Any

from stream.contracts.emission import Origin, Rejected
from stream.engine.processor import Context, OutputRecord, OutputTooLarge, Record
from tests.integration.engine.counting import Counting, Sum, dead_letter


class Straight:
    """Folds record by record.

    Attributes:
        states: by key.
        dues, waiting: as the changelog has them: without those of a key whose timer or signal has failed.
        ends: number of outputs after each record, by offset.
    """

    def __init__(self, processor: Counting, limit: int) -> None:
        self.states: dict[bytes, Sum] = {}
        self.dues: dict[bytes, int] = {}
        self.waiting: set[bytes] = set()
        self.time = 0
        self.shared: dict[str, Any] = {}
        self.outputs: list[OutputRecord] = []
        self.ends: dict[int, int] = {}
        self._processor = processor
        self._limit = limit
        self._bury = dead_letter(processor.dead_letter_topic)

    def fold(self, record: Record) -> None:
        try:
            self._fold(record)
        except Rejected as refusal:
            self.outputs.append(self._bury(record, refusal))
        self.ends[record.offset] = len(self.outputs)

    def _fold(self, record: Record) -> None:
        parsed = self._processor.parse(record)
        origin = record.origin
        if parsed.time > self.time:
            while due := min(((due, key) for key, due in self.dues.items() if due <= parsed.time), default=None):
                self._fire(due[1], origin, due[0])
            self.time = parsed.time
            self._attempt(None, origin, lambda _, context: self._processor.on_time(parsed.time, context))
        elif parsed.key is not None:
            while 0 < self.dues.get(parsed.key, 0) <= parsed.time:
                self._fire(parsed.key, origin, self.dues[parsed.key])
        if parsed.signal:
            for key in sorted(self.waiting):
                self._fire(key, origin, None)
        if parsed.key is not None:
            key = parsed.key
            error = self._attempt(
                key, origin, lambda state, context: self._processor.fold(state, parsed, None, context)
            )
            if error is not None:
                raise error

    def _fire(self, key: bytes, origin: Origin, due: int | None) -> None:
        moment = max(self.time, due or 0)

        def step(state: Sum | None, context: Context[Any]) -> Sum | None:
            assert state is not None
            context.time = moment
            if due is None:
                return self._processor.on_signal(state, context)
            return self._processor.on_timer(state, due, context)

        error = self._attempt(key, origin, step)
        if error is not None:
            self.dues.pop(key, None)
            self.waiting.discard(key)
            self.outputs.append(self._bury(Record(*origin, 0, key, None, ()), error))

    def _attempt(self, key: bytes | None, origin: Origin, step: Any) -> Rejected | None:
        """Take a step on copies, and keep them when it succeeds."""
        context: Context[Any] = Context(self._limit, copy.deepcopy(self.shared))
        context.origin, context.time = origin, self.time
        try:
            after = step(copy.deepcopy(self.states.get(key or b"")), context)
            if after is not None and len(self._processor.codec.encode(after)) + 8 > self._limit:
                raise OutputTooLarge
        except Rejected as refusal:
            return refusal
        except OutputTooLarge:
            return Rejected("too_large", "")
        except (RuntimeError, OverflowError):
            return Rejected("fold_error", "")
        self.shared = context.shared
        self.outputs += context.outputs
        if key is not None:
            self._keep(key, after)
        return None

    def _keep(self, key: bytes, state: Sum | None) -> None:
        self.states.pop(key, None)
        self.dues.pop(key, None)
        self.waiting.discard(key)
        if state is not None:
            self.states[key] = state
            if state.due:
                self.dues[key] = state.due
            if state.waits:
                self.waiting.add(key)
