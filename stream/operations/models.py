"""What there is of a model: its versions, which of them Triton serves, which are in force, and how another one comes in
from outside.

It changes nothing but the repository, by adding. Called by `tidemark models`.
"""

from __future__ import annotations

import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from serving.features import FEATURE_SCHEMA
from serving.model_card import CARD_FILE
from serving.registry import RegisteredVersion, Registry, UnusableVersion
from serving.rollout import Rollout
from stream.configuration.settings import Configuration
from stream.contracts.times import to_rfc3339
from stream.operations.brokers import KafkaUnreachableError, MissingTopicError
from stream.operations.promotion import in_force

PROMOTED: Final = "promoted"


class ListedVersion(msgspec.Struct, frozen=True):
    """One version of the registry."""

    version: str
    trained_until: str
    """Last event that it was made from, as an ISO date."""
    figures: dict[str, float]
    """Of churn within 90 days at the latest cut-off of the card: ``auc``, ``brier``, ``ece``."""
    cutoff: str
    """That cut-off; figures at different cut-offs cannot be compared."""
    same_features: bool
    """Whether it was made for the features that this program makes."""
    share: float | None
    """Share of customers whom it answers now, 0 to 1; None where Kafka did not say."""
    triton: str
    """``ready`` where Triton serves it, ``no`` where it does not, ``unknown`` where none answers."""


class Listed(msgspec.Struct, frozen=True):
    """The registry."""

    repository: str
    versions: list[ListedVersion]
    unreadable: dict[int, str]
    """What is wrong with the version folders that cannot be read, by number."""
    remarks: list[str] = []
    """What the table does not say: a version in force that is not here, a switch on its way, no Kafka to ask."""


def listed(configuration: Configuration, registry: Registry) -> Listed:
    """Every version, with what is known of it."""
    rollout, now = None, int(time.time() * 1000)
    remarks: list[str] = []
    try:
        rollout = in_force(configuration, registry)
    except (KafkaUnreachableError, MissingTopicError) as error:
        remarks.append(f"which is in force is not known: {error}")
    shares = {} if rollout is None else rollout.shares(now)
    if rollout is not None:
        remarks += _remarks(registry, rollout, now)
    ready = _ready(configuration, registry)
    return Listed(
        str(registry.repository),
        [_listed(version, rollout, shares, ready) for version in registry.versions()],
        registry.unreadable(),
        remarks,
    )


def measured(configuration: Configuration, registry: Registry, spec: str | None) -> Path:
    """The version folder that ``spec`` names: a version, the word ``promoted`` for the one that the last switch leads
    to, a folder, or nothing for the one that answers by default.

    Raises:
        UnknownVersion, UnusableVersion: there is none, or it cannot be read.
        KafkaUnreachableError, MissingTopicError, AccessError: nobody says which was promoted.
    """
    if spec is None:
        return registry.default().folder
    if spec == PROMOTED:
        return registry.get(in_force(configuration, registry).newest()).folder
    return Path(spec) if Path(spec).is_dir() and not spec.isdecimal() else registry.get(spec).folder


class Pulled(NamedTuple):
    """A version that was to be taken in."""

    version: RegisteredVersion
    new: bool
    """False where the repository had it already, and nothing was added."""


def pull(registry: Registry, source: Path) -> Pulled:
    """Add a version from ``source``, a version folder or a ``.tar.gz`` of one, unless it is there already.

    Raises:
        FileNotFoundError: there is no such file or folder.
        UnusableVersion: it holds no version of the model, or a damaged one.
    """
    if source.is_dir():
        return _take_in(registry, source)
    with _unpacked(source) as folder:
        return _take_in(registry, folder)


def _take_in(registry: Registry, folder: Path) -> Pulled:
    known = registry.same_as(folder)
    return Pulled(known or registry.add(folder), known is None)


@contextmanager
def _unpacked(archive: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tidemark-pull-") as made:
        try:
            with tarfile.open(archive) as packed:
                packed.extractall(made, filter="data")
        except FileNotFoundError:
            raise
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise UnusableVersion(f"{archive} is no archive of a version: {error}") from error
        cards = sorted(Path(made).rglob(CARD_FILE))
        if len(cards) != 1:
            raise UnusableVersion(f"{archive} holds {len(cards)} versions: it must hold one, with its {CARD_FILE}")
        yield cards[0].parent


def _remarks(registry: Registry, rollout: Rollout, now: int) -> list[str]:
    known = {version.card.version for version in registry.versions()}
    found = [
        f"{version} is in force, and not in {registry.folder}: `tidemark models pull` it, or `tidemark models rollback`"
        for version in rollout.shares(now)
        if version not in known
    ]
    if rollout.switches and (last := rollout.switches[-1]).share(now) < 1.0:
        ends = f", and answers everybody from {to_rfc3339(last.effective_at + last.ramp_ms)} on" if last.ramp_ms else ""
        found.append(f"on its way: {last.version} comes into force at {to_rfc3339(last.effective_at)}{ends}")
    return found


def _listed(
    version: RegisteredVersion, rollout: Rollout | None, shares: dict[str, float], ready: set[int] | None
) -> ListedVersion:
    card = version.card
    cutoff = card.evaluation.last
    names = {name: f"churn_90d_{name} at {cutoff}" for name in ("auc", "brier", "ece")}
    return ListedVersion(
        version=card.version,
        trained_until=max((file.last_event for file in card.data), default="")[:10],
        figures={name: card.metrics[key]["model"] for name, key in names.items() if key in card.metrics},
        cutoff=cutoff,
        same_features=card.feature_schema == FEATURE_SCHEMA,
        share=None if rollout is None else shares.get(card.version, 0.0),
        triton="unknown" if ready is None else "ready" if version.number in ready else "no",
    )


def _ready(configuration: Configuration, registry: Registry) -> set[int] | None:
    """Versions that Triton serves; None where it does not answer."""
    if configuration.triton.scorer == "in_process":
        return None
    client = InferenceServerClient(configuration.triton.url)
    try:
        index = client.get_model_repository_index(client_timeout=1.0).models
    except InferenceServerException:
        return None
    finally:
        client.close()
    return {int(model.version) for model in index if model.name == registry.name and model.state == "READY"}
