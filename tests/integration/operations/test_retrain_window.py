"""The window of a training from a real log: what was committed, and how much of it nobody could read."""

from confluent_kafka import Producer

from stream.configuration.clients import producer_properties
from stream.configuration.settings import Configuration
from stream.contracts import topics as logical
from stream.contracts.codec import encode
from stream.operations.retrain_window import from_log
from tests.unit.serving.recorded_shop import shop_events

SHOP = shop_events(customers=6, days=60)


def test_the_window_holds_what_was_committed_and_counts_what_was_refused(deployment: Configuration) -> None:
    topic = deployment.topics.topic_names().physical(logical.EVENTS)
    producer = Producer({**producer_properties(deployment.kafka), "transactional.id": "test"})
    producer.init_transactions(10)
    for commit, events in ((True, SHOP[:-3]), (False, SHOP[-3:])):
        producer.begin_transaction()
        for event in events:
            producer.produce(topic, encode(event), event.customer_id.encode())
        producer.produce(topic, b"not an event", b"0")
        if commit:
            producer.commit_transaction()
        else:
            producer.flush()
            producer.abort_transaction()
    found = list(from_log(deployment))
    assert found.count(None) == 1
    assert {event.event_id for event in found if event is not None} == {event.event_id for event in SHOP[:-3]}
    # Partitions are read side by side, in no order.
    assert sorted(from_log(deployment), key=repr) == sorted(found, key=repr), "the window was read, not used up"
