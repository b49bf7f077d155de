"""Which policies hold when: by the time that a question is about, whatever is known later."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts.control import Control
from stream.decisions.policies import Policies
from stream.decisions.policy_history import PoliciesUnreadable, PolicyHistory, name_of

CONFIGURED = Policies(holdout_share=0.1)


def change(at: int, share: float) -> Control:
    policies = Policies(holdout_share=share)
    return Control(
        kind="policy",
        version=name_of(policies),
        effective_at=at,
        document=msgspec.json.encode(policies).decode(),
    )


def test_the_configuration_holds_until_the_first_change() -> None:
    history = PolicyHistory(CONFIGURED, [change(100, 0.2)])
    assert history.at(99) is CONFIGURED
    assert history.at(100).holdout_share == 0.2
    assert history.newest().holdout_share == 0.2


def test_what_was_said_later_counts_first_whatever_its_time() -> None:
    history = PolicyHistory(CONFIGURED, [change(100, 0.2), change(50, 0.3)])
    assert [history.at(at).holdout_share for at in (49, 50, 99, 100)] == [0.1, 0.3, 0.3, 0.3]


@given(st.lists(st.tuples(st.integers(0, 1_000), st.sampled_from([0.0, 0.2, 0.4]))), st.integers(0, 1_000))
def test_a_later_change_moves_nothing_before_it(changes: list[tuple[int, float]], as_of: int) -> None:
    known = [change(at, share) for at, share in changes]
    before = PolicyHistory(CONFIGURED, known).at(as_of)
    assert PolicyHistory(CONFIGURED, [*known, change(as_of + 1, 0.9)]).at(as_of) == before


def test_policies_come_back_as_they_were_applied() -> None:
    policies = Policies()
    record = Control(kind="policy", version="", effective_at=0, document=msgspec.json.encode(policies).decode())
    assert PolicyHistory(CONFIGURED, [record]).newest() == policies


@pytest.mark.parametrize("document", ["", "{", '{"holdout_share": 2}', '{"daily_cap": "many"}'])
def test_what_cannot_be_read_is_not_passed_over(document: str) -> None:
    with pytest.raises(PoliciesUnreadable, match="upgrade this build"):
        PolicyHistory(CONFIGURED, [Control(kind="policy", version="abc", effective_at=0, document=document)])
