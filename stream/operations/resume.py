"""Tells workers whose partitions were paused, because most of their input was bad, to go on.

Called by `tidemark resume`. What is written is a record of the control topic, which every running worker follows.
"""

from __future__ import annotations

import time

from stream.configuration.settings import Configuration
from stream.contracts.control import EVERY_ROLE, Control
from stream.operations.switches import say


def resume(configuration: Configuration, role: str | None, reason: str) -> None:
    """Write the record.

    Args:
        role: whose workers are meant; None for all.
        reason: why, in words; it is kept with the record.

    Raises:
        KafkaUnreachableError: the record could not be written.
        MissingTopicError: there are no topics yet.
        AccessError: this user may not write it.
    """
    say(
        configuration,
        Control(kind="resume", version=role or EVERY_ROLE, effective_at=int(time.time() * 1000), reason=reason),
    )
