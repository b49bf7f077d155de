"""How many reviews of 32 word pieces the shipped text encoder reads in a second of a core's own time, in this process.

`python -m benchmarks.text_encoder`; figures belong to the machine that it runs on. Through Triton:
`python -m benchmarks.serving`.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnxruntime

from serving.in_process import MODEL_FILE
from serving.model_card import model_repository, version_folder
from serving.text.card import TEXT_MODEL_NAME, read_text_card
from serving.text.triton_config import ATTENTION_MASK, INPUT_IDS

PIECES = 32
BATCHES = (1, 8, 32, 64)
SECONDS = 4.0


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


def main() -> None:
    folder = version_folder(model_repository(), TEXT_MODEL_NAME)
    print(f"text encoder {read_text_card(folder).version}, {PIECES} word pieces, one core; reviews per second")
    for batch in BATCHES:
        print(f"in process, batch {batch:>2}: {in_process(folder / MODEL_FILE, batch):,.0f}")


if __name__ == "__main__":
    main()
