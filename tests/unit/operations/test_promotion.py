"""What a verdict lets through, and what has to be said for the rest."""

import pytest

from serving.evaluation.bootstrap import Interval
from serving.gate.verdict import Check, Difference, Segment, Verdict
from stream.operations.promotion import NotPromoted, check_verdict

FINE = Check("tensors", True, "")
WRONG = Check("churn 90d auc", False, "worse")
OPEN = Check("calibration in the large", False, "too few", undecided=True)
WORSE = Segment("2 to 4", 90, [Difference("churn_90d_brier", False, 0.17, 0.19, Interval(0.01, 0.03))])


def verdict(*checks: Check, segments: list[Segment] | None = None) -> Verdict:
    return Verdict(candidate="2.b", present="1.a", checks=list(checks), segments=segments or [])


def test_a_version_that_passes_every_check_is_let_through() -> None:
    check_verdict(verdict(FINE))


def test_what_is_wrong_is_let_through_by_nothing() -> None:
    with pytest.raises(NotPromoted, match=r"2\.b was not promoted: churn 90d auc"):
        check_verdict(verdict(FINE, WRONG, OPEN), ["2 to 4"], accept_undecided=True)


def test_what_too_few_customers_leave_open_has_to_be_accepted() -> None:
    with pytest.raises(NotPromoted, match=r"calibration in the large .* --accept-undecided"):
        check_verdict(verdict(FINE, OPEN))
    check_verdict(verdict(FINE, OPEN), accept_undecided=True)


def test_worse_for_some_has_to_be_accepted_by_name() -> None:
    with pytest.raises(NotPromoted, match="--accept-worse '2 to 4'"):
        check_verdict(verdict(FINE, segments=[WORSE]), ["1"])
    check_verdict(verdict(FINE, segments=[WORSE]), ["2 to 4"])
