"""Workers of both roles in threads of the test, with settings and answers of the test's choice.

For what needs many short runs or a look inside a worker; what needs processes that die is in ``tests/chaos``. Used by
the tests of this package.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.engine.processor import Stage
from stream.engine.worker import Worker
from stream.testing.waiting import eventually
from stream.workers.decisions import Question
from stream.workers.process import build_processor, dead_letter_maker, stores
from tests.chaos.read_back import committed_offsets, group_reader

MakeStage = Callable[[], Stage[Question]]
AnyWorker = Worker[object, object]

_END_S = 30.0


class Team:
    """Workers of one role.

    Attributes:
        workers: in the order of their instance names.
        group: their consumer group.
    """

    def __init__(self, workers: list[AnyWorker]) -> None:
        self.workers = workers
        self.group = workers[0].group
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(worker,), daemon=True) for worker in workers]

    def _run(self, worker: AnyWorker) -> None:
        try:
            worker.run()
        except BaseException as failure:
            self._failures.append(failure)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop them all gracefully. Raises what a worker failed with."""
        for worker in self.workers:
            worker.stop()
        for thread in self._threads:
            thread.join(_END_S)
            assert not thread.is_alive(), "a worker does not stop"
        self.check()

    def check(self) -> None:
        """Raises what a worker failed with."""
        if self._failures:
            raise self._failures[0]

    def await_offsets(self, configuration: Configuration, topic: str, ends: list[int], timeout: float = 60.0) -> None:
        """Until the group has committed ``ends``."""
        reader = group_reader(configuration.kafka.bootstrap_servers, self.group)

        def reached() -> bool:
            self.check()
            now = committed_offsets(reader, topic, len(ends))
            return all(offset >= end for offset, end in zip(now, ends, strict=True))

        assert eventually(reached, timeout=timeout), f"{self.group} does not reach {ends} of {topic}"


@contextmanager
def team(
    configuration: Configuration, role: str, count: int, label: str, make_stage: MakeStage | None = None
) -> Iterator[Team]:
    """``count`` workers of ``role``; stopped when the block ends, however it ends.

    Args:
        label: begins the names of the instances.
        make_stage: makes each worker's stage; None: the configured model.
    """
    with ExitStack() as stack:
        workers: list[AnyWorker] = []
        for number in range(count):
            stage = make_stage() if make_stage is not None else None
            processor = stack.enter_context(build_processor(configuration, role, stage))
            instance = f"{label}-{number}"
            workers.append(
                Worker(
                    processor,
                    client_properties(configuration.kafka),
                    configuration.engine,
                    instance,
                    stores(configuration, instance),
                    dead_letter_maker(processor.dead_letter_topic),
                    consumer_properties=configuration.kafka.consumer,
                    producer_properties=configuration.kafka.producer,
                )
            )
        members = Team(workers)
        members.start()
        try:
            yield members
        except BaseException:
            for worker in workers:
                worker.stop()
            raise
        members.stop()
