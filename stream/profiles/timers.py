"""What happens to a profile when nothing happens: waiting requests, silence, and the end of anonymous visitors.

The engine keeps ``due`` beside the state and calls ``on_timer`` with it once the partition's time has passed it,
however late on the wall clock: the effects depend on the due time and the state alone.
"""

from typing import NamedTuple

from stream.contracts.emission import Origin
from stream.contracts.scores import ScoreRequest
from stream.profiles import asking
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings


class Fired(NamedTuple):
    """What a timer did."""

    profile: Profile | None
    """None: the state is gone."""
    request: ScoreRequest | None


def due(profile: Profile) -> int:
    """When the profile wants to be called next, in epoch milliseconds; 0: never."""
    due = profile.ask_due
    if profile.silence_due and (not due or profile.silence_due < due):
        due = profile.silence_due
    if profile.expires_at and (not due or profile.expires_at < due):
        due = profile.expires_at
    return due


def on_timer(profile: Profile, due: int, origin: Origin, settings: ProfileSettings) -> Fired:
    """Fires what is due.

    Args:
        profile: changed in place and handed back.
        due: the time that was set, epoch milliseconds; it becomes the request's ``as_of``.
        origin: of the record that moved the partition's time to or past ``due``.
        settings: of the deployment.
    """
    if profile.expires_at and profile.expires_at <= due:
        return Fired(None, None)
    waiting = bool(profile.ask_due) and profile.ask_due <= due
    silent = bool(profile.silence_due) and profile.silence_due <= due
    if silent:
        asking.listen_on(profile, due, settings)
    if waiting:
        profile.ask_due = 0
    as_of = max(due, profile.last_time)
    if not (waiting or silent) or not asking.may_ask(profile, as_of, settings):
        return Fired(profile, None)
    return Fired(profile, asking.ask(profile, "silence" if silent else "interval", as_of, origin))
