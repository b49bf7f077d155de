"""A worker in a thread of the test, and commands in its process. For the tests of this package."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
import structlog

from stream.cli.app import main
from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.engine.processor import Processor
from stream.engine.stores.memory import open_memory_store
from stream.engine.worker import Worker
from stream.operations.watch import Watch
from stream.testing.waiting import eventually
from stream.workers.process import dead_letter_maker


@contextmanager
def working(deployment: Configuration, processor: Processor[Any, Any]) -> Iterator[None]:
    """A worker has taken in everything that is there, and runs until the block ends."""
    kafka = client_properties(deployment.kafka)
    worker = Worker(
        processor,
        kafka,
        msgspec.structs.replace(deployment.engine, commit_interval_ms=50, tick_interval_ms=600_000),
        processor.role,
        open_memory_store,
        dead_letter_maker(processor.dead_letter_topic),
    )
    failures: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        with Watch(deployment) as watch:

            def done() -> bool:
                assert not failures, failures
                return watch.look(processor.role).idle

            assert eventually(done)
        yield
    finally:
        worker.stop()
        thread.join(20)
        assert not thread.is_alive()


def command(arguments: list[str], environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and standard output of a command of `tidemark`."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        try:
            with pytest.raises(SystemExit) as ended:
                main(arguments)
        finally:
            # It sends the logs of this process elsewhere.
            structlog.reset_defaults()
    return int(ended.value.code or 0), capsys.readouterr().out
