"""`tidemark worker`: one process of a role, until it is told to stop."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from stream.cli.context import loaded


class Role(StrEnum):
    """The stateful roles."""

    PROFILES = "profiles"
    DECISIONS = "decisions"


def worker(
    context: typer.Context,
    role: Annotated[Role, typer.Option(help="profiles folds events; decisions scores, alerts and recommends.")],
    instance: Annotated[
        str | None,
        typer.Option(help="Name that outlives the process. Default: host and a free slot.", show_default=False),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            help="Serve Prometheus metrics; 0 serves none. Default: metrics_port.", min=0, max=65535, show_default=False
        ),
    ] = None,
) -> None:
    """Run one worker of a role; any number of them share the partitions out.

    SIGTERM and Ctrl-C stop it after a last commit; kill -9 loses nothing either.
    """
    # Read once, when numpy is imported. The products of a batch are small: threads would wait for each other longer
    # than they multiply, on cores that the brokers and the model server need.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from stream.configuration.resolve import ConfigurationError
    from stream.contracts import topics
    from stream.operations.brokers import connect_admin
    from stream.operations.preflight import check_session_timeout
    from stream.operations.status import INPUTS
    from stream.operations.topics import require_topics
    from stream.workers.process import run_worker

    configuration = loaded(context).configuration
    if configuration.lacks_secret():
        raise ConfigurationError(
            "deployment.secret is the one that everybody knows: set TIDEMARK__DEPLOYMENT__SECRET, or name a file that "
            "holds one with deployment.secret_file, to the same value on every worker"
        )
    names = configuration.topics.topic_names()
    used = [names.physical(INPUTS[role.value]), names.changelog(role.value), names.physical(topics.DEAD_LETTERS)]
    admin = connect_admin(configuration.kafka)
    require_topics(admin, used)
    check_session_timeout(admin, configuration.engine)
    raise typer.Exit(run_worker(configuration, role.value, instance, metrics_port))
