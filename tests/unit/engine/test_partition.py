"""A partition comes to the same state, outputs and time wherever it commits, rolls back, restarts or runs out of
budget."""

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from stream.engine.position import Position, frame
from stream.engine.processor import NewerState, Parsed
from tests.integration.engine.counting import NEWER, SILENCE_MS, WORDS, Counting, Said, Sum
from tests.integration.engine.straight import Straight
from tests.unit.engine.life import KEYS, LIMIT, NOTICED_LATE, Life, plain, state_of


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
        assert plain(self.life.outputs) == plain(self.straight.outputs[: len(self.life.outputs)])

    @rule()
    def roll_back(self) -> None:
        self.life.partition.roll_back()

    @rule()
    def restart(self) -> None:
        self.life.restart()

    def teardown(self) -> None:
        life, straight = self.life, self.straight
        life.finish(budget=2)
        assert plain(life.outputs) == plain(straight.outputs)
        assert dict(life.store.items()) == {
            key: frame(straight.dues.get(key, 0), key in straight.waiting, life.processor.codec.encode(state))
            for key, state in straight.states.items()
        }
        assert life.partition.timers.waiting == straight.waiting
        assert dict(life.store.due(0, 1_000)[0]) == straight.dues
        if life.position is not None:
            assert life.position.time == life.partition.context.time == straight.time
            assert life.processor.encode_shared(straight.shared) == life.position.shared


AnyCommitPoints.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestAnyCommitPoints = AnyCommitPoints.TestCase


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
