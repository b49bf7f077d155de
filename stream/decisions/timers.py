"""What decisions do without an answer: alerts are published when quiet hours end, and expire at their time; questions
that a fallback answered are put again.

The engine asks ``due`` after every fold and calls ``on_timer`` when partition time has passed it. The worker calls
``ask_again`` for states that are ``waiting`` when the model is back. Neither reads a clock.
"""

from msgspec.structs import replace

from stream.contracts.emission import Output
from stream.contracts.ids import request_id
from stream.decisions.case import Terms
from stream.decisions.deployment import Deployment
from stream.decisions.episodes import elapse
from stream.decisions.messages import asked
from stream.decisions.policies import PoliciesInForce
from stream.decisions.state import DecisionState


def due(state: DecisionState) -> int:
    """When ``on_timer`` is to be called next, in epoch milliseconds of event time; 0: never."""
    return min((episode.held_until or episode.expires_at for episode in state.episodes.values()), default=0)


def on_timer(
    state: DecisionState, at: int, policies: PoliciesInForce, deployment: Deployment
) -> tuple[DecisionState, list[Output]]:
    """Publish the alerts that quiet hours held until ``at`` and end those whose time is up, as of the due time and not
    of the time of the call."""
    return state, elapse(state, at, Terms(policies, deployment))


def waiting(state: DecisionState) -> bool:
    """True when a fallback gave the customer's newest answer and the model is to be asked."""
    return state.waiting is not None


def ask_again(state: DecisionState) -> tuple[DecisionState, list[Output]]:
    """Put the waiting question again, as of the same time; nothing where none waits.

    The state then expects that one answer. What it was waiting for is gone from it, so calling twice asks once.
    """
    question = state.waiting
    if question is None:
        return state, []
    attempt = question.attempt + 1
    state.waiting = None
    state.retry_id = request_id(question.customer_id, "retry", question.as_of, attempt)
    return state, [asked(replace(question, request_id=state.retry_id, trigger="retry", attempt=attempt))]
