"""Another version of the model comes into force under load, and goes back: nothing is lost, nothing is asked of a
version that is not whole, and each question is answered by the version that was in force when it was written.

``ROLLOUT_RATE`` and ``ROLLOUT_SWITCHES`` make it longer: 2,000 and 20 are ten roll-outs and ten ways back under 2,000
events a second (`make rollout`).
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from serving.registry import RegisteredVersion, Registry
from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.contracts.codec import encode
from stream.embedded.triton_install import triton_available
from stream.operations.demo_events import sample
from stream.operations.models import measured
from stream.operations.promotion import in_force, needed_now, switch
from stream.operations.promotion import load as have_loaded
from stream.operations.stack import Stack
from stream.testing.waiting import eventually
from tests.end_to_end.rollout import Reading, read_back, read_when_answered, visitors
from tests.models.variants import registry_at, shifted, variant

RATE = int(os.environ.get("ROLLOUT_RATE", "150"))
SWITCHES = int(os.environ.get("ROLLOUT_SWITCHES", "3"))
LEAD_MS = 2_000
"""Until a switch comes into force. Workers look for it twice a second, and open a version in less than one."""
BETWEEN_S = 1.0
RAMP_MS = 12_000
KEPT_MS = int(os.environ.get("ROLLOUT_KEPT_MS", "2000"))
"""For how long Triton keeps a version that nobody is sent to any more; longer than a question waits."""
FACTORS = (1.0, 0.9, 0.8, 0.7, 0.6)
"""Of the versions' probabilities: they differ by much more than rounding does."""

CONFIGURATION = """
data_dir = "{folder}/data"
[triton]
repository = "{repository}"
deadline_ms = 5000
[profiles]
browse_every_n = 2
ask_interval_ms = 5000
"""


