"""Where the versions of the model lie that a deployment is configured for.

Called by the workers, by operations and by commands that look at models; what a version is stands in
``serving.registry``.
"""

from __future__ import annotations

from pathlib import Path

from serving.model_card import model_repository
from serving.registry import Registry
from stream.configuration.settings import Configuration


def open_registry(configuration: Configuration) -> Registry:
    """The versions of the configured model.

    Raises:
        FileNotFoundError: no repository is configured, and none came with Tidemark.
    """
    repository = configuration.triton.repository
    return Registry(Path(repository) if repository else model_repository(), configuration.triton.model)
