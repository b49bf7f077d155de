"""A real Triton inference server as a child process, from the PyPI wheel `nvidia-pytriton`, without Docker.

It serves any model repository whose configurations say `backend: "onnxruntime"`, as NVIDIA's image does. What the
server is made of and whether this platform can have one is `triton_install.py`'s business.
"""

from __future__ import annotations

import glob
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from stream.embedded.ports import free_ports, require_free
from stream.embedded.process import Supervised
from stream.embedded.triton_install import TritonInstall, install_triton

SHARED_MEMORY = "/dev/shm"  # noqa: S108  where Linux shows POSIX shared memory, not a file of ours
READY_TIMEOUT_SECONDS = 1.0
STOP_TIMEOUT_SECONDS = 15.0


class EmbeddedTriton(Supervised):
    """One Triton server, alive for the length of a `with` block or from `start()` to `stop()`.

    Ready means that every model it was told to load answers; a model that cannot be loaded makes the start fail, with
    Triton's own words.

    Parameters
    ----------
    model_repository
        A folder of models, each with `config.pbtxt` and versions.
    model_control
        `explicit` loads `load_models` at the start, and models and versions when a client asks. `none` loads every
        model at the start, and nothing later.
    load_models
        Names of models to load at the start, with `explicit`; `*` is all of them.
    gpu
        Use the models' `configs/gpu.pbtxt` and an onnxruntime with CUDA. Without a GPU the start fails.
    profiles
        A folder in which each instance writes onnxruntime's profile when the server stops.
    log_path
        Where the server's output goes; a file in a temporary folder that lives as long as this object when not given.
    start_timeout
        Seconds until a start has failed.

    Examples
    --------
    >>> with EmbeddedTriton(Path("triton_models")) as triton:  # doctest: +SKIP
    ...     client = tritonclient.grpc.aio.InferenceServerClient(triton.grpc_url)
    """

    def __init__(
        self,
        model_repository: Path,
        *,
        model_control: Literal["none", "explicit"] = "explicit",
        load_models: Sequence[str] = ("*",),
        gpu: bool = False,
        profiles: Path | None = None,
        log_path: Path | None = None,
        start_timeout: float = 90.0,
    ) -> None:
        self.model_repository = Path(model_repository).absolute()
        self._control = model_control
        self._load_models = tuple(load_models)
        self._gpu = gpu
        self._profiles = profiles
        self._http_port, self._grpc_port, self._metrics_port = free_ports(3)
        self._install: TritonInstall | None = None
        run_folder = Path(tempfile.mkdtemp(prefix="tidemark-triton-"))
        # Triton leaves its shared memory behind when it is killed; the name makes it findable.
        self._shared_memory = f"{run_folder.name}-"
        super().__init__(
            "the embedded Triton",
            Path(log_path or run_folder / "triton.log").absolute(),
            start_timeout=start_timeout,
            stop_timeout=STOP_TIMEOUT_SECONDS,
            temporary=[glob.escape(str(run_folder)), f"{SHARED_MEMORY}/{self._shared_memory}*"],
        )

    @property
    def grpc_url(self) -> str:
        """`127.0.0.1:PORT`, as Triton's gRPC clients take it."""
        return f"127.0.0.1:{self._grpc_port}"

    @property
    def http_url(self) -> str:
        """`127.0.0.1:PORT`, as Triton's HTTP clients take it: without a scheme."""
        return f"127.0.0.1:{self._http_port}"

    @property
    def metrics_url(self) -> str:
        """The full address of the Prometheus metrics."""
        return f"http://127.0.0.1:{self._metrics_port}/metrics"

    def _prepare(self) -> list[str]:
        if not self.model_repository.is_dir():
            raise FileNotFoundError(
                f"no model repository at {self.model_repository}: give the folder that holds one folder per model"
            )
        require_free(self.name, [self._http_port, self._grpc_port, self._metrics_port])
        self._install = install_triton(gpu=self._gpu)
        return [
            str(self._install.server),
            f"--model-repository={self.model_repository}",
            f"--backend-directory={self._install.backends}",
            f"--model-control-mode={self._control}",
            *(f"--load-model={name}" for name in self._load_models if self._control == "explicit"),
            *(["--model-config-name=gpu"] if self._gpu else []),
            f"--backend-config=python,shm-region-prefix-name={self._shared_memory}",
            "--disable-auto-complete-config",
            "--strict-readiness=true",
            "--exit-on-error=true",
            "--http-address=127.0.0.1",
            f"--http-port={self._http_port}",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={self._grpc_port}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={self._metrics_port}",
            "--allow-gpu-metrics=false",
            "--exit-timeout-secs=5",
        ]

    def _environment(self) -> Mapping[str, str]:
        environment = dict(self._install.environment) if self._install is not None else {}
        if self._profiles is not None:
            environment["TIDEMARK_TRITON_PROFILES"] = str(self._profiles.absolute())
        return environment

    def _tells_of_failure(self, line: str) -> bool:
        # Triton prints its settings as wide tables, and its progress as lines that begin with I.
        return super()._tells_of_failure(line) and not line.startswith(("|", "+", "I"))

    def _is_ready(self) -> bool:
        # A plain GET: the wheel of tritonclient that Tidemark depends on has the gRPC client alone.
        try:
            with urllib.request.urlopen(
                f"http://{self.http_url}/v2/health/ready", timeout=READY_TIMEOUT_SECONDS
            ) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
