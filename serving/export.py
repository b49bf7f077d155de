"""From a fitted network to a version of the Triton model repository: ``model.onnx``, ``item_tower.npz``,
``shop.npz``, ``card.json``, ``config.pbtxt``.

Everything that serves reads these files alone. Called by ``serving.training.train``; needs the ``train`` extra.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from pathlib import Path
from typing import Any, Final

import onnx
import torch
from torch import Tensor

from serving.features import FEATURES
from serving.item_tower import ITEM_TOWER_FILE, ItemTower, write_item_tower
from serving.model.network import ServedNetwork
from serving.model_card import MODEL_FILE, MODEL_NAME, ModelCard, network_version, write_model_card
from serving.registry import Registry
from serving.scorer import OUTPUTS
from serving.shop import SHOP_FILE, Shop, write_shop
from serving.triton_config import write_configs

OPSET: Final = 18
IR_VERSION: Final = 8
"""What onnxruntime 1.14 and later read; NVIDIA's images of 2024 and 2025 carry 1.19 to 1.22."""

LARGEST_BYTES: Final = 3 * 1024 * 1024
"""A model that is to be committed stays below this, all its files together."""


def example_inputs(batch: int) -> tuple[Tensor, ...]:
    """Zero tensors in the order of ``FEATURES``."""
    return tuple(
        torch.zeros(batch, *spec.shape, dtype=torch.float32 if spec.dtype == "FP32" else torch.int32)
        for spec in FEATURES
    )


def write_onnx(network: ServedNetwork, path: Path) -> None:
    """Write the graph: fixed feature shapes, dimension 0 is the batch."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    names = [spec.name for spec in FEATURES]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            network.eval(),
            # A batch of one would be taken for a constant.
            example_inputs(2),
            input_names=names,
            output_names=[spec.name for spec in OUTPUTS],
            dynamic_shapes=tuple({0: batch} for _ in names),
            opset_version=OPSET,
            dynamo=True,
            optimize=True,
            verbose=False,
        )
    save_graph(program.model_proto, path)


def save_graph(model: Any, path: Path) -> None:
    """Write a checked graph, the same bytes for the same graph wherever it was exported."""
    model.ir_version = IR_VERSION
    del model.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
        # Where the exporter was called from is no part of the model.
        del node.metadata_props[:]
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def export(
    network: ServedNetwork,
    tower: ItemTower,
    shop: Shop,
    card: ModelCard,
    repository: Path,
    repository_version: int = 1,
) -> ModelCard:
    """Write a version of the customer model, replacing one of the same number, and return its card with its version.

    Raises:
        ValueError: the files are larger than ``LARGEST_BYTES``.
    """
    model_folder = repository / MODEL_NAME
    folder = model_folder / str(repository_version)
    unfinished = model_folder / f".unfinished-{repository_version}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    write_onnx(network, unfinished / MODEL_FILE)
    write_item_tower(unfinished / ITEM_TOWER_FILE, tower)
    write_shop(unfinished / SHOP_FILE, shop)
    fields = {name: getattr(card, name) for name in card.__struct_fields__}
    finished = ModelCard(**(fields | {"version": network_version(unfinished, repository_version)}))
    write_model_card(unfinished, finished)
    size = sum(path.stat().st_size for path in unfinished.iterdir())
    if size > LARGEST_BYTES:
        raise ValueError(
            f"the exported model has {size:,} bytes, allowed are {LARGEST_BYTES:,}: make the network narrower"
        )
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.replace(folder)
    write_configs(model_folder)
    Registry(repository).serve([repository_version])
    return finished
