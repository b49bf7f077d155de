"""Finds the topic that a person means: by logical name, by its name on the broker, or a role's changelog.

Called by tail and by whatever takes a topic from the command line.
"""

from __future__ import annotations

import difflib
from typing import NamedTuple

from stream.configuration.settings import TopicSettings
from stream.contracts.topics import TOPICS
from stream.operations.topics import STATEFUL_ROLES


class UnknownTopicError(ValueError):
    """No topic of Tidemark is called so."""


class NamedTopic(NamedTuple):
    """A topic of the deployment."""

    logical: str
    """As `stream.contracts.topics` calls it; ``profiles_changelog`` for a changelog."""
    physical: str
    """On the broker."""


def find_topic(name: str, settings: TopicSettings) -> NamedTopic:
    """The topic called ``name``, such as ``alerts``, ``dead-letters`` or ``customer.alerts.v1``.

    Raises:
        UnknownTopicError: there is none; the message names the nearest, or all.
    """
    names = settings.topic_names()
    topics = [NamedTopic(logical, names.physical(logical)) for logical in TOPICS]
    topics += [NamedTopic(f"{role}_changelog", names.changelog(role)) for role in STATEFUL_ROLES]
    wanted = name.replace("-", "_")
    for topic in topics:
        if wanted == topic.logical or name == topic.physical:
            return topic
    known = [topic.logical for topic in topics]
    close = difflib.get_close_matches(wanted, known, n=1)
    advice = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
    raise UnknownTopicError(f"there is no topic {name!r}; {advice}")
