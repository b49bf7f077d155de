"""What a reading must hold, with the policies and the deployment that a configuration says."""

from serving.model_card import model_repository, read_model_card, version_folder
from stream.configuration.settings import Configuration
from stream.decisions.deployment import Deployment
from tests.chaos.checker import Reading, expect
from tests.chaos.oracle import Expected


def expected_of(reading: Reading, configuration: Configuration) -> dict[str, list[Expected]]:
    """By role and partition, from a straight fold of the reading's inputs."""
    card = read_model_card(version_folder(model_repository(), configuration.triton.model))
    deployment = Deployment(
        secret=configuration.deployment.secret.encode(),
        source=configuration.deployment.source,
        partitions=configuration.topics.partitions,
    )
    return expect(reading, configuration, configuration.policies.in_force(card), deployment)
