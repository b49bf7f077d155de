"""Readers of a profile's packed tables, for everybody outside this package.

Each hands out named tuples, items and categories by hash. The layouts behind them belong to the modules that write
them; whoever reads many profiles at once may unpack those directly (``interactions.ROW``, ``items.ROW``), and is then
bound to ``codec.CODEC_VERSION``.
"""

from stream.profiles.baskets import Basket, baskets
from stream.profiles.cart import CartItem, cart_items
from stream.profiles.categories import Affinity, affinities, category_hash
from stream.profiles.interactions import Interaction, InteractionType, interactions
from stream.profiles.items import TopItem, top_items

__all__ = [
    "Affinity",
    "Basket",
    "CartItem",
    "Interaction",
    "InteractionType",
    "TopItem",
    "affinities",
    "baskets",
    "cart_items",
    "category_hash",
    "interactions",
    "top_items",
]
