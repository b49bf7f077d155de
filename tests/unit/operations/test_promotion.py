"""What is refused before anything is written, and what has to be said for a version to come into force all the same."""

from pathlib import Path

import pytest

from serving.evaluation.bootstrap import Interval
from serving.gate.verdict import Check, Difference, Segment, Verdict
from stream.configuration.settings import Configuration, TritonSettings
from stream.operations.promotion import NotPromoted, check_graphs, check_verdict, load
from tests.models.variants import registry_at

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


def test_a_graph_that_the_repositorys_profile_names_has_to_be_there_before_anything_is_written(tmp_path: Path) -> None:
    registry = registry_at(tmp_path)
    config = registry.folder / "config.pbtxt"
    config.write_text(config.read_text().replace("model.onnx", "model.fp16.onnx"))
    before = config.read_text()
    nobody = Configuration(triton=TritonSettings(url="127.0.0.1:9"))
    version = registry.get("1")
    with pytest.raises(NotPromoted, match=r"names model\.fp16\.onnx, and .* has none: .*`make gpu-models`"):
        load(nobody, registry, version, [])
    assert config.read_text() == before
    (version.folder / "model.fp16.onnx").write_bytes(b"")
    check_graphs(nobody, registry, version)
