"""A measured program finds its modules wherever it runs, and its end is not taken for a result."""

import sys
import time
from pathlib import Path

import pytest

from benchmarks.program import Ended, Program


def test_a_program_that_ends_says_why(tmp_path: Path) -> None:
    script = "import benchmarks, os; print('given', os.environ['GIVEN']); raise SystemExit('no broker')"
    with Program("the peer", [sys.executable, "-c", script], {"GIVEN": "7"}, tmp_path / "log") as program:
        patience = time.monotonic() + 30
        while program.alive and time.monotonic() < patience:
            time.sleep(0.02)
        with pytest.raises(Ended, match=r"(?s)the peer ended.*given 7.*no broker|no broker.*given 7"):
            program.check()


def test_a_program_that_runs_is_left_alone(tmp_path: Path) -> None:
    with Program("the peer", ["sleep", "60"], {}, tmp_path / "log") as program:
        program.check()
        pid = program.pid
        assert Path(f"/proc/{pid}").exists()
    assert not Path(f"/proc/{pid}").exists()
