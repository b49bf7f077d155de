"""How many reviews of 32 word pieces the shipped text encoder reads in a second: in this process, and through Triton.

One core for the model in both: the core's own time in this process, the clock's through Triton. `python -m
benchmarks.text_encoder`; figures belong to the machine that it runs on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import tritonclient.grpc as grpc
from tritonclient.grpc import aio

from serving.in_process import MODEL_FILE
from serving.model_card import model_repository, version_folder
from serving.text.card import TEXT_MODEL_NAME, read_text_card
from serving.text.triton_config import ATTENTION_MASK, INPUT_IDS, PROBABILITIES

PIECES = 32
BATCHES = (1, 8, 32, 64)
SECONDS = 4.0
CALLS_AT_ONCE = 4


def drawn(batch: int) -> dict[str, np.ndarray]:
    """Word pieces at random: what they are does not change the work."""
    ids = np.random.default_rng(0).integers(4, 4_000, (batch, PIECES))
    return {INPUT_IDS: ids, ATTENTION_MASK: np.ones_like(ids)}


def in_process(path: Path, batch: int) -> float:
    """Reviews per second of a core's time, so that what else runs on the machine does not count."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    given = drawn(batch)
    session.run(None, given)
    started, calls, until = time.process_time(), 0, time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        session.run(None, given)
        calls += 1
    return calls * batch / (time.process_time() - started)


async def through_triton(url: str, batch: int) -> float:
    """Reviews per second with ``CALLS_AT_ONCE`` callers."""
    client = aio.InferenceServerClient(url)
    inputs: list[Any] = []
    for name, array in drawn(batch).items():
        given = grpc.InferInput(name, array.shape, "INT64")
        given.set_data_from_numpy(array)
        inputs.append(given)
    outputs: Sequence[Any] = [grpc.InferRequestedOutput(PROBABILITIES)]

    async def caller(until: float) -> int:
        calls = 0
        while time.perf_counter() < until:
            await client.infer(TEXT_MODEL_NAME, inputs, outputs=outputs)
            calls += 1
        return calls

    started = time.perf_counter()
    calls = await asyncio.gather(*(caller(started + SECONDS) for _ in range(CALLS_AT_ONCE)))
    seconds = time.perf_counter() - started
    await client.close()
    return sum(calls) * batch / seconds


def main() -> None:
    from stream.embedded.triton import EmbeddedTriton

    folder = version_folder(model_repository(), TEXT_MODEL_NAME)
    print(f"text encoder {read_text_card(folder).version}, {PIECES} word pieces, one core; reviews per second")
    for batch in BATCHES:
        print(f"in process, batch {batch:>2}: {in_process(folder / MODEL_FILE, batch):,.0f}")
    with EmbeddedTriton(model_repository()) as triton:
        for batch in BATCHES:
            found = asyncio.run(through_triton(triton.grpc_url, batch))
            print(f"through Triton, batch {batch:>2}, {CALLS_AT_ONCE} callers: {found:,.0f}")


if __name__ == "__main__":
    main()
