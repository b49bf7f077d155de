"""A process that hangs in a call ends with its own status; one that is only slow does not."""

import subprocess
import sys
import textwrap

import pytest

from stream.workers.watchdog import EXIT_STATUS


def status_of(call_s: float, patience_s: float) -> int:
    """Exit status of a process that spends ``call_s`` in one call, and then ends by itself with 0."""
    program = f"""
        import time
        from stream.workers.watchdog import Watchdog
        began = time.monotonic()
        with Watchdog(lambda: time.monotonic() - began, {patience_s}):
            time.sleep({call_s})
    """
    return subprocess.run([sys.executable, "-c", textwrap.dedent(program)], timeout=60).returncode


@pytest.mark.parametrize(("call_s", "patience_s", "status"), [(30, 0.2, EXIT_STATUS), (0.3, 30, 0)])
def test_who_hangs_is_ended(call_s: float, patience_s: float, status: int) -> None:
    assert status_of(call_s, patience_s) == status
