"""Both stores hold what was written, and a store on disk is trusted only where it may be."""

import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.engine.position import Position, due_of, frame, is_waiting
from stream.engine.stores.memory import open_memory_store
from stream.engine.stores.rocks import RocksStores, StoreFailed
from stream.engine.stores.store import Stamp, Store
from stream.engine.timers import FOREVER
from stream.testing.waiting import eventually

HOUR_MS = 3_600_000
STAMP = Stamp(cluster_id="c", changelog_topic="changelog", changelog_topic_id="t", fold_version=1)
KEYS = st.binary(min_size=1, max_size=3)
VALUES = st.builds(frame, st.integers(0, 20), st.booleans(), st.binary(max_size=5))
CHANGES = st.lists(st.dictionaries(KEYS, st.none() | VALUES, max_size=5), max_size=5)
ONE, TWO = frame(0, False, b"1"), frame(0, False, b"2")


@pytest.fixture(params=["memory", "rocksdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = (
        open_memory_store(0, STAMP) if request.param == "memory" else RocksStores(tmp_path, HOUR_MS)(0, STAMP)
    )
    yield opened
    opened.close()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_a_store_holds_the_last_of_what_was_written(store: Store, changes: list[dict[bytes, bytes | None]]) -> None:
    store.wipe()
    wanted: dict[bytes, bytes] = {}
    for number, batch in enumerate(changes):
        store.write(batch, Position(number, number * 10, 1), number)
        wanted = {key: value for key, value in (wanted | batch).items() if value is not None}
    assert dict(store.items()) == wanted
    assert len(store) == len(wanted)
    assert all(store.get(key) == wanted.get(key) for batch in changes for key in batch)
    assert store.position() == (Position(len(changes) - 1, (len(changes) - 1) * 10, 1) if changes else None)
    assert store.changelog_offset() == max(len(changes) - 1, 0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, since=st.integers(0, 20), most=st.integers(1, 4))
def test_timers_and_waiting_keys_are_those_of_the_values(
    store: Store, changes: list[dict[bytes, bytes | None]], since: int, most: int
) -> None:
    store.wipe()
    for batch in changes:
        store.write(batch, None, -1)
    values = dict(store.items())
    wanted = sorted((due_of(value), key) for key, value in values.items() if due_of(value) >= max(since, 1))
    found: list[tuple[int, bytes]] = []
    while since < FOREVER:
        dues, horizon = store.due(since, most)
        assert horizon > since
        assert all(since <= due < horizon for _, due in dues)
        found += sorted((due, key) for key, due in dues)
        since = horizon
    assert found == wanted
    assert sorted(store.waiting()) == sorted(key for key, value in values.items() if is_waiting(value))


def test_an_index_gives_the_nearest_timers_first_and_loses_those_that_have_fired(tmp_path: Path) -> None:
    store = RocksStores(tmp_path, HOUR_MS)(0, STAMP)
    store.write({b"%d" % due: frame(due, False, b"") for due in range(1, 101)}, Position(1, 0, 1), 1)
    dues, horizon = store.due(0, 10)
    assert (dues, horizon) == ([(b"%d" % due, due) for due in range(1, 11)], 11)
    # Fired, and set anew: for later, for earlier than what is over, and not at all.
    later = {b"1": frame(200, False, b""), b"2": frame(5, False, b""), b"3": frame(0, False, b""), b"4": None}
    fired = {b"%d" % due: None for due in range(5, 51)}
    store.write(later | fired, Position(2, 50, 1), 2, fired_until=51)
    assert store.due(0, 3) == ([(b"2", 5), (b"51", 51), (b"52", 52)], 53)
    assert sum(key.startswith(b"t") for key, _ in store._rocks.items()) == 1 + 50 + 1, "nothing is left of the others"
    store.close()


@pytest.mark.timeout(60, method="thread")  # a signal does not reach a call into RocksDB that waits for ever
@pytest.mark.parametrize("batch", [1_000, 5_000], ids=["small batches", "batches beyond the bound"])
def test_stores_on_disk_share_one_bound_of_memory_whatever_they_hold(tmp_path: Path, batch: int) -> None:
    """Large batches come from restores; with buffers that let writers wait for each other they stood still for ever."""
    bound = 4 * 1024 * 1024
    stores = RocksStores(tmp_path, HOUR_MS, bound)
    opened = [stores(number, STAMP) for number in range(3)]
    value = ONE + bytes(1_000)
    most = 0
    for start in range(0, 10_000, batch):
        for store in opened:
            store.write({b"%d" % key: value for key in range(start, start + batch)}, None, -1)
        buffers = (store._rocks.property_int_value("rocksdb.cur-size-all-mem-tables") for store in opened)
        most = max(most, sum(size or 0 for size in buffers))
    assert 0 < most <= bound + len(opened) * batch * len(value), "of 30 MB that were written"
    assert all(len(store) == 10_000 for store in opened)
    for store in opened:
        store.close()


@pytest.mark.parametrize("commits", [0, 1])
def test_a_store_killed_at_or_after_its_restore_never_holds_the_later_without_the_earlier(
    tmp_path: Path, commits: int
) -> None:
    stores = RocksStores(tmp_path / "alive", HOUR_MS)
    store = stores(0, STAMP)
    for offset in range(1, 4):
        store.write({b"%d" % offset: ONE}, Position(offset, 1, 1), offset, restoring=True)
    for offset in range(4, 4 + commits):
        store.write({b"%d" % offset: TWO}, Position(offset, 1, 1), offset)
    # What a process that is killed leaves on the disk.
    shutil.copytree(tmp_path / "alive", tmp_path / "killed")
    store.close()
    found = RocksStores(tmp_path / "killed", HOUR_MS)(0, STAMP)
    reached = found.changelog_offset()
    assert reached in ({4} if commits else {0, 1, 2, 3})
    assert sorted(key for key, _ in found.items()) == [b"%d" % offset for offset in range(1, reached + 1)]
    found.close()


def test_a_restore_outlives_the_store_s_end(tmp_path: Path) -> None:
    stores = RocksStores(tmp_path, HOUR_MS)
    store = stores(0, STAMP)
    store.write({b"a": ONE}, Position(1, 1, 1), 7, restoring=True)
    store.close()
    store = stores(0, STAMP)
    assert (store.get(b"a"), store.changelog_offset()) == (ONE, 7)
    store.close()


def test_what_is_not_known_leaves_what_was_known(store: Store) -> None:
    assert (store.position(), store.changelog_offset(), store.get(b"a")) == (None, 0, None)
    store.write({b"a": ONE}, Position(1, 2, 3, b"shared"), 7)
    store.write({b"b": TWO}, None, -1)
    assert store.position() == Position(1, 2, 3, b"shared")
    assert store.changelog_offset() == 7
    store.wipe()
    assert (store.position(), store.changelog_offset(), dict(store.items())) == (None, 0, {})


def write_and_close(stores: RocksStores, stamp: Stamp = STAMP) -> None:
    store = stores(0, stamp)
    store.write({b"a": ONE}, Position(1, 2, 3), 7)
    store.close()


def test_a_store_that_is_opened_again_has_what_it_had(tmp_path: Path) -> None:
    write_and_close(RocksStores(tmp_path, HOUR_MS))
    store = RocksStores(tmp_path, HOUR_MS)(0, STAMP)
    assert (dict(store.items()), store.position(), store.changelog_offset()) == ({b"a": ONE}, Position(1, 2, 3), 7)
    store.close()


@pytest.mark.parametrize(
    "other",
    [
        {"cluster_id": "another"},
        {"changelog_topic_id": "created again"},
        {"fold_version": 2},
        {"format_version": 1},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_store_made_from_something_else_is_wiped(tmp_path: Path, other: dict[str, object]) -> None:
    write_and_close(RocksStores(tmp_path, HOUR_MS))
    store = RocksStores(tmp_path, HOUR_MS)(0, msgspec.structs.replace(STAMP, **other))
    assert (dict(store.items()), store.position(), store.changelog_offset()) == ({}, None, 0)
    store.close()


def test_a_store_that_may_have_missed_tombstones_is_wiped(tmp_path: Path) -> None:
    write_and_close(RocksStores(tmp_path, HOUR_MS))
    time.sleep(0.05)
    store = RocksStores(tmp_path, 20)(0, STAMP)
    assert dict(store.items()) == {}
    store.write({b"a": ONE}, None, 1)
    store.close()
    store = RocksStores(tmp_path, HOUR_MS)(0, STAMP)
    assert dict(store.items()) == {b"a": ONE}, "it was wiped once, and has been trusted since"
    store.close()


def test_a_store_that_is_damaged_is_wiped(tmp_path: Path) -> None:
    write_and_close(RocksStores(tmp_path, HOUR_MS))
    for file in tmp_path.rglob("CURRENT"):
        # RocksDB speaks of blocks that do not match, and of locks where a store is in use.
        file.write_text("rubbish in a block")
    store = RocksStores(tmp_path, HOUR_MS)(0, STAMP)
    assert dict(store.items()) == {}
    store.close()


def damage(folder: Path, place: float) -> None:
    """Many states, and zeros in the middle of their files."""
    store = RocksStores(folder, HOUR_MS)(0, STAMP)
    states = {b"%d" % number: frame(0, False, Random(number).randbytes(100)) for number in range(5_000)}
    store.write(states, Position(1, 1, 1), 1)
    store.close()
    for file in folder.rglob("*.sst"):
        content = bytearray(file.read_bytes())
        at = int(len(content) * place)
        content[at : at + 64] = bytes(64)
        file.write_bytes(content)


def test_a_store_whose_own_description_is_damaged_is_wiped(tmp_path: Path) -> None:
    damage(tmp_path, 0.0)
    store = RocksStores(tmp_path, HOUR_MS)(0, STAMP)
    assert (dict(store.items()), store.changelog_offset()) == ({}, 0)
    store.close()


def test_a_store_whose_states_are_damaged_says_so_and_is_wiped_when_it_is_opened_next(tmp_path: Path) -> None:
    damage(tmp_path, 0.5)
    store = RocksStores(tmp_path, HOUR_MS)(0, STAMP)
    with pytest.raises(StoreFailed, match="start the worker again"):
        dict(store.items())
    store.close()
    store = RocksStores(tmp_path, HOUR_MS)(0, STAMP)
    assert (dict(store.items()), store.changelog_offset()) == ({}, 0)
    store.close()


def test_a_store_that_is_found_damaged_by_a_compaction_is_wiped_when_it_is_opened_next(tmp_path: Path) -> None:
    damage(tmp_path, 0.5)
    store = RocksStores(tmp_path, HOUR_MS)(0, STAMP)

    said: list[str] = []

    def refused() -> bool:
        with suppress(Exception):
            store._rocks.flush()
        try:
            store.write({b"%d" % number: ONE for number in range(5_000)}, Position(2, 2, 1), 2)
        except StoreFailed as error:
            said.append(str(error))
        return bool(said)

    assert eventually(refused), "four files and a compaction"
    assert "start the worker again" in said[0]
    store.close()
    store = RocksStores(tmp_path, HOUR_MS)(0, STAMP)
    assert (dict(store.items()), store.changelog_offset()) == ({}, 0)
    store.close()


def test_a_store_on_a_full_disk_says_what_to_do(tmp_path: Path) -> None:
    store = RocksStores(tmp_path, HOUR_MS)(0, STAMP)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        with pytest.raises(StoreFailed, match="make room"):
            store.write({b"a": ONE}, None, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    store.close()


def test_a_store_in_use_says_what_to_do(tmp_path: Path) -> None:
    store = RocksStores(tmp_path, HOUR_MS)(0, STAMP)
    again: Callable[[], Store] = lambda: RocksStores(tmp_path, HOUR_MS)(0, STAMP)  # noqa: E731
    with pytest.raises(RuntimeError, match="--instance"):
        again()
    store.close()
    again().close()


def test_partitions_do_not_meet(tmp_path: Path) -> None:
    stores = RocksStores(tmp_path, HOUR_MS)
    first, second = stores(0, STAMP), stores(1, STAMP)
    first.write({b"a": ONE}, None, 1)
    assert second.get(b"a") is None
    first.close()
    second.close()
