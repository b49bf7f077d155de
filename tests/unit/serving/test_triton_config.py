import pytest

from serving.features import FEATURE_SCHEMA, FEATURES
from serving.scorer import OUTPUTS
from serving.triton_config import CONFIG_FILE, GPU_CONFIG_FILE, config_text, write_configs


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_every_tensor_of_the_code_is_in_the_configuration(profile):
    text = config_text(profile)
    for spec in (*FEATURES, *OUTPUTS):
        dims = ", ".join(map(str, spec.shape))
        assert f'{{ name: "{spec.name}" data_type: TYPE_{spec.dtype} dims: [ {dims} ] }}' in text
    assert f'key: "feature_schema" value {{ string_value: "{FEATURE_SCHEMA}" }}' in text
    assert "max_batch_size: 256" in text
    assert 'backend: "onnxruntime"' in text


def test_the_gpu_profile_never_falls_back_to_a_cpu():
    assert "KIND_GPU" in config_text("gpu")
    assert "KIND_CPU" not in config_text("gpu")
    assert "thread_count" not in config_text("gpu")


def test_the_cpu_profile_takes_one_core_for_each_instance():
    assert "KIND_CPU" in config_text("cpu")
    assert 'key: "intra_op_thread_count" value { string_value: "1" }' in config_text("cpu")


def test_both_profiles_differ_in_their_instances_only():
    def common(profile):
        return [
            line
            for line in config_text(profile).splitlines()
            if not any(word in line for word in ("instance_group", "thread_count", "# "))
        ]

    assert common("cpu") == common("gpu")


def test_it_is_written_beside_the_versions(tmp_path):
    write_configs(tmp_path)
    assert (tmp_path / CONFIG_FILE).read_text() == config_text("cpu")
    assert (tmp_path / GPU_CONFIG_FILE).read_text() == config_text("gpu")
