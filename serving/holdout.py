"""Which customers no shipped model was trained on: the demo replays them, so its figures are out of sample.

The rule is a keyed hash of the customer id alone. It needs no list, so the demo's sample and the training set agree
without sharing a file. ``serving.dataset`` leaves these customers out, ``serving.model_card`` lists their hashes, and
the demo's sample is drawn from them.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

DEMO_KEY: Final = "tidemark-demo-v1:"
DEMO_SHARE: Final = 0.08
"""Share of customers kept for the demo: about 400 of the 5,000 of Online Retail II, enough for a precision with two
digits."""

_LISTED_HEX: Final = 16
"""Hex digits in the model card's list: 64 bits tell five thousand customers apart."""


def _position(customer_id: str) -> float:
    """Where the keyed hash puts the customer in [0, 1)."""
    digest = hashlib.sha256((DEMO_KEY + customer_id).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def is_demo_customer(customer_id: str) -> bool:
    """True when the customer is kept for the demo and must not be trained on."""
    return _position(customer_id) < DEMO_SHARE


def demo_customers(customer_ids: Iterable[str]) -> set[str]:
    """Those of ``customer_ids`` that are kept for the demo."""
    return {customer_id for customer_id in customer_ids if is_demo_customer(customer_id)}


def listed_hash(customer_id: str) -> str:
    """How a customer is named in a model card: 16 hex digits of the SHA-256 of the id, which the card's reader can
    check."""
    return hashlib.sha256(customer_id.encode()).hexdigest()[:_LISTED_HEX]
