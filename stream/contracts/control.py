"""What operators switch, as records of ``tidemark.control.v1``, keyed by kind and kept for ever."""

from typing import Final, Literal

import msgspec

ControlKind = Literal["model", "policy", "catalogue", "go_live", "resume"]

EVERY_ROLE: Final = "*"
"""``version`` of a ``resume`` that is meant for the workers of every role."""


class Control(msgspec.Struct, omit_defaults=True):
    """From ``effective_at`` on, ``version`` is in force for ``kind``."""

    kind: ControlKind
    """What is switched; the record's key."""
    version: str
    """What comes into force; for ``resume`` the role whose paused partitions go on, or ``*``."""
    effective_at: int
    """Epoch milliseconds; for ``policy`` of event time, else of the brokers' clock."""
    previous_version: str = ""
    """What was in force before."""
    ramp_ms: int = 0
    """For ``model``: milliseconds after ``effective_at`` until the version answers everybody; until then it answers a
    share of the customers that grows evenly, the same ones at every worker. 0: everybody at once."""
    reason: str = ""
    """Why, in words."""
    actor: str = ""
    """Who switched it."""
    document: str = ""
    """For ``policy``: the policies as a JSON object, with every value that they leave to a default."""
