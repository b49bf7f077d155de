"""A record on its way to the fold, and how one is made of what the client hands over.

Called by ``stream.engine.intake`` for what comes in, by ``stream.engine.partition`` for what it takes again, and by
whoever folds a log afresh.
"""

from typing import Any, Generic, TypeVar

import msgspec
import structlog
from confluent_kafka import Message

from stream.contracts.emission import Rejected
from stream.engine.processor import NewerState, Parsed, Processor, Record

P = TypeVar("P")

_log = structlog.get_logger(__name__)


class Entry(msgspec.Struct, Generic[P], gc=False):
    """A record on its way to the fold.

    Attributes:
        parsed: what it says, or why it is refused.
        ticket: its place in the stage; None when it does not pass through it.
        size: bytes of the record's value.
    """

    record: Record
    parsed: Parsed[P] | Rejected
    ticket: Any = None
    size: int = 0


def entry_of(processor: Processor[Any, P], message: Message) -> Entry[P]:
    """The record in ``message``, which has no error, and what the processor reads in it.

    Raises:
        NewerState: the record was written by a newer version.
    """
    value = message.value()
    headers: Any = message.headers() or ()
    record = Record(
        processor.input_topic,
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.key(),
        value,
        headers,
    )
    return Entry(record, parsed_of(processor, record), None, 0 if value is None else len(value))


def parsed_of(processor: Processor[Any, P], record: Record) -> Parsed[P] | Rejected:
    """What the processor reads in a record, or why it is refused. Raises ``NewerState``."""
    try:
        return processor.parse(record)
    except Rejected as refusal:
        return refusal
    except (NewerState, MemoryError):
        raise
    except Exception as error:
        _log.warning("parse failed", role=processor.role, origin=str(record.origin), error=repr(error))
        return Rejected("fold_error", f"{type(error).__name__}: {error}")
