"""Visitors browse at a steady pace while the model is switched to and fro; afterwards every answer is worked out again.

An answer must come from the version that was in force when its question was written, whole: its numbers are those of
that version's file, for the profile that the question carried. Used by ``test_rollout.py``.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from serving.catalogue import Catalogue
from serving.features import tensors
from serving.in_process import OnnxScorer
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import HORIZONS
from serving.registry import RegisteredVersion
from serving.rollout import Rollout
from serving.shop import SHOP_FILE, read_shop
from stream.configuration.clients import client_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.codec import decode_score, decode_score_request, encode
from stream.contracts.events import Event, Item
from stream.contracts.scores import Score, ScoreRequest
from stream.operations.brokers import make_consumer, make_producer, read_to_end
from stream.profiles import codec

SAME_WITHIN = 0.0011
"""Answers are rounded to 1e-3, and a batch may change the last digits before."""
_BATCH = 256


class Question(NamedTuple):
    """A question as it lies in the topic."""

    request: ScoreRequest
    appended: int


class Found(NamedTuple):
    """What became of the questions."""

    questions: int
    lost: int
    twice: int
    by_version: dict[str, int]
    fallbacks: Counter[str]
    by_another: int
    """Answers of a version that was not in force when the question was written."""
    half_loaded: int
    """Answers that are not those of the version that they are stamped with."""


@contextmanager
def visitors(configuration: Configuration, rate: int, people: int, seed: int = 4) -> Iterator[list[int]]:
    """``rate`` visits a second until the block ends, other ones for each ``seed``; gives a list whose only element
    counts them."""
    stopping, sent = threading.Event(), [0]
    topic = configuration.topics.topic_names().physical(topics.EVENTS)
    producer = make_producer(configuration.kafka, **{"linger.ms": 2})
    thread = threading.Thread(target=_browse, args=(producer, topic, rate, people, seed, stopping, sent), daemon=True)
    thread.start()
    try:
        yield sent
    finally:
        stopping.set()
        thread.join()


def _browse(
    producer: Producer, topic: str, rate: int, people: int, seed: int, stopping: threading.Event, sent: list[int]
) -> None:
    draw, began = random.Random(seed), time.monotonic()
    while not stopping.is_set():
        while sent[0] < (time.monotonic() - began) * rate:
            customer = f"v{draw.randrange(people)}"
            event = Event(
                event_id=f"visit-{seed}-{sent[0]}",
                type="browse",
                time=int(time.time() * 1000),
                customer_id=customer,
                items=[Item(item_id=f"p{draw.randrange(500)}")],
                simulated=True,
            )
            producer.produce(topic, encode(event), customer.encode())
            sent[0] += 1
        producer.poll(0.002)
    producer.flush()


Places = dict[tuple[int, int], Question]
"""Questions by partition and offset."""


class Reading(NamedTuple):
    """Questions, and the answers to these alone."""

    questions: Places
    scores: list[Score]

    def unanswered(self) -> set[tuple[int, int]]:
        """Places of questions without an answer."""
        return self.questions.keys() - {(score.request_partition, score.request_offset) for score in self.scores}


def read_when_answered(configuration: Configuration, timeout_s: float) -> Reading:
    """The questions that are in the topic now, and their answers once all are answered, or the time is over.

    Questions come as long as there are customers, and so do answers to later ones: those are left out.
    """
    names, admin = configuration.topics.topic_names(), AdminClient(client_properties(configuration.kafka))
    questions: Places = {}
    consumer = make_consumer(configuration.kafka, "read-back", **{"enable.auto.commit": False})
    try:
        for message in read_to_end(consumer, admin, [names.physical(topics.SCORE_REQUESTS)]):
            request = decode_score_request(message.value() or b"")
            if request.kind == "score":
                place = (message.partition() or 0, message.offset() or 0)
                questions[place] = Question(request, message.timestamp()[1])
        deadline = time.monotonic() + timeout_s
        while True:
            every = [
                decode_score(message.value() or b"")
                for message in read_to_end(consumer, admin, [names.physical(topics.SCORES)])
            ]
            scores = [score for score in every if (score.request_partition, score.request_offset) in questions]
            reading = Reading(questions, scores)
            if not reading.unanswered() or time.monotonic() > deadline:
                return reading
    finally:
        consumer.close()


def read_back(reading: Reading, versions: list[RegisteredVersion], rollout: Rollout) -> Found:
    """Work the answers out again."""
    questions, scores = reading
    answered = Counter((score.request_partition, score.request_offset) for score in scores)
    fallbacks = Counter(score.answer.fallback_reason for score in scores if score.answer.fallback)
    given = [score for score in scores if not score.answer.fallback]
    by_another = half_loaded = 0
    for version in versions:
        own = [score for score in given if score.answer.model.version == version.card.version]
        asked = [questions[score.request_partition, score.request_offset] for score in own]
        by_another += sum(
            rollout.version_for(each.request.customer_id, each.appended) != version.card.version for each in asked
        )
        said = np.array([[score.answer.churn[horizon] for horizon in HORIZONS] for score in own]).reshape(-1, 3)
        apart = np.abs(said - _churn(version, asked)).max(axis=1, initial=0.0)
        half_loaded += int((apart > SAME_WITHIN).sum())
    return Found(
        questions=len(questions),
        lost=len(reading.unanswered()),
        twice=sum(count > 1 for count in answered.values()),
        by_version=dict(Counter(score.answer.model.version for score in given)),
        fallbacks=fallbacks,
        by_another=by_another,
        half_loaded=half_loaded,
    )


def _churn(version: RegisteredVersion, asked: list[Question]) -> np.ndarray:
    scorer = OnnxScorer(version.folder, version.card)
    catalogue = Catalogue.from_items(
        (), read_item_tower(version.folder / ITEM_TOWER_FILE), read_shop(version.folder / SHOP_FILE)
    )
    parts = [np.empty((0, len(HORIZONS)))]
    for start in range(0, len(asked), _BATCH):
        requests = [each.request for each in asked[start : start + _BATCH]]
        profiles = [codec.decode(request.profile) for request in requests]
        parts.append(scorer.run(tensors(profiles, [request.as_of for request in requests], catalogue))["churn"])
    return np.concatenate(parts)
