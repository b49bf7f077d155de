"""A store in RocksDB: a worker that restarts on the same machine restores only what it missed.

Written after the transaction has committed, in one batch with the position, without fsync: what a crash loses is in the
changelog. A store is thrown away when it was made from another cluster, changelog or fold, or when it is so old that
the changelog may have dropped tombstones it has not seen, which would bring erased customers back.

Beside the states lies an index of their timers, by due time and key, and one of the keys that wait for a signal. An
entry counts only while the state's own frame says the same, so a state that changes need not look for its old entry.
"""

import shutil
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog
from rocksdict import AccessType, BlockBasedOptions, Cache, Options, Rdict, WriteBatch, WriteBufferManager, WriteOptions

from stream.engine.position import Position, decode_position, due_of, encode_position, is_waiting
from stream.engine.settings import EngineSettings
from stream.engine.stores.store import Stamp
from stream.engine.timers import FOREVER

_STAMP: Final = b"\x00stamp"
_POSITION: Final = b"\x00position"
_OFFSET: Final = b"\x00changelog_offset"
_WRITTEN: Final = b"\x00written_at"
_STATE: Final = b"s"
"""First byte of every state's key; what describes the store begins with another."""
_TIMER: Final = b"t"
_TIME: Final = struct.Struct(">Q")
_TIMER_BYTES: Final = len(_TIMER) + _TIME.size
_WAITS: Final = b"w"
_UNLOGGED: Final = WriteOptions()
_UNLOGGED.disable_wal = True  # type: ignore[method-assign, assignment] # a property, whatever the stub says
_FILTER_BITS: Final = 10
"""Bits a key of the Bloom filters: one in a hundred look-ups of a new customer reads from the disk."""
_BUFFERS_IN_A_SHARE: Final = 4
"""Write buffers are this much smaller than what all of them may take, so that one can be filled while others are
written out."""

_CORRUPTION: Final = "Corruption"
"""How RocksDB begins to say that its files are damaged."""

_log = structlog.get_logger(__name__)


class StoreFailed(RuntimeError):
    """A local store cannot be read or written. The changelog has everything that was in it."""


