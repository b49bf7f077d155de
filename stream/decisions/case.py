"""What a decision is made from: the answered request on one hand, the terms of the deployment on the other.

Two bundles that travel together through ``episodes``, ``descriptions`` and ``lists``; they hold values and do nothing.
"""

from typing import NamedTuple

from stream.contracts.emission import Origin
from stream.contracts.scores import Answer, ScoreRequest
from stream.decisions.deployment import Deployment
from stream.decisions.facts import Facts
from stream.decisions.policies import PoliciesInForce
from stream.profiles.profile import Profile


class Terms(NamedTuple):
    """By which policy, and for whom."""

    policies: PoliciesInForce
    deployment: Deployment


class Case(NamedTuple):
    """One answered request."""

    request: ScoreRequest
    origin: Origin
    """Where the request lies."""
    answer: Answer
    profile: Profile
    """As the request carried it."""
    facts: Facts
    """Of the profile, at the request's ``as_of``."""
    score: float
    """Probability of no purchase within the policy's horizon, rounded to 1e-3."""
    now: int
    """The later of the request's ``as_of`` and the latest one answered: nothing is decided in a customer's past."""
