"""What fails takes nothing with it but itself: records, timers, states and signals are buried one by one, and time goes
on."""

from typing import Any

import pytest

from stream.engine.position import frame
from stream.engine.processor import Context, NewerState, Parsed
from tests.integration.engine.counting import NEWER, SILENCE_MS, Counting, Said, Sum
from tests.integration.engine.straight import Straight
from tests.unit.engine.life import KEYS, LIMIT, Life, codes, plain, state_of


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


class Starved(Counting):
    """There is no memory left when the second record is to be folded."""

    def fold(self, state: Sum | None, parsed: Parsed[Said], answer: Any, context: Context[Said]) -> Sum | None:
        if state is not None:
            raise MemoryError
        return super().fold(state, parsed, answer, context)


@pytest.mark.parametrize("before", [b"plain", b"fail"], ids=["at once", "step by step"])
def test_a_worker_without_memory_ends_and_blames_no_record(before: bytes) -> None:
    life = Life(Starved())
    life.append(b"b", b"1 1 %b" % before)
    life.append(b"a", b"1 1")
    life.append(b"a", b"2 1")
    with pytest.raises(MemoryError):
        life.finish()
    assert life.outputs == []


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
    assert plain(life.outputs) == plain(straight.outputs)
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