class RocksStore:
    """Framed values in a RocksDB folder of their own. See ``Store``.

    Args:
        folder: made when absent.
        stamp: what the store must have been made from.
        oldest_ms: a store last written longer ago than this is wiped (half of the changelog's ``delete.retention.ms``).
        options: of RocksDB; ``RocksStores`` makes them.

    Its methods raise ``StoreFailed`` where the disk is full or the files are damaged; a damaged store is wiped when it
    is opened next.
    """

    indexed = True

    def __init__(self, folder: Path, stamp: Stamp, oldest_ms: int, options: Options) -> None:
        self._folder = folder
        self._options = options
        self._unlogged = False
        self._damaged = folder.with_name(f"{folder.name}.damaged")
        self._stamp = msgspec.json.encode(stamp)
        if self._damaged.exists():
            self._remove("its files are damaged")
        self._rocks = self._open()
        reason = self._distrust(oldest_ms)
        if reason:
            _log.warning("local store wiped", folder=str(folder), reason=reason)
        if reason is not None:
            self.wipe()
        position = self.position()
        self._fired_until = position.time + 1 if position is not None else 0

    def _open(self) -> Rdict:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            return Rdict(str(self._folder), self._options, access_type=AccessType.read_write())
        except Exception as error:
            if "/LOCK:" in str(error):
                raise RuntimeError(
                    f"the local store {self._folder} is in use by another worker: give each worker its own --instance"
                ) from error
            # A store that cannot be opened is a copy that was lost: the changelog has everything.
            self._remove(str(error))
            self._folder.mkdir(parents=True)
            return Rdict(str(self._folder), self._options, access_type=AccessType.read_write())

    def _remove(self, reason: str) -> None:
        _log.warning("local store wiped", folder=str(self._folder), reason=reason)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._damaged.unlink(missing_ok=True)

    def _distrust(self, oldest_ms: int) -> str | None:
        """Why it has to be wiped, empty for a new one; None: it may be trusted."""
        try:
            stamp, written_at = self._rocks.get(_STAMP), int(self._rocks.get(_WRITTEN) or 0)
        except Exception as error:
            return str(error)
        if stamp is None:
            return ""
        if stamp != self._stamp:
            return "made from another cluster, changelog or fold"
        if time.time() * 1000 - written_at > oldest_ms:
            return "older than half of the time for which the changelog keeps tombstones"
        return None

    def get(self, key: bytes) -> bytes | None:
        return self._read(_STATE + key)

    def _read(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._rocks.get(key)
        except Exception as error:
            raise self._unreadable(error) from error
        return value

    def _unreadable(self, error: Exception) -> StoreFailed:
        self._damaged.touch()
        return StoreFailed(
            f"the local store {self._folder} cannot be read ({error}): start the worker again, and it reads the "
            "changelog instead; if it happens again, look at the disk"
        )

    def write(
        self,
        changes: Mapping[bytes, bytes | None],
        position: Position | None,
        changelog_offset: int,
        fired_until: int = 0,
        restoring: bool = False,
    ) -> None:
        batch = WriteBatch(raw_mode=True)
        if fired_until > self._fired_until:
            for entry in self._timers(self._fired_until):
                if _time_of(entry) >= fired_until:
                    break
                batch.delete(entry)
            self._fired_until = fired_until
        for key, value in changes.items():
            if value is None:
                batch.delete(_STATE + key)
                continue
            batch.put(_STATE + key, value)
            if due := due_of(value):
                batch.put(_TIMER + _TIME.pack(due) + key, b"")
            if is_waiting(value):
                batch.put(_WAITS + key, b"")
        if position is not None:
            batch.put(_POSITION, encode_position(position))
        if changelog_offset >= 0:
            batch.put(_OFFSET, str(changelog_offset).encode())
        batch.put(_WRITTEN, str(int(time.time() * 1000)).encode())
        self._write(batch, logged=not restoring)

    def _write(self, batch: WriteBatch, logged: bool = True) -> None:
        """Write with RocksDB's own log, or without, which spares a restore half of what goes to the disk."""
        try:
            if not logged:
                self._unlogged = True
                self._rocks.write(batch, _UNLOGGED)
                return
            if self._unlogged:
                # Or a crash would lose what is not logged and keep what is, which came later.
                self._rocks.flush()
                self._unlogged = False
            self._rocks.write(batch)
        except Exception as error:
            if str(error).startswith(_CORRUPTION):
                # Found while RocksDB rewrites its files in the background: it takes no write from then on.
                raise self._unreadable(error) from error
            raise StoreFailed(
                f"the local store {self._folder} cannot be written ({error}): make room on its disk, or set data_dir "
                "to another; nothing is lost, the changelog has it"
            ) from error

    def due(self, since: int, most: int) -> tuple[list[tuple[bytes, int]], int]:
        found: list[tuple[bytes, int]] = []
        stale: list[bytes] = []
        horizon = FOREVER
        last = 0
        for entry in self._timers(since):
            due, key = _time_of(entry), entry[_TIMER_BYTES:]
            if len(found) + len(stale) >= most and due != last:
                horizon = due
                break
            last = due
            framed = self.get(key)
            if framed is not None and due_of(framed) == due:
                found.append((key, due))
            else:
                stale.append(entry)
        self._delete(stale)
        return found, horizon

    def waiting(self) -> list[bytes]:
        found, stale = [], []
        for entry in self._keys(_WAITS):
            framed = self.get(entry[len(_WAITS) :])
            if framed is not None and is_waiting(framed):
                found.append(entry[len(_WAITS) :])
            else:
                stale.append(entry)
        self._delete(stale)
        return found

    def _timers(self, since: int) -> Iterator[bytes]:
        """Entries of the index of timers from ``since`` on, the earliest first."""
        return self._keys(_TIMER, _TIMER + _TIME.pack(since))

    def _keys(self, prefix: bytes, first: bytes = b"") -> Iterator[bytes]:
        # Rdict.keys() ends at a block that cannot be read as if nothing came behind it.
        entries = self._rocks.iter()
        try:
            entries.seek(first or prefix)
            while entries.valid():
                key: bytes = entries.key()
                if not key.startswith(prefix):
                    return
                yield key
                entries.next()
            entries.status()
        except Exception as error:
            raise self._unreadable(error) from error

    def _delete(self, keys: list[bytes]) -> None:
        if keys:
            batch = WriteBatch(raw_mode=True)
            for key in keys:
                batch.delete(key)
            self._write(batch)

    def position(self) -> Position | None:
        encoded = self._read(_POSITION)
        return None if encoded is None else decode_position(encoded)

    def changelog_offset(self) -> int:
        return int(self._read(_OFFSET) or 0)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        for key in self._keys(_STATE):
            value = self._read(key)
            if value is not None:
                yield key[1:], value

    def __len__(self) -> int:
        return sum(1 for _ in self.items())

    def wipe(self) -> None:
        self._rocks.close()
        Rdict.destroy(str(self._folder), self._options)
        self._rocks = Rdict(str(self._folder), self._options, access_type=AccessType.read_write())
        self._fired_until = 0
        self._unlogged = False
        self._rocks[_STAMP] = self._stamp
        self._rocks[_WRITTEN] = str(int(time.time() * 1000)).encode()

    def close(self) -> None:
        try:
            self._rocks.close()
        except Exception as error:
            # Of a store that has failed; what it could not write is in the changelog.
            _log.warning("local store could not be closed", folder=str(self._folder), error=str(error))


def _time_of(entry: bytes) -> int:
    """Due time of an entry of the index of timers."""
    return int(_TIME.unpack_from(entry, len(_TIMER))[0])


class RocksStores:
    """Opens the stores of one instance under one folder.

    Args:
        folder: of the instance.
        oldest_ms: see ``RocksStore``.
        memory_bytes: of all stores together; see ``EngineSettings.rocksdb_memory_bytes``.
    """

    def __init__(self, folder: Path, oldest_ms: int, memory_bytes: int = EngineSettings().rocksdb_memory_bytes) -> None:
        self._folder = folder
        self._oldest_ms = oldest_ms
        self._options = _bounded(memory_bytes)

    def __call__(self, partition: int, stamp: Stamp) -> RocksStore:
        folder = self._folder / stamp.changelog_topic / str(partition)
        return RocksStore(folder, stamp, self._oldest_ms, self._options)


def _bounded(memory_bytes: int) -> Options:
    """Options that many stores share, and with them ``memory_bytes``; half of it is for what is being written."""
    cache, writing = Cache(memory_bytes), memory_bytes // 2
    tables = BlockBasedOptions()
    tables.set_block_cache(cache)
    tables.set_bloom_filter(_FILTER_BITS, False)
    tables.set_cache_index_and_filter_blocks(True)
    tables.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(tables)
    options.set_write_buffer_size(writing // _BUFFERS_IN_A_SHARE)
    # Counted against the cache, and written out early when all stores together have too much of it. To let writers wait
    # for that (allow_stall) was seen to stop a restore for ever: batches of all stores filled the buffers beyond the
    # bound, and each waited for the others. A store that has two full buffers waits for its own anyway.
    options.set_write_buffer_manager(WriteBufferManager.new_write_buffer_manager_with_cache(writing, False, cache))
    return options
