"""From a fitted student to a version of the model repository: ``model.onnx`` in int8, ``tokenizer.json`` and
``config.pbtxt``; the card follows when it is measured.

Everything that serves reads these files alone. Called by ``serving.text.train``; needs the ``train`` extra.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import onnx
import torch

from serving.export import OPSET, save_graph
from serving.model_card import MODEL_FILE
from serving.text.calibration import TextCalibration
from serving.text.card import TEXT_MODEL_NAME
from serving.text.network import ServedStudent, Student
from serving.text.tokens import TOKENIZER_FILE
from serving.text.triton_config import ATTENTION_MASK, INPUT_IDS, PROBABILITIES, VECTOR, write_text_configs

LARGEST_BYTES: Final = 6_000_000
"""An encoder that is to be committed stays below this, all its files together."""


def write_float_onnx(student: Student, calibration: TextCalibration, path: Path, *, quantised_words: bool) -> None:
    """Write the graph; batch and length are free, and the weights of layers are float32."""
    served = ServedStudent(student.cpu().eval(), calibration.slope, calibration.offsets, quantised=quantised_words)
    # Two tensors: given the same one twice, the exporter takes both inputs for one.
    shape = (2, student.shape.longest // 2)
    ids, mask = torch.ones(shape, dtype=torch.int64), torch.ones(shape, dtype=torch.int64)
    batch = torch.export.Dim("batch", min=1, max=4096)
    length = torch.export.Dim("length", min=2, max=student.shape.longest)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            served.eval(),
            (ids, mask),
            input_names=[INPUT_IDS, ATTENTION_MASK],
            output_names=[PROBABILITIES, VECTOR],
            dynamic_shapes=({0: batch, 1: length}, {0: batch, 1: length}),
            opset_version=OPSET,
            dynamo=True,
            optimize=True,
            verbose=False,
        )
    save_graph(program.model_proto, path)


def quantise(source: Path, target: Path) -> None:
    """Weights of matrix products to int8, a scale for each column; activations are quantised as they come.

    Seven bits of the eight: processors without VNNI add pairs of products in sixteen bits, which overflow with eight.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)
    quantize_dynamic(
        source,
        target,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
    )
    save_graph(onnx.load(target), target)


def export_student(
    student: Student, calibration: TextCalibration, tokenizer_folder: Path, repository: Path, number: int = 1
) -> Path:
    """Write a version without its card, replacing one of the same number, and return its folder.

    Raises:
        ValueError: the files are larger than ``LARGEST_BYTES``.
    """
    model_folder = repository / TEXT_MODEL_NAME
    folder = model_folder / str(number)
    unfinished = model_folder / f".unfinished-{number}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with TemporaryDirectory() as scratch:
        floating = Path(scratch) / "float.onnx"
        write_float_onnx(student, calibration, floating, quantised_words=True)
        quantise(floating, unfinished / MODEL_FILE)
    shutil.copy(tokenizer_folder / TOKENIZER_FILE, unfinished / TOKENIZER_FILE)
    size = folder_bytes(unfinished)
    if size > LARGEST_BYTES:
        raise ValueError(f"the encoder has {size:,} bytes, allowed are {LARGEST_BYTES:,}: fewer pieces or layers")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.replace(folder)
    write_text_configs(model_folder, student.shape.vector)
    return folder


def folder_bytes(folder: Path) -> int:
    """Bytes of the graph and the tokenizer of a version."""
    return sum((folder / name).stat().st_size for name in (MODEL_FILE, TOKENIZER_FILE))
