"""`tidemark models` at 80 columns, where neither Kafka nor Triton is needed."""

import pytest

from serving.evaluation.bootstrap import Interval
from serving.gate.verdict import Check, Difference, Segment, Verdict
from stream.cli.app import main
from stream.cli.models_view import show_impact, show_switch, show_verdict
from stream.operations.impact import HOUR_MS, Impact


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_a_card_is_shown_with_its_data_licence_and_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("models", "show", "1") == 0
    shown = capsys.readouterr().out
    for words in ("Online Retail II", "CC BY 4.0", "churn 90d auc at 2011-03-11", "less the best baseline, 95 %"):
        assert words in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_version_that_is_not_there_is_wrong_usage_and_those_that_are_get_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _run("models", "show", "77") == 2
    assert "has no version 77; it has 1." in capsys.readouterr().err


def test_a_verdict_says_what_failed_and_for_whom_it_is_worse(capsys: pytest.CaptureFixture[str]) -> None:
    worse = Difference("churn_90d_brier", False, 0.17, 0.19, Interval(0.01, 0.03))
    same = Difference("churn_90d_auc", True, 0.78, 0.781, Interval(-0.01, 0.012))
    verdict = Verdict(
        candidate="2.b",
        present="1.a",
        checks=[Check("churn 90d brier", False, "0.190, the present one 0.170 (+0.010 to +0.030)")],
        customers=325,
        cutoffs=["2011-03-11"],
        differences=[worse, same],
        segments=[Segment("2 to 4", 138, [worse, same]), Segment("1", 90, [same])],
    )
    show_verdict(verdict)
    shown = capsys.readouterr().out
    assert "no  churn 90d brier" in shown
    assert "worse for the 138 customers with 2 to 4 baskets" in shown
    assert "90 customers" not in shown
    assert (verdict.passed, verdict.worse_segments) == (False, ["2 to 4"])
    assert max(map(len, shown.splitlines())) <= 80


def test_what_too_few_customers_leave_open_is_marked_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    check = Check("calibration in the large", False, "4.0% off what happened, the present one 0.3%", True)
    show_verdict(Verdict(candidate="2.b", present="1.a", checks=[check], customers=325, cutoffs=["2011-03-11"]))
    shown = capsys.readouterr().out
    assert "?  calibration in the large" in shown
    assert "no  calibration" not in shown


def test_what_becomes_of_the_open_alerts_is_counted_and_how_long_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    found = Impact(1_000, resolved=200, severity=50, moved=50, unknown=1)
    show_impact(found, 0.1, found.ramp_ms(0.1))
    show_switch("2.b", 1_700_000_000_000, 3 * HOUR_MS)
    shown = " ".join(capsys.readouterr().out.split())
    assert "1,000 alerts are open: 200 would end, 50 change their severity" in shown
    assert "699 stay as they are, 1 cannot be told" in shown
    assert "the switch takes 3 h 00 min" in shown
    assert "is in force from 2023-11-14T22:13:20" in shown
