"""Writes the tiny ONNX models under `models/` that the Triton tests serve. Needs the package `onnx`.

Run by hand when a model must change: `uv run --with onnx python tests/integration/embedded/build_models.py`.
"""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

MODELS = Path(__file__).parent / "models"


def affine() -> onnx.GraphProto:
    """For any number of rows of three columns: `sum` = the row's sum of `x` plus `offset`, `doubled` = 2 x, and
    `rows_in_run` = how many rows the run had in all, which shows the requests that were joined.
    """
    return helper.make_graph(
        [
            helper.make_node("Add", ["x", "x"], ["doubled"]),
            helper.make_node("ReduceSum", ["x", "columns"], ["total"], keepdims=1),
            helper.make_node("Add", ["total", "offset"], ["sum"]),
            helper.make_node("Shape", ["offset"], ["rows"], start=0, end=1),
            helper.make_node("Cast", ["rows"], ["rows_as_float"], to=TensorProto.FLOAT),
            helper.make_node("Shape", ["offset"], ["offset_shape"]),
            helper.make_node("Expand", ["rows_as_float", "offset_shape"], ["rows_in_run"]),
        ],
        "affine",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 3]),
            helper.make_tensor_value_info("offset", TensorProto.FLOAT, ["rows", 1]),
        ],
        [
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["rows", 1]),
            helper.make_tensor_value_info("doubled", TensorProto.FLOAT, ["rows", 3]),
            helper.make_tensor_value_info("rows_in_run", TensorProto.FLOAT, ["rows", 1]),
        ],
        [helper.make_tensor("columns", TensorProto.INT64, [1], [1])],
    )


def lookup() -> onnx.GraphProto:
    """`value` = 10, 20 or 30 for `code` 0, 1 or 2; any other code makes the whole run fail."""
    return helper.make_graph(
        [helper.make_node("Gather", ["table", "code"], ["value"])],
        "lookup",
        [helper.make_tensor_value_info("code", TensorProto.INT64, ["rows", 1])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor("table", TensorProto.FLOAT, [3], [10.0, 20.0, 30.0])],
    )


if __name__ == "__main__":
    for graph in (affine(), lookup()):
        folder = MODELS / graph.name / "1"
        folder.mkdir(parents=True, exist_ok=True)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, folder / "model.onnx")
