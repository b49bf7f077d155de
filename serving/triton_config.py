"""``config.pbtxt`` of the customer model, in two profiles from one source: for a CPU, and for a GPU.

Called by ``serving.export`` and by ``tidemark`` when a repository is prepared for a server with a GPU. The tensors
come from the code that makes and reads them, so configuration and code cannot drift apart.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from serving.features import FEATURE_SCHEMA, FEATURES
from serving.model_card import MODEL_FILE, MODEL_NAME
from serving.scorer import OUTPUTS, TensorSpec

CONFIG_FILE: Final = "config.pbtxt"
GPU_CONFIG_FILE: Final = "configs/gpu.pbtxt"
GPU_MODEL_FILE: Final = "model.fp16.onnx"
"""Written by ``serving.half``; without it a server with the gpu profile refuses to start."""

MAX_QUEUE_DELAY_US: Final = 2_000
"""Two milliseconds: short beside the 250 that a call may take, long enough for the calls of several workers to meet."""

LONGEST_IN_QUEUE_US: Final = 60_000_000

Profile = Literal["cpu", "gpu"]

MODEL_FILES: Final[Mapping[Profile, str]] = {"cpu": MODEL_FILE, "gpu": GPU_MODEL_FILE}
MAX_BATCH_SIZES: Final[Mapping[Profile, int]] = {"cpu": 256, "gpu": 1_024}
PREFERRED_BATCH_SIZES: Final[Mapping[Profile, tuple[int, ...]]] = {"cpu": (64, 128, 256), "gpu": (256, 512, 1_024)}
INSTANCES: Final[Mapping[Profile, str]] = {
    "cpu": "{ count: 1 kind: KIND_CPU }",
    # Two, so that one copies while the other computes. No fallback to the CPU: a server without a GPU must refuse the
    # model, not serve it slowly.
    "gpu": "{ count: 2 kind: KIND_GPU }",
}

ONE_CORE: Final = """\
# One core per instance: the server shares its machine with Kafka and the workers.
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
parameters { key: "inter_op_thread_count" value { string_value: "1" } }
"""


def config_text(profile: Profile) -> str:
    """The text of ``config.pbtxt``."""
    return f"""\
# Written by `tidemark train` (serving/triton_config.py), profile {profile}. Do not edit.
name: "{MODEL_NAME}"
backend: "onnxruntime"
default_model_filename: "{MODEL_FILES[profile]}"
max_batch_size: {MAX_BATCH_SIZES[profile]}
input [
{_tensors(FEATURES)}
]
output [
{_tensors(OUTPUTS)}
]
{batching_text(PREFERRED_BATCH_SIZES[profile])}
instance_group [ {INSTANCES[profile]} ]
{warm_up_text({spec.name: (spec.dtype, spec.shape) for spec in FEATURES}, (1, MAX_BATCH_SIZES[profile]))}
parameters {{ key: "feature_schema" value {{ string_value: "{FEATURE_SCHEMA}" }} }}
{ONE_CORE if profile == "cpu" else ""}"""


def batching_text(preferred: Sequence[int]) -> str:
    """The part of ``config.pbtxt`` that lets Triton join calls."""
    return f"""\
dynamic_batching {{
  preferred_batch_size: [ {", ".join(map(str, preferred))} ]
  max_queue_delay_microseconds: {MAX_QUEUE_DELAY_US}
  # Nobody waits any more for a call that has been in the queue for as long as its sender said; a sender can only
  # shorten the time given here.
  default_queue_policy {{
    timeout_action: REJECT
    default_timeout_microseconds: {LONGEST_IN_QUEUE_US}
    allow_timeout_override: true
  }}
}}"""


def warm_up_text(inputs: Mapping[str, tuple[str, Sequence[int]]], batches: Sequence[int]) -> str:
    """The part that makes Triton run a model before it calls it ready: once for each size of batch, with zeros.

    Memory is allocated and kernels are chosen then, not while the first customers wait.

    Args:
        inputs: type and shape of one row by name.
    """
    tensors = "\n".join(
        f'    inputs {{ key: "{name}" value {{ data_type: TYPE_{dtype} '
        f"dims: [ {', '.join(map(str, shape))} ] zero_data: true }} }}"
        for name, (dtype, shape) in inputs.items()
    )
    samples = ",\n".join(f'  {{\n    name: "batch {batch}" batch_size: {batch}\n{tensors}\n  }}' for batch in batches)
    return f"model_warmup [\n{samples}\n]"


def write_configs(model_folder: Path) -> None:
    """Write both profiles into the model's folder of a repository.

    ``config.pbtxt`` is the one for a CPU; a Triton that is started with ``--model-config-name=gpu`` takes the other.
    """
    write_profiles(model_folder, config_text("cpu"), config_text("gpu"))


def write_profiles(model_folder: Path, cpu: str, gpu: str) -> None:
    """Write the texts of both profiles to where Triton looks for them."""
    (model_folder / CONFIG_FILE).write_text(cpu)
    path = model_folder / GPU_CONFIG_FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(gpu)


def _tensors(specs: tuple[TensorSpec, ...]) -> str:
    return ",\n".join(
        f'  {{ name: "{spec.name}" data_type: TYPE_{spec.dtype} dims: [ {", ".join(map(str, spec.shape))} ] }}'
        for spec in specs
    )
