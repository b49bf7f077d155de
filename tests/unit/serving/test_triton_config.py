import re

import pytest

from serving.features import FEATURE_SCHEMA, FEATURES
from serving.scorer import OUTPUTS
from serving.triton_config import CONFIG_FILE, GPU_CONFIG_FILE, MAX_BATCH_SIZES, config_text, write_configs


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_every_tensor_of_the_code_is_in_the_configuration(profile):
    text = config_text(profile)
    for spec in (*FEATURES, *OUTPUTS):
        dims = ", ".join(map(str, spec.shape))
        assert f'{{ name: "{spec.name}" data_type: TYPE_{spec.dtype} dims: [ {dims} ] }}' in text
    assert f'key: "feature_schema" value {{ string_value: "{FEATURE_SCHEMA}" }}' in text
    assert f"max_batch_size: {MAX_BATCH_SIZES[profile]}" in text
    assert 'backend: "onnxruntime"' in text


def test_the_gpu_profile_never_falls_back_to_a_cpu():
    assert "KIND_GPU" in config_text("gpu")
    assert "KIND_CPU" not in config_text("gpu")
    assert "thread_count" not in config_text("gpu")


def test_the_cpu_profile_takes_one_core_for_each_instance():
    assert "KIND_CPU" in config_text("cpu")
    assert 'key: "intra_op_thread_count" value { string_value: "1" }' in config_text("cpu")


def test_both_profiles_have_the_same_tensors_and_schema():
    def promised(profile):
        return [line for line in config_text(profile).splitlines() if "dims" in line or "feature_schema" in line]

    tensors = len(FEATURES) + len(OUTPUTS)
    assert len(promised("cpu")) == tensors + 1 + 2 * len(FEATURES)
    assert promised("cpu") == promised("gpu")


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_a_model_is_warmed_up_with_one_and_with_its_largest_batch(profile):
    sizes = [int(size) for size in re.findall(r" batch_size: (\d+)\n", config_text(profile)) if size]
    assert sizes == [1, MAX_BATCH_SIZES[profile]]


def test_it_is_written_beside_the_versions(tmp_path):
    write_configs(tmp_path)
    assert (tmp_path / CONFIG_FILE).read_text() == config_text("cpu")
    assert (tmp_path / GPU_CONFIG_FILE).read_text() == config_text("gpu")
