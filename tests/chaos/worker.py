"""A worker that can be struck inside its transactions; otherwise the shipped one, or one that is broken on purpose.

Started by ``crew.py`` as ``python -m tests.chaos.worker CONFIG ROLE INSTANCE ANSWERS ENGINE``. Each line of standard
input arms a fault; the end of standard input means that the harness is gone, and the worker dies too.
"""

import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Final, Literal, get_args

from stream.cli.exits import end_with
from stream.configuration.clients import client_properties
from stream.configuration.load import load
from stream.engine.instance import Instance
from stream.engine.worker import Worker
from stream.workers.process import build_processor, configure_logging, dead_letter_maker, stores
from stream.workers.watchdog import Watchdog
from tests.chaos.answers import DrawnStage
from tests.chaos.broken import Engine, break_engine
from tests.chaos.faults import Blow, Fault, Site, die

Answers = Literal["drawn", "model"]
"""Whether decisions draw their answers, or ask the configured model as the shipped worker does."""

_SLOWEST_DRAW_MS: Final = 30


def main(config: str, role: str, instance: str, answers: Answers, engine: Engine) -> None:
    """Run until SIGTERM, a fault, or the end of standard input."""
    configuration = load(Path(config), {}).configuration
    configure_logging("info")
    fault = Fault()
    threading.Thread(target=_listen, args=(fault,), daemon=True).start()
    # Before the processor is built, which may look at what is broken.
    transactions = break_engine(engine)
    stage = DrawnStage(longest_ms=_SLOWEST_DRAW_MS) if answers == "drawn" else None
    with (
        Instance(Path(configuration.data_dir), role, instance) as named,
        build_processor(configuration, role, stage) as processor,
    ):
        worker = Worker(
            processor,
            client_properties(configuration.kafka),
            configuration.engine,
            named.name,
            stores(configuration, named.name),
            dead_letter_maker(processor.dead_letter_topic),
            make_transactions=partial(transactions, fault=fault),
            consumer_properties=configuration.kafka.consumer,
            producer_properties=configuration.kafka.producer,
        )
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        with Watchdog(lambda: worker.waits_for):
            worker.run()


def _listen(fault: Fault) -> None:
    blows: tuple[Blow, ...] = get_args(Blow)
    sites: tuple[Site, ...] = get_args(Site)
    for line in sys.stdin:
        blow, site, commits = line.split()
        fault.arm(blows[blows.index(blow)], sites[sites.index(site)], int(commits))
    die()


if __name__ == "__main__":
    _, config, role, instance, *kinds = sys.argv
    answers: tuple[Answers, ...] = get_args(Answers)
    engines: tuple[Engine, ...] = get_args(Engine)
    try:
        main(config, role, instance, answers[answers.index(kinds[0])], engines[engines.index(kinds[1])])
    except Exception as error:
        sys.exit(end_with(error, debug=True))
