"""Ten thousand dead letters of six kinds are mended and put back by commands that are killed: each has one effect."""

import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import TopicPartition

from stream.configuration.settings import Configuration
from stream.contracts import topics
from stream.contracts.emission import Origin, Rejected
from stream.contracts.headers import REDRIVEN_FROM, header, redrives
from stream.contracts.partitioning import partition_for
from stream.embedded.kafka import EmbeddedKafka
from stream.operations.brokers import connect_admin, ends_of
from stream.operations.dead_letters.filters import Filter
from stream.operations.dead_letters.fixes import Change
from stream.operations.dead_letters.redrive import Run, redrive
from stream.operations.dead_letters.survey import Survey
from stream.profiles import codec
from stream.profiles.fold import fold
from stream.profiles.profile import Profile
from stream.profiles.validation import read_event
from stream.testing.topics import Topics
from tests.integration.bad_input.shop import PARTITIONS, Place, Sent, Shop, encoded, event
from tests.integration.operations.refused import KINDS, refused, start

LETTERS, CUSTOMERS = 10_000, 500
KILLED = {
    "too_late": (topics.SETTLEMENTS, False),
    "unknown_type": (topics.EVENTS, True),
    "wrong_key": (topics.EVENTS, False),
}
"""Commands that are killed, and what is watched for the moment: a topic, and whether only what is committed of it.
A letter that is back and not yet settled would be seen on the committed events."""
SEED = random.randrange(1_000_000)


@pytest.fixture
def shop(embedded_kafka: EmbeddedKafka, topics: Topics) -> Iterator[Shop]:
    made = Shop(embedded_kafka.bootstrap_servers, topics.prefix)
    made.start()
    yield made
    made.stop()


class Watched:
    """How many records a topic holds, written or committed, over all partitions; markers of transactions count."""

    def __init__(self, configuration: Configuration, logical: str, committed: bool = False) -> None:
        topic = configuration.topics.topic_names().physical(logical)
        # One client for all looks: some milliseconds later would be another place.
        self._admin = connect_admin(configuration.kafka)
        numbers = self._admin.list_topics(topic, timeout=10).topics[topic].partitions
        self._places = [TopicPartition(topic, number) for number in numbers]
        self._committed = committed
        self._before = 0
        self._before = self.new()

    def new(self) -> int:
        """Since it is watched."""
        return sum(ends_of(self._admin, self._places, committed=self._committed).values()) - self._before


def kill_on_the_way(process: subprocess.Popen[str], watched: Watched, records: int) -> None:
    """Kill -9 once there are so many records more."""
    give_up = time.monotonic() + 30
    while watched.new() < records:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up
    process.kill()
    process.communicate()


def straight(shop: Shop, log: list[Any]) -> dict[bytes, bytes]:
    """Every profile, folded from the log without a worker."""
    profiles: dict[bytes, Profile] = {}
    settings = shop.configuration.profiles
    for message in sorted(log, key=lambda message: (message.partition(), message.offset())):
        key, headers = message.key(), message.headers() or ()
        origin = Origin(shop.events, message.partition(), message.offset())
        try:
            read = read_event(message.value(), key, headers, message.timestamp()[1], settings)
            folded = fold(profiles.get(key), read, int(read.time), origin, settings, redrives(headers) > 0)  # type: ignore[arg-type]
        except Rejected:
            continue
        if folded.profile is not None:
            profiles[key] = folded.profile
    return {key: codec.encode(profile) for key, profile in profiles.items()}


def event_id(message: Any) -> str:
    return str(msgspec.json.decode(message.value())["event_id"])


def test_ten_thousand_letters_of_six_kinds_take_effect_once(shop: Shop, tmp_path: Path) -> None:
    print("seed", SEED)
    draw = random.Random(SEED)
    shop.send(*(Sent(f"c{n}".encode(), encoded(event(f"c{n}", "first"))) for n in range(CUSTOMERS)))
    each = [KINDS[number % len(KINDS)] for number in range(LETTERS)]
    sent = [refused(kind, number, CUSTOMERS) for number, kind in enumerate(each)]
    places = shop.send(*sent)
    origins = {
        msgspec.json.decode(one.value or b"")["event_id"]: place for one, place in zip(sent, places, strict=True)
    }
    shop.folded({number: max(place.offset for place in places if place.partition == number) + 1 for number in (0, 1)})
    with Survey(shop.configuration) as survey:
        found = Counter({group.code: group.letters for group in survey.listed(Filter()).groups})
        assert found == Counter(kind.code for kind in each)
        # In the order in which they lie, which is that in which they are to come back.
        lying = [str(msgspec.json.decode(letter.value or b"")["event_id"]) for letter in survey.letters(Filter())]

    left: list[int] = []
    for kind in KINDS:
        if kind.code in KILLED:
            command = ["redrive", "--code", kind.code, *kind.options, "--apply", "--json"]
            watched = Watched(shop.configuration, *KILLED[kind.code])
            kill_on_the_way(start(shop.environ, tmp_path, *command), watched, draw.randrange(1, 1_200))
            second = start(shop.environ, tmp_path, *command)
            said, wrong = second.communicate(timeout=60)
            assert second.returncode == 0, wrong
            done = msgspec.json.decode(said)
            assert done["left"] == []
            print(f"{kind.code}: killed before {done['accepted']} of {found[kind.code]} letters")
            left.append(done["accepted"])
        else:
            patch, expressions, rekey = "", [], "--rekey" in kind.options
            if "--patch" in kind.options:
                patch = kind.options[1]
            elif "--set" in kind.options:
                expressions = [kind.options[1]]
            fix = Change(patch, expressions, rekey)
            undisturbed = redrive(shop.configuration, Filter(codes=(kind.code,)), fix, Run(apply=True))
            assert (undisturbed.accepted, undisturbed.left) == (found[kind.code], [])
    assert any(left), "every command was through before it was killed"

    with Survey(shop.configuration) as survey:
        assert survey.listed(Filter()).states == {"redriven": LETTERS}
    settled = shop.read(shop.names.physical(topics.SETTLEMENTS))
    assert len(settled) == len({message.key() for message in settled}) == LETTERS

    log = shop.read(shop.events)
    shop.folded({number: max(m.offset() for m in log if m.partition() == number) + 1 for number in range(PARTITIONS)})
    back = [message for message in log if redrives(message.headers() or ()) > 0]
    assert Counter(map(event_id, back)) == Counter(dict.fromkeys(origins, 1))
    for message in back:
        assert message.partition() == partition_for(message.key(), PARTITIONS)
        came = Place(*map(int, (header(message.headers(), REDRIVEN_FROM) or b"").decode().split(":")[1:]))
        assert came == origins[event_id(message)]
    for number in range(PARTITIONS):
        came_back = [event_id(message) for message in back if message.partition() == number]
        for kind in KINDS:
            ids = [one for one in came_back if f"-{kind.code}-" in one]
            among = set(ids)
            assert ids == [one for one in lying if one in among]

    states, _ = shop.states()
    assert states == straight(shop, log)
    bought = Counter(f"c{number % CUSTOMERS}".encode() for number in range(LETTERS))
    assert {key: codec.decode(state).purchases for key, state in states.items()} == {
        key: 1 + count for key, count in bought.items()
    }
    assert len(shop.letters()) == LETTERS, "none was refused a second time"
