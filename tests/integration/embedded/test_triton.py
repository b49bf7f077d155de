"""What the embedded Triton promises: NVIDIA's `onnxruntime` backend in batches, its own errors, and no process left."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tritonclient import grpc
from tritonclient.grpc import aio
from tritonclient.utils import InferenceServerException

from stream.embedded.process import StartError
from stream.embedded.triton import SHARED_MEMORY, EmbeddedTriton
from stream.embedded.triton_install import triton_available
from stream.testing.waiting import all_gone, eventually

MODELS = Path(__file__).parent / "models"
WAIT_SECONDS = 30.0
CONCURRENT_CALLS, ROWS = 64, 4

pytestmark = pytest.mark.skipif(not triton_available()[0], reason=triton_available()[1])

Rows = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def triton() -> Iterator[EmbeddedTriton]:
    with EmbeddedTriton(MODELS) as server:
        yield server


def inputs(x: Rows, offset: Rows) -> list[grpc.InferInput]:
    tensors = []
    for name, array in (("x", x), ("offset", offset)):
        tensor = grpc.InferInput(name, list(array.shape), "FP32")
        tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    return tensors


def some_rows(seed: int) -> tuple[Rows, Rows]:
    random = np.random.default_rng(seed)
    return random.random((ROWS, 3), np.float32), random.random((ROWS, 1), np.float32)


def executions(triton: EmbeddedTriton) -> tuple[int, int]:
    """How many requests the model has answered, and by how many runs."""
    (statistics,) = grpc.InferenceServerClient(triton.grpc_url).get_inference_statistics("affine").model_stats
    return statistics.inference_stats.success.count, statistics.execution_count


async def infer_at_once(triton: EmbeddedTriton) -> list[grpc.InferResult]:
    async with aio.InferenceServerClient(triton.grpc_url) as client:
        calls = [client.infer("affine", inputs(*some_rows(seed))) for seed in range(CONCURRENT_CALLS)]
        return await asyncio.gather(*calls)


def test_concurrent_calls_are_joined_into_few_runs_and_each_gets_its_own_rows(triton: EmbeddedTriton) -> None:
    client = grpc.InferenceServerClient(triton.grpc_url)
    one_by_one = [client.infer("affine", inputs(*some_rows(seed))) for seed in range(CONCURRENT_CALLS)]

    requests_before, runs_before = executions(triton)
    joined = asyncio.run(infer_at_once(triton))
    requests_after, runs_after = executions(triton)

    assert requests_after - requests_before == CONCURRENT_CALLS
    assert runs_after - runs_before <= CONCURRENT_CALLS / 4
    # Triton counts what it handed over; the model itself tells that the requests also shared a run of onnxruntime.
    model_runs = sum((1 / answer.as_numpy("rows_in_run")).sum() for answer in joined)
    assert round(model_runs) == runs_after - runs_before
    for together, alone in zip(joined, one_by_one, strict=True):
        for output in ("sum", "doubled"):
            np.testing.assert_array_equal(together.as_numpy(output), alone.as_numpy(output))


def test_outputs_are_the_models_and_not_empty(triton: EmbeddedTriton) -> None:
    x, offset = some_rows(1)
    answer = grpc.InferenceServerClient(triton.grpc_url).infer("affine", inputs(x, offset))
    np.testing.assert_allclose(answer.as_numpy("sum"), x.sum(axis=1, keepdims=True) + offset, rtol=1e-6)
    np.testing.assert_array_equal(answer.as_numpy("doubled"), 2 * x)


def test_only_the_outputs_asked_for_are_sent(triton: EmbeddedTriton) -> None:
    answer = grpc.InferenceServerClient(triton.grpc_url).infer(
        "affine", inputs(*some_rows(1)), outputs=[grpc.InferRequestedOutput("sum")]
    )
    assert answer.as_numpy("doubled") is None
    assert answer.as_numpy("sum").shape == (ROWS, 1)


def test_request_that_fails_gets_its_own_error_and_its_neighbours_their_answers(triton: EmbeddedTriton) -> None:
    async def infer_with_a_bad_neighbour() -> list[grpc.InferResult | BaseException]:
        async with aio.InferenceServerClient(triton.grpc_url) as client:
            # Codes outside the model's table: onnxruntime refuses the run they are in.
            calls = [client.infer("lookup", [codes(code)]) for code in (0, 1, 99, 2)]
            return await asyncio.gather(*calls, return_exceptions=True)

    def codes(code: int) -> grpc.InferInput:
        tensor = grpc.InferInput("code", [1, 1], "INT64")
        tensor.set_data_from_numpy(np.array([[code]], np.int64))
        return tensor

    *good, bad = sorted(asyncio.run(infer_with_a_bad_neighbour()), key=lambda answer: isinstance(answer, BaseException))
    assert [answer.as_numpy("value").tolist() for answer in good] == [[[10.0]], [[20.0]], [[30.0]]]
    assert isinstance(bad, InferenceServerException)
    assert "99" in str(bad)


def test_metrics_are_served(triton: EmbeddedTriton) -> None:
    with urllib.request.urlopen(triton.metrics_url, timeout=WAIT_SECONDS) as page:  # noqa: S310  our own http address
        assert b"nv_inference_request_success" in page.read()


def test_paused_server_answers_nothing_until_it_is_resumed(triton: EmbeddedTriton) -> None:
    client = grpc.InferenceServerClient(triton.grpc_url)
    triton.pause()
    try:
        with pytest.raises(InferenceServerException, match=r"(?i)deadline"):
            client.infer("affine", inputs(*some_rows(1)), client_timeout=0.5)
    finally:
        triton.resume()
    assert client.infer("affine", inputs(*some_rows(1))).as_numpy("sum").shape == (ROWS, 1)


def test_kill_takes_the_stubs_along_and_restart_serves_on_the_same_port() -> None:
    with EmbeddedTriton(MODELS) as triton:
        address, pids = triton.grpc_url, triton.pids
        assert len(pids) >= 4, "supervisor, server, and a stub for each of the two models"
        os.kill(triton.pid, signal.SIGKILL)
        assert eventually(lambda: not triton.alive)
        assert all_gone(pids)
        triton.restart()
        assert triton.grpc_url == address
        assert grpc.InferenceServerClient(address).infer("affine", inputs(*some_rows(1))).as_numpy("sum") is not None


PARENT = """
import sys, time
from pathlib import Path
from stream.embedded.triton import EmbeddedTriton
triton = EmbeddedTriton(Path(sys.argv[1]))
triton.start()
print(triton.log_path.parent, *triton.pids, flush=True)
time.sleep(600)
"""


def test_server_and_stubs_die_with_their_parent_even_when_the_parent_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(MODELS)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    folder, *pids = parent.stdout.readline().split()
    assert len(pids) >= 4
    parent.kill()
    parent.wait(WAIT_SECONDS)
    assert eventually(lambda: all_gone(map(int, pids)))
    assert eventually(lambda: not Path(folder).exists())
    assert not list(Path(SHARED_MEMORY).glob(f"{Path(folder).name}*")), "shared memory of the stubs"


def test_server_with_a_broken_model_does_not_start_and_says_which(tmp_path: Path) -> None:
    shutil.copytree(MODELS / "affine", tmp_path / "broken")
    config = tmp_path / "broken" / "config.pbtxt"
    config.write_text(config.read_text().replace('"offset"', '"ofset"'))
    with pytest.raises(StartError, match=r"(?s)names the inputs \['ofset'\].*it has \['offset', 'x'\]"):
        EmbeddedTriton(tmp_path).start()


def test_model_that_wants_a_gpu_fails_loudly(tmp_path: Path) -> None:
    shutil.copytree(MODELS / "affine", tmp_path / "affine")
    config = tmp_path / "affine" / "config.pbtxt"
    config.write_text(config.read_text().replace("KIND_CPU", "KIND_GPU"))
    with pytest.raises(StartError, match=r"KIND_GPU|GPU"):
        EmbeddedTriton(tmp_path).start()


def test_explicit_control_loads_what_is_named_and_more_when_asked() -> None:
    with EmbeddedTriton(MODELS, model_control="explicit", load_models=["affine"]) as triton:
        client = grpc.InferenceServerClient(triton.grpc_url)
        assert client.is_model_ready("affine")
        assert not client.is_model_ready("lookup")
        client.load_model("lookup")
        assert client.is_model_ready("lookup")


def test_missing_repository_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "nowhere"))):
        EmbeddedTriton(tmp_path / "nowhere").start()
