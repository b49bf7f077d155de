"""Product texts for the encoder's language and vectors. Training calls this."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

_FEWEST_LINES: Final = 2
"""A description seen once is more often a warehouse's remark than a product."""

_SHORTEST: Final = 6


def read_products(path: Path, column: str = "description") -> list[str]:
    """Distinct texts of ``column`` in a parquet file with a row for each line sold, in alphabetical order.

    Raises:
        FileNotFoundError: there is no such file.
    """
    counts = Counter((text or "").strip() for text in pq.read_table(path, columns=[column])[column].to_pylist())
    return sorted(text for text, lines in counts.items() if lines >= _FEWEST_LINES and len(text) >= _SHORTEST)
