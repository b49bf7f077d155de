"""The check on a GPU skips only where there is none, and sees what must not be."""

import json
import stat

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the check makes fp16 graphs with the extra `train`, which `make test` installs")

from benchmarks.gpu_check import CheckFailed, Gpu, copies, difference, gpus, main, parse_gpus


def install(monkeypatch, folder, script: str) -> None:
    """The only `nvidia-smi` there is does what ``script`` says."""
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_the_lines_of_nvidia_smi_are_read():
    printed = "NVIDIA H100 80GB HBM3, 1024, 37\nNVIDIA A10, rev. 2, 0, [N/A]\n"
    assert parse_gpus(printed) == [Gpu("NVIDIA H100 80GB HBM3", 1024, 37), Gpu("NVIDIA A10, rev. 2", 0, 0)]


@pytest.mark.parametrize("script", ["echo 'No devices were found'; exit 6", "exit 0"])
def test_without_a_gpu_it_says_that_nothing_was_checked(monkeypatch, tmp_path, capsys, script):
    install(monkeypatch, tmp_path, script)
    monkeypatch.setattr("sys.argv", ["gpu_check"])
    assert main() == 0
    assert "nothing was checked" in capsys.readouterr().out


def test_without_nvidia_smi_there_is_no_gpu(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus() == []


def test_a_driver_that_does_not_answer_is_no_reason_to_skip(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "echo 'Driver/library version mismatch' >&2; exit 18")
    monkeypatch.setattr("sys.argv", ["gpu_check"])
    with pytest.raises(CheckFailed, match="version mismatch"):
        main()


def test_a_gpu_is_seen(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "echo 'NVIDIA L4, 512, 3'")
    assert gpus() == [Gpu("NVIDIA L4", 512, 3)]


def test_copies_between_host_and_gpu_are_found_in_a_profile(tmp_path):
    def ran(operator: str, provider: str) -> dict[str, object]:
        return {"cat": "Node", "name": f"n_{operator}_kernel_time", "args": {"op_name": operator, "provider": provider}}

    events = [ran("MatMul", "CUDAExecutionProvider"), ran("Shape", "CPUExecutionProvider")]
    events += [ran("MemcpyToHost", "CUDAExecutionProvider"), ran("MemcpyFromHost", "CUDAExecutionProvider")]
    events += [{"cat": "Session", "name": "model_run"}, {"cat": "Node", "name": "n_MatMul_fence_before", "args": {}}]
    (tmp_path / "profile.json").write_text(json.dumps(events))
    providers, copied = copies(tmp_path / "profile.json")
    assert (providers["CUDAExecutionProvider"], copied) == (3, 2)


def test_a_difference_is_relative_above_one_and_nan_is_infinitely_far():
    exact = {"churn": np.array([0.5, 0.5]), "revenue": np.array([1000.0])}
    assert difference(exact, {"churn": np.array([0.5, 0.51]), "revenue": np.array([1001.0])}) == pytest.approx(0.01)
    assert difference(exact, {"churn": np.array([0.5, np.nan]), "revenue": np.array([1000.0])}) == float("inf")
