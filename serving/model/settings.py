"""The network's sizes. They travel in the checkpoint, so that an export builds the network that was trained."""

import msgspec


class NetworkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the customer network; the defaults make a file of about 1.7 MB, of which half are word embeddings."""

    members: int = 5
    """Networks of hazards that are averaged: alike but for their first numbers and what they drop."""
    hazard_width: int = 64
    hazard_dropout: float = 0.3
    width: int = 64
    """Of the sequence model behind the query; so are the following."""
    heads: int = 4
    layers: int = 2
    feed_forward: int = 128
    dropout: float = 0.2
