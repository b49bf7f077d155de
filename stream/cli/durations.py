"""Lengths of time as people type them: 90m, 12h, 7d. Called by the commands that take one."""

from __future__ import annotations

import re
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
