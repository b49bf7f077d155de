"""A worker that can be made to die: the shipped one, but for its answers and for the fault in its transactions.

Started by ``crew.py`` as ``python -m tests.chaos.worker CONFIG ROLE INSTANCE``. Each line of standard input arms a
fault; the end of standard input means that the harness is gone, and the worker dies too.
"""

import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import get_args

from stream.configuration.clients import client_properties
from stream.configuration.load import load
from stream.engine.instance import Instance
from stream.engine.worker import Worker
from stream.workers.process import build_processor, configure_logging, dead_letter_maker, stores
from tests.chaos.answers import DrawnStage
from tests.chaos.faults import DyingTransactions, Fault, Site, die


def main(config: str, role: str, instance: str) -> None:
    """Run until SIGTERM, a fault, or the end of standard input."""
    configuration = load(Path(config), {}).configuration
    configure_logging("info")
    fault = Fault()
    threading.Thread(target=_listen, args=(fault,), daemon=True).start()
    with (
        Instance(Path(configuration.data_dir), role, instance) as named,
        build_processor(configuration, role, DrawnStage(longest_ms=30)) as processor,
    ):
        worker = Worker(
            processor,
            client_properties(configuration.kafka),
            configuration.engine,
            named.name,
            stores(configuration, named.name),
            dead_letter_maker(processor.dead_letter_topic),
            make_transactions=partial(DyingTransactions, fault=fault),
            consumer_properties=configuration.kafka.consumer,
            producer_properties=configuration.kafka.producer,
        )
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        worker.run()


def _listen(fault: Fault) -> None:
    for line in sys.stdin:
        site, commits = line.split()
        known: tuple[Site, ...] = get_args(Site)
        fault.arm(known[known.index(site)], int(commits))
    die()


if __name__ == "__main__":
    main(*sys.argv[1:])
