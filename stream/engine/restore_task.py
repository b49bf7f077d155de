"""How far the restore of one partition is, and whether what it was told of the changelog's end can be believed.

It asks nobody and reads nothing: that is ``stream.engine.restore``'s business, which alone uses it.
"""

import time
from typing import Final

import structlog
from confluent_kafka import OFFSET_INVALID

from stream.engine.bounds import Bounds
from stream.engine.position import Position
from stream.engine.stores.store import Store

_DOUBT_S: Final = 5.0
_DOUBTS: Final = 10
"""For so long, and so often, a changelog that seems to end before what was committed is asked about again. While
brokers are restarted in turn, a new leader was seen to give an end that was long passed; an answer can take seconds."""

_log = structlog.get_logger(__name__)


class RestoreTask:
    """One partition's restore.

    Args:
        store: kept from before; None: ``Restorer`` opens one.

    Attributes:
        reading: whether the bounds are known and the changelog is read.
        reached: offset of the changelog up to which it was read.
        position, buffer: what was read and is not in the store yet.
        started: monotonic seconds.
        began: the same moment in epoch seconds; read once, so that it is one value for as long as the restore lasts.
    """

    def __init__(self, partition: int, store: Store | None) -> None:
        self.partition = partition
        self.store = store
        self.bounds = Bounds(partition)
        self.reading = False
        self.reached = 0
        self.position: Position | None = None
        self.buffer: dict[bytes, bytes | None] = {}
        self.records = 0
        self.started = time.monotonic()
        self.began = time.time()
        self._doubted_since = 0.0
        self._doubts = 0

    def doubts(self) -> bool:
        """The changelog seems to end too early: ask again, and read on. False: that was done for long enough."""
        now = time.monotonic()
        self._doubted_since = self._doubted_since or now
        if now - self._doubted_since > _DOUBT_S and self._doubts >= _DOUBTS:
            return False
        self._doubts += 1
        _log.info(
            "the changelog seems to end before what was committed: asking again",
            partition=self.partition,
            end=self.bounds.end,
            reached=self.reached,
            committed=self.bounds.committed,
        )
        self.bounds.doubt_end()
        self.reading = False
        return True

    @property
    def remaining(self) -> int | None:
        """Offsets of the changelog still to be read; None while its end is not known."""
        return None if self.bounds.end is None or not self.reading else max(self.bounds.end - self.reached, 0)

    @property
    def behind(self) -> bool:
        """Whether what was read does not reach the committed offset."""
        committed = self.bounds.committed
        if committed is None or committed == OFFSET_INVALID:
            return False
        return self.position is None or self.position.offset < committed
