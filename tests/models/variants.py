"""Versions of the shipped model with something wrong in them: other networks made of its own by a few nodes, and other
cards. For the tests of the gate and of the roll-out.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from msgspec.structs import replace
from onnx import NodeProto, TensorProto, helper, numpy_helper

from serving.model_card import (
    MODEL_FILE,
    ModelCard,
    model_repository,
    network_version,
    read_model_card,
    version_folder,
    write_model_card,
)
from serving.registry import RegisteredVersion, Registry
from serving.statistics import STATISTICS

SHIPPED = version_folder(model_repository())

Edit = Callable[[onnx.ModelProto], None]


def registry_at(folder: Path) -> Registry:
    """A repository with the shipped version in it, as number 1."""
    shutil.copytree(SHIPPED.parent, folder / "customer")
    return Registry(folder)


def variant(registry: Registry, made: Path, edit: Edit | None = None, **card: Any) -> RegisteredVersion:
    """Add the shipped version with another network or another card; ``made`` is a folder that does not exist yet."""
    shutil.copytree(SHIPPED, made)
    if edit is not None:
        model = onnx.load(made / MODEL_FILE)
        edit(model)
        onnx.save(model, made / MODEL_FILE)
    known: ModelCard = read_model_card(made)
    write_model_card(made, replace(known, **{"version": network_version(made, 1), **card}))
    return registry.add(made)


def churn_becomes(nodes: Callable[[str], Sequence[NodeProto]], **constants: float) -> Edit:
    """Put ``nodes`` behind the churn output. They get its former name and end in one called ``churn``.

    Args:
        constants: scalars that the nodes may name.
    """

    def edit(model: onnx.ModelProto) -> None:
        graph = model.graph
        for node in graph.node:
            for place, name in enumerate(node.output):
                if name == "churn":
                    node.output[place] = "churn_before"
            for place, name in enumerate(node.input):
                if name == "churn":
                    node.input[place] = "churn_before"
        for name, value in constants.items():
            graph.initializer.append(numpy_helper.from_array(np.float32(value).reshape(1, 1), name))
        graph.node.extend(nodes("churn_before"))

    return edit


def shifted(by: float) -> Edit:
    """Every probability multiplied; the ranking stays."""
    return churn_becomes(lambda churn: [helper.make_node("Mul", [churn, "by"], ["churn"])], by=by)


def told_nothing(towards: float) -> Edit:
    """What a network learns of shuffled labels: the base rate for everybody, and noise around it that says nothing.

    The noise is made of a feature's low digits, so that it is the same at every call.
    """

    def nodes(churn: str) -> list[NodeProto]:
        return [
            helper.make_node("ReduceSum", ["stats", "axis"], ["sum"], keepdims=1),
            helper.make_node("Mul", ["sum", "stretch"], ["stretched"]),
            helper.make_node("Sin", ["stretched"], ["noise"]),
            helper.make_node("Mul", ["noise", "width"], ["narrow"]),
            helper.make_node("Mul", [churn, "nought"], ["nothing"]),
            helper.make_node("Add", ["nothing", "narrow"], ["spread"]),
            helper.make_node("Add", ["spread", "base"], ["churn"]),
        ]

    def edit(model: onnx.ModelProto) -> None:
        churn_becomes(nodes, stretch=1e4, width=0.1, nought=0.0, base=towards)(model)
        model.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "axis"))

    return edit


def base_rate_for(least: int, most: int, base: float, *, others: bool = False) -> Edit:
    """The base rate for customers with ``least`` to ``most`` baskets, or for all others; the network for the rest."""
    place = STATISTICS.index("baskets")

    def nodes(churn: str) -> list[NodeProto]:
        inside = [
            helper.make_node("Gather", ["stats", "place"], ["baskets"], axis=1),
            helper.make_node("Greater", ["baskets", "least"], ["enough"]),
            helper.make_node("Less", ["baskets", "most"], ["few"]),
            helper.make_node("And", ["enough", "few"], ["inside"]),
            helper.make_node("Mul", [churn, "nought"], ["nothing"]),
            helper.make_node("Add", ["nothing", "base"], ["flat"]),
        ]
        chosen = [churn, "flat"] if others else ["flat", churn]
        return [*inside, helper.make_node("Where", ["inside", *chosen], ["churn"])]

    def edit(model: onnx.ModelProto) -> None:
        bounds = {"least": np.log1p(least - 0.5), "most": np.log1p(most + 0.5)}
        churn_becomes(nodes, nought=0.0, base=base, **bounds)(model)
        model.graph.initializer.append(numpy_helper.from_array(np.array([place], np.int64), "place"))

    return edit


def without_output(name: str) -> Edit:
    """A network that does not give one of its outputs."""

    def edit(model: onnx.ModelProto) -> None:
        kept = [output for output in model.graph.output if output.name != name]
        del model.graph.output[:]
        model.graph.output.extend(kept)

    return edit


def wider(name: str) -> Edit:
    """A network with one output twice as wide."""

    def edit(model: onnx.ModelProto) -> None:
        inner = f"{name}_narrow"
        for node in model.graph.node:
            for place, output in enumerate(node.output):
                if output == name:
                    node.output[place] = inner
            for place, given in enumerate(node.input):
                if given == name:
                    node.input[place] = inner
        model.graph.node.append(helper.make_node("Concat", [inner, inner], [name], axis=1))
        for output in model.graph.output:
            if output.name == name:
                width = output.type.tensor_type.shape.dim[1].dim_value
                output.CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2 * width]))

    return edit
