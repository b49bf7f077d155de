"""Search in a table of fixed-size rows without unpacking it; every packed table of a profile is such a table.

Called by the modules that own the tables.
"""


def place(table: bytes, part: bytes, row_size: int, offset: int = 0) -> int:
    """Where the first row begins that holds ``part`` at ``offset``; -1: none does."""
    at = table.find(part)
    while at >= 0 and at % row_size != offset:
        at = table.find(part, at + 1)
    return at - offset if at >= 0 else -1


def last_place(table: bytes, part: bytes, row_size: int, offset: int, end: int) -> int:
    """The same for the last row before ``end``."""
    at = table.rfind(part, 0, end)
    while at >= 0 and at % row_size != offset:
        at = table.rfind(part, 0, at + len(part) - 1)
    return at - offset if at >= 0 else -1
