"""What a record of ``customer.alerts.undelivered.v1`` looks like: the CloudEvent as it lay on the alerts topic, and
headers that say which subscription could not deliver it, why, and where it lay.

Written by `tidemark subscribe` when it gives a delivery up, and read by it when it is told to try again. Nothing here
decides what is given up.
"""

from typing import Final, Literal, NamedTuple, get_args

from stream.contracts.emission import Headers, Origin
from stream.contracts.headers import RecordHeaders, header

PREFIX: Final = "tidemark-undelivered-"

SUBSCRIPTION: Final = PREFIX + "subscription"
CODE: Final = PREFIX + "code"
MESSAGE: Final = PREFIX + "message"
TRIES: Final = PREFIX + "tries"
TOPIC: Final = PREFIX + "topic"
PARTITION: Final = PREFIX + "partition"
OFFSET: Final = PREFIX + "offset"

MESSAGE_LIMIT: Final = 1024
"""Bytes of the reason that are kept: it may be what the endpoint has answered."""

Code = Literal["refused", "exhausted", "unreadable"]
"""The endpoint will never take it; it has taken others while every attempt at this one failed; it is no alert."""


class Undelivered(NamedTuple):
    """What the headers say."""

    subscription: str
    """Name of the subscription; the others have nothing to do with it."""
    code: Code
    message: str
    """Why, for people: the status of the last attempt, and how the endpoint's answer begins."""
    tries: int
    """Attempts that were made."""
    origin: Origin
    """Where it was read."""


def headers_of(undelivered: Undelivered) -> Headers:
    """The headers of the record."""
    message = undelivered.message.encode(errors="replace")[:MESSAGE_LIMIT].decode(errors="ignore")
    return (
        (SUBSCRIPTION, undelivered.subscription.encode()),
        (CODE, undelivered.code.encode()),
        (MESSAGE, message.encode()),
        (TRIES, b"%d" % undelivered.tries),
        (TOPIC, undelivered.origin.topic.encode()),
        (PARTITION, b"%d" % undelivered.origin.partition),
        (OFFSET, b"%d" % undelivered.origin.offset),
    )


def read_undelivered(headers: RecordHeaders) -> Undelivered:
    """What the headers of a record say.

    Raises:
        ValueError: one is missing or unreadable; nobody gave this record up.
    """

    def text(name: str) -> str:
        value = header(headers, name)
        if value is None:
            raise ValueError(f"header {name} is missing")
        return value.decode()

    code = text(CODE)
    for known in get_args(Code):
        if code == known:
            origin = Origin(text(TOPIC), int(text(PARTITION)), int(text(OFFSET)))
            return Undelivered(text(SUBSCRIPTION), known, text(MESSAGE), int(text(TRIES)), origin)
    raise ValueError(f"header {CODE} is {code!r}: it must be one of {', '.join(get_args(Code))}")
