"""What can be recommended, as immutable snapshots: items by id and by hash, their tokens, vectors and availability.

A snapshot never changes, so a batch in flight keeps the one that it began with, and ``version`` says which. The
decisions worker applies the records of the catalogue topic to it; ``serving.features`` and ``serving.answers`` read
it. It reads no topic itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from serving.item_tower import ITEM_DIMENSIONS, ItemTower
from serving.name_likeness import MOST_UNSOLD, name_likeness
from serving.ranking import buyers_feature
from serving.shop import Shop
from serving.tokens import TOKENS_PER_ITEM, name_tokens
from stream.contracts.catalogue import CatalogueItem
from stream.contracts.ids import item_hash

_BUYABLE: Final = frozenset({"in_stock", "preorder"})
_DIGEST_BITS: Final = 128


class _Entry(NamedTuple):
    item: CatalogueItem
    tokens: tuple[int, ...]
    digest: int


def _digest(item: CatalogueItem) -> int:
    # ``updated_at`` says when the shop wrote, not what it sells.
    content = msgspec.json.encode(msgspec.structs.replace(item, updated_at=None))
    return int.from_bytes(hashlib.sha256(content).digest()[: _DIGEST_BITS // 8], "little")


def _entry(item: CatalogueItem) -> _Entry:
    return _Entry(item, name_tokens(item.item_name), _digest(item))


class Catalogue:
    """One snapshot. Rows of all arrays are in order of ``item_ids``, which is sorted.

    Arrays are built when first asked for, so applying many changes costs nothing but the changes.
    """

    def __init__(self, entries: Mapping[str, _Entry], tower: ItemTower | None, shop: Shop, digest: int) -> None:
        self._entries = entries
        self._digest = digest
        self.tower = tower
        self.shop = shop

    @classmethod
    def from_items(
        cls, items: Iterable[CatalogueItem], tower: ItemTower | None = None, shop: Shop | None = None
    ) -> Catalogue:
        """The snapshot of ``items``; of two with one id the later counts.

        Without a ``tower`` the vectors are zero, without a ``shop`` nothing is known of season and sales.
        """
        return cls({}, tower, shop or Shop.unknown(), 0).changed({item.item_id: item for item in items})

    def changed(self, changes: Mapping[str, CatalogueItem | None]) -> Catalogue:
        """The snapshot after ``changes`` by item id; None takes an item out."""
        entries = dict(self._entries)
        digest = self._digest
        for item_id, item in changes.items():
            if (former := entries.pop(item_id, None)) is not None:
                digest -= former.digest
            if item is not None:
                entries[item_id] = _entry(item)
                digest += entries[item_id].digest
        return Catalogue(entries, self.tower, self.shop, digest % (1 << _DIGEST_BITS))

    def with_item(self, item: CatalogueItem) -> Catalogue:
        """The snapshot with ``item`` added or replaced."""
        return self.changed({item.item_id: item})

    def without_item(self, item_id: str) -> Catalogue:
        """The snapshot without ``item_id``."""
        return self.changed({item_id: None})

    def with_model(self, tower: ItemTower | None, shop: Shop) -> Catalogue:
        """The same items as another model sees them, or with newer item statistics."""
        return Catalogue(self._entries, tower, shop, self._digest)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, item_id: str) -> CatalogueItem | None:
        """The item, or None when it is not in the catalogue."""
        entry = self._entries.get(item_id)
        return entry.item if entry else None

    @cached_property
    def version(self) -> str:
        """16 hex digits that depend on the items alone, not on the order in which they came."""
        return hashlib.sha256(self._digest.to_bytes(_DIGEST_BITS // 8, "little")).hexdigest()[:16]

    @cached_property
    def item_ids(self) -> list[str]:
        """Ids in sorted order: the rows of every array."""
        return sorted(self._entries)

    @cached_property
    def hashes(self) -> npt.NDArray[np.uint64]:
        """uint64[N]: the hash of each row's item."""
        return np.fromiter((item_hash(item_id) for item_id in self.item_ids), np.uint64, len(self))

    @cached_property
    def tokens(self) -> npt.NDArray[np.int32]:
        """int32[N + 1, TOKENS_PER_ITEM]; the last row is zero, so that row -1 means an unknown item."""
        table = np.zeros((len(self) + 1, TOKENS_PER_ITEM), np.int32)
        for row, item_id in enumerate(self.item_ids):
            table[row] = self._entries[item_id].tokens
        return table

    @cached_property
    def vectors(self) -> npt.NDArray[np.float32]:
        """float32[N, ITEM_DIMENSIONS]: the item tower's integer-valued vectors."""
        if self.tower is None:
            return np.zeros((len(self), ITEM_DIMENSIONS), np.float32)
        return self.tower.vectors(self.tokens[:-1])

    @cached_property
    def has_vector(self) -> npt.NDArray[np.bool_]:
        """bool[N]: whether the tower knows a word of each row's item."""
        return np.asarray(self.vectors.any(axis=1))

    @cached_property
    def buyers(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """float64[N] each: log of how many bought the item in the last month and week, 0 where nothing is known."""
        statistics = self.shop.items
        places = statistics.places(self.hashes)
        counts = (statistics.month_buyers, statistics.week_buyers)
        month, week = (np.where(places >= 0, np.append(each, 0)[places], 0) for each in counts)
        return buyers_feature(month), buyers_feature(week)

    @cached_property
    def companions(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        """intp[N, K] and float64[N, K]: rows of what the buyers of each row's item buy too, N where it is not sold any
        more, and how strongly."""
        statistics = self.shop.items
        places = statistics.places(self.hashes)
        kept = statistics.companions.shape[1]
        if not len(statistics.hashes):
            return np.full((len(self), kept), len(self), np.intp), np.zeros((len(self), kept))
        rows = self.rows(statistics.hashes)
        targets = np.where(rows >= 0, rows, len(self))[statistics.companions[places]]
        known = (places >= 0)[:, None]
        return np.where(known, targets, len(self)), np.where(known, statistics.weights[places], 0).astype(np.float64)

    @cached_property
    def unsold(self) -> npt.NDArray[np.intp]:
        """intp[U], ascending: rows of what can be bought and the statistics know no sale of, new items above all. Of
        more than ``MOST_UNSOLD`` those with the last ids."""
        places = self.shop.items.places(self.hashes)
        return np.flatnonzero((places < 0) & self.buyable)[-MOST_UNSOLD:]

    @cached_property
    def unsold_column(self) -> npt.NDArray[np.intp]:
        """intp[N]: place of each row in ``unsold``, -1 where it is not there."""
        columns = np.full(len(self), -1, np.intp)
        columns[self.unsold] = np.arange(len(self.unsold))
        return columns

    @cached_property
    def unsold_likeness(self) -> npt.NDArray[np.float32]:
        """float32[N, U]: how alike each row's name is to those of ``unsold``."""
        return name_likeness(self.tokens[:-1], self.unsold)

    @cached_property
    def buyable(self) -> npt.NDArray[np.bool_]:
        """bool[N]: in stock or on preorder, and not restricted."""
        entries = (self._entries[item_id].item for item_id in self.item_ids)
        return np.fromiter((e.availability in _BUYABLE and not e.restricted for e in entries), np.bool_, len(self))

    @cached_property
    def groups(self) -> list[str]:
        """The group of each row's item; an item without one is its own group."""
        return [self._entries[item_id].item.item_group_id or item_id for item_id in self.item_ids]

    @cached_property
    def group_codes(self) -> npt.NDArray[np.intp]:
        """intp[N]: a number for each row's group, the same for the same group."""
        return np.unique(np.array(self.groups, np.str_), return_inverse=True)[1].astype(np.intp, copy=False)

    @cached_property
    def by_popularity(self) -> npt.NDArray[np.intp]:
        """Rows of buyable items, most popular first, ties by id."""
        rows = np.flatnonzero(self.buyable)
        return rows[np.argsort(-self.buyers[0][rows], kind="stable")]

    @cached_property
    def _sorted_hashes(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.intp]]:
        order = np.argsort(self.hashes, kind="stable")
        return self.hashes[order], order

    def rows(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
        """Row of each hash, -1 where the catalogue does not know it; any shape."""
        known, order = self._sorted_hashes
        if not len(known):
            return np.full(hashes.shape, -1, np.intp)
        places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
        return np.where(known[places] == hashes, order[places], -1)
