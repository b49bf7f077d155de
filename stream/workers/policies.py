"""By which policies answers are judged: those of the time that a question is about, with the gaps filled by the card of
the version that answered.

What was changed is said by the control topic and put in order by ``stream.decisions.policy_history``; here it is joined
with the models of the registry. Built by ``stream.workers.process`` and for replays by ``stream.workers.sandbox``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from serving.model_card import UnknownLevels
from serving.registry import Registry, UnknownVersion, UnusableVersion
from serving.rollout import Rollout
from stream.contracts.alerts import Alert
from stream.decisions.policies import Policies, PoliciesInForce
from stream.decisions.policy_history import PolicyHistory

_log = structlog.get_logger(__name__)


class RegisteredPolicies:
    """The policies for answers of each version: where no threshold is set, the version's card has one.

    Args:
        history: gives the policies so far.
        rollout: gives the switches of the model so far; its first version's card counts for a version that the registry
            does not know, such as a fallback's.
        clock: epoch milliseconds.
    """

    def __init__(
        self,
        registry: Registry,
        history: Callable[[], PolicyHistory],
        rollout: Callable[[], Rollout],
        clock: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._registry = registry
        self._history = history
        self._rollout = rollout
        self._clock = clock
        self._known: dict[tuple[int, str], tuple[Policies, PoliciesInForce]] = {}
        # What cannot be served is to be found before the first question, not at it.
        self._first(history().configured)

    def policies_of(self, version: str, as_of: int) -> PoliciesInForce:
        return self._in_force(self._history().at(as_of), version)

    def policies_for(self, customer_id: str, asked_at: int, as_of: int) -> PoliciesInForce:
        return self.policies_of(self._rollout().version_for(customer_id, asked_at), as_of)

    def remembered(self, alert: Alert | None) -> PoliciesInForce:
        version = "" if alert is None else alert.model.version
        known = (self._in_force(policies, version) for policies in self._history().all())
        if alert is not None:
            found = next((each for each in known if each.version == alert.policy_version), None)
            if found is not None:
                return found
        return self._in_force(self._history().configured, version)

    def applied(self) -> str:
        return self._history().name

    def in_force(self) -> str:
        return f"{self._registry.name} {self._rollout().settled(self._clock())}"

    def _in_force(self, policies: Policies, version: str) -> PoliciesInForce:
        # By identity: two policies are compared field by field, and this is asked for every question. What is kept
        # here lives as long as its id.
        found = self._known.get((id(policies), version))
        if found is None:
            found = policies, self._joined(policies, version) or self._first(policies)
            self._known[id(policies), version] = found
        return found[1]

    def _first(self, policies: Policies) -> PoliciesInForce:
        return self._joined(policies, self._rollout().first) or policies.in_force(self._registry.default().card)

    def _joined(self, policies: Policies, version: str) -> PoliciesInForce | None:
        try:
            return policies.in_force(self._registry.get(version).card)
        except (UnknownVersion, UnusableVersion):
            return None
        except (UnknownLevels, KeyError) as error:
            # `promote` refuses such a version; one that came into force otherwise is judged by the first one's levels.
            _log.error("a model's card lacks what the policies need", version=version, error=str(error))
            return None
