"""Finds the topic that a person means: by logical name, by its name on the broker, or a role's changelog.

Called by tail and by whatever takes a topic from the command line.
"""

from __future__ import annotations

import difflib
import re
from typing import Final, NamedTuple

from stream.configuration.settings import TopicSettings
from stream.contracts.topics import TOPICS
from stream.operations.topics import STATEFUL_ROLES

SUGGESTED: Final = 3
_EMPTY_WORDS: Final = ("", "v", "customer", "customers", "tidemark", "topic")
"""What many names on the broker have in common."""


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
    near = _near(name, known)
    advice = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    raise UnknownTopicError(f"there is no topic {name!r}; {advice}")


def _near(name: str, known: list[str]) -> list[str]:
    """The names of the same words in another order, or those that have one of the words, or those spelt alike."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word not in _EMPTY_WORDS]
    met = {topic: sum(any(_alike(word, part) for part in topic.split("_")) for word in words) for topic in known}
    most = max(met.values())
    if most:
        # Of those that have as many of the words, the ones with the fewest others.
        best = [topic for topic in known if met[topic] == most]
        fewest = min(topic.count("_") for topic in best)
        return [topic for topic in best if topic.count("_") == fewest][:SUGGESTED]
    return difflib.get_close_matches(name.lower().replace("-", "_"), known, n=SUGGESTED)


def _alike(word: str, part: str) -> bool:
    """Whether a person who typed the one may have meant the other: mistyped, abbreviated, singular for plural."""
    return (len(word) > 2 and part.startswith(word)) or difflib.SequenceMatcher(None, word, part).ratio() >= 0.8
