"""The shipped graph for a GPU: int8 products back to matrix products, and all of it in fp16.

``python -m serving.text.half FOLDER`` writes ``model.fp16.onnx`` beside ``model.onnx`` in a version folder; the gpu
profile of ``config.pbtxt`` names it. It is made where it is served: a GPU has no kernel for activations quantised as
they come, and git has no room for both. Needs the ``train`` extra.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnx
import typer
from onnx import helper, numpy_helper

from serving.model_card import MODEL_FILE
from serving.text.triton_config import GPU_MODEL_FILE


def without_integers(model: Any) -> Any:
    """The same graph with float weights, as they are after quantisation.

    onnxruntime writes ``x @ w`` as DynamicQuantizeLinear, MatMulInteger, Cast, and a product with both scales.

    Raises:
        ValueError: a MatMulInteger stands in no such chain.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    reader = {name: node for node in graph.node for name in node.input}
    maker = {name: node for node in graph.node for name in node.output}
    replaced: dict[str, Any] = {}
    gone: set[str] = set()
    for node in graph.node:
        if node.op_type != "MatMulInteger":
            continue
        cast = reader[node.output[0]]
        product = reader[cast.output[0]]
        both = maker.get(next(name for name in product.input if name != cast.output[0]))
        source = maker.get(node.input[0])
        if cast.op_type != "Cast" or both is None or source is None or source.op_type != "DynamicQuantizeLinear":
            raise ValueError(f"{node.name} is not how onnxruntime quantises: the graph cannot be turned back")
        scale = next(name for name in both.input if name in weights)
        name = f"{node.input[1]}_float"
        whole = numpy_helper.to_array(weights[node.input[1]]).astype(np.float32)
        zero = (
            numpy_helper.to_array(weights[node.input[3]]).astype(np.float32) if len(node.input) > 3 else np.float32(0)
        )
        floats = (whole - zero) * numpy_helper.to_array(weights[scale])
        graph.initializer.append(numpy_helper.from_array(floats.astype(np.float32), name))
        replaced[node.output[0]] = helper.make_node("MatMul", [source.input[0], name], [product.output[0]], node.name)
        gone |= {cast.output[0], product.output[0], both.output[0]}
    kept = [
        replaced.get(node.output[0], node)
        for node in graph.node
        if node.op_type != "DynamicQuantizeLinear" and node.output[0] not in gone
    ]
    del graph.node[:]
    graph.node.extend(kept)
    read = {name for node in kept for name in node.input}
    used = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(used)
    return model


def write_half(folder: Path) -> Path:
    """Write the fp16 graph of a version folder; its inputs and outputs keep their types."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(without_integers(onnx.load(folder / MODEL_FILE)), keep_io_types=True)
    onnx.checker.check_model(model)
    path = folder / GPU_MODEL_FILE
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def command(
    folder: Annotated[Path, typer.Argument(help="Version folder, such as triton_models/text_encoder/1.")],
) -> None:
    """Write the fp16 graph for a GPU."""
    typer.echo(write_half(folder))


if __name__ == "__main__":
    typer.run(command)
