"""From an item's tokens to its vector: the item half of the two-tower retrieval, in numpy, without the model server.

The token embeddings are learned with the customer model and lie beside it (``item_tower.npz``), so a catalogue can be
embedded anywhere and at once. ``serving.training`` writes the file, ``serving.catalogue`` reads vectors from here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from serving.tokens import TOKEN_BUCKETS

ITEM_DIMENSIONS: Final = 32
ITEM_TOWER_FILE: Final = "item_tower.npz"

VECTOR_STEPS: Final = 127
QUERY_STEPS: Final = 1023
"""Item vectors lie on a grid of 1/127 and queries on one of 1/1023 per dimension. A product of two grid points,
summed over 32 dimensions, stays under 2**24, so float32 adds it up exactly: a score does not depend on the size of
the batch or on the order in which a BLAS library sums."""


class ItemTower(NamedTuple):
    """Learned embeddings of token buckets.

    Attributes:
        embeddings: float16[TOKEN_BUCKETS, ITEM_DIMENSIONS]; row 0 (padding) is zero.
    """

    embeddings: npt.NDArray[np.float16]

    def vectors(self, tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """Unit vectors times ``VECTOR_STEPS``, rounded to integers: float32[N, ITEM_DIMENSIONS] from int32[N, tokens].

        An item without a known word has the zero vector.
        """
        summed = self.embeddings.astype(np.float32)[tokens].sum(axis=1)
        norms = np.linalg.norm(summed, axis=1, keepdims=True)
        rounded: npt.NDArray[np.float32] = np.rint(summed / np.where(norms > 0, norms, 1) * VECTOR_STEPS)
        return rounded


def quantised_queries(queries: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Queries as unit vectors times ``QUERY_STEPS``, rounded to integers: float32[B, ITEM_DIMENSIONS]."""
    norms = np.linalg.norm(queries, axis=1, keepdims=True)
    return np.rint(queries / np.where(norms > 0, norms, 1) * QUERY_STEPS).astype(np.float32)


def read_item_tower(path: Path) -> ItemTower:
    """Read ``item_tower.npz``.

    Raises:
        ValueError: the embeddings do not have the shape that this version of the tokeniser needs.
    """
    with np.load(path, allow_pickle=False) as stored:
        tower = ItemTower(stored["embeddings"])
    if tower.embeddings.shape != (TOKEN_BUCKETS, ITEM_DIMENSIONS):
        raise ValueError(
            f"{path} has embeddings of shape {tower.embeddings.shape}, expected {(TOKEN_BUCKETS, ITEM_DIMENSIONS)}: "
            "export the model again with this version of Tidemark"
        )
    return tower


def write_item_tower(path: Path, tower: ItemTower) -> None:
    """Write ``item_tower.npz``, compressed."""
    np.savez_compressed(path, embeddings=tower.embeddings)
