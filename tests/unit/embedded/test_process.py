"""What every supervised server promises, shown with small shell scripts in place of Kafka and Triton."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.embedded.process import StartError, Supervised, is_running
from stream.testing.waiting import all_gone, eventually

WAIT_SECONDS = 20.0


class Script(Supervised):
    """A shell script that is ready once it has made the file `ready` in its folder."""

    def __init__(self, folder: Path, script: str, *, start_timeout: float = WAIT_SECONDS, stop_timeout: float = 5.0):
        super().__init__(
            "the script",
            folder / "script.log",
            start_timeout=start_timeout,
            stop_timeout=stop_timeout,
            temporary=[str(folder / "temporary*")],
        )
        self._script = script
        self._ready = folder / "ready"

    def _prepare(self) -> list[str]:
        self._ready.unlink(missing_ok=True)
        return ["sh", "-c", self._script]

    def _is_ready(self) -> bool:
        return self._ready.exists()


# A server with a process below it, as Triton has its stubs; `wait` lets the shell act on SIGTERM.
WITH_STUB = "sleep 600 & touch ready; wait"


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    with Script(tmp_path, WITH_STUB) as running:
        yield running


def test_stop_ends_every_process_below(script: Script) -> None:
    pids = script.pids
    assert len(pids) == 3, "supervisor, shell, sleep"
    script.stop()
    assert not script.alive
    assert all_gone(pids)


def test_server_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    with Script(tmp_path, "trap '' TERM; touch ready; while :; do sleep 0.1; done", stop_timeout=0.2) as stubborn:
        pids = stubborn.pids
        stubborn.stop()
        assert all_gone(pids)


def test_paused_server_can_be_stopped(script: Script) -> None:
    pids = script.pids
    script.pause()
    script.stop()
    assert all_gone(pids)


def test_pause_stops_every_process_and_resume_lets_them_go_on(script: Script) -> None:
    def states() -> set[str]:
        _, *group = script.pids
        return {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in group}

    script.pause()
    assert eventually(lambda: states() == {"T"})
    assert script.alive
    script.resume()
    assert eventually(lambda: states() == {"S"})


def test_death_is_noticed_takes_the_stubs_along_and_restart_brings_all_back(script: Script) -> None:
    pids = script.pids
    os.kill(script.pid, signal.SIGKILL)
    assert eventually(lambda: not script.alive)
    assert all_gone(pids)
    script.restart()
    assert script.alive
    assert not set(script.pids) & set(pids)


def test_killed_supervisor_leaves_nothing_in_the_way_of_a_restart(script: Script) -> None:
    supervisor, *group = script.pids
    os.kill(supervisor, signal.SIGKILL)
    assert eventually(lambda: not script.alive)
    script.restart()
    assert all_gone(group)
    assert script.alive


def test_start_of_what_runs_already_changes_nothing(script: Script) -> None:
    pids = script.pids
    script.start()
    assert script.pids == pids


PARENT = """
import sys, time
from pathlib import Path
from tests_process import Script, WITH_STUB
script = Script(Path(sys.argv[1]), WITH_STUB)
script.start()
print(*script.pids, flush=True)
{then}
"""

# The fork holds the pipe to the supervisor open and outlives the parent.
FORK = """
import os
fork = os.fork()
if fork:
    Path("fork").write_text(str(fork))
time.sleep(600)
"""


@pytest.mark.parametrize(
    "then",
    [
        pytest.param("time.sleep(600)", id="killed"),
        pytest.param("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", id="kills_itself"),
        pytest.param(FORK, id="killed_with_a_living_fork"),
        pytest.param("raise SystemExit(0)", id="ends_without_stopping_it"),
    ],
)
def test_server_dies_with_its_parent_however_the_parent_ends(tmp_path: Path, then: str) -> None:
    (tmp_path / "tests_process.py").write_text(Path(__file__).read_text())
    (tmp_path / "temporary_file").write_text("")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(then=then), str(tmp_path)], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 3
    if then == FORK:
        assert eventually((tmp_path / "fork").exists)
    if "sleep" in then:
        parent.kill()
    parent.wait(WAIT_SECONDS)
    gone = eventually(lambda: all_gone(pids))
    if then == FORK:
        fork = int((tmp_path / "fork").read_text())
        assert is_running(fork), "it was there to hold the pipe open"
        os.kill(fork, signal.SIGKILL)
    assert gone
    assert not (tmp_path / "temporary_file").exists()


def test_temporary_files_go_at_the_end_of_the_with_block_and_not_before(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary_file"
    with Script(tmp_path, WITH_STUB) as script:
        temporary.write_text("")
        script.restart()
        assert temporary.exists()
    assert not temporary.exists()


def test_server_that_dies_at_its_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    script = Script(tmp_path, "echo the disk is full; exit 3")
    with pytest.raises(StartError, match=r"the script ended before it was ready[\s\S]*the disk is full"):
        script.start()
    assert not script.alive


def test_server_that_is_not_ready_in_time_is_reported_and_ended(tmp_path: Path) -> None:
    script = Script(
        tmp_path, f"echo $$ > pid; echo still thinking; exec sleep {WAIT_SECONDS * 10:.0f}", start_timeout=0.5
    )
    with pytest.raises(StartError, match=r"was not ready within 0.5 s[\s\S]*still thinking"):
        script.start()
    assert not is_running(script.pid)


def test_command_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    class Missing(Script):
        def _prepare(self) -> list[str]:
            return [str(tmp_path / "no-such-server")]

    with pytest.raises(StartError, match=r"could not be started with '.*no-such-server'"):
        Missing(tmp_path, "").start()


def test_process_id_before_the_first_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"call start\(\)"):
        _ = Script(tmp_path, "").pid
