"""A partition comes to the same state, outputs and time wherever it commits, rolls back, restarts or runs out of
budget."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from stream.contracts.emission import Rejected
from stream.engine import states
from stream.engine.partition import Partition
from stream.engine.position import Position, frame
from stream.engine.processor import Context, NewerState, OutputRecord, Parsed, Record
from stream.engine.steps import Entry
from stream.engine.stores.memory import MemoryStore
from stream.engine.stores.rocks import RocksStores
from stream.engine.stores.store import Stamp, Store
from tests.integration.engine.counting import NEWER, SILENCE_MS, WORDS, Counting, Said, Sum, dead_letter
from tests.integration.engine.straight import Straight

LIMIT = 200
STAMP = Stamp(cluster_id="c", changelog_topic="changelog", changelog_topic_id="t", fold_version=1)
KEYS = [b"a", b"b", b"c", b"d"]
NOTICED_LATE = {"unencodable", "fat"}
"""Noticed when the state is encoded, at the commit: whether a later record mends it before is a matter of speed."""


class Life:
    """A partition with its log, as a worker treats it. With a folder its store is on disk, and opened again at each
    restart."""

    def __init__(self, processor: Counting | None = None, folder: Path | None = None) -> None:
        self.processor = processor or Counting(big=LIMIT + 1)
        self.stores = None if folder is None else RocksStores(folder, 3_600_000)
        self.store: Store = MemoryStore() if self.stores is None else self.stores(0, STAMP)
        self.log: list[Record] = []
        self.outputs: list[OutputRecord] = []
        self.position: Position | None = None
        self.restart()

    def restart(self) -> None:
        if self.stores is not None:
            self.store.close()
            self.store = self.stores(0, STAMP)
        bury = dead_letter(self.processor.dead_letter_topic)
        self.partition = Partition(0, self.processor, self.store, bury, LIMIT, cached_states=2)
        self.partition.begin(self.position, self.position.offset if self.position else 0)

    def append(self, key: bytes | None, value: bytes, gap: int = 0) -> Record:
        offset = self.log[-1].offset + 1 + gap if self.log else gap
        record = Record("input", 0, offset, 0, key, value, ())
        self.log.append(record)
        return record

    def process(self, budget: int = 1_000_000, most: int = 1_000_000) -> None:
        for record in self.log:
            if record.offset < self.partition.next_offset:
                continue
            parsed: Parsed[Said] | Rejected
            try:
                parsed = self.processor.parse(record)
            except Rejected as refusal:
                parsed = refusal
            most -= 1
            if most < 0 or not self.partition.process(Entry(record, parsed), budget):
                return

    def commit(self) -> None:
        if not self.partition.dirty:
            return
        changes, self.position = self.partition.changes()
        self.outputs += self.partition.context.outputs
        self.partition.committed(changes, self.position, 1)

    def finish(self, budget: int = 1_000_000) -> None:
        while True:
            self.process(budget)
            self.commit()
            if not self.log or self.partition.next_offset > self.log[-1].offset:
                return


class AnyCommitPoints(RuleBasedStateMachine):
    def born(self) -> Life:
        return Life()

    @initialize()
    def begin(self) -> None:
        self.life = self.born()
        self.straight = Straight(self.life.processor, LIMIT)
        self.now = 10_000

    @rule(
        key=st.sampled_from(KEYS),
        later=st.integers(-1_500, 4_000),
        amount=st.integers(-100, 100),
        word=st.sampled_from([*(word for word in WORDS if word not in NOTICED_LATE), *["plain"] * 10]),
        gap=st.integers(0, 2),
    )
    def record(self, key: bytes, later: int, amount: int, word: str, gap: int) -> None:
        self.now = max(1_000, self.now + later)
        self.straight.fold(self.life.append(key, b"%d %d %b" % (self.now, amount, word.encode()), gap))

    @rule(word=st.sampled_from([b"tick", b"signal"]), later=st.integers(0, 3_000))
    def moved(self, word: bytes, later: int) -> None:
        self.now += later
        self.straight.fold(self.life.append(None, b"%d 0 %b" % (self.now, word)))

    @rule(value=st.sampled_from([b"", b"rubbish", b"1 2 3 4 x"]))
    def unreadable(self, value: bytes) -> None:
        self.straight.fold(self.life.append(b"a", value))

    @rule(budget=st.integers(1, 4), most=st.integers(1, 20))
    def process(self, budget: int, most: int) -> None:
        self.life.process(budget, most)

    @rule()
    def commit(self) -> None:
        self.life.commit()
        done = self.life.partition.committed_offset
        before = max((end for offset, end in self.straight.ends.items() if offset < done), default=0)
        assert len(self.life.outputs) >= before
        assert _plain(self.life.outputs) == _plain(self.straight.outputs[: len(self.life.outputs)])

    @rule()
    def roll_back(self) -> None:
        self.life.partition.roll_back()

    @rule()
    def restart(self) -> None:
        self.life.restart()

    def teardown(self) -> None:
        life, straight = self.life, self.straight
        life.finish(budget=2)
        assert _plain(life.outputs) == _plain(straight.outputs)
        assert dict(life.store.items()) == {
            key: frame(straight.dues.get(key, 0), key in straight.waiting, life.processor.codec.encode(state))
            for key, state in straight.states.items()
        }
        assert life.partition.timers.waiting == straight.waiting
        assert dict(life.store.due(0, 1_000)[0]) == straight.dues
        if life.position is not None:
            assert life.position.time == life.partition.context.time == straight.time
            assert life.processor.encode_shared(straight.shared) == life.position.shared


def _plain(outputs: list[OutputRecord]) -> list[tuple[Any, ...]]:
    return [(output.topic, output.key, output.value, output.headers) for output in outputs]


AnyCommitPoints.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestAnyCommitPoints = AnyCommitPoints.TestCase


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
    assert _plain(life.outputs) == _plain(straight.outputs)
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
    assert _plain(life.outputs) == _plain(straight.outputs)
    life.store.close()


def codes(life: Life) -> Counter[str]:
    return Counter(
        dict(o.headers)["code"].decode() for o in life.outputs if o.topic == life.processor.dead_letter_topic
    )


def state_of(life: Life, key: bytes) -> Sum:
    framed = life.store.get(key)
    assert framed is not None
    return life.processor.codec.decode(framed[8:])


def test_a_failing_fold_takes_nothing_with_it_but_itself() -> None:
    life = Life()
    for number in range(5):
        life.append(b"a", b"%d 1" % number)
        life.append(b"b", b"%d 1 %b" % (number, b"fail" if number == 2 else b"plain"))
    life.finish()
    assert codes(life) == {"fold_error": 1}
    assert (state_of(life, b"a").total, state_of(life, b"b").total) == (5, 4)
    assert life.partition.context.shared["records"] == 9
    assert sum(o.topic == "output" for o in life.outputs) == 9
    assert (life.partition.tally.records, life.partition.tally.dead) == (10, 1)


def test_a_fold_that_fails_does_not_leave_its_half_changed_state_in_the_cache() -> None:
    life = Life()
    life.append(b"a", b"1 1")
    life.finish()
    # The state is decoded and not touched since the commit when the fold spoils it.
    life.append(b"a", b"2 10 fail")
    life.append(b"a", b"3 100")
    life.finish()
    assert (state_of(life, b"a").total, state_of(life, b"a").records) == (101, 2)


@pytest.mark.parametrize(("word", "code"), [("unencodable", "fold_error"), ("big", "too_large"), ("fat", "too_large")])
def test_what_cannot_be_written_is_found_and_buried(word: str, code: str) -> None:
    life = Life()
    life.append(b"a", b"1 1")
    life.append(b"b", b"2 1 %b" % word.encode())
    life.append(b"b", b"3 1")
    life.finish()
    assert codes(life) == {code: 1}
    assert (state_of(life, b"a").total, state_of(life, b"b").total) == (1, 1)


def test_a_step_that_is_undone_at_the_commit_leaves_its_older_timer_and_no_record_out() -> None:
    life = Life()
    straight = Straight(life.processor, LIMIT)
    straight.fold(life.append(b"a", b"1000 1"))
    life.finish()
    # Moves the timer of 2000 away, which comes back when it is undone, and is one step more than there was room for.
    straight.fold(life.append(b"a", b"1900 1 unencodable"))
    for number in range(3):
        straight.fold(life.append(b"b", b"%d 1" % (2_500 + number)))
    life.process()
    life.commit()
    assert life.partition.committed_offset == len(life.log), "what was taken in is not brought again"
    assert _plain(life.outputs) == _plain(straight.outputs)
    assert state_of(life, b"b").records == 3


def test_a_timer_whose_state_cannot_be_encoded_is_buried_though_its_budget_ran_out_before_its_record() -> None:
    class Spoiling(Counting):
        def on_timer(self, state: Sum, due: int, context: Context[Said]) -> Sum | None:
            after = super().on_timer(state, due, context)
            if after is not None:
                after.total = 2**70
            return after

    life = Life(Spoiling())
    for key in KEYS:
        life.append(key, b"1 1")
    life.append(None, b"9000 0 tick")
    life.finish(budget=1)
    assert codes(life) == {"fold_error": len(KEYS)}
    assert state_of(life, b"a") == Sum(total=1, records=1, due=1 + SILENCE_MS)


def test_a_failing_timer_is_buried_once_and_fires_again_only_after_the_next_record() -> None:
    life = Life()
    life.append(b"a", b"1 1 poison")
    life.append(None, b"5000 0 tick")
    life.finish()
    life.restart()
    life.append(None, b"9000 0 tick")
    life.append(b"a", b"9001 1 fail")
    life.append(None, b"19000 0 tick")
    life.finish()
    assert codes(life) == {"fold_error": 2}, "one for the timer, one for the fold; a failed fold sets no timer"
    assert life.partition.timers.due_of(b"a") == 0
    life.append(b"a", b"20000 1 heal")
    life.append(None, b"25000 0 tick")
    life.finish()
    assert sum(output.key == b"silence" for output in life.outputs) == 2
    assert life.partition.context.shared["silences"] == 2, "what the failed timer did to the shared state is undone"


def test_a_timer_that_sets_itself_for_the_same_moment_is_stopped() -> None:
    class Stuck(Counting):
        def on_timer(self, state: Sum, due: int, context: Context[Said]) -> Sum | None:
            state.due = due
            return state

    life = Life(Stuck())
    life.append(b"a", b"1 1")
    life.append(None, b"5000 0 tick")
    life.finish()
    assert codes(life) == {"fold_error": 1}


def test_a_key_that_goes_on_waiting_after_its_signal_is_stopped() -> None:
    class Restless(Counting):
        def on_signal(self, state: Sum, context: Context[Said]) -> Sum | None:
            return state

    life = Life(Restless())
    life.append(b"a", b"1 1 wait")
    life.append(None, b"2 0 signal")
    life.append(None, b"3 0 signal")
    life.finish()
    assert codes(life) == {"fold_error": 1}


def test_what_fails_when_time_passes_is_buried_and_time_goes_on() -> None:
    class Clumsy(Counting):
        def on_time(self, time: int, context: Context[Said]) -> None:
            super().on_time(time, context)
            if time == 5_000:
                raise RuntimeError("planted")

    life = Life(Clumsy())
    for time in (1, 5_000, 10_000):
        life.append(b"a", b"%d 1" % time)
    life.finish()
    assert codes(life) == {"fold_error": 1}
    assert [output.value for output in life.outputs if output.key == b"time"] == [b"10000"]
    assert state_of(life, b"a").total == 3


def test_a_state_that_cannot_be_read_is_quarantined_and_the_others_go_on() -> None:
    life = Life()
    life.store.write({b"a": frame(0, False, b"\x00"), b"b": frame(700, True, b"\x00")}, None, 1)
    life.restart()
    life.append(b"a", b"1 1")
    life.append(b"c", b"500 1 fail")
    life.append(b"a", b"501 1")
    life.append(b"c", b"1000 1")
    life.append(None, b"1001 0 signal")
    life.finish()
    assert codes(life) == {"quarantined": 3, "fold_error": 1}, "two records of a, one timer of b"
    assert life.partition.tally.quarantined == 3
    assert life.store.get(b"a") == frame(0, False, b"\x00"), "kept for whoever repairs it"
    assert life.store.get(b"b") == frame(0, False, b"\x00"), "without a timer that would fail for ever"
    assert state_of(life, b"c").total == 1


@pytest.mark.parametrize("due", [0, 1])
def test_a_state_of_a_newer_version_stops_the_worker(due: int) -> None:
    life = Life()
    before = frame(due, False, NEWER)
    life.store.write({b"a": before}, None, 1)
    life.restart()
    life.append(b"a", b"2 1")
    with pytest.raises(NewerState):
        life.finish()
    assert life.store.get(b"a") == before
    assert not life.outputs


def test_a_roll_back_counts_nothing_twice() -> None:
    life = Life()
    life.append(b"a", b"1 1")
    life.append(b"a", b"2 1 refuse")
    life.append(None, b"5000 0 tick")
    for _ in range(3):
        life.process()
        life.partition.roll_back()
    life.finish()
    tally = life.partition.tally
    assert (tally.records, tally.dead, tally.timers, tally.quarantined) == (3, 1, 2, 0)


def test_a_leap_of_a_year_is_many_small_commits() -> None:
    life = Life()
    for number in range(50):
        life.append(b"%d" % number, b"1 1")
    life.finish()
    life.append(None, b"%d 0 tick" % 10**9)
    commits = 0
    while life.partition.next_offset <= life.log[-1].offset:
        life.process(budget=10)
        assert life.partition.uncommitted <= 10
        life.commit()
        commits += 1
    assert commits == 11
    assert life.partition.tally.timers == 100


def test_a_commit_in_the_middle_of_a_leap_says_that_it_is_not_over() -> None:
    life = Life()
    for key in KEYS:
        life.append(key, b"1 1")
    # All timers are due at the very time of the record: committed in the middle, the time must not look reached.
    life.append(None, b"%d 0 tick" % (1 + SILENCE_MS))
    life.process(budget=2)
    life.commit()
    assert life.position is not None
    assert (life.position.offset, life.position.time) == (4, 1)
    life.restart()
    life.finish()
    assert life.partition.tally.timers == 2
    assert life.position.time == 1 + SILENCE_MS


def test_the_condemned_record_is_buried_wherever_it_lies() -> None:
    life = Life()
    life.append(b"a", b"1 1")
    life.finish()
    # Offsets have gaps where markers of transactions lie: the next record is not at the committed offset.
    life.append(b"a", b"2 10", gap=3)
    life.append(b"a", b"3 100")
    life.process(most=1)
    assert life.partition.uncommitted == 1
    assert life.partition.condemn()
    life.partition.roll_back()
    life.process(most=1)
    assert not life.partition.condemn(), "what is refused now is the dead letter"
    life.partition.roll_back()
    life.finish()
    assert codes(life) == {"too_large": 1}
    assert state_of(life, b"a").total == 101


def test_the_condemned_timer_is_buried_and_its_neighbours_fire() -> None:
    life = Life()
    for key in KEYS:
        life.append(key, b"1 1")
    life.finish()
    life.append(None, b"%d 0 tick" % (1 + SILENCE_MS))
    life.process(budget=1)
    assert life.partition.uncommitted == 1
    assert life.partition.condemn()
    life.partition.roll_back()
    life.process(budget=1)
    assert not life.partition.condemn()
    life.partition.roll_back()
    life.finish()
    assert codes(life) == {"too_large": 1}
    assert state_of(life, b"a").silences == 0
    assert [state_of(life, key).silences for key in KEYS[1:]] == [1, 1, 1]


def test_a_timer_that_failed_stays_off_though_a_fold_of_its_key_fails_in_the_same_commit() -> None:
    life = Life()
    life.append(b"a", b"1 1 poison")
    life.append(None, b"5000 0 tick")
    life.append(b"a", b"5001 1 fat")
    life.process()
    life.process()
    assert life.partition.next_offset == 3
    life.commit()
    life.restart()
    assert life.partition.timers.due_of(b"a") == 0
    assert codes(life) == {"fold_error": 1, "too_large": 1}


def test_a_signal_that_was_rolled_back_half_way_wakes_everybody_again() -> None:
    life = Life()
    for number, key in enumerate(KEYS):
        life.append(key, b"1 %d wait" % number)
    life.finish()
    life.append(None, b"2 0 signal")
    life.process(budget=2)
    life.partition.roll_back()
    life.finish(budget=2)
    assert [output.value for output in life.outputs if output.key == b"woken"] == [b"0", b"1", b"2", b"3"]


class Hinting(Counting):
    """Puts the key's sum into the record's amount."""

    def hint(self, state: Sum | None, payload: Said) -> None:
        payload.amount = -1 if state is None else state.total


def test_what_enters_the_stage_knows_the_state_of_what_was_folded_so_far() -> None:
    life = Life(Hinting())
    life.append(b"a", b"1 5")
    life.append(b"a", b"2 7")
    life.process(most=1)
    for key, told in ((b"a", 5), (b"b", -1)):
        parsed = Parsed(key, 3, Said(0))
        life.partition.hint(parsed)
        assert parsed.payload.amount == told
    life.finish()
    tick = Parsed(None, 3, Said(9))
    life.partition.hint(tick)
    assert tick.payload.amount == 9
    assert state_of(life, b"a").total == 12


def test_a_state_that_cannot_be_read_gives_no_hint_and_one_of_a_newer_version_stops_the_worker() -> None:
    life = Life(Hinting())
    life.append(b"a", b"1 5")
    life.finish()
    for encoded, stops in ((b"\xc1", False), (NEWER, True)):
        life.store.write({b"a": frame(0, False, encoded)}, Position(1, 1, 1, b"", None), 1, fired_until=2)
        life.restart()
        parsed = Parsed(b"a", 3, Said(9))
        if stops:
            with pytest.raises(NewerState):
                life.partition.hint(parsed)
        else:
            life.partition.hint(parsed)
        assert parsed.payload.amount == 9
