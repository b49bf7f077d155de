"""Throughput against latency of what Triton serves: the customer model and the text encoder, at each size of batch.

`net` is a call to Triton; `answer` is what the decisions worker does with a batch: tensors, the call, and the ranked
answers. Inputs are the demo's customers at six moments, texts are word pieces drawn at random. Without `--url` a Triton
is started with the shipped repository. `python -m benchmarks.serving --json OUT` also writes what it prints.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

# Before numpy: one thread, as in a worker.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import tritonclient.grpc as grpc
from tritonclient.grpc import aio

from benchmarks.cluster import cpu_seconds
from serving.answers import answers
from serving.catalogue import Catalogue
from serving.client import TritonScorer
from serving.dataset import by_customer, examples
from serving.features import tensors
from serving.history import catalogue_items
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import ModelCard, model_repository, read_model_card, version_folder
from serving.shop import SHOP_FILE, read_shop
from serving.text.card import TEXT_MODEL_NAME
from serving.text.triton_config import ATTENTION_MASK, INPUT_IDS, PROBABILITIES, VECTOR
from serving.text.triton_config import MAX_BATCH_SIZES as TEXT_MAX_BATCH_SIZES
from serving.triton_config import MAX_BATCH_SIZES, Profile
from stream.contracts.scores import ScoreRequest
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.embedded.triton import EmbeddedTriton
from stream.operations.demo_events import sample
from stream.operations.observe import percentile
from stream.profiles import codec
from stream.profiles.settings import ProfileSettings

BATCHES: Final = (1, 8, 32, 64, 128, 256, 512, 1_024)
PIECES: Final = 32
CALLS_AT_ONCE: Final = (1, 4)
MOMENTS: Final = 6
MOMENT_DAYS: Final = 60
DEADLINE_S: Final = 60.0
WARM_UP_CALLS: Final = 3

Call = Callable[[], Awaitable[None]]


class Row(NamedTuple):
    """One line of the table."""

    what: str
    batch: int
    in_flight: int
    per_second: float
    p50_ms: float
    p99_ms: float
    server_cpu_s: float
    """Of all server processes, for 1,000 customers or reviews; NaN for a server on another machine."""
    client_cpu_s: float
    """Of this process, for as many."""


class Questions(NamedTuple):
    """Customers of the demo at six moments, and what they are asked with."""

    profiles: list[bytes]
    moments: list[int]
    catalogue: Catalogue
    card: ModelCard

    def batch(self, size: int) -> Iterator[slice]:
        """Slices of ``size`` customers, round and round; the last of a round may be shorter and is left out."""
        while True:
            yield from (slice(start, start + size) for start in range(0, len(self.profiles) - size + 1, size))


def questions(repository: Path) -> Questions:
    """The demo's customers as the shipped model would be asked about them."""
    folder = version_folder(repository)
    events = list(sample())
    end = max(to_epoch_ms(event.time) for event in events)
    cutoffs = [end - number * MOMENT_DAYS * DAY_MS for number in reversed(range(MOMENTS))]
    found = list(examples(by_customer(events), cutoffs, end, ProfileSettings()))
    # Neighbours in a batch are not one customer at several moments.
    order = np.random.default_rng(0).permutation(len(found)).tolist()
    return Questions(
        [found[place].profile for place in order],
        [found[place].as_of for place in order],
        Catalogue.from_items(
            catalogue_items(events, end), read_item_tower(folder / ITEM_TOWER_FILE), read_shop(folder / SHOP_FILE)
        ),
        read_model_card(folder),
    )


def net_calls(asked: Questions, scorer: TritonScorer, size: int) -> Call:
    """Calls with the tensors of one batch, made before."""
    chosen = next(asked.batch(size))
    profiles = [codec.decode(profile) for profile in asked.profiles[chosen]]
    made = tensors(profiles, asked.moments[chosen], asked.catalogue)

    async def call() -> None:
        await scorer.infer(made, DEADLINE_S)

    return call


def answer_calls(asked: Questions, scorer: TritonScorer, size: int) -> Call:
    """From encoded profiles to ranked answers, another batch at each call."""
    slices = asked.batch(size)

    async def call() -> None:
        chosen = next(slices)
        moments = asked.moments[chosen]
        profiles = [codec.decode(profile) for profile in asked.profiles[chosen]]
        requests = [ScoreRequest(kind="score", as_of=moment) for moment in moments]
        outputs = await scorer.infer(tensors(profiles, moments, asked.catalogue), DEADLINE_S)
        answers(outputs, profiles, requests, asked.catalogue, asked.card.stamp)

    return call


