"""Whether there is enough history to train on, said in terms of whoever gave it.

What must not be learned from, however much there is, is decided in ``serving.training.bounds``. Called by
``serving.training.train`` and by ``stream.operations.retrain``; needs no torch.
"""

from __future__ import annotations

from collections.abc import Collection

from serving.holdout import DEMO_SHARE, demo_customers


class TooLittleHistory(ValueError):
    """There is too little to train on; the message says where it was looked for, and what is missing."""


def check_customers(customer_ids: Collection[str], called: str) -> None:
    """See that somebody is left to learn from.

    Args:
        customer_ids: everybody with an event, without those who are anonymous.
        called: where the events come from, as the user knows it.

    Raises:
        TooLittleHistory: there is nobody, or nobody but customers who are kept for the demo.
    """
    if not customer_ids:
        raise TooLittleHistory(f"no customer's events in {called}: what has no customer_id is not learned from")
    if len(demo_customers(customer_ids)) == len(customer_ids):
        raise TooLittleHistory(
            f"nobody to train on in {called}: {DEMO_SHARE:.0%} of all customers, by a hash of their id, are kept for "
            f"the demo and never trained on, and all {len(customer_ids):,} that are there are of them"
        )
