"""`tidemark up`: everything in one terminal, found by commands in the same folder, restarted when it dies, gone at
its end."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stream.configuration.running import FILE
from stream.contracts.times import DAY_MS
from stream.embedded.process import is_running

TIDEMARK = [sys.executable, "-m", "stream.cli"]
LOW_THRESHOLD = {
    "TIDEMARK__POLICIES__CHURN_RISK__RAISE_THRESHOLD": "0.05",
    "TIDEMARK__POLICIES__CHURN_RISK__RESOLVE_THRESHOLD": "0",
    "TIDEMARK__POLICIES__HOLDOUT_SHARE": "0",
}


CHILDREN = {
    "worker --role profiles": "the profiles worker",
    "worker --role decisions": "the decisions worker",
    "tritonserver": "the embedded Triton",
    # Last: the workers have to go on by themselves.
    "kafka.Kafka": "the embedded Kafka",
}
"""By words of their command lines, how `tidemark up` calls them."""


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def descendants(parent: int) -> dict[int, str]:
    """Command lines of every process below ``parent``, by id."""
    children: dict[int, list[int]] = {}
    commands: dict[int, str] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            commands[int(stat.parent.name)] = (stat.parent / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: dict[int, str] = {}
    waiting = [parent]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found[child] = commands.get(child, "")
            waiting.append(child)
    return found


class Up:
    """A running `tidemark up` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, **LOW_THRESHOLD}
        self.output = folder / "up.out"
        with self.output.open("wb") as out:
            self.process = subprocess.Popen([*TIDEMARK, "up"], cwd=folder, stderr=out, env=self.environment)
        until(lambda: (folder / FILE).exists() and (folder / FILE).read_bytes(), 120)

    def run(self, *arguments: str) -> str:
        """Standard output of another command in the same folder, given no address."""
        ended = subprocess.run(
            [*TIDEMARK, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def child(self, words: str) -> int:
        """Id of the process itself, not of its supervisor."""
        found = descendants(self.process.pid)
        return next(pid for pid, command in found.items() if words in command and "supervisor.py" not in command)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path)
    yield running
    running.process.kill()
    running.process.wait()


def events_by_hand() -> list[dict[str, object]]:
    """A customer who ordered every 30 days and stopped, and others whose events move time on in every partition."""
    now = int(time.time() * 1000)
    line = {"item_id": "85123A", "item_name": "WHITE HANGING HEART", "price": 2.95, "quantity": 6}
    other = {"item_id": "22423", "item_name": "REGENCY CAKESTAND", "price": 12.75, "quantity": 1}
    usual = {"type": "purchase", "currency": "GBP"}
    ada = [
        {**usual, "event_id": f"a{n}", "time": now - (240 - 30 * n) * DAY_MS, "customer_id": "ada", "items": [line]}
        for n in range(6)
    ]
    return ada + [
        {**usual, "event_id": f"b{n}", "time": now, "customer_id": f"bob{n}", "items": [line, other]} for n in range(20)
    ]


@pytest.mark.slow
def test_events_by_hand_become_an_alert_and_a_recommendation_and_what_is_killed_comes_back(up: Up) -> None:
    (up.folder / "events.jsonl").write_text("".join(json.dumps(each) + "\n" for each in events_by_hand()))
    up.run("ingest", "events.jsonl")
    until(lambda: "customer ada" in up.run("tail", "alerts", "--from-beginning", "--no-follow"))
    alert = up.run("tail", "alerts", "--from-beginning", "--no-follow")
    assert "raised churn risk, customer ada" in alert
    assert re.search(r"customer ada: .* at risk\. \w+ .*\.", alert), f"no reason in {alert}"
    assert "customer ada, list" in up.run("tail", "recommendations", "--from-beginning", "--no-follow")

    for words, name in CHILDREN.items():
        killed = up.child(words)
        os.kill(killed, signal.SIGKILL)
        until(lambda killed=killed: not is_running(killed))  # type: ignore[misc]
        until(lambda name=name: f"{name} was started again" in up.output.read_text())  # type: ignore[misc]

    late = {**events_by_hand()[-1], "event_id": "after", "customer_id": "eve"}
    (up.folder / "after.jsonl").write_text(json.dumps(late) + "\n")
    up.run("ingest", "after.jsonl")
    until(lambda: "customer eve" in up.run("tail", "scores", "--from-beginning", "--no-follow"))
    shown = json.loads(up.run("status", "--json"))
    assert [(role["role"], role["workers"]) for role in shown["roles"]] == [("profiles", 1), ("decisions", 1)]
    assert shown["model"]["fallback"] is False

    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert not (up.folder / FILE).exists()


@pytest.mark.slow
def test_a_second_one_in_the_same_folder_is_refused_and_nothing_outlives_the_killed_first(up: Up) -> None:
    ended = subprocess.run([*TIDEMARK, "up"], cwd=up.folder, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "runs in this folder already" in ended.stderr

    children = list(descendants(up.process.pid))
    assert len(children) >= 8
    up.process.kill()
    up.process.wait()
    until(lambda: not any(map(is_running, children)), 15)
