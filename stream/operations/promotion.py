"""Brings another version of the model into force, or the one before back: loads it beside the present one, compares its
answers with the file's, and says so on the control topic, which every worker follows.

Whether it may be promoted is judged by ``serving.gate``, what it would change by `impact.py`, both before; this module
only acts. Nothing that fails leaves another version in force. Called by `tidemark models`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Final

import numpy as np
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from serving.answers import validate
from serving.catalogue import Catalogue
from serving.client import TritonScorer
from serving.features import tensors
from serving.gate.verdict import Verdict
from serving.in_process import OnnxScorer
from serving.model_card import MODEL_FILE
from serving.registry import RegisteredVersion, Registry, UnknownVersion
from serving.rollout import Rollout
from serving.scorer import OUTPUTS, BadOutput, ScorerUnavailable
from stream.configuration.settings import Configuration
from stream.contracts.control import Control
from stream.operations.switches import model_switches, say
from stream.profiles.profile import Profile

LEAD_MS: Final = 5_000
"""From the record to the switch: every worker has opened and warmed the version up by then."""

SAME_WITHIN: Final = 1e-4
"""How far Triton's answers may lie from those of the same file in this process."""

_REACH_BACK_MS: Final = 3_600_000
_CANARY_WITHIN_S: Final = 10.0
_CONFIG_WITHIN_S: Final = 2.0


class NotPromoted(RuntimeError):
    """The version was not brought into force, and nothing was changed."""


def in_force(configuration: Configuration, registry: Registry) -> Rollout:
    """The switches so far.

    Raises:
        KafkaUnreachableError, MissingTopicError, AccessError: the control topic cannot be read.
        UnknownVersion: the registry is empty.
    """
    return Rollout(registry.default().card.version, model_switches(configuration))


def check_verdict(verdict: Verdict, accept_worse: Collection[str] = (), accept_undecided: bool = False) -> None:
    """Let a version pass that the gate lets pass, or whose faults are accepted.

    Args:
        accept_worse: lengths of history for whose customers it may be worse.
        accept_undecided: whether it may pass where there are too few customers to tell.

    Raises:
        NotPromoted: with what failed, or what would have to be accepted.
    """
    refused = f"version {verdict.candidate} was not promoted: "
    if wrong := verdict.refused:
        raise NotPromoted(f"{refused}{', '.join(wrong)} (see above)")
    if verdict.undecided and not accept_undecided:
        raise NotPromoted(
            f"{refused}too few customers to tell of {', '.join(verdict.undecided)} (see above); compare on more of "
            "them with --events, or promote it all the same with --accept-undecided"
        )
    if left := [baskets for baskets in verdict.worse_segments if baskets not in accept_worse]:
        options = " ".join(f"--accept-worse '{baskets}'" for baskets in left)
        raise NotPromoted(
            f"{refused}it is worse for customers with {' and '.join(left)} baskets; to promote it all the same: "
            f"{options}"
        )


def load(configuration: Configuration, registry: Registry, version: RegisteredVersion, kept: Collection[str]) -> None:
    """Have Triton serve ``version`` beside the versions ``kept``, and no others, and see that it answers rightly.

    Where it does not, Triton goes back to what it served before.

    Raises:
        NotPromoted: with what Triton says, or where its answers differ.
    """
    check_graphs(configuration, registry, version)
    if configuration.triton.scorer == "in_process":
        return
    before = registry.served()
    wanted = {version.number, *_numbers(registry, kept)}
    if not wanted <= set(before):
        registry.serve(wanted)
    try:
        asyncio.run(_answers_rightly(configuration.triton.url, version))
    except (ScorerUnavailable, BadOutput) as error:
        registry.serve(before)
        raise NotPromoted(f"version {version.card.version} was not promoted: {error}") from error


def check_graphs(configuration: Configuration, registry: Registry, version: RegisteredVersion) -> None:
    """See that ``version`` has the graph that its Triton loads: the repository's ``config.pbtxt`` names it, or the
    profile that a running Triton was started with.

    Raises:
        NotPromoted: the file is not there.
    """
    if configuration.triton.scorer == "in_process":
        return
    named = {registry.graph(): "config.pbtxt", **_graph_of_triton(configuration.triton.url, registry.name)}
    for file, place in named.items():
        if not (version.folder / file).is_file():
            made = ": make the fp16 graphs with `make gpu-models`" if file != MODEL_FILE else ""
            raise NotPromoted(
                f"version {version.card.version} was not promoted: {place} names {file}, and {version.folder} has "
                f"none{made}"
            )


def _graph_of_triton(url: str, model: str) -> dict[str, str]:
    """The graph that a running Triton loads, and where that stands; empty where none answers, which `load` finds."""
    client = InferenceServerClient(url)
    try:
        config = client.get_model_config(model, client_timeout=_CONFIG_WITHIN_S).config
    except InferenceServerException:
        return {}
    finally:
        client.close()
    return {config.default_model_filename: f"the profile of Triton at {url}"} if config.default_model_filename else {}


def switch(
    configuration: Configuration,
    to: str,
    previous: str,
    *,
    ramp_ms: int = 0,
    lead_ms: int = LEAD_MS,
    reason: str = "",
    actor: str = "",
) -> Control:
    """Say that version ``to`` is in force from ``lead_ms`` from now on, and return what was said.

    Args:
        previous: version that is in force now.
        ramp_ms: until it answers every customer.

    Raises:
        KafkaUnreachableError, MissingTopicError, AccessError: it could not be said.
    """
    said = Control(
        kind="model",
        version=to,
        effective_at=int(time.time() * 1000) + lead_ms,
        previous_version=previous,
        ramp_ms=ramp_ms,
        reason=reason,
        actor=actor,
    )
    say(configuration, said)
    return said


def needed_now(rollout: Rollout) -> list[str]:
    """Versions that may still be asked: in force, on their way, or of a backlog of the last hour."""
    return rollout.needed(int(time.time() * 1000) - _REACH_BACK_MS)


def _numbers(registry: Registry, versions: Collection[str]) -> set[int]:
    found = set()
    for version in versions:
        try:
            found.add(registry.get(version).number)
        except UnknownVersion:
            # It was in force once, and was taken out of the repository since: nobody can be served by it.
            continue
    return found


async def _answers_rightly(url: str, version: RegisteredVersion) -> None:
    """Raises ``ScorerUnavailable`` or ``BadOutput``."""
    rows = tensors([Profile()] * 2, [0, 1], Catalogue.from_items(()))
    expected = OnnxScorer(version.folder, version.card).run(rows)
    scorer = TritonScorer(url, version.card)
    try:
        if not await scorer.ready():
            raise ScorerUnavailable(f"no Triton answers at {url}: start one with `tidemark up`, or set triton.url")
        served = await scorer.infer(rows, _CANARY_WITHIN_S)
    finally:
        await scorer.close()
    validate(served, 2)
    for spec in OUTPUTS:
        apart = float(np.abs(served[spec.name] - expected[spec.name]).max())
        if apart > SAME_WITHIN * max(1.0, float(np.abs(expected[spec.name]).max())):
            raise BadOutput(
                f"{url} answers otherwise than the file in {version.folder}: {spec.name} differs by {apart:.1e}; give "
                "Triton and this command the same repository"
            )
