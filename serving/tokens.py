"""An item's name as a few hashed word tokens: the form in which the model sees what a customer bought.

Buckets are fixed, so a new item works at once and the model does not grow with the catalogue. The catalogue tokenises
once per item; features and the item tower read the result. Changing anything here changes ``FEATURE_SCHEMA``.
"""

import hashlib
import re
from functools import lru_cache
from typing import Final

TOKEN_BUCKETS: Final = 8192
"""Bucket 0 is padding. Four thousand gift items use about 2,300 words, so one word in eight shares its bucket."""

TOKENS_PER_ITEM: Final = 8
"""Nine names in ten have at most six words."""

TOKENISER: Final = "words-blake2b-v1"
"""Named in the feature schema: another tokeniser is another schema."""

_WORD: Final = re.compile(r"[^\W_]+")
_SHORTEST_PLURAL: Final = 4


@lru_cache(maxsize=1 << 16)
def bucket(word: str) -> int:
    """Bucket of a folded word, 1 to ``TOKEN_BUCKETS - 1``."""
    digest = hashlib.blake2b(word.encode(), digest_size=8, person=b"tidemark").digest()
    return 1 + int.from_bytes(digest, "little") % (TOKEN_BUCKETS - 1)


def words(name: str) -> list[str]:
    """Words of ``name``, case-folded, a plural's s taken off, each once, in order."""
    folded = (word.casefold() for word in _WORD.findall(name))
    singular = (
        word[:-1] if len(word) >= _SHORTEST_PLURAL and word[-1] == "s" and word[-2] != "s" else word for word in folded
    )
    return list(dict.fromkeys(singular))


def name_tokens(name: str) -> tuple[int, ...]:
    """The ``TOKENS_PER_ITEM`` buckets of ``name``: its first words, then zeros."""
    found = [bucket(word) for word in words(name)[:TOKENS_PER_ITEM]]
    return (*found, *[0] * (TOKENS_PER_ITEM - len(found)))
