"""What the shop sells: the records of ``catalog.items.v1``, keyed by ``item_id``; null takes an item out of the
catalogue."""

from typing import Literal

import msgspec

from stream.contracts.times import WireTime

Availability = Literal["in_stock", "out_of_stock", "preorder", "discontinued"]


class CatalogueItem(msgspec.Struct, omit_defaults=True, gc=False):
    """One product. Only ``in_stock`` and ``preorder`` items that are not ``restricted`` are ever recommended."""

    item_id: str
    """The record's key, as events name it."""
    item_name: str = ""
    """Its name, for people; part of the text that is encoded."""
    item_group_id: str = ""
    """Variants of one product (sizes, colours) share a group; one of them at most is recommended."""
    description: str = ""
    """What the shop says of it; part of the text that is encoded."""
    item_brand: str = ""
    """Its brand."""
    item_variant: str = ""
    """Which variant: colour, size."""
    item_category: str = ""
    """First, broadest level of the shop's category tree."""
    item_category2: str = ""
    """Second level."""
    item_category3: str = ""
    """Third level."""
    item_category4: str = ""
    """Fourth level."""
    item_category5: str = ""
    """Fifth level."""
    price: float | None = None
    """Price of one unit in ``currency``."""
    currency: str = ""
    """ISO 4217 code of ``price``."""
    availability: Availability = "in_stock"
    """Whether it can be bought now."""
    url: str = ""
    """Its page."""
    image_url: str = ""
    """Its picture."""
    language: str = ""
    """BCP 47 tag of name and description."""
    restricted: bool = False
    """Never recommended (age limits, recalls)."""
    updated_at: WireTime | None = None
    """When the shop last changed it: RFC 3339 with offset, or integer epoch milliseconds."""
