"""What a Triton server says of its own work on the customer model: how long it computed, and how long calls waited.

The figures are Triton's statistics, which only grow, so that a run is the difference of two looks. Called by
``benchmarks.decisions``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tritonclient.grpc import InferenceServerClient

from serving.model_card import MODEL_NAME

_PATIENCE_S: Final = 30.0


class ModelTime(NamedTuple):
    """Sums since the server began, or between two looks.

    Attributes:
        customers: rows that the model answered.
        calls: requests to the server that they came in.
        executions: runs of the model; the server joins calls that wait.
        queue_ns: sum over the calls of the time for which each waited.
        compute_ns: sum over the runs: inputs, network and outputs. Of a call that was joined with others the statistics
            of the call alone would count the whole run again.
    """

    customers: int
    calls: int
    executions: int
    queue_ns: int
    compute_ns: int

    def since(self, before: ModelTime) -> ModelTime:
        return ModelTime(*(now - then for now, then in zip(self, before, strict=True)))


class ModelServer:
    """The customer model on a running server, seen from outside.

    Args:
        url: ``host:port`` of the gRPC endpoint.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = InferenceServerClient(url)

    def look(self) -> ModelTime:
        """What it has done so far, all versions together.

        Raises:
            tritonclient.utils.InferenceServerException: it does not answer, or has no such model.
        """
        answer = self._client.get_inference_statistics(MODEL_NAME, client_timeout=_PATIENCE_S)
        found = ModelTime(0, 0, 0, 0, 0)
        for version in answer.model_stats:
            runs = version.batch_stats
            own = ModelTime(
                version.inference_count,
                version.inference_stats.success.count,
                version.execution_count,
                version.inference_stats.queue.ns,
                sum(run.compute_input.ns + run.compute_infer.ns + run.compute_output.ns for run in runs),
            )
            found = ModelTime(*(one + other for one, other in zip(found, own, strict=True)))
        return found

    def instances(self) -> int:
        """How many runs of the model may be under way at once."""
        answer = self._client.get_model_config(MODEL_NAME, client_timeout=_PATIENCE_S)
        return sum(group.count * max(1, len(group.gpus)) for group in answer.config.instance_group)

    def close(self) -> None:
        self._client.close()
