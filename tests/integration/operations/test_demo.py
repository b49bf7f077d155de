"""The demo as a user runs it: it ends by itself, keeps every promise, and leaves nothing behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SHIPPED = Path(__file__).resolve().parents[3] / "tidemark.toml"


@pytest.mark.slow
def test_the_demo_keeps_its_promises_and_leaves_nothing_behind(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "stream.cli", "--config", str(SHIPPED), "demo", "--json"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK__")}
        | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert report["broken"] == []
    assert report["records"] > 18_000
    assert report["dead_letters"]["out_of_range"] == 2
    assert report["transitions"]["churn_risk"]["raised"] > 0
    assert report["transitions"]["second_purchase"]["raised"] > 0
    assert report["run"]["live"]
    assert report["alert"]["data"]["reasons"]
    assert report["recommendation"]["items"]
    assert report["worth"]["counted"] > 20
    assert report["worth"]["precision"] > report["worth"]["base_rate"]
    assert list(tmp_path.iterdir()) == []