class Running(NamedTuple):
    """Kafka, Triton and a worker of each role, on a repository of five versions."""

    stack: Stack
    registry: Registry
    versions: list[RegisteredVersion]
    configuration_file: Path

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        configuration = self.stack.configuration
        addresses = {
            "TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": configuration.kafka.bootstrap_servers,
            "TIDEMARK__TRITON__URL": configuration.triton.url,
        }
        command = [sys.executable, "-m", "stream.cli", "--config", str(self.configuration_file), *arguments]
        return subprocess.run(command, env={**os.environ, **addresses}, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    available, why = triton_available()
    if not available:
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("rollout")
    registry = registry_at(folder / "models")
    versions = [
        registry.get("1"),
        *(variant(registry, folder / str(factor), shifted(factor)) for factor in FACTORS[1:]),
    ]
    file = folder / "tidemark.toml"
    file.write_text(CONFIGURATION.format(folder=folder, repository=registry.repository))
    configuration = load(file, {}).configuration
    with Stack(configuration, file, folder, say=lambda line: None) as stack:
        stack.start()
        yield Running(stack, registry, versions, file)


def test_switching_under_load_loses_nothing_and_asks_no_version_that_is_not_whole(running: Running) -> None:
    stack, registry, versions, _ = running
    configuration = stack.configuration
    with visitors(configuration, RATE, people=max(200, RATE)) as sent:
        time.sleep(BETWEEN_S)
        began = time.monotonic()
        for number in range(SWITCHES):
            before = in_force(configuration, registry)
            to = versions[(number + 1) % len(versions)]
            # Five versions in turn, and those of the last seconds stay: switches load one and unload one.
            have_loaded(configuration, registry, to, before.needed(int(time.time() * 1000) - KEPT_MS))
            switch(configuration, to.card.version, before.newest(), lead_ms=LEAD_MS, ramp_ms=1_000 if number % 2 else 0)
            time.sleep(LEAD_MS / 1000 + BETWEEN_S)
        seconds = time.monotonic() - began
        pace = sent[0] / (seconds + BETWEEN_S)
    rollout = in_force(configuration, registry)
    found = read_back(_caught_up(configuration), versions, rollout)
    print(f"\n{SWITCHES} switches in {seconds:.0f} s under {pace:,.0f} events/s: {found}")
    assert found.questions > 100
    assert (found.lost, found.twice) == (0, 0)
    assert (found.half_loaded, found.by_another) == (0, 0)
    assert len(found.by_version) == min(len(versions), SWITCHES + 1)
    assert found.fallbacks.total() == 0
    assert rollout.newest() == versions[SWITCHES % len(versions)].card.version


def test_a_long_ramp_outlives_a_killed_worker_and_is_taken_back_half_way(running: Running) -> None:
    stack, registry, versions, _ = running
    configuration, worker = stack.configuration, stack.workers["decisions"]
    before = in_force(configuration, registry)
    to = next(version for version in versions if version.card.version not in (before.newest(), before.before()))
    have_loaded(configuration, registry, to, needed_now(before))
    with visitors(configuration, RATE, people=max(200, RATE), seed=5):
        there = switch(configuration, to.card.version, before.newest(), lead_ms=LEAD_MS, ramp_ms=RAMP_MS)
        _wait_until(there.effective_at + RAMP_MS // 5)
        os.kill(worker.pid, signal.SIGKILL)
        assert eventually(lambda: not worker.alive)
        stack.restart_dead()
        _wait_until(there.effective_at + RAMP_MS // 2)
        back = switch(configuration, before.newest(), to.card.version, lead_ms=LEAD_MS)
        _wait_until(back.effective_at + 1_000)
    reading = _caught_up(configuration)
    found = read_back(reading, versions, in_force(configuration, registry))
    assert (found.lost, found.twice, found.half_loaded, found.by_another) == (0, 0, 0, 0)
    questions, scores = reading
    asked = [(questions[each.request_partition, each.request_offset].appended, each) for each in scores]
    on_the_way = [(at, score) for at, score in asked if there.effective_at <= at < back.effective_at]
    taken_over = [at for at, score in on_the_way if score.answer.model.version == to.card.version]
    share = len(taken_over) / len(on_the_way)
    assert 0.05 < share < 0.6, "a ramp of which about half has passed answers about a quarter of the questions"
    middle = (there.effective_at + back.effective_at) / 2
    assert sum(at > middle for at in taken_over) > len(taken_over) / 2, "more and more customers are taken over"


def test_the_commands_promote_and_go_back(running: Running, tmp_path: Path) -> None:
    stack, registry, versions, _ = running
    configuration = stack.configuration
    # The shipped version must be in force: the gate holds a candidate against it.
    back = in_force(configuration, registry)
    if back.newest() != versions[0].card.version:
        have_loaded(configuration, registry, versions[0], needed_now(back))
        switch(configuration, versions[0].card.version, back.newest(), lead_ms=0)
    better = variant(registry, tmp_path / "made", shifted(0.995))
    later = ("--events", str(_some_customers(tmp_path / "later.jsonl")), "--cutoff", "2011-03-05")

    worse = running.command("models", "promote", str(versions[2].number), *later, "--yes")
    assert worse.returncode == 4
    assert "was not promoted: churn 90d brier" in worse.stderr
    assert in_force(configuration, registry).newest() == versions[0].card.version

    said = running.command("models", "promote", str(better.number), *later, "--yes", "--reason", "a test")
    assert said.returncode == 0, said.stderr
    assert "alerts are open" in said.stdout
    assert f"version {better.card.version} is in force from" in said.stdout
    assert in_force(configuration, registry).newest() == better.card.version
    assert json.loads(running.command("version", "--json").stdout)["promoted"] == better.card.version
    assert measured(configuration, registry, "promoted") == better.folder

    again = running.command("models", "promote", str(better.number), "--yes")
    assert again.returncode == 4
    assert "in force already" in again.stderr

    def answers() -> bool:
        listed = json.loads(running.command("models", "list", "--json").stdout)
        found = {version["version"]: version for version in listed["versions"]}[better.card.version]
        return bool(found["share"] == 1.0 and found["triton"] == "ready")

    assert eventually(answers, timeout=30.0)
    gone_back = running.command("models", "rollback")
    assert gone_back.returncode == 0, gone_back.stderr
    assert in_force(configuration, registry).newest() == versions[0].card.version


def test_a_version_that_triton_cannot_load_changes_nothing(running: Running, tmp_path: Path) -> None:
    stack, registry, _, _ = running
    before, served = in_force(stack.configuration, registry).newest(), registry.served()
    broken = variant(registry, tmp_path / "made")
    (broken.folder / "model.onnx").write_bytes(b"no network")
    refused = running.command("models", "promote", str(broken.number), "--yes")
    assert refused.returncode == 5
    assert "another network than its card" in refused.stderr
    assert registry.served() == served
    assert in_force(stack.configuration, registry).newest() == before


def _caught_up(configuration: Configuration) -> Reading:
    """What was asked and answered until a second after all that had been asked was answered: visits may be on their
    way to becoming questions."""
    assert not read_when_answered(configuration, timeout_s=120.0).unanswered(), "the workers do not catch up"
    time.sleep(1.0)
    return read_when_answered(configuration, timeout_s=120.0)


def _wait_until(at: int) -> None:
    """Until the clock that the broker has too says ``at``, epoch milliseconds."""
    time.sleep(max(0.0, at / 1000 - time.time()))


def _some_customers(path: Path) -> Path:
    """A file of every other customer of the sample: enough for the gate, and twice as quick."""
    events = list(sample())
    kept = set(sorted({event.customer_id for event in events})[::2])
    path.write_bytes(b"".join(encode(event) + b"\n" for event in events if event.customer_id in kept))
    return path
