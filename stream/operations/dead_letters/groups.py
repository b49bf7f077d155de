"""Counts dead letters by why they were refused, without holding them.

Pure; called by `survey.py`.
"""

from __future__ import annotations

import msgspec

from stream.operations.dead_letters.filters import any_index
from stream.operations.dead_letters.letters import Letter


class Group(msgspec.Struct):
    """Letters that were refused for the same reason. Times in epoch milliseconds."""

    code: str
    field: str
    """With ``[*]`` for every index."""
    letters: int
    first: int
    """When the oldest was refused."""
    last: int
    example: str
    """The newest of them, as ``PARTITION:OFFSET``."""
    message: str
    """What was said to the example."""


class Groups:
    """Letters so far, by code and field."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], Group] = {}

    def add(self, letter: Letter, code: str, field: str, message: str) -> None:
        """Count a letter under why it was refused, or why it cannot be put back."""
        key = (code, any_index(field))
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(*key, 0, letter.refused_at, letter.refused_at, "", "")
        group.letters += 1
        group.first = min(group.first, letter.refused_at)
        if letter.refused_at >= group.last or not group.example:
            group.last, group.example, group.message = letter.refused_at, str(letter.place), message

    def listed(self) -> list[Group]:
        """Most letters first."""
        return sorted(self._groups.values(), key=lambda group: (-group.letters, group.code, group.field))
