"""Lengths of time and moments as people type them: 90m, 12h, 7d, 2026-03-01. Called by the commands that take one."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import typer

_SECONDS: Final = {"m": 60, "h": 3_600, "d": 86_400}
_NAMES: Final = {"m": "minutes", "h": "hours", "d": "days"}


def seconds_of(text: str, option: str, units: str) -> float:
    """Seconds of a whole number and one of ``units``, such as "hd".

    Raises:
        typer.BadParameter: it is not one, or nought.
    """
    found = re.fullmatch(rf"(\d+)([{units}])", text)
    if found is None or not int(found[1]):
        known = " or ".join(_NAMES[unit] for unit in units)
        raise typer.BadParameter(
            f"{text!r} is not a number of {known}, such as 12{units[0]} or 7{units[-1]}", param_hint=option
        )
    return float(int(found[1]) * _SECONDS[found[2]])


def moment_of(text: str, option: str, now: int) -> int:
    """Epoch milliseconds of a moment: so long before ``now`` (90m, 12h, 7d), or a day or a time in ISO 8601.

    A time without an offset is in UTC.

    Raises:
        typer.BadParameter: it is none.
    """
    if re.fullmatch(r"\d+[mhd]", text):
        return now - int(seconds_of(text, option, "mhd") * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no moment: so long ago, such as 90m, 12h or 7d, or 2026-03-01 or 2026-03-01T09:00",
            param_hint=option,
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
