"""``config.pbtxt`` of the text encoder, in two profiles from one source: for a CPU, and for a GPU.

Called by ``serving.text.export``. Texts of a call have one length; calls of different lengths are not put together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from serving.text.card import TEXT_MODEL_NAME
from serving.triton_config import (
    INSTANCES,
    MODEL_FILES,
    ONE_CORE,
    Profile,
    batching_text,
    warm_up_text,
    write_profiles,
)

INPUT_IDS: Final = "input_ids"
ATTENTION_MASK: Final = "attention_mask"
PROBABILITIES: Final = "probabilities"
VECTOR: Final = "vector"

MAX_BATCH_SIZES: Final[Mapping[Profile, int]] = {"cpu": 64, "gpu": 1_024}
_PREFERRED: Final[Mapping[Profile, tuple[int, ...]]] = {"cpu": (16, 32, 64), "gpu": (64, 256, 1_024)}
_WARM_UP_LENGTH: Final = 32
"""Word pieces of the texts with which a model is warmed up."""


def config_text(profile: Profile, vector: int) -> str:
    """The text of ``config.pbtxt`` of an encoder with vectors of this length."""
    return f"""\
# Written by `python -m serving.text.train` (serving/text/triton_config.py), profile {profile}. Do not edit.
name: "{TEXT_MODEL_NAME}"
backend: "onnxruntime"
default_model_filename: "{MODEL_FILES[profile]}"
max_batch_size: {MAX_BATCH_SIZES[profile]}
input [
  {{ name: "{INPUT_IDS}" data_type: TYPE_INT64 dims: [ -1 ] }},
  {{ name: "{ATTENTION_MASK}" data_type: TYPE_INT64 dims: [ -1 ] }}
]
output [
  {{ name: "{PROBABILITIES}" data_type: TYPE_FP32 dims: [ 3 ] }},
  {{ name: "{VECTOR}" data_type: TYPE_FP32 dims: [ {vector} ] }}
]
{batching_text(_PREFERRED[profile])}
instance_group [ {INSTANCES[profile]} ]
{warm_up_text(dict.fromkeys((INPUT_IDS, ATTENTION_MASK), ("INT64", (_WARM_UP_LENGTH,))), (1, MAX_BATCH_SIZES[profile]))}
{ONE_CORE if profile == "cpu" else ""}"""


def write_text_configs(model_folder: Path, vector: int) -> None:
    """Write both profiles into the model's folder of a repository, as ``serving.triton_config`` does."""
    write_profiles(model_folder, config_text("cpu", vector), config_text("gpu", vector))
