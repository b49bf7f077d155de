"""Which policies hold for a question: a function of the changes on the control topic and of the time that the question
is about. Nothing else is read, so every worker and every replay finds the same.

Time is the event time of the question, not a clock's: the same log judged again a year later is judged by the policies
of its own days. Called by ``stream.workers.policies``, and by whoever lists the changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from stream.contracts.control import Control
from stream.decisions.policies import Policies


class PoliciesUnreadable(ValueError):
    """A change of the policies that this build cannot read; the message says of when, and what is wrong."""


class Change(NamedTuple):
    """``policies`` hold for questions as of ``effective_at`` (epoch milliseconds) and later."""

    effective_at: int
    policies: Policies


class PolicyHistory:
    """The policies of the configuration, and the changes since.

    Parameters
    ----------
    configured
        Hold until the first change.
    records
        Those of kind ``policy``, as they lie in the control topic. A later one counts before an earlier one, whatever
        their times.

    Attributes
    ----------
    name
        Of the policies that the last change leads to.

    Raises
    ------
    PoliciesUnreadable
        A record cannot be read.
    """

    def __init__(self, configured: Policies, records: Iterable[Control] = ()) -> None:
        self.configured = configured
        self.changes = tuple(Change(record.effective_at, written_in(record)) for record in records)
        self.name = name_of(self.newest())

    def at(self, as_of: int) -> Policies:
        """The policies for a question as of ``as_of``, epoch milliseconds of event time."""
        for change in reversed(self.changes):
            if as_of >= change.effective_at:
                return change.policies
        return self.configured

    def newest(self) -> Policies:
        """Those that the last change leads to, whether or not it holds yet."""
        return self.changes[-1].policies if self.changes else self.configured

    def all(self) -> list[Policies]:
        """Every policy that ever held or will, newest first."""
        return [*(change.policies for change in reversed(self.changes)), self.configured]


def written_in(record: Control) -> Policies:
    """The policies in a record of the control topic.

    Raises:
        PoliciesUnreadable: they cannot be read.
    """
    try:
        return msgspec.json.decode(record.document, type=Policies)
    except (msgspec.DecodeError, ValueError) as error:
        raise PoliciesUnreadable(
            f"policies {record.version} of the control topic cannot be read: {error}; upgrade this build, or apply "
            "policies that it knows"
        ) from error


def name_of(policies: Policies) -> str:
    """12 hex digits that name what is written, whatever a model's card adds to it."""
    return policies.in_force(None).version
