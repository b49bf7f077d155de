"""``config.pbtxt`` of the text encoder, in two profiles from one source: for a CPU, and for a GPU.

Called by ``serving.text.export``. Texts of a call have one length; calls of different lengths are not put together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from serving.model_card import MODEL_FILE
from serving.text.card import TEXT_MODEL_NAME
from serving.triton_config import ONE_CORE, Profile, write_profiles

INPUT_IDS: Final = "input_ids"
ATTENTION_MASK: Final = "attention_mask"
PROBABILITIES: Final = "probabilities"
VECTOR: Final = "vector"

GPU_MODEL_FILE: Final = "model.fp16.onnx"
"""Written by ``serving.text.half``; without it a server with the gpu profile refuses to start."""

_FILES: Final = {"cpu": MODEL_FILE, "gpu": GPU_MODEL_FILE}

MAX_BATCH_SIZE: Final = 64
_PREFERRED: Final = (16, 32, 64)
_MAX_QUEUE_DELAY_US: Final = 2_000

_INSTANCES: Final = {
    "cpu": "{ count: 1 kind: KIND_CPU }",
    # No fallback to the CPU: a server without a GPU must refuse the model, not serve it slowly.
    "gpu": "{ count: 1 kind: KIND_GPU }",
}


def config_text(profile: Profile, vector: int) -> str:
    """The text of ``config.pbtxt`` of an encoder with vectors of this length."""
    return f"""\
# Written by `python -m serving.text.train` (serving/text/triton_config.py), profile {profile}. Do not edit.
name: "{TEXT_MODEL_NAME}"
backend: "onnxruntime"
default_model_filename: "{_FILES[profile]}"
max_batch_size: {MAX_BATCH_SIZE}
input [
  {{ name: "{INPUT_IDS}" data_type: TYPE_INT64 dims: [ -1 ] }},
  {{ name: "{ATTENTION_MASK}" data_type: TYPE_INT64 dims: [ -1 ] }}
]
output [
  {{ name: "{PROBABILITIES}" data_type: TYPE_FP32 dims: [ 3 ] }},
  {{ name: "{VECTOR}" data_type: TYPE_FP32 dims: [ {vector} ] }}
]
dynamic_batching {{
  preferred_batch_size: [ {", ".join(map(str, _PREFERRED))} ]
  max_queue_delay_microseconds: {_MAX_QUEUE_DELAY_US}
}}
instance_group [ {_INSTANCES[profile]} ]
{ONE_CORE if profile == "cpu" else ""}"""


def write_text_configs(model_folder: Path, vector: int) -> None:
    """Write both profiles into the model's folder of a repository, as ``serving.triton_config`` does."""
    write_profiles(model_folder, config_text("cpu", vector), config_text("gpu", vector))
