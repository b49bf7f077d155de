"""Triton's `onnxruntime` backend for the embedded server, which only has the Python backend.

A model repository written for NVIDIA's image runs unchanged: the same `backend: "onnxruntime"`, model file and
parameters. This file is copied into Triton's backend folder by `triton.py` and runs in Triton's own process with that
install's packages; nothing of Tidemark can be imported here.
"""

import json
import os
import sys
from typing import Any

# Triton starts this file's interpreter without the environment's PYTHONPATH; the server's own variables do arrive.
sys.path.insert(0, os.environ["TIDEMARK_TRITON_PACKAGES"])

import numpy as np
import numpy.typing as npt
import onnxruntime
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]  # part of Triton

Arrays = dict[str, npt.NDArray[Any]]

# The parameters of NVIDIA's onnxruntime backend that are honoured, with their session option and the default used
# here. One thread, where NVIDIA's default is every core: the embedded server shares its machine with Kafka and the
# workers.
THREAD_PARAMETERS = {
    "intra_op_thread_count": ("intra_op_num_threads", 1),
    "inter_op_thread_count": ("inter_op_num_threads", 1),
}


CUDA = "CUDAExecutionProvider"


def _providers(args: dict[str, str]) -> list[Any]:
    """Where an instance runs, by its kind. An instance for a GPU never runs on a CPU: it is refused instead."""
    if args["model_instance_kind"] != "GPU":
        return ["CPUExecutionProvider"]
    if CUDA not in onnxruntime.get_available_providers():
        raise pb_utils.TritonModelException(
            f"model {args['model_name']} wants KIND_GPU, and this embedded Triton was installed without CUDA: "
            "use the cpu profile of its config.pbtxt, EmbeddedTriton(..., gpu=True), or NVIDIA's image"
        )
    # From the wheels beside onnxruntime, which no path of the system's loader names.
    onnxruntime.preload_dlls()
    # TF32 has ten bits after the point: what is called fp32 is fp32.
    return [(CUDA, {"device_id": args["model_instance_device_id"], "use_tf32": "0"}), "CPUExecutionProvider"]


class TritonPythonModel:
    """One instance of one ONNX model: a session, and the names of its configured inputs and outputs."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        self._batches = config["max_batch_size"] > 0
        self._inputs = [entry["name"] for entry in config["input"]]
        self._outputs = {
            entry["name"]: pb_utils.triton_string_to_numpy(entry["data_type"]) for entry in config["output"]
        }

        options = onnxruntime.SessionOptions()
        parameters = config.get("parameters", {})
        for name, (option, default) in THREAD_PARAMETERS.items():
            setattr(options, option, int(parameters.get(name, {}).get("string_value", default)))
        path = os.path.join(
            args["model_repository"], args["model_version"], config.get("default_model_filename") or "model.onnx"
        )
        if profiles := os.environ.get("TIDEMARK_TRITON_PROFILES"):
            options.enable_profiling = True
            options.profile_file_prefix = os.path.join(profiles, args["model_instance_name"])
        self._profiles = options.enable_profiling
        self._session = onnxruntime.InferenceSession(path, options, providers=_providers(args))
        if args["model_instance_kind"] == "GPU" and CUDA not in self._session.get_providers():
            raise pb_utils.TritonModelException(f"model {args['model_name']}: CUDA could not be loaded, see above")
        self._check_names(path)

    def finalize(self) -> None:
        """Write the profile where one was asked for: each node, where it ran and for how long."""
        if self._profiles:
            self._session.end_profiling()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer all requests that Triton's dynamic batcher put together, by one run of the session where it can be.

        A request that cannot be answered gets its own error. When the joint run fails, each request is run by itself,
        so that a bad neighbour costs nobody else the answer.
        """
        if not self._batches or len(requests) == 1:
            return [self._answer_alone(request) for request in requests]
        try:
            return self._answer_together(requests)
        except Exception:
            return [self._answer_alone(request) for request in requests]

    def _answer_together(self, requests: list[Any]) -> list[Any]:
        each = [self._tensors(request) for request in requests]
        joint = {name: np.concatenate([tensors[name] for tensors in each]) for name in self._inputs}
        arrays = self._run(joint)
        first = self._inputs[0]
        ends = np.cumsum([len(tensors[first]) for tensors in each])[:-1]
        split = {name: np.split(array, ends) for name, array in arrays.items()}
        return [
            self._response(request, {name: parts[index] for name, parts in split.items()})
            for index, request in enumerate(requests)
        ]

    def _answer_alone(self, request: Any) -> Any:
        try:
            return self._response(request, self._run(self._tensors(request)))
        except Exception as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))

    def _tensors(self, request: Any) -> Arrays:
        return {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs}

    def _run(self, tensors: Arrays) -> Arrays:
        return dict(zip(self._outputs, self._session.run(list(self._outputs), tensors), strict=True))

    def _response(self, request: Any, arrays: Arrays) -> Any:
        wanted = set(request.requested_output_names())
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor(name, np.ascontiguousarray(array, dtype=self._outputs[name]))
                for name, array in arrays.items()
                if name in wanted
            ]
        )

    def _check_names(self, path: str) -> None:
        for kind, configured, present in (
            ("input", self._inputs, self._session.get_inputs()),
            ("output", self._outputs, self._session.get_outputs()),
        ):
            unknown = sorted(set(configured) - {node.name for node in present})
            if unknown:
                raise pb_utils.TritonModelException(
                    f"config.pbtxt names the {kind}s {unknown}, which {path} does not have: it has "
                    f"{sorted(node.name for node in present)}"
                )
