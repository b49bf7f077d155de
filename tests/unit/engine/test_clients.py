"""What exactly-once rests on cannot be configured away; everything else can."""

import pytest
from prometheus_client import CollectorRegistry

from stream.engine.clients import FIXED, FixedProperty, check_properties
from stream.engine.settings import EngineSettings
from stream.engine.stores.memory import open_memory_store
from stream.engine.worker import Worker
from tests.integration.engine.counting import Counting, dead_letter


@pytest.mark.parametrize("name", sorted(FIXED))
@pytest.mark.parametrize("where", ["kafka", "consumer_properties", "producer_properties"])
def test_a_fixed_property_is_refused_wherever_it_is_set(name: str, where: str) -> None:
    properties = {"kafka": {"bootstrap.servers": "127.0.0.1:1"}, "consumer_properties": {}, "producer_properties": {}}
    properties[where][name] = "anything"
    with pytest.raises(FixedProperty, match=name):
        Worker(
            Counting(),
            settings=EngineSettings(),
            instance="a",
            stores=open_memory_store,
            dead_letters=dead_letter("dead"),
            registry=CollectorRegistry(),
            **properties,
        )


def test_any_other_property_passes() -> None:
    check_properties({"security.protocol": "SASL_SSL", "linger.ms": 20, "client.id": "shop"})
