"""Each rule for on-call asks for metrics that workers export, and has a page whose commands are those of the program.

Whether rules fire when they should is `promtool`'s business: tests/integration/test_promtool.py.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
import yaml
from prometheus_client import CollectorRegistry
from typer.main import get_command

from serving.rollout import Rollout
from stream.cli.app import app
from stream.cli.durations import moment_of
from stream.engine.metrics import EngineMetrics
from stream.workers.metrics import DecisionsMetrics

ROOT = Path(__file__).parents[2]
UsageError: Any = typer.BadParameter.__base__
"""typer brings its own copy of click, and does not export it."""
FOLDER = ROOT / "deploy" / "prometheus"
GROUPS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "tidemark.rules.yml").read_text())["groups"]
ALL = [rule for group in GROUPS for rule in group["rules"]]
RULES = {rule["alert"]: rule for rule in ALL if "alert" in rule}
PAGES = {page.relative_to(ROOT).as_posix(): page.read_text() for page in (ROOT / "docs" / "runbooks").glob("*.md")}
SECTIONS = ("**For the shop.**", "**Look.**", "**Do.**", "**Over when**")


def exported() -> set[str]:
    """Series of a worker of the decisions role, which has all that one of the profiles role has."""
    registry = CollectorRegistry()
    EngineMetrics(registry)
    stage: Any = SimpleNamespace(model_answers=0, fallback_answers=0)
    explainer: Any = SimpleNamespace(explained=0, missed=0, late=0)
    registry.register(DecisionsMetrics(stage, explainer, lambda: Rollout("1.a", []), {}))
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
    return {family.name + suffix for family in registry.collect() for suffix in suffixes[family.type]}


def commands(page: str) -> Iterator[str]:
    """What a page says to type, without the comments."""
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL):
        yield from block.splitlines()
    yield from re.findall(r"`(tidemark [^`]+)`", page)


def parse(line: str) -> None:
    """As the program does, down to the values of options.

    Raises:
        UsageError: no such command or option, or not such a value.
    """
    name, *arguments = shlex.split(line.partition(" >")[0], comments=True)
    assert name == "tidemark"
    command: Any = get_command(app)
    while hasattr(command, "commands"):
        name, *arguments = arguments or [""]
        if name not in command.commands:
            raise UsageError(f"no command {name}")
        command = command.commands[name]
    context = command.make_context(name, arguments)
    for parameter in command.params:
        given = context.params.get(parameter.name or "")
        if getattr(parameter, "metavar", None) == "WHEN" and given:
            moment_of(given, parameter.opts[0], 0)


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.get("alert", rule.get("record")))
def test_what_a_rule_asks_for_is_exported(rule: dict[str, Any]) -> None:
    recorded = {each["record"] for each in ALL if "record" in each}
    code = re.sub(r'"[^"]*"', "", rule["expr"])
    assert code.count("tidemark_") > 0
    asked = set(re.findall(r"[a-z_:]*tidemark_[a-z0-9_:]+", code))
    assert asked <= exported() | recorded


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_a_page_that_names_it_and_says_what_to_do(name: str) -> None:
    rule = RULES[name]
    page = PAGES[rule["annotations"]["runbook_url"]]
    assert page.startswith(f"# {name}\n")
    assert [page.find(section) for section in SECTIONS] == sorted(page.find(section) for section in SECTIONS)
    assert all(section in page for section in SECTIONS)
    assert rule["labels"]["severity"] in {"page", "warning"}
    assert rule["annotations"]["summary"]
    assert f"[{name}](runbooks/" in (ROOT / "docs" / "operations.md").read_text()


def test_there_is_no_page_without_its_rule() -> None:
    assert PAGES.keys() == {rule["annotations"]["runbook_url"] for rule in RULES.values()}


@pytest.mark.parametrize("path", PAGES)
def test_commands_of_a_page_are_those_of_the_program(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("former.toml").touch()
    lines = list(commands(PAGES[path]))
    assert lines
    for line in lines:
        parse(line)


@pytest.mark.parametrize(
    "line", ["tidemark heal", "tidemark status --all", "tidemark models list 2", "tidemark policies show --at '2 days'"]
)
def test_a_command_that_the_program_does_not_have_is_found(line: str) -> None:
    with pytest.raises(UsageError):
        parse(line)


@pytest.mark.parametrize("path", PAGES)
def test_links_of_a_page_lead_somewhere(path: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAGES[path]):
        file, _, anchor = target.partition("#")
        text = ((ROOT / path).parent / file).read_text()
        headings = [re.sub(r"[^\w -]", "", line.lstrip("# ").lower()) for line in text.splitlines() if line[:1] == "#"]
        assert not anchor or anchor in {heading.replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_tried_with_series_that_make_it_fire_and_with_series_that_do_not(name: str) -> None:
    files = sorted(FOLDER.glob("*.test.yml"))
    tests = [test for file in files for test in yaml.safe_load(file.read_text())["tests"]]
    tried = [case for test in tests for case in test["alert_rule_test"] if case["alertname"] == name]
    assert {bool(case["exp_alerts"]) for case in tried} == {True, False}
