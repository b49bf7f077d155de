"""The shipped graphs for a GPU: int8 products back to matrix products, and the layers of transformers in fp16.

``write_half`` writes ``model.fp16.onnx`` beside ``model.onnx`` in a version folder; the gpu profile of ``config.pbtxt``
names it. It is made where it is served: a GPU has no kernel for activations quantised as they come, and git has no room
for both. Called by ``stream.operations.prepare_gpu``, which measures what it changes. Needs the ``train`` extra.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from serving.model_card import MODEL_FILE
from serving.triton_config import GPU_MODEL_FILE


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
    _drop_unread(graph)
    return model


def body(graph: Any) -> set[str]:
    """Names of the nodes of the layers: every LayerNormalization and what it is made of.

    What comes after the last of them, or has none, are heads: small networks, sums of squares and the calibration that
    was fitted. They cost little and lose most when they are rounded.
    """
    maker = {name: node for node in graph.node for name in node.output}
    waiting = [node for node in graph.node if node.op_type == "LayerNormalization"]
    found: set[str] = set()
    while waiting:
        node = waiting.pop()
        if node.name not in found:
            found.add(node.name)
            waiting += [maker[name] for name in node.input if name in maker]
    return found


def to_half(model: Any, chosen: Collection[str]) -> Any:
    """The same graph with the nodes named in ``chosen`` in fp16; its inputs and outputs keep their types.

    A tensor is cast where it passes from one side to the other, so an input that only other nodes read is never rounded
    (onnxruntime's converter rounds every input).
    """
    graph = onnx.shape_inference.infer_shapes(model).graph
    floats = {value.name for value in (*graph.value_info, *graph.input, *graph.output) if _is_float(value)}
    weights = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    halves = {name for node in graph.node if node.name in chosen for name in node.output if name in floats}
    outputs = {value.name for value in graph.output}
    # An output of a half node is made under another name, and cast to the one that is promised.
    made_as = {name: f"{name}_half" for name in halves & outputs}
    nodes: list[Any] = []
    made: set[str] = set()

    def passed(name: str, to_half: bool) -> str:
        if name in weights:
            if not to_half:
                return name
            half = f"{name}_half"
            if half not in made:
                made.add(half)
                array = numpy_helper.to_array(weights[name]).astype(np.float16)
                model.graph.initializer.append(numpy_helper.from_array(array, half))
            return half
        if name not in floats or (name in halves) == to_half:
            return made_as.get(name, name) if to_half else name
        if not to_half and name in made_as:
            return name
        cast = f"{name}_as_{'half' if to_half else 'single'}"
        if cast not in made:
            made.add(cast)
            nodes.append(_cast(made_as.get(name, name), cast, to_half))
        return cast

    for node in graph.node:
        half = node.name in chosen
        inputs = [passed(name, half) for name in node.input]
        del node.input[:]
        node.input.extend(inputs)
        for attribute in node.attribute:
            if half and node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
        for place, name in enumerate(node.output):
            node.output[place] = made_as.get(name, name)
        nodes.append(node)
        nodes += [_cast(inner, name, to_half=False) for name, inner in made_as.items() if inner in node.output]
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    _drop_unread(model.graph)
    return model


def write_half(folder: Path) -> Path:
    """Write the fp16 graph of a version folder and return its path; its inputs and outputs keep their types.

    Raises:
        ValueError: the graph is quantised in another way than ``serving.text.export`` does.
    """
    model = without_integers(onnx.load(folder / MODEL_FILE))
    half = to_half(model, body(model.graph))
    onnx.checker.check_model(half)
    path = folder / GPU_MODEL_FILE
    path.write_bytes(half.SerializeToString(deterministic=True))
    return path


def write_single(folder: Path, path: Path) -> None:
    """Write the graph that ``write_half`` begins with: in fp32, what the fp16 graph is compared with.

    Raises:
        ValueError: see ``write_half``.
    """
    path.write_bytes(without_integers(onnx.load(folder / MODEL_FILE)).SerializeToString(deterministic=True))


def _is_float(value: Any) -> bool:
    return bool(value.type.tensor_type.elem_type == TensorProto.FLOAT)


def _cast(source: str, target: str, to_half: bool) -> Any:
    kind = TensorProto.FLOAT16 if to_half else TensorProto.FLOAT
    return helper.make_node("Cast", [source], [target], f"cast_{target}", to=kind)


def _drop_unread(graph: Any) -> None:
    read = {name for node in graph.node for name in node.input}
    used = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(used)
