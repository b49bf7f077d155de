"""Changes of the policies: what is in force, what a file would change, and how a change comes into force.

A change is a record of the control topic with all of the policies in it, so that workers take it up without a restart
and a replay knows which policies held when. Called by `tidemark policies`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from serving.model_card import UnknownLevels
from stream.configuration.repository import open_registry
from stream.configuration.settings import Configuration
from stream.contracts.control import Control
from stream.decisions.policies import Policies
from stream.decisions.policy_history import PolicyHistory, name_of
from stream.operations.promotion import in_force as rollout_in_force
from stream.operations.promotion import needed_now
from stream.operations.switches import policy_changes, say

LEAD_MS: Final = 5_000
"""From saying a change to its coming into force: every worker has read it by then."""


class NotApplied(ValueError):
    """Policies that cannot come into force; the message says why and what to do."""


class Difference(msgspec.Struct, frozen=True):
    """One value that two policies have otherwise."""

    key: str
    """Dotted, as in the file."""
    before: Any
    after: Any


def history(configuration: Configuration) -> PolicyHistory:
    """The policies of the configuration and every change since.

    Raises:
        PoliciesUnreadable: the topic holds policies of a newer build.
        KafkaUnreachableError, MissingTopicError, AccessError: it cannot be read.
    """
    return PolicyHistory(configuration.policies, policy_changes(configuration))


def differences(before: Policies, after: Policies) -> list[Difference]:
    """Every value that differs, in the order of the settings."""
    one, other = _flat(msgspec.to_builtins(before)), _flat(msgspec.to_builtins(after))
    return [
        Difference(key, one.get(key), other.get(key))
        for key in dict.fromkeys([*one, *other])
        if one.get(key) != other.get(key)
    ]


def apply(
    configuration: Configuration, policies: Policies, *, effective_at: int | None, reason: str, actor: str
) -> Control:
    """Say that ``policies`` hold for questions as of ``effective_at`` and later, and return what was said.

    Args:
        effective_at: epoch milliseconds of event time; None: a few seconds from now.

    Raises:
        NotApplied: a version of the model that may be asked cannot be judged by them.
        KafkaUnreachableError, MissingTopicError, AccessError: it could not be said.
    """
    check_cards(configuration, policies)
    said = Control(
        kind="policy",
        version=name_of(policies),
        effective_at=int(time.time() * 1000) + LEAD_MS if effective_at is None else effective_at,
        previous_version=name_of(history(configuration).newest()),
        reason=reason,
        actor=actor,
        document=msgspec.json.encode(policies).decode(),
    )
    say(configuration, said)
    return said


def check_cards(configuration: Configuration, policies: Policies) -> None:
    """Refuse policies that leave to the model's card what it does not know.

    Raises:
        NotApplied: says of which version, and what to set.
    """
    registry = open_registry(configuration)
    for version in needed_now(rollout_in_force(configuration, registry)):
        try:
            policies.in_force(registry.get(version).card)
        except (KeyError, UnknownLevels) as error:
            raise NotApplied(
                f"version {version} of the model cannot be judged by these policies: {error}; set raise_threshold "
                "and resolve_threshold of every kind instead"
            ) from error
        except LookupError:
            # Taken out of the repository since; nobody is served by it.
            continue


def _flat(table: Mapping[str, Any], inside: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{inside}{name}.")
        else:
            found[f"{inside}{name}"] = value
    return found
