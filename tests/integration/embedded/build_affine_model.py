"""Writes `models/affine/1/model.onnx`, the tiny model that the Triton tests serve. Needs the package `onnx`.

Run by hand when the model must change: `uv run --with onnx python tests/integration/embedded/build_affine_model.py`.
"""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

FOLDER = Path(__file__).parent / "models" / "affine" / "1"


def affine_model() -> onnx.ModelProto:
    """`sum` = the row's sum of `x` plus `offset`, `doubled` = 2 x; any number of rows, three columns."""
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "x"], ["doubled"]),
            helper.make_node("ReduceSum", ["x", "columns"], ["total"], keepdims=1),
            helper.make_node("Add", ["total", "offset"], ["sum"]),
        ],
        "affine",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 3]),
            helper.make_tensor_value_info("offset", TensorProto.FLOAT, ["rows", 1]),
        ],
        [
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["rows", 1]),
            helper.make_tensor_value_info("doubled", TensorProto.FLOAT, ["rows", 3]),
        ],
        [helper.make_tensor("columns", TensorProto.INT64, [1], [1])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    onnx.save(affine_model(), FOLDER / "model.onnx")
