"""Prometheus's own checker accepts the configuration, and the rules fire when they should and not when they should not.

`promtool` comes from the PATH; on a Debian it is taken out of the distribution's package `prometheus`, once, into the
cache folder where the embedded servers lie. Elsewhere these tests are skipped.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from stream.embedded.cache import InstallError, installed, run_installer

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = FOLDER / "tidemark.rules.yml"
ADVICE = "put `promtool` on the PATH, from https://prometheus.io/download or by `apt-get install prometheus`"


def unpack(into: Path) -> None:
    """Raises InstallError: the package cannot be fetched, or not be unpacked."""
    script = 'cd "$1" && apt-get download prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb'
    run_installer(["sh", "-c", script, "sh", str(into)], what="promtool", advice=ADVICE)


@pytest.fixture(scope="module")
def promtool() -> Path:
    on_path = shutil.which("promtool")
    if on_path is not None:
        return Path(on_path)
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip(ADVICE)
    try:
        return installed("promtool", {"package": "prometheus"}, unpack) / "usr" / "bin" / "promtool"
    except InstallError as error:
        pytest.skip(str(error))


def run(promtool: Path, *arguments: str | Path, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [promtool, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def test_the_configuration_and_the_rules_that_it_names_are_accepted(promtool: Path) -> None:
    done = run(promtool, "check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout
    assert "1 rule files found" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.test.yml")), ids=lambda file: file.name)
def test_rules_fire_when_they_should_and_not_when_they_should_not(promtool: Path, file: Path) -> None:
    done = run(promtool, "test", "rules", file.name)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("(tidemark_folded_until_seconds) > 60", "(tidemark_folded_until_seconds) > 6000"),
        ("          unless on (role, partition) max by (role, partition) (tidemark_partition_paused) == 1\n", ""),
        ("or 0 * max by (role) (tidemark_partitions)", ""),
        ('or absent(tidemark_partitions{role="decisions"})', ""),
        ("max by (role, partition) (tidemark_partition_paused) == 1\n        for: 1m", "vector(1)"),
        ("and sum by (role) (increase(tidemark_dead_letters_total[10m])) >= 10", ""),
        ("increase(tidemark_quarantined_total[1h])", "increase(tidemark_quarantined_total[2h])"),
        ("/ sum(rate(tidemark_answers_total[5m])) > 0.1", "/ sum(rate(tidemark_answers_total[5m])) > 0.01"),
        ("unless on (instance, role, partition) delta(tidemark_restore_remaining_records[5m]) < 0", ""),
        ("or changes(tidemark_restore_started_seconds[30m]) >= 4", ""),
    ],
)
def test_a_rule_that_says_otherwise_is_found(promtool: Path, tmp_path: Path, was: str, becomes: str) -> None:
    rules = RULES.read_text()
    assert was in rules
    (tmp_path / RULES.name).write_text(rules.replace(was, becomes))
    shutil.copy(FOLDER / "tidemark.rules.test.yml", tmp_path)
    assert run(promtool, "check", "rules", RULES.name, folder=tmp_path).returncode == 0
    assert run(promtool, "test", "rules", "tidemark.rules.test.yml", folder=tmp_path).returncode == 1
