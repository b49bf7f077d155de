"""The demo as a user runs it: it ends by itself, keeps every promise, and leaves nothing behind."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_demo_keeps_its_promises_and_leaves_nothing_behind(tmp_path: Path) -> None:
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "stream.cli", "demo", "--json"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "TMPDIR": str(tmp_path)},
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
    # A minute on an idle machine; more only because other tests may run beside it.
    assert time.monotonic() - started < 180
