"""What `tidemark evaluate` prints: whole in 80 columns, and no option that would silently do nothing."""

import io
import re
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from serving.model_card import model_repository, version_folder
from serving.registry import Registry
from stream.cli.app import main
from stream.cli.evaluate_view import alert_notes, print_alerts, print_figures
from stream.contracts.times import DAY_MS
from stream.decisions.policies import Policies, Rule
from stream.operations.evaluate import Asked, ModelEvaluation, evaluate_model
from stream.operations.evaluate_alerts import evaluate_alerts
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import START, shop_events

EVENTS = shop_events(customers=120)
FOLDER = version_folder(model_repository())


def printed(show, found) -> list[str]:
    file = io.StringIO()
    show(Console(file=file, width=80, highlight=False), found)
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.fixture(scope="module")
def evaluation() -> ModelEvaluation:
    return evaluate_model(EVENTS, FOLDER, Asked(cutoffs=[START + 330 * DAY_MS], detailed=True), ProfileSettings())


def test_figures_and_segments_stand_whole_in_eighty_columns(evaluation):
    lines = printed(print_figures, evaluation)
    assert max(map(len, lines)) <= 80
    # An ellipsis between two blanks is an interval; one at the end of a word was cut off.
    assert not [line for line in lines if re.search(r"\S…", line)]
    for name in ("BG/NBD", "RFM logistic", "popularity", "EASE", "item-kNN", "TF-IDF"):
        assert any(line.startswith(name) for line in lines)
    for dimension in ("baskets", "last order", "history", "year's revenue"):
        assert dimension in lines


def test_a_baseline_that_is_not_installed_is_named(evaluation):
    from msgspec.structs import replace

    lines = printed(print_figures, replace(evaluation, missing=["lightgbm"]))
    assert any("LightGBM is not compared: it is not installed" in line for line in lines)
    assert any("pip install 'tidemark[train]'" in line for line in lines)


def test_what_the_differences_of_slopes_are_is_said(evaluation):
    assert "slope, bias: differences are of |ln slope| and |bias|, less is better" in printed(print_figures, evaluation)


def test_where_nothing_follows_one_line_says_so_instead_of_tables(evaluation):
    from msgspec.structs import replace

    nothing = replace(evaluation.cutoffs[0], figures=[], base_rates={})
    lines = printed(print_figures, replace(evaluation, cutoffs=[nothing]))
    assert lines[-1].startswith("nothing follows it to compare with; --predictions OUT")
    assert len(lines) == 4
    assert max(map(len, lines)) <= 80


def test_the_version_that_triton_loads_is_measured_and_not_one_that_is_being_tried_out(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model_repository() / "customer", tmp_path / "models" / "customer")
    registry = Registry(tmp_path / "models")
    registry.serve([registry.add(FOLDER).number - 1])
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "--models", "models", "--cutoff", "2011-12-10"])
    assert ended.value.code == 0
    assert registry.default().number < registry.numbers()[-1]
    assert f"model customer {registry.default().card.version}," in capsys.readouterr().out


def test_a_model_that_knew_the_outcome_is_said_to_be_flattered(evaluation):
    assert any("these figures flatter the model" in line for line in printed(print_figures, evaluation))


def test_alerts_stand_whole_in_eighty_columns_with_their_intervals():
    rule = Rule(raise_threshold=0.3, resolve_threshold=0.1)
    policies = Policies(churn_risk=rule, second_purchase=rule)
    found = evaluate_alerts(EVENTS, FOLDER, START + 200 * DAY_MS, ProfileSettings(), policies)
    lines = printed(print_alerts, found)
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if re.search(r"\S…", line)]
    assert {"alerts", "precision", "base rate", "recall", "difference to the rule"} <= {
        re.split(r"\s{2,}", line)[0] for line in lines
    }
    assert "customers: all seen in training; months: seen" in alert_notes(found)[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rows", "rows.csv"],
        ["--alerts", "--rows", "rows.txt"],
        ["--segments", "--alerts"],
        ["--alerts", "--report", "page.html"],
        ["--alerts", "--predictions", "said.parquet"],
        ["--alerts", "--against", "other.parquet"],
        ["--cutoff", "2011-01-01", "--cutoff", "2011-02-01", "--predictions", "said.parquet"],
    ],
)
def test_an_option_that_would_do_nothing_is_refused(arguments, capsys, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *arguments])
    assert ended.value.code == 2
    refused = capsys.readouterr().err
    assert any(option in refused for option in arguments if option.startswith("--"))
    assert not list(tmp_path.iterdir())
