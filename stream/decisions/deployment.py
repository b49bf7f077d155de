"""Whose decisions these are: what is the same for every customer of a deployment and is no policy.

The workers fill it from the configuration; ``decide`` puts it on what it publishes.
"""

import msgspec


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment of Tidemark."""

    secret: bytes
    """Keys alert ids and arms. Another secret gives other ids and draws other arms."""
    source: str = "urn:tidemark"
    """CloudEvents ``source`` of every alert."""
    partitions: int = 1
    """Partitions of the score-requests topic: a budget of the deployment is shared out among them."""

    def __post_init__(self) -> None:
        if not self.secret:
            raise ValueError("secret is empty: alert ids could be guessed; set one in the environment or a file")
        if self.partitions < 1:
            raise ValueError(f"partitions is {self.partitions}: a topic has at least one")
