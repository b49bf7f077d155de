"""Both stores hold what was written, and a store on disk is trusted only where it may be."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.engine.position import Position
from stream.engine.stores.memory import open_memory_store
from stream.engine.stores.rocks import RocksStores
from stream.engine.stores.store import Stamp, Store

HOUR_MS = 3_600_000
STAMP = Stamp(cluster_id="c", changelog_topic="changelog", changelog_topic_id="t", fold_version=1)
KEYS = st.binary(min_size=1, max_size=3)
CHANGES = st.lists(st.dictionaries(KEYS, st.none() | st.binary(max_size=5), max_size=5), max_size=5)


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


def test_what_is_not_known_leaves_what_was_known(store: Store) -> None:
    assert (store.position(), store.changelog_offset(), store.get(b"a")) == (None, 0, None)
    store.write({b"a": b"1"}, Position(1, 2, 3, b"shared"), 7)
    store.write({b"b": b"2"}, None, -1)
    assert store.position() == Position(1, 2, 3, b"shared")
    assert store.changelog_offset() == 7
    store.wipe()
    assert (store.position(), store.changelog_offset(), dict(store.items())) == (None, 0, {})


def write_and_close(stores: RocksStores, stamp: Stamp = STAMP) -> None:
    store = stores(0, stamp)
    store.write({b"a": b"1"}, Position(1, 2, 3), 7)
    store.close()


def test_a_store_that_is_opened_again_has_what_it_had(tmp_path: Path) -> None:
    write_and_close(RocksStores(tmp_path, HOUR_MS))
    store = RocksStores(tmp_path, HOUR_MS)(0, STAMP)
    assert (dict(store.items()), store.position(), store.changelog_offset()) == ({b"a": b"1"}, Position(1, 2, 3), 7)
    store.close()


@pytest.mark.parametrize(
    "other",
    [
        {"cluster_id": "another"},
        {"changelog_topic_id": "created again"},
        {"fold_version": 2},
        {"format_version": 2},
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
    store.write({b"a": b"1"}, None, 1)
    store.close()
    store = RocksStores(tmp_path, HOUR_MS)(0, STAMP)
    assert dict(store.items()) == {b"a": b"1"}, "it was wiped once, and has been trusted since"
    store.close()


def test_a_store_that_is_damaged_is_wiped(tmp_path: Path) -> None:
    write_and_close(RocksStores(tmp_path, HOUR_MS))
    for file in tmp_path.rglob("CURRENT"):
        file.write_text("rubbish")
    store = RocksStores(tmp_path, HOUR_MS)(0, STAMP)
    assert dict(store.items()) == {}
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
    first.write({b"a": b"1"}, None, 1)
    assert second.get(b"a") is None
    first.close()
    second.close()
