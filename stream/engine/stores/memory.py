"""A store in a dictionary: fast, bounded by memory, and restored from the changelog at every start."""

from collections.abc import Iterator, Mapping

from stream.engine.position import Position, due_of, is_waiting
from stream.engine.stores.store import Stamp
from stream.engine.timers import FOREVER


class MemoryStore:
    """Framed values in a dictionary. See ``Store``."""

    indexed = False

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._position: Position | None = None
        self._changelog_offset = 0
        self.get = self._values.get

    def write(
        self,
        changes: Mapping[bytes, bytes | None],
        position: Position | None,
        changelog_offset: int,
        fired_until: int = 0,
        restoring: bool = False,
    ) -> None:
        values = self._values
        for key, value in changes.items():
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
        if position is not None:
            self._position = position
        if changelog_offset >= 0:
            self._changelog_offset = changelog_offset

    def due(self, since: int, most: int) -> tuple[list[tuple[bytes, int]], int]:
        dues = ((key, due_of(framed)) for key, framed in self._values.items())
        return [(key, due) for key, due in dues if due and due >= since], FOREVER

    def waiting(self) -> list[bytes]:
        return [key for key, framed in self._values.items() if is_waiting(framed)]

    def position(self) -> Position | None:
        return self._position

    def changelog_offset(self) -> int:
        return self._changelog_offset

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._values.items())

    def __len__(self) -> int:
        return len(self._values)

    def wipe(self) -> None:
        self._values.clear()
        self._position = None
        self._changelog_offset = 0

    def close(self) -> None:
        """Nothing to let go of."""


def open_memory_store(partition: int, stamp: Stamp) -> MemoryStore:
    return MemoryStore()
