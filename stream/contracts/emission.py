"""What pure code returns instead of producing: outputs, where an input lay, and the refusal of a record.

The engine and the workers turn these into Kafka records; folds and policies never see a producer.
"""

from typing import Literal, NamedTuple

DeadLetterCode = Literal[
    "not_json",
    "wrong_shape",
    "unknown_type",
    "missing_field",
    "too_late",
    "in_future",
    "out_of_range",
    "unknown_currency",
    "wrong_key",
    "wrong_partition",
    "forged_tick",
    "fold_error",
    "stage_error",
    "too_large",
    "quarantined",
]

Headers = tuple[tuple[str, bytes], ...]


class Output(NamedTuple):
    """A record to be written. ``topic`` is a logical name of ``stream.contracts.topics``; ``value`` None is a
    tombstone."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers = ()


class Origin(NamedTuple):
    """Where an input record lies in the log. ``topic`` is its physical name."""

    topic: str
    partition: int
    offset: int


class Rejected(Exception):
    """A record that cannot be folded and goes to the dead letters.

    Attributes:
        code: one of ``DeadLetterCode``, for programs.
        message: what was wrong and what to do, for people.
        field: path of the offending field, such as ``$.items[0].price``; empty where no field is to blame.
    """

    def __init__(self, code: DeadLetterCode, message: str, field: str = "") -> None:
        super().__init__(f"{code}: {message}" + (f" ({field})" if field else ""))
        self.code: DeadLetterCode = code
        self.message = message
        self.field = field
