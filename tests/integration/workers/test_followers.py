"""What a worker follows beside its input: the catalogue, and what operators say."""

import time

import pytest

from serving.catalogue import Catalogue
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import model_repository, version_folder
from stream.contracts.codec import encode
from stream.contracts.control import Control
from stream.engine.cluster import TopicMismatch
from stream.testing.topics import Topics
from stream.testing.waiting import eventually
from stream.workers.catalogue import CatalogueReader
from stream.workers.control import ControlReader


@pytest.fixture(scope="module")
def empty() -> Catalogue:
    return Catalogue.from_items((), read_item_tower(version_folder(model_repository(), "customer") / ITEM_TOWER_FILE))


def item(item_id: str) -> tuple[str, bytes]:
    return item_id, b'{"item_id": "%s", "item_name": "Mug"}' % item_id.encode()


def test_a_catalogue_is_whole_when_it_has_started_and_follows_what_comes(topics: Topics, empty: Catalogue) -> None:
    topic = topics.create("catalogue", partitions=3)
    topics.produce(topic, [item(f"p{number}") for number in range(20)])
    reader = CatalogueReader({"bootstrap.servers": topics.bootstrap_servers}, topic, empty)
    reader.start()
    try:
        assert len(reader.snapshot) == 20
        topics.produce(topic, [("p0", None), item("p20"), item("p21"), ("p22", b"no item")])
        assert eventually(lambda: len(reader.snapshot) == 21)
    finally:
        reader.close()


def test_a_catalogue_that_is_not_there_is_refused(topics: Topics, empty: Catalogue) -> None:
    reader = CatalogueReader({"bootstrap.servers": topics.bootstrap_servers}, topics.name("absent"), empty)
    with pytest.raises(TopicMismatch, match="Create them with `tidemark topics`"):
        reader.start()


def test_what_is_said_from_now_on_to_this_role_or_to_all_is_obeyed(topics: Topics) -> None:
    topic = topics.create("control")

    def say(kind: str, role: str) -> None:
        topics.produce(topic, [("resume", encode(Control(kind=kind, version=role, effective_at=1, reason="")))])  # type: ignore[arg-type]

    def heard() -> bool:
        say("resume", "profiles")
        return bool(obeyed)

    obeyed: list[float] = []
    with ControlReader(
        {"bootstrap.servers": topics.bootstrap_servers}, topic, "profiles", lambda: obeyed.append(time.monotonic())
    ):
        assert eventually(heard)
        time.sleep(0.5)
        before = len(obeyed)
        say("resume", "decisions")
        say("go_live", "profiles")
        topics.produce(topic, [("resume", b"nonsense")])
        say("resume", "*")
        assert eventually(lambda: len(obeyed) > before)
        time.sleep(0.3)
        assert len(obeyed) == before + 1
