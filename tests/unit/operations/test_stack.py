"""What the workers of `tidemark up` are told, without starting any."""

from pathlib import Path

import pytest

from stream.configuration.load import load
from stream.configuration.settings import Configuration
from stream.operations.stack import Stack


@pytest.mark.parametrize(("set_to", "told"), [(9100, [9100, 9101]), (0, [0, 0])])
def test_each_worker_has_a_metrics_port_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_to: int, told: list[int]
) -> None:
    monkeypatch.chdir(tmp_path)
    stack = Stack(Configuration(metrics_port=set_to), None, tmp_path / "logs", data=tmp_path / "kafka", say=print)
    assert [load(None, worker._environment()).configuration.metrics_port for worker in stack.workers.values()] == told
