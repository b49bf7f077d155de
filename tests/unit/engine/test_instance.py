"""No two live workers of a role on one machine have one name, and a name is free again however its worker ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stream.engine.instance import Instance, InstanceTaken, InvalidInstance

HOLD = """
import sys
from pathlib import Path
from stream.engine.instance import Instance
instance = Instance(Path(sys.argv[1]), "profiles", sys.argv[2] if len(sys.argv) > 2 else None)
print(instance.name, flush=True)
sys.stdin.read()
"""


def hold(folder: Path, *name: str) -> tuple["subprocess.Popen[str]", str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), *name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_name_is_refused_while_its_holder_lives_and_free_once_it_is_killed(tmp_path: Path) -> None:
    process, name = hold(tmp_path, "shop-1")
    try:
        assert name == "shop-1"
        with pytest.raises(InstanceTaken, match="--instance"):
            Instance(tmp_path, "profiles", "shop-1")
        with Instance(tmp_path, "decisions", "shop-1") as other_role:
            assert other_role.name == "shop-1"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with Instance(tmp_path, "profiles", "shop-1") as instance:
            assert instance.name == "shop-1"
    finally:
        process.kill()
        process.communicate()


def test_without_a_name_each_worker_takes_the_first_free_slot(tmp_path: Path) -> None:
    process, first = hold(tmp_path)
    try:
        with Instance(tmp_path, "profiles") as second:
            assert first.endswith("-0")
            assert second.name.endswith("-1")
        process.kill()
        process.wait()
        with Instance(tmp_path, "profiles") as again:
            assert again.name == first
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a b", "x" * 101])
def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInstance, match="--instance"):
        Instance(tmp_path, "profiles", name)
