"""What a machine with an NVIDIA GPU has to show before the gpu profile is trusted on it: `make gpu-check`.

In fp32 and in fp16 it starts a Triton with the gpu profile, compares its answers with those of the CPU, looks for
copies between host and GPU inside the networks, and measures throughput and latency while it watches `nvidia-smi`. It
exits with 1 when anything is not as it must be, and with 0 without a check only where `nvidia-smi` finds no GPU.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np
import onnxruntime
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

from benchmarks import serving  # first: it sets numpy's threads
from serving.client import TritonScorer
from serving.evaluation.precision import churn_shift, refusals, text_shift
from serving.half import write_single
from serving.model_card import MODEL_NAME, model_repository, read_model_card, version_folder
from serving.scorer import OUTPUTS
from serving.text.card import TEXT_MODEL_NAME, read_text_card
from serving.text.decision import decide
from serving.text.tokens import TextTokens
from serving.text.triton_config import ATTENTION_MASK, INPUT_IDS, PROBABILITIES, VECTOR
from serving.triton_config import GPU_CONFIG_FILE, GPU_MODEL_FILE
from stream.embedded.triton import EmbeddedTriton
from stream.operations.demo_events import sample
from stream.operations.prepare_gpu import Customers, item_names, known_customers, prepare_gpu
from stream.profiles.settings import ProfileSettings

PRECISIONS: Final = ("fp32", "fp16")
PARITY: Final = 1e-4
"""Largest difference in fp32, of values above one as a share of them."""
SINGLE_FILE: Final = "model.fp32.onnx"
TEXT_BATCH: Final = 256

Arrays = Mapping[str, Any]


class Gpu(NamedTuple):
    """A line of `nvidia-smi`."""

    name: str
    memory_mib: float
    use_percent: float


class CheckFailed(Exception):
    """What was looked for cannot be looked at."""


def gpus() -> list[Gpu]:
    """The GPUs of this machine; none where there is no driver.

    Raises:
        CheckFailed: there is a driver, and it does not answer.
    """
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=name,memory.used,utilization.gpu", "--format=csv,noheader,nounits"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    if "No devices were found" in done.stdout + done.stderr:
        return []
    if done.returncode:
        raise CheckFailed(f"nvidia-smi ends with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return parse_gpus(done.stdout)


def parse_gpus(printed: str) -> list[Gpu]:
    """Lines such as `NVIDIA L4, 1024, 37`; `[N/A]` counts as nothing."""
    found = []
    for line in filter(str.strip, printed.splitlines()):
        name, *figures = (part.strip() for part in line.rsplit(",", 2))
        memory, use = (float(each) if each.replace(".", "", 1).isdecimal() else 0.0 for each in figures)
        found.append(Gpu(name, memory, use))
    return found


@contextmanager
def watched() -> Iterator[list[list[Gpu]]]:
    """A list that grows by what `nvidia-smi` says, twice a second."""
    seen: list[list[Gpu]] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.5):
            seen.append(gpus())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def copies(profile: Path) -> tuple[Counter[str], int]:
    """Nodes run by each provider, and how many of them copied between host and GPU, from onnxruntime's profile."""
    nodes = [event for event in json.loads(profile.read_text()) if event.get("cat") == "Node"]
    ran = [event["args"] for event in nodes if event["name"].endswith("_kernel_time")]
    providers = Counter(str(args.get("provider", "")) for args in ran)
    return providers, sum(str(args.get("op_name", "")).startswith("Memcpy") for args in ran)


def difference(exact: Arrays, other: Arrays) -> float:
    """The largest difference of any value, of one above one as a share of it; infinite where one is NaN."""
    worst = 0.0
    for name, array in exact.items():
        gaps = np.abs(other[name] - array) / np.maximum(np.abs(array), 1.0)
        worst = max(worst, float(gaps.max(initial=0.0)) if np.isfinite(gaps).all() else float("inf"))
    return worst


def repository_of(precision: str, prepared: Path, folder: Path) -> Path:
    """A copy of a prepared repository whose gpu profile names the graphs of that precision."""
    copy = shutil.copytree(prepared, folder / precision)
    for model in (MODEL_NAME, TEXT_MODEL_NAME):
        write_single(version_folder(prepared, model), version_folder(copy, model) / SINGLE_FILE)
        config = copy / model / GPU_CONFIG_FILE
        if precision == "fp32":
            config.write_text(config.read_text().replace(GPU_MODEL_FILE, SINGLE_FILE))
    return copy


class Inputs(NamedTuple):
    """What both sides are asked, and what a CPU says to it in fp32."""

    customers: Customers
    texts: list[dict[str, Any]]
    customer_outputs: Arrays
    text_outputs: Arrays


def asked_of_cpu(repository: Path) -> Inputs:
    """The demo's customers and item names through the fp32 graphs, with onnxruntime in this process."""
    events = list(sample())
    customer, text = (version_folder(repository, model) for model in (MODEL_NAME, TEXT_MODEL_NAME))
    customers = known_customers(events, customer, ProfileSettings())
    tokens = TextTokens(text, read_text_card(text).longest)
    texts = [
        {INPUT_IDS: batch.input_ids, ATTENTION_MASK: batch.attention_mask}
        for batch in tokens.batches(item_names(events), TEXT_BATCH)
    ]

    def run(folder: Path, names: list[str], given: list[dict[str, Any]]) -> Arrays:
        session = onnxruntime.InferenceSession(str(folder / SINGLE_FILE), providers=["CPUExecutionProvider"])
        return joined([dict(zip(names, session.run(names, each), strict=True)) for each in given])

    return Inputs(
        customers,
        texts,
        run(customer, [spec.name for spec in OUTPUTS], customers.inputs),
        run(text, [PROBABILITIES, VECTOR], texts),
    )


