"""Engines that are broken on purpose, to see that the checker tells: the test of the tests.

Each takes away one thing that the exactly-once promise rests on, in the worker's process alone. Called by
``worker.py``; ``test_broken_engines.py`` runs them.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
from confluent_kafka import OFFSET_INVALID, Consumer, IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient

from stream.contracts.events import Event
from stream.contracts.ids import event_id_hash
from stream.engine import bounds, restore
from stream.engine.clients import Properties
from stream.engine.group_offsets import GroupOffsets
from stream.engine.position import Position
from stream.engine.processor import OutputRecord
from stream.engine.restore import Restorer
from stream.engine.stores.store import Store
from stream.engine.transactions import PartitionCommit, Transactions
from stream.profiles import fold as folding
from stream.profiles.profile import Profile
from stream.workers import profiles
from tests.chaos.faults import StruckTransactions

Engine = Literal["shipped", "offsets_first", "last_stable_offset_only", "high_watermark_only", "no_dedupe"]


class OffsetsFirst(StruckTransactions):
    """Commits the input's offsets in a transaction of their own, before state and outputs."""

    def commit(
        self,
        outputs: Sequence[Sequence[OutputRecord]],
        partitions: Sequence[PartitionCommit],
        offsets: list[TopicPartition],
        group_metadata: Any,
    ) -> None:
        self._struck_producer.begin_transaction()
        self._struck_producer.send_offsets_to_transaction(offsets, group_metadata)
        self._struck_producer.commit_transaction()
        super().commit(outputs, partitions, offsets, group_metadata)

    def send_offsets(self, offsets: list[TopicPartition], group_metadata: Any) -> None:
        self._strike_at("offsets_sent")


class StruckWithOutputs(StruckTransactions):
    """Is struck where there is something to lose: transactions without outputs do not count."""

    def commit(
        self,
        outputs: Sequence[Sequence[OutputRecord]],
        partitions: Sequence[PartitionCommit],
        offsets: list[TopicPartition],
        group_metadata: Any,
    ) -> None:
        if any(outputs):
            super().commit(outputs, partitions, offsets, group_metadata)
        else:
            self._site = None
            Transactions.commit(self, outputs, partitions, offsets, group_metadata)


class Impatient(GroupOffsets):
    """Does not wait for an offset that a transaction is about to commit."""

    def __init__(self, kafka: Properties, group: str, stable: bool) -> None:
        super().__init__(kafka, group, stable=False)


class Hasty(AdminClient):
    """Takes the last stable offset for the end of the changelog."""

    def list_offsets(self, offsets: Any, **settings: Any) -> Any:  # type: ignore[override]
        return super().list_offsets(offsets, **{**settings, "isolation_level": IsolationLevel.READ_COMMITTED})


def break_engine(engine: Engine) -> Callable[..., StruckTransactions]:
    """Break this process's engine, and return the transactions for it."""
    match engine:
        case "offsets_first":
            _believe_the_group()
            return OffsetsFirst
        case "last_stable_offset_only":
            _believe_the_group()
            bounds.GroupOffsets = Impatient  # type: ignore[attr-defined, misc]
            bounds.make_admin = Hasty  # type: ignore[attr-defined, assignment]
            return StruckWithOutputs
        case "high_watermark_only":
            _believe_the_state()
            bounds.GroupOffsets = Impatient  # type: ignore[attr-defined, misc]
            restore.make_restore_consumer = _uncommitted  # type: ignore[attr-defined]
            return StruckWithOutputs
        case "no_dedupe":
            profiles.fold = _without_dedupe  # type: ignore[attr-defined, assignment]
            # Compiled, it knows ids by itself.
            profiles.PlainPath = None  # type: ignore[misc, assignment]
        case "shipped":
            pass
    return StruckTransactions


def _believe_the_group() -> None:
    """Go on from the group's offset, whatever the state that was restored belongs to."""

    def unverified(self: Restorer, task: Any, store: Store) -> Position | None:
        position: Position | None = task.position
        if position is None or task.bounds.committed == OFFSET_INVALID:
            return position
        return msgspec.structs.replace(position, offset=task.bounds.committed)

    Restorer._verified = unverified  # type: ignore[method-assign]


def _believe_the_state() -> None:
    """Go on from where the state is that was restored, whatever the group has committed."""

    def unverified(self: Restorer, task: Any, store: Store) -> Position | None:
        position: Position | None = task.position
        return position

    Restorer._verified = unverified  # type: ignore[method-assign]


def _uncommitted(common: Properties, group: str) -> Consumer:
    """Reads the changelog up to the high watermark, what is not committed too, and waits for nobody."""
    return Consumer(
        {
            **common,
            "group.id": f"{group}.restore",
            "isolation.level": "read_uncommitted",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
        }
    )


def _without_dedupe(profile: Profile | None, event: Event, *more: Any) -> Any:
    """The fold of a profile that does not know the event's id."""
    if profile is not None:
        size = folding._ID_SIZE
        own = event_id_hash(event.event_id).to_bytes(size, "little")
        known = [profile.event_ids[at : at + size] for at in range(0, len(profile.event_ids), size)]
        profile.event_ids = b"".join(each for each in known if each != own)
    return folding.fold(profile, event, *more)
