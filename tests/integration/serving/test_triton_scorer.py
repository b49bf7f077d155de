"""The shipped model on a real Triton: same answers as in process, and every failure under its name."""

import asyncio
import re
import socket
import urllib.request
from collections import Counter

import msgspec
import numpy as np
import pytest

from serving.answers import validate
from serving.catalogue import Catalogue
from serving.client import TritonScorer
from serving.features import tensors
from serving.in_process import OnnxScorer
from serving.model_card import model_repository, read_model_card, version_folder
from serving.scorer import ModelMismatch, ScorerTimeout, ScorerUnavailable
from stream.testing.waiting import eventually
from tests.unit.serving.recorded_shop import shop_items
from tests.unit.serving.test_features import profiles

FOLDER = version_folder(model_repository())
CARD = read_model_card(FOLDER)


@pytest.fixture(scope="module")
def server():
    from stream.embedded.triton import EmbeddedTriton

    with EmbeddedTriton(model_repository()) as triton:
        yield triton


@pytest.fixture(scope="module")
def url(server):
    return server.grpc_url


def inputs(customers: int) -> dict[str, np.ndarray]:
    found = profiles(customers=customers)
    return tensors(found, [p.last_time for p in found], Catalogue.from_items(shop_items()))


def on(url: str, call, card=CARD):
    async def run():
        scorer = TritonScorer(url, card)
        try:
            return await call(scorer)
        finally:
            await scorer.close()

    return asyncio.run(run())


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("customers", [1, 7, 64])
def test_triton_answers_as_the_model_in_process(url, customers):
    made = inputs(customers)
    expected = OnnxScorer(FOLDER, CARD).run(made)
    found = on(url, lambda scorer: scorer.infer(made, timeout_s=10))
    validate(found, customers)
    for name, array in expected.items():
        assert np.allclose(found[name], array, rtol=1e-5, atol=1e-5), name


def test_the_server_is_ready_with_the_model_of_the_card(url):
    assert on(url, lambda scorer: scorer.ready()) is True


def test_calls_in_flight_together_get_their_own_answers(url):
    made = inputs(32)
    parts = [{name: array[i : i + 4] for name, array in made.items()} for i in range(0, 32, 4)]

    async def all_at_once(scorer):
        return await asyncio.gather(*(scorer.infer(part, timeout_s=10) for part in parts))

    expected = OnnxScorer(FOLDER, CARD).run(made)
    found = on(url, all_at_once)
    joined = np.concatenate([outputs["churn"] for outputs in found])
    assert np.allclose(joined, expected["churn"], rtol=1e-5, atol=1e-5)


def test_another_feature_schema_is_a_mismatch(url):
    other = msgspec.structs.replace(CARD, feature_schema="0" * 16)
    with pytest.raises(ModelMismatch, match="same model repository"):
        on(url, lambda scorer: scorer.ready(), other)


def test_a_model_that_is_not_served_is_not_ready_and_not_available(url):
    other = msgspec.structs.replace(CARD, name="other")
    with pytest.raises(ScorerUnavailable, match="does not load model other"):
        on(url, lambda scorer: scorer.ready(), other)
    with pytest.raises(ScorerUnavailable, match="other"):
        on(url, lambda scorer: scorer.infer(inputs(1), timeout_s=5), other)


def test_no_answer_in_time_is_a_timeout(url):
    with pytest.raises(ScorerTimeout):
        on(url, lambda scorer: scorer.infer(inputs(64), timeout_s=0.0001))


def test_calls_that_come_too_late_are_dropped_by_the_server_and_not_cancelled(server):
    made = inputs(256)

    async def too_many(scorer):
        calls = (scorer.infer(made, timeout_s=0.05) for _ in range(100))
        return await asyncio.gather(*calls, return_exceptions=True)

    before = failures(server)
    outcomes = on(server.grpc_url, too_many)
    late = sum(isinstance(outcome, ScorerTimeout) for outcome in outcomes)
    assert late > 10, "this machine is too fast for the test: give it more calls"
    assert late + sum(isinstance(outcome, dict) for outcome in outcomes) == len(outcomes)
    assert eventually(lambda: failures(server)["REJECTED"] > before["REJECTED"])
    assert failures(server)["CANCELED"] == before["CANCELED"]
    assert on(server.grpc_url, lambda scorer: scorer.ready()) is True


def failures(server) -> dict[str, float]:
    """How many calls of the customer model Triton counts as failed, by reason."""
    with urllib.request.urlopen(server.metrics_url, timeout=5) as answer:  # noqa: S310
        text = answer.read().decode()
    found = re.findall(r'^nv_inference_request_failure\{model="customer",reason="(\w+)".*\} (\S+)$', text, re.MULTILINE)
    return Counter({reason: float(count) for reason, count in found})


def test_a_server_that_is_gone_is_unavailable_and_not_ready():
    nowhere = f"127.0.0.1:{free_port()}"
    assert on(nowhere, lambda scorer: scorer.ready()) is False
    with pytest.raises(ScorerUnavailable):
        on(nowhere, lambda scorer: scorer.infer(inputs(1), timeout_s=2))


def test_a_refused_batch_is_unavailable(url):
    made = inputs(2)
    made["stats"] = np.ascontiguousarray(made["stats"][:, :5])
    with pytest.raises(ScorerUnavailable, match="stats"):
        on(url, lambda scorer: scorer.infer(made, timeout_s=5))
