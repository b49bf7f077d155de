"""The pytest plugin as an integrator meets it: cheap to load, usable in any project."""

import subprocess
import sys
from pathlib import Path

import pytest

from stream.embedded.triton_install import triton_available

MODELS = Path(__file__).parent / "models"

pytest_plugins = ["pytester"]


def test_loading_the_plugin_imports_neither_kafka_nor_triton_nor_the_models() -> None:
    heavy = {"confluent_kafka", "tritonclient", "numpy", "onnxruntime", "stream.embedded", "serving", "grpc"}
    code = "import sys, stream.testing.plugin; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(loaded)


def test_a_foreign_project_tests_its_own_topics(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_topic_is_named_after_its_test(topics):
            topic = topics.create("orders", partitions=2)
            assert topic.startswith("test-topic-is-named-after-its-test.")
            topics.produce(topic, [("13085", "{}")])
            assert [record.key for record in topics.consume(topic)] == [b"13085"]

        def test_broker_is_the_same_for_the_whole_session_and_empty_again(embedded_kafka, topics):
            from confluent_kafka.admin import AdminClient

            assert topics.bootstrap_servers == embedded_kafka.bootstrap_servers
            listed = AdminClient({"bootstrap.servers": topics.bootstrap_servers}).list_topics(timeout=10).topics
            assert not [name for name in listed if "orders" in name]
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


@pytest.mark.skipif(not triton_available()[0], reason=triton_available()[1])
def test_a_foreign_project_serves_its_own_models(pytester: pytest.Pytester) -> None:
    pytester.makeini(f"[pytest]\ntriton_model_repository = {MODELS}")
    pytester.makepyfile(
        """
        def test_model_is_ready(embedded_triton):
            from tritonclient import grpc

            assert grpc.InferenceServerClient(embedded_triton.grpc_url).is_model_ready("affine")
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_tests_that_need_triton_are_skipped_with_the_reason_where_there_is_none(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import platform

        platform.system = lambda: "Darwin"
        """
    )
    pytester.makepyfile("def test_model_is_ready(embedded_triton): ...")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*Darwin*"])
