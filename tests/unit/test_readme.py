"""What the documentation says to type works: commands exist, examples are what they claim to be."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from serving.model_card import model_repository, read_model_card, version_folder
from stream.cli import dead_letters, models
from stream.cli.app import app
from stream.configuration.load import load
from stream.contracts.times import HOUR_MS
from stream.profiles.bound import CUSTOMER_LADDER, EVENT_IDS, VISITOR_LADDER
from stream.profiles.settings import ProfileSettings
from stream.profiles.validation import read_event

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = set(get_command(app).commands)  # type: ignore[attr-defined]
LETTER_COMMANDS = set(get_command(dead_letters.app).commands)  # type: ignore[attr-defined]
MODEL_COMMANDS = set(get_command(models.app).commands)  # type: ignore[attr-defined]
SPEAKING = ("cli", "operations", "configuration", "workers", "embedded", "testing")
"""Packages whose messages people read. Those of the engine name `tidemark rebuild`, which is still to come."""
SOURCES = [path for package in SPEAKING for path in (ROOT / "stream" / package).rglob("*.py")]
SETTINGS = ProfileSettings()
DOCUMENTS = [ROOT / "README.md", ROOT / "tidemark.toml", ROOT / "docker-compose.yml", *(ROOT / "docs").rglob("*.md")]


def block(language: str, *, with_text: str) -> str:
    """The code block of the README that holds the text."""
    (found,) = [code for code in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if with_text in code]
    return str(found)


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / "stream"], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_named_exists(path: Path) -> None:
    for file in SOURCES if path.is_dir() else [path]:
        text = file.read_text()
        named = re.findall(r"`(?:\.venv/bin/)?tidemark ([a-z][a-z-]*)", text)
        if file.suffix == ".md":
            named += re.findall(r"^(?:\.venv/bin/)?tidemark ([a-z][a-z-]*)", text, re.MULTILINE)
        assert set(named) <= COMMANDS, file
        assert set(re.findall(r"\btidemark models ([a-z]+)", text)) <= MODEL_COMMANDS, file
        assert set(re.findall(r"\btidemark dead-letters ([a-z]+)", text)) <= LETTER_COMMANDS, file


def test_the_first_events_of_the_readme_are_events() -> None:
    lines = block("json", with_text='"customer_id": "ada"').splitlines()
    for number, line in enumerate(lines):
        given = json.dumps({**json.loads(line), "event_id": f"e{number}"}).encode()
        assert read_event(given, b"ada", (), 1_800_000_000_000, SETTINGS).customer_id == "ada"
    assert len(lines) == 4


def test_the_first_alert_of_the_readme_is_above_the_thresholds_of_the_checkout_and_of_the_card() -> None:
    (score,) = re.findall(r"raised churn risk, customer ada: score (0\.\d+)", README)
    card = read_model_card(version_folder(model_repository()))
    own = load(ROOT / "tidemark.toml", {}).configuration.policies.in_force(card)
    assert max(own.rules["churn_risk"].raise_threshold, card.threshold("90d").raise_at) <= float(score)


def test_how_many_ids_are_remembered_is_what_the_readme_says() -> None:
    floors = [
        min(rung.floor for rung in ladder if rung.table == "event_ids") for ladder in (CUSTOMER_LADDER, VISITOR_LADDER)
    ]
    (said,) = re.findall(r"newest (\d+) events .*?at least (\d+);.*?at least (\d+)\)", README, re.DOTALL)
    assert [int(number) for number in said] == [EVENT_IDS, *floors]
    assert f"the allowed lateness ({SETTINGS.allowed_lateness_ms // HOUR_MS} h)" in README


def test_rows_of_an_invoice_become_one_purchase_as_the_readme_says(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(
        "Invoice,Customer,Date,Sku,Name,Price,Qty\n"
        "A1,bob,2025-01-06T10:00:00Z,tea,Tea,12.0,2\n"
        "A1,bob,2025-01-06T10:00:00Z,mug,Mug,8.5,1\n"
        "A2,bob,2025-02-06T10:00:00Z,tea,Tea,12.0,1\n"
    )
    program = block("python", with_text="groupby")
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    events = [
        read_event(
            json.dumps({**json.loads(line), "event_id": f"e{number}"}).encode(), b"bob", (), 1_800_000_000_000, SETTINGS
        )
        for number, line in enumerate(printed.splitlines())
    ]
    assert [(event.transaction_id, [item.item_id for item in event.items]) for event in events] == [
        ("A1", ["tea", "mug"]),
        ("A2", ["tea"]),
    ]
