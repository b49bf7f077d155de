"""What operators switch, as records of ``tidemark.control.v1``, keyed by kind and kept for ever."""

from typing import Literal

import msgspec

ControlKind = Literal["model", "policy", "catalogue", "go_live"]


class Control(msgspec.Struct, omit_defaults=True):
    """From ``effective_at`` on, ``version`` is in force for ``kind``."""

    kind: ControlKind
    """What is switched; the record's key."""
    version: str
    """What comes into force."""
    effective_at: int
    """Epoch milliseconds."""
    previous_version: str = ""
    """What was in force before."""
    reason: str = ""
    """Why, in words."""
    actor: str = ""
    """Who switched it."""
