"""Builds a subscription from the configuration and from what its caller wants, and runs it.

What it does with alerts is ``subscription.py``'s business. Called by `tidemark subscribe`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from typing import Annotated, Final

import msgspec
from confluent_kafka import Message
from prometheus_client import CollectorRegistry

from stream.configuration.clients import client_properties
from stream.configuration.resolve import ConfigurationError
from stream.configuration.settings import SUBSCRIPTION_NAME, Configuration
from stream.contracts import topics
from stream.contracts.alerts import Severity
from stream.contracts.undelivered import read_undelivered
from stream.operations.brokers import connect_admin, headers_of
from stream.operations.subscriptions.command import CommandSink, UnusableCommand
from stream.operations.subscriptions.http import HttpSink, UnusableTarget, checked
from stream.operations.subscriptions.intake import Intake, Start
from stream.operations.subscriptions.letters import Letters
from stream.operations.subscriptions.metrics import SubscriptionMetrics
from stream.operations.subscriptions.outcomes import Delivery, Sink
from stream.operations.subscriptions.posting import Posting
from stream.operations.subscriptions.signing import Signer, UnusableSecret
from stream.operations.subscriptions.subscription import Subscription
from stream.operations.subscriptions.wanted import Skipped, Unreadable, Wanted
from stream.operations.topics import require_topics
from stream.workers import decisions
from stream.workers.erased_reader import ErasuresReader

ATTEMPTS: Final = 20
"""An endpoint that fails every other time loses one delivery in a million by it."""
LONGEST_WAIT_S: Final = 300.0
PARALLEL: Final = 16
TIMEOUT_S: Final = 10.0
_SCHEME: Final = re.compile(r"https?://", re.IGNORECASE)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscription delivers, and where."""

    name: str
    """Of the subscription: what it has delivered is remembered under it."""
    to: str
    """URL or command."""
    kinds: tuple[str, ...] = ()
    """Of alerts; none: all."""
    least: Severity = "low"
    start: Start | None = None
    """Where to begin when it was never there."""
    undelivered: bool = False
    """Whether to try again what this subscription gave up, instead of delivering what is new."""
    once: bool = False
    """Whether to end when all is done with that is committed now."""
    attempts: Annotated[int, msgspec.Meta(gt=0)] = ATTEMPTS
    longest_wait_s: Annotated[float, msgspec.Meta(gt=0)] = LONGEST_WAIT_S
    """Between two attempts at an alert."""
    parallel: Annotated[int, msgspec.Meta(gt=0)] = PARALLEL
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = TIMEOUT_S
    allow_private: bool = False


class UnusableWish(ValueError):
    """A subscription that cannot be: what is wrong with its name, its endpoint or its secret."""


def subscribe(
    configuration: Configuration,
    wish: Wish,
    registry: CollectorRegistry | None = None,
    on_begin: Callable[[Callable[[], None]], None] = lambda stop: None,
) -> dict[str, int]:
    """Deliver until it is stopped, or is done. Returns what was done with, by how it ended.

    Args:
        on_begin: is given what stops it, before it begins.

    Raises:
        UnusableWish, ConfigurationError: it was not begun.
        EndpointRefuses: the endpoint wants nothing of it.
        NoPosition, AlertsLost: it cannot go on where it was.
        MissingTopicError, AccessError, KafkaUnreachableError: Kafka does not let it.
    """
    if not re.fullmatch(SUBSCRIPTION_NAME, wish.name):
        raise UnusableWish(f"{wish.name!r} is no name of a subscription: small letters, digits, '.' and '-' alone")
    if configuration.lacks_secret():
        raise ConfigurationError(
            "deployment.secret is the one that everybody knows: set it as the workers have it, or nobody who was "
            "erased is recognised"
        )
    make_sink = _sink(configuration, wish)
    names, kafka = configuration.topics.topic_names(), client_properties(configuration.kafka)
    alerts, undelivered = names.physical(topics.ALERTS), names.physical(topics.ALERTS_UNDELIVERED)
    require_topics(connect_admin(configuration.kafka), [alerts, undelivered, names.physical(topics.ERASURES)])
    source = undelivered if wish.undelivered else alerts
    group = names.group(f"subscription.{wish.name}" + (".undelivered" if wish.undelivered else ""))
    wanted = Wanted() if wish.undelivered else Wanted(frozenset(wish.kinds), wish.least)

    def judge(message: Message) -> Delivery | Skipped:
        if wish.undelivered and not _is_own(message, wish.name):
            return Skipped("other")
        return wanted.look(message.partition() or 0, message.offset() or 0, message.key(), message.value())

    with (
        closing(ErasuresReader(kafka, names, configuration.deployment.secret, decisions.ROLE)) as erased,
        Posting(make_sink) as posting,
    ):
        erased.start()
        subscription = Subscription(
            judge=judge,
            forget=wanted.forget,
            posting=posting,
            letters=Letters(configuration.kafka, undelivered, source, wish.name),
            erased=erased,
            metrics=SubscriptionMetrics(registry or CollectorRegistry(), wish.name),
            parallel=wish.parallel,
            drain_s=wish.timeout_s + 1.0,
            attempts=wish.attempts,
            longest_wait_s=wish.longest_wait_s,
        )
        on_begin(subscription.stop)
        with closing(Intake(configuration, source, group, subscription)) as intake:
            subscription.run(intake, wish.start, wish.name, once=wish.once or wish.undelivered)
    return dict(subscription.ends)


def _sink(configuration: Configuration, wish: Wish) -> Callable[[], Sink]:
    """Makes what delivers, once there is an event loop; whatever can be wrong with it is found before."""
    try:
        if not _SCHEME.match(wish.to):
            command = CommandSink(wish.to, timeout_s=wish.timeout_s)
            return lambda: command
        target = checked(wish.to, wish.allow_private)
    except (UnusableCommand, UnusableTarget) as error:
        raise UnusableWish(str(error)) from error
    key = f"{wish.name}.secret"
    secret = configuration.subscriptions.get(key)
    variable = f"TIDEMARK__SUBSCRIPTIONS__{key.upper().replace('.', '_')}"
    if secret is None:
        raise UnusableWish(
            f"there is no secret to sign with: set {variable}, or name a file that holds it with "
            f'"{key}_file" in [subscriptions]'
        )
    try:
        signer = Signer(str(secret))
    except UnusableSecret as error:
        raise UnusableWish(f"subscriptions.{key} {error}") from error
    return lambda: HttpSink(
        str(target),
        signer,
        timeout_s=wish.timeout_s,
        allow_private=wish.allow_private,
        connections=wish.parallel,
    )


def _is_own(message: Message, name: str) -> bool:
    try:
        given_up = read_undelivered(headers_of(message))
    except ValueError as error:
        raise Unreadable(f"nobody gave it up: {error}") from error
    return given_up.subscription == name
