"""What is told of a draw, and what is said instead where nothing can be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.cli.campaigns_view import show_report
from stream.operations.campaigns.cohort import Unit
from stream.operations.campaigns.outcomes import Outcome
from stream.operations.campaigns.report import BYS, Campaign, Followed, Report, campaigns
from tests.unit.operations.campaigns.test_outcomes import UNIT

BOUGHT, NOT = Outcome(1, 20.0, False), Outcome(0, 0.0, False)


def followed(count: int, arm: str, outcome: Outcome | None, **fields: Any) -> list[Followed]:
    changed = msgspec.structs.replace(UNIT, arm=arm, **fields)
    return [Followed(changed, outcome)] * count


def only(rows: Sequence[Followed], detect: float | None = None) -> Campaign:
    (campaign,) = campaigns(rows, BYS, detect)
    return campaign


def shown(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> str:
    show_report(Report("GBP", 30, None, "2011-06-01T00:00:00.000Z", [campaign], {}, {}))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert not re.search(r"\bnan\b|\binf\b|None", out)
    return " ".join(out.split())


OUTCOMES = st.none() | st.builds(Outcome, st.integers(0, 3), st.floats(0.0, 1e7).map(float), st.booleans())
UNITS = st.builds(
    Unit,
    customer_id=st.just("c"),
    experiment=st.sampled_from(["alerts", "other"]),
    salt_version=st.just("1"),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    arm=st.sampled_from(["treatment", "holdout"]),
    kind=st.sampled_from(["churn_risk", "second_purchase"]),
    segment=st.sampled_from(["new", "standard", "high_value"]),
    raised_at=st.integers(1_290_000_000_000, 1_300_000_000_000),
    days=st.just(30),
    events_partition=st.just(0),
    events_offset=st.just(0),
    alert_ids=st.just(()),
    corrected=st.booleans(),
    moved=st.booleans(),
)


@given(st.lists(st.builds(Followed, UNITS, OUTCOMES), min_size=1, max_size=40), st.none() | st.floats(0.001, 0.9))
def test_whatever_happened_rows_add_up_and_no_figure_is_not_a_number(
    rows: list[Followed], detect: float | None
) -> None:
    found = campaigns(rows, BYS, detect)
    assert sum(campaign.rows[0].treated.customers + campaign.rows[0].treated.not_over for campaign in found) == sum(
        each.unit.arm == "treatment" for each in rows
    )
    for campaign in found:
        everybody = campaign.rows[0]
        for by in BYS:
            parts = [row for row in campaign.rows if row.by == by]
            assert sum(row.treated.customers for row in parts) == everybody.treated.customers
            assert sum(row.holdout.buyers for row in parts) == everybody.holdout.buyers
    told = Report("GBP", None, detect, "2011-06-01T00:00:00.000Z", found, {}, {})
    # What is no number is written as null, and null is no float when it is read.
    assert msgspec.json.decode(msgspec.json.encode(told), type=Report) == told
    show_report(told)


def test_without_a_hold_out_it_is_said_that_nothing_can_be_compared(capsys: pytest.CaptureFixture[str]) -> None:
    campaign = only(followed(50, "treatment", BOUGHT, share=0.0))
    assert (campaign.draw, campaign.enough) == (None, None)
    assert "policies.holdout_share is 0" in shown(campaign, capsys)


def test_before_a_window_is_over_it_is_said_to_look_again(capsys: pytest.CaptureFixture[str]) -> None:
    campaign = only([*followed(9, "treatment", None), *followed(1, "holdout", None)])
    assert "the windows of 9 treated and 1 of the hold-out" in (said := shown(campaign, capsys))
    assert "no window is over yet" in said


def test_where_the_hold_out_is_not_over_it_is_said_who_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    campaign = only([*followed(9, "treatment", BOUGHT), *followed(1, "holdout", None)])
    assert "nobody of the hold-out has a window that is over" in shown(campaign, capsys)


def test_arms_that_are_not_as_drawn_are_told_first(capsys: pytest.CaptureFixture[str]) -> None:
    campaign = only([*followed(900, "treatment", BOUGHT), *followed(50, "holdout", NOT)])
    assert campaign.mismatched
    assert "Believe nothing below" in shown(campaign, capsys)
    assert not only([*followed(900, "treatment", BOUGHT), *followed(100, "holdout", NOT)]).mismatched


def test_windows_that_are_not_over_count_for_the_draw_all_the_same() -> None:
    assert not only([*followed(900, "treatment", BOUGHT), *followed(100, "holdout", None)]).mismatched


def test_customers_are_compared_within_one_share_alone() -> None:
    """Else a share that was raised in a bad month would make treatment look good."""
    first = [*followed(90, "treatment", BOUGHT), *followed(10, "holdout", BOUGHT)]
    then = [*followed(50, "treatment", NOT, share=0.5), *followed(50, "holdout", NOT, share=0.5)]
    found = campaigns([*first, *then], (), None)
    assert [campaign.share for campaign in found] == [0.1, 0.5]
    assert [campaign.rows[0].buyers.difference for campaign in found if campaign.rows[0].buyers] == [0.0, 0.0]


def test_a_clear_difference_is_enough_and_a_small_one_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    clear = only(
        [
            *followed(600, "treatment", BOUGHT),
            *followed(300, "treatment", NOT),
            *followed(30, "holdout", BOUGHT),
            *followed(70, "holdout", NOT),
        ]
    )
    small = only(
        [
            *followed(300, "treatment", BOUGHT),
            *followed(600, "treatment", NOT),
            *followed(30, "holdout", BOUGHT),
            *followed(70, "holdout", NOT),
        ]
    )
    assert (clear.enough, small.enough) == (True, False)
    assert small.needed is not None
    assert small.needed > 1_000
    assert "enough: an interval leaves zero out" in shown(clear, capsys)
    assert f"asks for {small.needed:,} customers" in shown(small, capsys)


def test_a_difference_that_is_wanted_asks_for_its_customers() -> None:
    rows = [*followed(450, "treatment", NOT), *followed(450, "treatment", BOUGHT)]
    rows += [*followed(50, "holdout", NOT), *followed(50, "holdout", BOUGHT)]
    assert [only(rows, detect).enough for detect in (0.01, 0.2)] == [False, True]
    # (1.960 + 0.8416)^2 * 0.25 / (0.01^2 * 0.1 * 0.9), by hand.
    assert only(rows, 0.01).needed == pytest.approx(218_027, abs=5)


def test_one_large_order_counts_for_as_much_as_the_cap() -> None:
    rows = [*followed(90, "treatment", BOUGHT), *followed(10, "holdout", BOUGHT)]
    rows += followed(1, "holdout", Outcome(1, 1e6, False))
    campaign = only(rows)
    (everybody, *_) = campaign.rows
    assert campaign.cap == 20.0
    assert everybody.revenue is not None
    assert everybody.revenue_uncapped is not None
    assert everybody.revenue.difference == 0.0
    assert everybody.revenue_uncapped.difference < -90_000.0


def test_without_engagement_only_the_intention_to_treat_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    campaign = only([*followed(90, "treatment", BOUGHT), *followed(10, "holdout", NOT)])
    assert campaign.rows[0].reached is None
    assert "reached;" not in shown(campaign, capsys)


def test_who_mailed_the_hold_out_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    mailed = msgspec.structs.replace(BOUGHT, reached=True)
    campaign = only([*followed(90, "treatment", mailed), *followed(9, "holdout", NOT), *followed(1, "holdout", mailed)])
    assert "1 of the hold-out were sent something all the same" in shown(campaign, capsys)
