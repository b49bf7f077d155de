"""The customer network in fp32, int8 and fp16: size, speed on a core, and what becomes of its predictions.

On the demo's customers, whom no model was trained on, at six moments whose 90 days are over. fp16 has no kernels of its
own on a CPU: its speed there says nothing about a GPU. `python -m benchmarks.precision`; needs the extra `train`.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import quantize_dynamic

from serving.evaluation.metrics import auc, brier, ece
from serving.evaluation.precision import churn_shift
from serving.half import body, write_half
from serving.in_process import MODEL_FILE
from serving.model_card import HORIZONS, model_repository, read_model_card, version_folder
from serving.scorer import OUTPUTS
from stream.operations.demo_events import sample
from stream.operations.prepare_gpu import Customers, known_customers
from stream.profiles.settings import ProfileSettings

HORIZON: Final = 90
RUNS: Final = 15
BATCH: Final = 256


@contextmanager
def graphs() -> Iterator[dict[str, Path]]:
    """The shipped graph, and the same in int8 and in fp16, by precision. `int8 all` has the hazards in int8, too."""
    with TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(version_folder(model_repository()), Path(scratch) / "1"))
        exact, layers, whole = folder / MODEL_FILE, folder / "layers.onnx", folder / "whole.onnx"
        chosen = sorted(body(onnx.load(exact).graph))
        quantize_dynamic(exact, layers, nodes_to_quantize=chosen, per_channel=True, reduce_range=True)
        # The hazards' weights are of three dimensions, for which there is no scale for each column.
        quantize_dynamic(exact, whole, reduce_range=True)
        yield {"fp32": exact, "int8": layers, "int8 all": whole, "fp16": write_half(folder)}


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def outputs(path: Path, customers: Customers) -> Mapping[str, Any]:
    names = [spec.name for spec in OUTPUTS]
    parts = [session(path).run(names, inputs) for inputs in customers.inputs]
    return {name: np.concatenate([part[place] for part in parts]) for place, name in enumerate(names)}


def per_second(path: Path, customers: Customers) -> float:
    """Customers in a second of a core's own time, at a batch of 256: the best of several runs."""
    runs, inputs = session(path), customers.inputs[0]
    took = []
    for _ in range(RUNS):
        began = time.process_time()
        runs.run(None, inputs)
        took.append(time.process_time() - began)
    return len(inputs["stats"]) / min(took)


def main() -> None:
    # onnxruntime advises on the root logger what does not apply to a graph that is exported already optimised.
    logging.getLogger().setLevel(logging.ERROR)
    folder = version_folder(model_repository())
    customers, card = known_customers(sample(), folder, ProfileSettings()), read_model_card(folder)
    truth, place = customers.churned[HORIZON], HORIZONS.index(f"{HORIZON}d")
    print(f"customer model {card.version}, {len(truth):,} predictions for {HORIZON} days")
    print(f"{'':<9}{'MB':>6}{'per second':>12}{'AUC':>8}{'Brier':>8}{'ECE':>8}{'crossed':>9}{'cosine':>9}")
    with graphs() as paths:
        exact = outputs(paths["fp32"], customers)
        for name, path in paths.items():
            found = outputs(path, customers)
            churn, shift = found["churn"][:, place], churn_shift(exact, found, card.thresholds, customers.churned)
            print(
                f"{name:<9}{path.stat().st_size / 1e6:>6.2f}{per_second(path, customers):>12,.0f}"
                f"{auc(truth, churn):>8.4f}{brier(truth, churn):>8.4f}{ece(truth, churn):>8.4f}"
                f"{shift.crossings:>9.2%}{shift.alike:>9.5f}"
            )


if __name__ == "__main__":
    main()
