"""That a customer was erased: for our own folds, as records of ``customer.erasures.v1``, and for everybody who keeps
something of a customer, as CloudEvents on ``customer.erased.v1``.

Both are written by the roles, in the transaction that forgets the customer, whoever sent the event of type ``erase``.
What is skipped because of a record is ``stream.workers.erased``'s to say.
"""

from typing import Literal

import msgspec

from stream.contracts.ids import erased_customer

Role = Literal["profiles", "decisions"]


class Erasure(msgspec.Struct, omit_defaults=True, frozen=True):
    """One role has forgotten a customer. The key is the role and a keyed hash of the customer's id: the record is kept
    for ever and names nobody."""

    role: Role
    """Which role has."""
    topic_id: str
    """Kafka's id of the events topic: offsets begin again with a new topic, its id is another one."""
    partition: int
    """Partition of the event of type ``erase``, which is the customer's."""
    offset: int
    """Offset of that event on the events topic: what lies before it is skipped for ever."""
    erased_at: int
    """When the broker appended the record by which the role learned of it, epoch milliseconds."""
    actor: str = ""
    """Who asked for it, where the event says so."""
    reason: str = ""
    """Why, where the event says so."""


def erasure_key(secret: bytes, role: str, subject: bytes) -> bytes:
    """The key of the record that says that ``role`` has forgotten ``subject``: the customer, or the anonymous visitor.

    Args:
        secret: of the deployment: without it nobody can try ids until one fits.
    """
    return f"{role}:{erased_customer(secret, subject)}".encode()


class CustomerErased(msgspec.Struct, omit_defaults=True):
    """Who was erased: forget what you keep of this customer."""

    customer_id: str
    """The customer."""
    erased_at: str
    """Time of the event of type ``erase``, RFC 3339."""
    events_partition: int
    """Partition of that event."""
    events_offset: int
    """Offset of that event on the events topic. What carries a later one is of the time after the erasure."""


class ErasedEvent(msgspec.Struct, omit_defaults=True):
    """A CloudEvents 1.0 envelope around an erasure."""

    specversion: str
    """``1.0``."""
    id: str
    """UUIDv5 of the customer and of the offset of the event of type ``erase``."""
    source: str
    """The deployment that wrote it."""
    type: str
    """``io.tidemark.customer.erased.v1``."""
    subject: str
    """The customer."""
    time: str
    """Time of the event of type ``erase``, RFC 3339."""
    datacontenttype: str
    """``application/json``."""
    dataschema: str
    """``urn:tidemark:schema:customer-erased.v1``."""
    partitionkey: str
    """The record's key: the customer."""
    data: CustomerErased
    """Who was erased."""
    traceparent: str | None = None
    """W3C trace context of the event that led here."""
