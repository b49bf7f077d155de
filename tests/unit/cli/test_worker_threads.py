"""A worker says on how many threads numpy multiplies, which numpy reads once, when it is imported."""

import subprocess
import sys

SCRIPT = """
import sys
from stream.cli.app import app
from typer.testing import CliRunner
assert "numpy" not in sys.modules
CliRunner().invoke(app, ["worker", "--role", "decisions"])
import os
print(os.environ["OPENBLAS_NUM_THREADS"])
"""


def test_a_worker_multiplies_on_one_thread(monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    # Without a secret for a broker elsewhere the worker refuses at once.
    monkeypatch.setenv("TIDEMARK__KAFKA__BOOTSTRAP_SERVERS", "kafka.example:9092")
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "1", done.stderr
