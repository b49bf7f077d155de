"""What a customer allows. The last choice wins, by time; of two choices in the same millisecond, the denial.

Called by the fold for ``consent`` events and for messages that were unsubscribed from.
"""

from typing import NamedTuple

from stream.contracts.events import ConsentChoice
from stream.profiles.profile import Profile


class Change(NamedTuple):
    """What a choice changed."""

    withdrawn: bool
    """Something that was allowed no longer is."""
    personalization_granted: bool
    """Personalization is allowed again."""


def choose(
    profile: Profile, personalization: ConsentChoice | None, marketing: ConsentChoice | None, time: int
) -> Change:
    """Takes a choice in; None leaves the earlier one as it was."""
    before = (profile.personalization, profile.marketing)
    if personalization is not None:
        profile.personalization, profile.personalization_at = _latest(
            profile.personalization, profile.personalization_at, personalization, time
        )
    if marketing is not None:
        profile.marketing, profile.marketing_at = _latest(profile.marketing, profile.marketing_at, marketing, time)
    return Change(
        withdrawn=(before[0] and not profile.personalization) or (before[1] and not profile.marketing),
        personalization_granted=not before[0] and profile.personalization,
    )


def _latest(allowed: bool, since: int, choice: ConsentChoice, time: int) -> tuple[bool, int]:
    granted = choice == "granted"
    if time > since:
        return granted, time
    if time == since:
        return allowed and granted, time
    return allowed, since
