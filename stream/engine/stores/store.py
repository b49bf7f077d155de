"""What the engine asks of a store. A store holds committed bytes only; the changelog is the truth and a store its
local copy."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec

from stream.engine.position import Position


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What a local store was made from. A store with another stamp is wiped and restored."""

    cluster_id: str
    changelog_topic: str
    changelog_topic_id: str
    fold_version: int
    format_version: int = 2


class Store(Protocol):
    """The committed state of one partition: framed values by key, and the position they belong to.

    Attributes:
        indexed: it finds timers by time, so that only the nearest need be in memory.
    """

    indexed: bool

    def get(self, key: bytes) -> bytes | None: ...

    def write(
        self,
        changes: Mapping[bytes, bytes | None],
        position: Position | None,
        changelog_offset: int,
        fired_until: int = 0,
        restoring: bool = False,
    ) -> None:
        """Apply ``changes`` (None deletes) as one atomic batch.

        Args:
            position: of the input; None while a restore has not reached a position record.
            changelog_offset: next changelog offset to restore from, -1 when it is not known.
            fired_until: no key but those of ``changes`` has a timer that is due before this.
            restoring: it comes from the changelog, and is read from there again when a crash loses it.
        """
        ...

    def due(self, since: int, most: int) -> tuple[list[tuple[bytes, int]], int]:
        """Keys with their due times from ``since`` on, the earliest first, about ``most`` of them; and the time up to
        which these are all (``FOREVER``: there are no more). A store that is not indexed gives all there are."""
        ...

    def waiting(self) -> list[bytes]:
        """Keys that wait for a signal."""
        ...

    def position(self) -> Position | None: ...

    def changelog_offset(self) -> int:
        """Where a restore may begin: every changelog record before it is in the store. 0 for an empty store."""
        ...

    def items(self) -> Iterator[tuple[bytes, bytes]]: ...

    def __len__(self) -> int: ...

    def wipe(self) -> None: ...

    def close(self) -> None: ...


class StoreFactory(Protocol):
    """Opens the store of a partition; wipes it first when its stamp differs or it is too old to be trusted."""

    def __call__(self, partition: int, stamp: Stamp) -> Store: ...