async def asked_of_triton(url: str, repository: Path, inputs: Inputs) -> tuple[Arrays, Arrays]:
    """The same through Triton: outputs of the customer model, and of the text encoder."""
    scorer = TritonScorer(url, read_model_card(version_folder(repository)))
    client = InferenceServerClient(url)
    try:
        customers = [await scorer.infer(each, serving.DEADLINE_S) for each in inputs.customers.inputs]
        texts = []
        for each in inputs.texts:
            given = []
            for name, array in each.items():
                given.append(InferInput(name, array.shape, "INT64"))
                given[-1].set_data_from_numpy(array)
            result = await client.infer(TEXT_MODEL_NAME, given)
            texts.append({name: result.as_numpy(name) for name in (PROBABILITIES, VECTOR)})
    finally:
        await scorer.close()
        await client.close()
    return joined(customers), joined(texts)


def joined(parts: list[dict[str, Any]]) -> Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def unlike_the_cpu(precision: str, repository: Path, inputs: Inputs, found: tuple[Arrays, Arrays]) -> list[str]:
    """What the GPU says otherwise than the CPU and may not; printed, too."""
    exact = inputs.customer_outputs, inputs.text_outputs
    gaps = [difference(one, other) for one, other in zip(exact, found, strict=True)]
    print(f"largest difference from the CPU: customers {gaps[0]:.1e}, texts {gaps[1]:.1e}")
    if precision == "fp32":
        return [f"fp32 differs from the CPU by {gap:.1e}, allowed are {PARITY}" for gap in gaps if not gap <= PARITY]
    thresholds = read_model_card(version_folder(repository)).thresholds
    offsets = read_text_card(version_folder(repository, TEXT_MODEL_NAME)).label_offsets
    customers = churn_shift(exact[0], found[0], thresholds, inputs.customers.churned)
    (one, here), (other, there) = ((each[PROBABILITIES], each[VECTOR]) for each in (exact[1], found[1]))
    texts = text_shift((one, here), (other, there), decide(one, offsets), decide(other, offsets))
    for shift in (customers, texts):
        print(f"of {shift.rows:,} compared {shift.crossings:.2%} differ; calibration moved by {shift.moved:.4f}")
    return refusals(customers) + refusals(texts)


def checked(precision: str, repository: Path, inputs: Inputs, seconds: float) -> tuple[list[str], list[serving.Row]]:
    """What is wrong with one precision, and its table."""
    wrong = []
    idle = gpus()
    with TemporaryDirectory() as folder:
        with EmbeddedTriton(repository, gpu=True, profiles=Path(folder)) as triton:
            found = asyncio.run(asked_of_triton(triton.grpc_url, repository, inputs))
            wrong += unlike_the_cpu(precision, repository, inputs, found)
        profiles = sorted(Path(folder).glob("*.json"))
        wrong += [] if profiles else ["onnxruntime wrote no profile"]
        for profile in profiles:
            providers, copied = copies(profile)
            print(f"{profile.name.partition('_20')[0]}: nodes {dict(providers)}, copies {copied}")
            wrong += [f"{copied} copies between host and GPU inside the net: {profile.name}"] if copied else []
            wrong += [] if providers["CUDAExecutionProvider"] else [f"nothing ran on the GPU: {profile.name}"]
    with EmbeddedTriton(repository, gpu=True) as triton, watched() as seen:
        print(serving.HEADER)
        rows = asyncio.run(serving.rows(triton.grpc_url, repository, "gpu", seconds, lambda: triton.pids))
    memory = max((gpu.memory_mib for look in seen for gpu in look), default=0.0)
    use = max((gpu.use_percent for look in seen for gpu in look), default=0.0)
    before = max((gpu.memory_mib for gpu in idle), default=0.0)
    print(f"GPU memory {memory:,.0f} MiB at most ({before:,.0f} before), use {use:.0f} % at most")
    wrong += [] if memory > before else ["the server took no GPU memory"]
    wrong += [] if use > 0 else ["the GPU was never busy"]
    return wrong, rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line of the tables")
    parser.add_argument("--json", type=Path, help="also write the tables to this file")
    arguments = parser.parse_args()
    found = gpus()
    if not found:
        print("skipped: nvidia-smi finds no GPU on this machine, so nothing was checked")
        return 0
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {', '.join(gpu.name for gpu in found)}")
    wrong: dict[str, list[str]] = {}
    tables: dict[str, list[dict[str, Any]]] = {}
    with TemporaryDirectory() as scratch:
        prepared = shutil.copytree(model_repository(), Path(scratch) / "prepared")
        prepare_gpu(prepared, list(sample()))
        folders = {precision: repository_of(precision, prepared, Path(scratch)) for precision in PRECISIONS}
        inputs = asked_of_cpu(folders["fp32"])
        for precision, folder in folders.items():
            print(f"\n{precision}")
            began = time.monotonic()
            wrong[precision], rows = checked(precision, folder, inputs, arguments.seconds)
            tables[precision] = [row._asdict() for row in rows]
            print(f"{time.monotonic() - began:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps(tables, indent=1) + "\n")
    for precision, sentences in wrong.items():
        for sentence in sentences:
            print(f"{precision}: {sentence}", file=sys.stderr)
    return int(any(wrong.values()))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CheckFailed as failed:
        print(failed, file=sys.stderr)
        sys.exit(1)