def text_calls(client: Any, size: int) -> Call:
    """Reviews of ``PIECES`` word pieces; what they are does not change the work."""
    ids = np.random.default_rng(0).integers(4, 4_000, (size, PIECES))
    inputs = []
    for name, array in ((INPUT_IDS, ids), (ATTENTION_MASK, np.ones_like(ids))):
        given = grpc.InferInput(name, array.shape, "INT64")
        given.set_data_from_numpy(array)
        inputs.append(given)
    wanted = [grpc.InferRequestedOutput(name) for name in (PROBABILITIES, VECTOR)]

    async def call() -> None:
        await client.infer(TEXT_MODEL_NAME, inputs, outputs=wanted)

    return call


async def measured(
    what: str, call: Call, batch: int, in_flight: int, seconds: float, servers: Callable[[], Sequence[int]]
) -> Row:
    """Repeat ``call`` for ``seconds`` with so many of them at once."""
    latencies: list[float] = []

    async def caller(until: float) -> None:
        while (began := time.perf_counter()) < until:
            await call()
            latencies.append((time.perf_counter() - began) * 1000)

    for _ in range(WARM_UP_CALLS):
        await call()
    pids = servers()
    server, client, began = sum(map(cpu_seconds, pids)), time.process_time(), time.perf_counter()
    await asyncio.gather(*(caller(began + seconds) for _ in range(in_flight)))
    took, client = time.perf_counter() - began, time.process_time() - client
    server = sum(map(cpu_seconds, pids)) - server if pids else float("nan")
    count = len(latencies) * batch
    p50, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
    return Row(what, batch, in_flight, count / took, p50, p99, server / count * 1000, client / count * 1000)


async def rows(
    url: str, repository: Path, profile: Profile, seconds: float, servers: Callable[[], Sequence[int]]
) -> list[Row]:
    """Every line of the table, printed as it is measured, with batches up to the largest of the profile."""
    asked = questions(repository)
    scorer, client = TritonScorer(url, asked.card), aio.InferenceServerClient(url)
    found: list[Row] = []
    planned: list[tuple[str, Callable[[int], Call], int]] = [
        ("customer net", lambda size: net_calls(asked, scorer, size), MAX_BATCH_SIZES[profile]),
        ("customer answer", lambda size: answer_calls(asked, scorer, size), MAX_BATCH_SIZES[profile]),
        ("text encoder", lambda size: text_calls(client, size), TEXT_MAX_BATCH_SIZES[profile]),
    ]
    try:
        for what, made, largest in planned:
            for batch in (size for size in BATCHES if size <= largest):
                for in_flight in CALLS_AT_ONCE:
                    found.append(await measured(what, made(batch), batch, in_flight, seconds, servers))
                    print(line(found[-1]), flush=True)
    finally:
        await scorer.close()
        await client.close()
    return found


HEADER: Final = (
    f"{'':<16}{'batch':>6}{'calls':>6}{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}{'server':>10}{'client':>10}"
)


def line(row: Row) -> str:
    """One row of the table, 78 characters wide."""
    return (
        f"{row.what:<16}{row.batch:>6,}{row.in_flight:>6}{row.per_second:>12,.0f}{row.p50_ms:>9,.1f}"
        f"{row.p99_ms:>9,.1f}{row.server_cpu_s:>10.2f}{row.client_cpu_s:>10.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each line")
    parser.add_argument("--url", help="host:port of a Triton that runs already, such as one with a GPU")
    parser.add_argument("--gpu", action="store_true", help="that Triton has the gpu profile: batches up to 1,024")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    repository = model_repository()
    profile: Profile = "gpu" if arguments.gpu else "cpu"
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, CPU seconds for 1,000 on the right\n{HEADER}")
    if arguments.url:
        found = asyncio.run(rows(arguments.url, repository, profile, arguments.seconds, lambda: ()))
    else:
        with EmbeddedTriton(repository) as triton:
            found = asyncio.run(rows(triton.grpc_url, repository, profile, arguments.seconds, lambda: triton.pids))
    if arguments.json:
        machine = {"cores": os.cpu_count(), "machine": platform.machine(), "load": os.getloadavg()[0]}
        figures = [row._asdict() for row in found]
        arguments.json.write_text(json.dumps({"machine": machine, "rows": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
