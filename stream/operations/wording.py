"""Words of simulated reviews and products: short, plain, and plainly in favour or against.

Called by `simulate.py` alone.
"""

from __future__ import annotations

from random import Random
from typing import Final

_OPENINGS: Final = {
    5: ("Love this!", "Perfect.", "Absolutely beautiful.", "Even better than in the picture."),
    4: ("Very nice.", "Good quality.", "Happy with it.", "Lovely colours."),
    3: ("It is all right.", "Okay for the price.", "Not bad, not great."),
    2: ("Disappointing.", "Smaller than I thought.", "The finish is poor."),
    1: ("Arrived broken.", "Terrible quality.", "Would not buy again."),
}
_CLOSINGS: Final = {
    5: ("I will order more of it.", "My customers adore it.", "A wonderful present."),
    4: ("It sells well in our shop.", "I would buy it again.", "Only the packing could be better."),
    3: ("I expected a little more.", "It does what it should."),
    2: ("It looks cheap.", "I shall probably send it back."),
    1: ("I want my money back.", "It fell apart within a day."),
}
_COLOURS: Final = ("RED", "IVORY", "PINK", "BLUE", "GREEN", "WHITE", "VINTAGE", "SILVER")
_PATTERNS: Final = ("POLKADOT", "ROSE", "HEART", "STAR", "STRIPE", "OWL", "BUTTERFLY")
_THINGS: Final = (
    "MUG",
    "LUNCH BAG",
    "CANDLE HOLDER",
    "CUSHION",
    "TEA TOWEL",
    "PHOTO FRAME",
    "CAKE TIN",
    "NOTEBOOK",
    "LANTERN",
)


def review_text(rating: int, item_name: str, draw: Random) -> str:
    """Two or three sentences about a product that fit a rating of 1 to 5."""
    about = f"The {item_name.lower()} came quickly." if item_name and draw.random() < 0.5 else ""
    return " ".join(part for part in (draw.choice(_OPENINGS[rating]), about, draw.choice(_CLOSINGS[rating])) if part)


def product_name(index: int) -> str:
    """A name for the ``index``-th product, different for the first 504 of them."""
    colour = _COLOURS[index % len(_COLOURS)]
    pattern = _PATTERNS[index // len(_COLOURS) % len(_PATTERNS)]
    thing = _THINGS[index // (len(_COLOURS) * len(_PATTERNS)) % len(_THINGS)]
    return f"{colour} {pattern} {thing}"
