"""The same with a store on disk, which alone knows of the timers that are far away."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

from stream.engine import states
from tests.integration.engine.straight import Straight
from tests.unit.engine.life import LIMIT, Life, plain
from tests.unit.engine.test_partition import AnyCommitPoints


class AnyCommitPointsOnDisk(AnyCommitPoints):
    """The same with a store on disk, of whose timers only the nearest one or two are in memory."""

    def born(self) -> Life:
        self.folder = TemporaryDirectory()
        self.near = pytest.MonkeyPatch()
        self.near.setattr(states, "NEAR_TIMERS", 1)
        return Life(folder=Path(self.folder.name))

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.near.undo()
            self.life.store.close()
            self.folder.cleanup()


AnyCommitPointsOnDisk.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyCommitPointsOnDisk = AnyCommitPointsOnDisk.TestCase


@pytest.fixture
def near_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "NEAR_TIMERS", 1)


def on_disk(folder: Path, before: list[tuple[bytes, bytes]], after: list[tuple[bytes, bytes]]) -> None:
    """Commits what comes ``before`` one by one, restarts, takes what comes ``after`` in one go, and compares with the
    straight fold."""
    life = Life(folder=folder)
    straight = Straight(life.processor, LIMIT)
    for number, (key, value) in enumerate([*before, *after]):
        straight.fold(life.append(key or None, value))
        if number < len(before):
            life.finish()
            life.restart()
    life.finish()
    assert plain(life.outputs) == plain(straight.outputs)
    life.store.close()


FOUR = [(b"a", b"1000 1"), (b"b", b"2000 1"), (b"c", b"3000 1"), (b"d", b"3500 1")]
"""Due a second after: more than are kept in memory."""


@pytest.mark.parametrize("word", [b"plain", b"gone", b"late"])
def test_of_a_far_timer_that_was_moved_since_the_commit_the_store_knows_nothing(
    tmp_path: Path, near_one: None, word: bytes
) -> None:
    for moved in (b"c", b"d"):
        after = [(moved, b"3600 1 " + word), (b"", b"4550 0 tick"), (b"", b"9000 0 tick")]
        on_disk(tmp_path / moved.decode(), FOUR, after)


def test_a_timer_set_in_the_past_outlives_restarts_and_commits_until_time_moves(tmp_path: Path, near_one: None) -> None:
    before = [*FOUR, (b"e", b"3400 1 late"), (b"f", b"3450 1"), (b"f", b"3460 1")]
    on_disk(tmp_path, before, [(b"", b"3550 0 tick"), (b"", b"9000 0 tick")])


def test_a_timer_in_the_past_fires_before_its_key_s_next_record_though_only_the_store_knows_of_it(
    tmp_path: Path, near_one: None
) -> None:
    before = [(b"a", b"9396 1"), (b"d", b"5869 1"), (b"c", b"6511 1"), (b"b", b"6299 1")]
    on_disk(tmp_path, before, [(b"d", b"8158 1"), (b"c", b"8955 1"), (b"", b"20000 0 tick")])


def test_of_many_timers_on_disk_only_the_nearest_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "NEAR_TIMERS", 10)
    life = Life(folder=tmp_path)
    straight = Straight(life.processor, LIMIT)
    most = 0
    for number in range(300):
        straight.fold(life.append(b"%d" % number, b"%d 1" % (10_000 + number)))
    straight.fold(life.append(None, b"20000 0 tick"))
    while life.partition.next_offset <= life.log[-1].offset:
        life.process(budget=5, most=5)
        life.commit()
        most = max(most, len(life.partition.timers))
    assert most <= 25
    assert plain(life.outputs) == plain(straight.outputs)
    life.store.close()


def test_a_start_looks_up_only_the_first_timers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "FIRST_TIMERS", 2)
    before = [(b"%d" % number, b"1000 1") for number in range(2)]
    before += [(b"%d" % number, b"%d 1" % (1000 + number)) for number in range(2, 9)]
    life = Life(folder=tmp_path)
    for key, value in before:
        life.append(key, value)
    life.finish()
    life.restart()
    assert len(life.partition.timers) == 2
    life.store.close()
    on_disk(tmp_path / "again", before, [(b"", b"9000 0 tick")])
