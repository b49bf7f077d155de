"""Workers of a replay: today's code over yesterday's log, with topics, groups and state of its own.

They read the live topics and write none of them: no ticks, no signals, no questions put again. Built for
``stream.operations.replays``, one role after the other.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka.admin import AdminClient

from serving.catalogue import Catalogue
from serving.rollout import Rollout
from stream.configuration.clients import client_properties
from stream.configuration.repository import open_registry
from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.emission import Headers
from stream.contracts.erasures import Erasure
from stream.contracts.scores import ScoreRequest
from stream.decisions.deployment import Deployment
from stream.decisions.policy_history import PolicyHistory
from stream.engine.cluster import count_partitions
from stream.engine.instance import Instance
from stream.engine.processor import Context, Processor
from stream.engine.worker import Worker
from stream.workers import profiles
from stream.workers.catalogue import CatalogueReader
from stream.workers.decisions import DecisionsProcessor, Question
from stream.workers.erased import read_erasures
from stream.workers.explaining import Explainer
from stream.workers.models import RegisteredModels
from stream.workers.policies import RegisteredPolicies
from stream.workers.process import VERSION, dead_letter_maker, stores
from stream.workers.profiles import Folding, ProfilesProcessor
from stream.workers.recorded import RecordedStage
from stream.workers.score_log import ScoreLog
from stream.workers.scoring import ScoringStage


class SandboxProfiles(ProfilesProcessor):
    """Folds a log that is not its own."""

    def tick(self, time: int) -> tuple[bytes, Headers] | None:
        # The live worker's ticks lie in the log already; another one would be an event that never was.
        return None

    def _remember(self, subject: str, erasure: Erasure, context: Context[Folding]) -> None:
        """The live worker has."""


class SandboxDecisions(DecisionsProcessor):
    """Decides anew what was decided before.

    Args:
        again: topic for the questions that it would put again; it is never the one that it reads.
    """

    def __init__(self, *given: Any, again: str) -> None:
        super().__init__(*given)
        self._physical[topics.SCORE_REQUESTS] = again

    def signal(self, time: int) -> tuple[bytes, Headers] | None:
        return None

    def _remember(self, request: ScoreRequest, asked_at: int, context: Context[Question]) -> None:
        """The live worker has."""


class Sandboxed(NamedTuple):
    """A worker of a replay that is ready to run."""

    worker: Worker[Any, Any]
    recorded: RecordedStage | None
    """Answers the questions; None where none are asked."""
    scoring: ScoringStage | None


@contextmanager
def sandbox_profiles(sandbox: Configuration, instance: str, until: Mapping[int, int]) -> Iterator[Sandboxed]:
    """The worker that folds events up to ``until``, by partition.

    Args:
        sandbox: the configuration of the replay, whose topic of events is the live one.
    """
    names = sandbox.topics.topic_names()
    count = count_partitions(AdminClient(client_properties(sandbox.kafka)), names.physical(topics.EVENTS))
    erasures = read_erasures(client_properties(sandbox.kafka), names, sandbox.deployment.secret, profiles.ROLE)
    processor = SandboxProfiles(names, sandbox.profiles, count, VERSION, erasures)
    with _worker(sandbox, processor, instance, until) as worker:
        yield Sandboxed(worker, None, None)


@contextmanager
def sandbox_decisions(
    sandbox: Configuration,
    instance: str,
    until: Mapping[int, int],
    version: str,
    scores: ScoreLog,
    again: str,
    history: PolicyHistory,
) -> Iterator[Sandboxed]:
    """The worker that answers requests up to ``until``, by partition.

    Args:
        sandbox: the configuration of the replay.
        version: of the model, asked where ``scores`` recall nothing.
        again: see ``SandboxDecisions``.
        history: the policies by which it decides.

    Raises:
        UnknownVersion, UnusableVersion: the model has no such version that can be used.
    """
    kafka, names = client_properties(sandbox.kafka), sandbox.topics.topic_names()
    registry = open_registry(sandbox)
    registry.get(version)
    rollout = Rollout(version)
    items = CatalogueReader(kafka, names.physical(topics.CATALOGUE), Catalogue.from_items(()))
    try:
        items.start()
        deployment = Deployment(
            secret=sandbox.deployment.secret.encode(),
            source=sandbox.deployment.source,
            partitions=count_partitions(AdminClient(kafka), names.physical(topics.SCORE_REQUESTS)),
        )
        policies = RegisteredPolicies(registry, lambda: history, lambda: rollout)
        models = RegisteredModels(registry, sandbox.triton, lambda: rollout, lambda: items.snapshot)
        scoring = ScoringStage(
            models, sandbox.triton, sandbox.profiles.currency, Explainer(policies.policies_of, sandbox.triton)
        )
        recorded = RecordedStage(scores, scoring)
        # Those of the role that folded the events: whom decisions have yet to forget is to be skipped as well.
        erasures = read_erasures(kafka, names, sandbox.deployment.secret, profiles.ROLE)
        processor = SandboxDecisions(names, policies, deployment, recorded, erasures, again=again)
        with _worker(sandbox, processor, instance, until) as worker:
            yield Sandboxed(worker, recorded, scoring)
    finally:
        items.close()
        scores.close()


@contextmanager
def _worker(
    sandbox: Configuration, processor: Processor[Any, Any], instance: str, until: Mapping[int, int]
) -> Iterator[Worker[Any, Any]]:
    with Instance(Path(sandbox.data_dir), processor.role, instance) as named:
        yield Worker(
            processor,
            client_properties(sandbox.kafka),
            sandbox.engine,
            named.name,
            stores(sandbox, named.name),
            dead_letter_maker(processor.dead_letter_topic),
            consumer_properties=sandbox.kafka.consumer,
            producer_properties=sandbox.kafka.producer,
            until=until,
        )
