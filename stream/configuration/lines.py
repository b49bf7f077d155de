"""In which line of a TOML file a key stands, for messages about it: the parser forgets where values came from.

It reads headers and keys alone, and is asked only about files that were parsed before. Called by `load.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]")
_KEY: Final = re.compile(r"""\s*((?:[\w.\-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w\-]+|"[^"]*"))*)\s*=""")


def line_of(text: str, key: str) -> int | None:
    """The line, counted from 1, that gives ``key``, or the nearest one around it: its table, its list.

    >>> line_of('holdout_share = 0.1\\n[churn_risk]\\nraise_value = -1\\n', "churn_risk.raise_value")
    3
    >>> line_of('[[actions]]\\ncode = "a"\\n[[actions]]\\nkode = "b"\\n', "actions[1].kode")
    4

    Args:
        key: dotted, entries of lists as ``actions[1]``; empty finds nothing.
    """
    lines: dict[str, int] = {}
    counted: Counter[str] = Counter()
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _dotted(header[2])
            if header[1] == "[[":
                lines.setdefault(table, number)
                table, counted[table] = f"{table}[{counted[table]}]", counted[table] + 1
            lines.setdefault(table, number)
        elif found := _KEY.match(line):
            lines.setdefault(".".join(filter(None, (table, _dotted(found[1])))), number)
    while key and key not in lines:
        key = re.sub(r"(\.[^.\[]+|\[\d+\]|^[^.\[]+)$", "", key)
    return lines.get(key)


def _dotted(written: str) -> str:
    return re.sub(r"""\s*\.\s*""", ".", written).replace('"', "").replace("'", "")
