"""CPU of the thread that folds, without a broker: microseconds an event for folding, encoding states, and committing.

The records lie in memory, as the client would hand them over, and pass through the engine's intake into partitions with
a store in memory. The first half only warms up. The digest of all states and outputs is the same for two versions that
do the same, so that it says at once whether a faster one still does. Run: ``python -m benchmarks.folding_thread``.
"""

import argparse
import gc
import hashlib
import time
from collections import Counter
from typing import Any, Final

from confluent_kafka import Message

from benchmarks.event_log import MIXES, SKEWS, make_load
from stream.contracts import topics
from stream.contracts.codec import encode
from stream.contracts.emission import Rejected
from stream.contracts.partitioning import partition_for
from stream.contracts.topics import TopicNames
from stream.engine.holdings import Held, Holdings
from stream.engine.intake import Intake
from stream.engine.partition import Partition
from stream.engine.processor import OutputRecord, Record
from stream.engine.settings import EngineSettings
from stream.engine.stores.memory import MemoryStore
from stream.operations.simulate import Load, synthetic
from stream.profiles.settings import ProfileSettings
from stream.workers.profiles import ProfilesProcessor

PARTITIONS: Final = 8
TOPIC: Final = TopicNames().physical(topics.EVENTS)


def records(load: Load) -> list[Message]:
    """The events of ``load`` as the client hands them over."""
    offsets: Counter[int] = Counter()
    made = []
    appended = int(time.time() * 1000)
    for event in synthetic(load):
        key = event.customer_id.encode()
        number = partition_for(key, PARTITIONS)
        made.append(
            Message(
                topic=TOPIC,
                partition=number,
                offset=offsets[number],
                key=key,
                value=encode(event),
                headers=None,
                timestamp=(2, appended),
            )
        )
        offsets[number] += 1
    return made


def bury(record: Record, refusal: Rejected) -> OutputRecord:
    """No event of the load is refused."""
    raise refusal


def measure(messages: list[Message], fast: bool) -> tuple[Counter[str], str]:
    """Seconds of CPU of the second half by part, and the digest of states and outputs."""
    settings = EngineSettings()
    processor = ProfilesProcessor(TopicNames(), ProfileSettings(), PARTITIONS, "benchmark")
    holdings: Holdings[Any, Any] = Holdings(TOPIC)
    for number in range(PARTITIONS):
        partition = Partition(
            number, processor, MemoryStore(), bury, settings.max_output_bytes, settings.cached_states, fast
        )
        partition.begin(None, 0)
        holdings.held[number] = Held(partition, settings)
    intake = Intake(None, processor, holdings, settings, None, None)  # type: ignore[arg-type]
    spent: Counter[str] = Counter()
    digest = hashlib.sha256()
    # As the worker does at its start.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    for at in range(0, len(messages), settings.consume_batch):
        before = time.thread_time()
        intake.accept(messages[at : at + settings.consume_batch])
        folded = time.thread_time()
        spent["fold"] += folded - before if at >= len(messages) // 2 else 0.0
        if (at + settings.consume_batch) % settings.max_uncommitted_records == 0:
            for held in holdings.held.values():
                _commit(held.partition, spent if at >= len(messages) // 2 else Counter(), digest)
    return spent, digest.hexdigest()[:12]


def _commit(partition: Partition[Any, Any], spent: Counter[str], digest: Any) -> None:
    before = time.thread_time()
    changes, position = partition.changes()
    encoded = time.thread_time()
    outputs = [*partition.context.outputs]
    began = time.thread_time()
    partition.committed(changes, position, 1)
    spent["encode"] += encoded - before
    spent["commit"] += time.thread_time() - began
    for key in sorted(changes):
        digest.update(key + (changes[key] or b""))
    digest.update(repr(outputs).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=600_000)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--mix", choices=MIXES, default="clickstream")
    parser.add_argument("--load", choices=SKEWS, default="zipf")
    parser.add_argument("--long", action="store_true", help="without the fast path")
    arguments = parser.parse_args()
    messages = records(make_load(arguments.load, arguments.customers, arguments.events, arguments.mix))
    spent, digest = measure(messages, not arguments.long)
    each = {part: 1e6 * seconds / (len(messages) / 2) for part, seconds in spent.items()}
    parts = ", ".join(f"{part} {value:.1f}" for part, value in each.items())
    print(f"{sum(each.values()):.1f} us CPU an event ({parts}); digest {digest}")


if __name__ == "__main__":
    main()
