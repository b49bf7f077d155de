"""Whether a record is about a customer: by its key, or because its value names the customer.

Pure; called by `found.py` for every record of every topic, so that what is about somebody else costs little.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

_NAMING: Final = frozenset({"customer_id", "anonymous_id", "subject", "partitionkey", "customer"})
"""Fields that hold somebody's id, at the top of a message or in what its envelope carries."""

_decode: Final = msgspec.json.Decoder().decode


class Naming:
    """Knows one customer when it sees the id.

    Args:
        customer_id: or an anonymous visitor's.
    """

    def __init__(self, customer_id: str) -> None:
        self.key = customer_id.encode()
        self._customer_id = customer_id
        # As we write it, and as those do who leave nothing but ASCII in their JSON.
        self._written = {msgspec.json.encode(customer_id), json.dumps(customer_id).encode()}

    def __call__(self, key: bytes | None, value: bytes | None) -> bool:
        """Whether the record is about the customer. What is no JSON is about whomever it mentions."""
        if key == self.key:
            return True
        if value is None or not any(written in value for written in self._written):
            return False
        try:
            return self._names(_decode(value))
        except msgspec.DecodeError:
            return True

    def _names(self, message: Any) -> bool:
        if not isinstance(message, dict):
            return False
        return any(message.get(field) == self._customer_id for field in _NAMING) or self._names(message.get("data"))
