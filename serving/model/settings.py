"""The network's sizes. They travel in the checkpoint, so that an export builds the network that was trained."""

import msgspec


class NetworkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the customer network; the defaults make a file of about 2 MB, of which half are word embeddings."""

    width: int = 64
    heads: int = 4
    layers: int = 2
    feed_forward: int = 128
    dropout: float = 0.2
