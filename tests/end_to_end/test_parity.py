"""What training would see of a customer at an offset is what the live path asked with there, and so is the score.

A thousand customers of five strata go through Kafka, the profiles, Triton and the decisions. Then each question is made
again from the events alone, as training makes examples: of the customer's events up to the question's offset, in order
of time. Features are compared with those of the profile that the question carried, scores with the record of answers;
training's side is scored by the same network in one large batch in process. There is no tree model in the repository,
so there are no leaf indices to compare.
"""

from collections import Counter

import numpy as np
import pytest

from serving.catalogue import Catalogue
from serving.client import TritonScorer
from serving.dataset import by_customer, customer_examples
from serving.features import FEATURES, tensors
from serving.in_process import OnnxScorer
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import HORIZONS, model_repository, read_model_card, version_folder
from serving.shop import SHOP_FILE, read_shop
from stream.configuration.settings import BreakerSettings, TritonSettings
from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.codec import encode
from stream.contracts.events import Event
from stream.contracts.partitioning import partition_for
from stream.contracts.scores import Score, ScoreRequest
from stream.embedded.triton import EmbeddedTriton
from stream.profiles import codec as profile_codec
from stream.profiles.settings import ProfileSettings
from stream.testing.topics import Topics
from stream.workers.models import OneModel
from stream.workers.scoring import ScoringStage
from tests.chaos.input_log import PARTITIONS, Written
from tests.chaos.read_back import flat
from tests.chaos.writer import Writer
from tests.end_to_end.repeats import Outputs, Shop, Speed
from tests.end_to_end.strata import EACH, STRATA, events
from tests.unit.serving.recorded_shop import shop_items

SEED = 8
TOLERANCE = 1e-5
HALF_OF_LAST_DIGIT = 0.5e-3
"""Calibrated churn is rounded to 1e-3 where it is answered; raw churn is not."""
HALF_A_CENT = 0.5e-2
SPEED = Speed(2, 100, 5_000, 2_000, 0.0)
PATIENCE_MS = 60_000

FOLDER = version_folder(model_repository())
CARD = read_model_card(FOLDER)
CATALOGUE = Catalogue.from_items(shop_items(), read_item_tower(FOLDER / ITEM_TOWER_FILE), read_shop(FOLDER / SHOP_FILE))
SETTINGS = ProfileSettings()


def stage(triton: EmbeddedTriton) -> ScoringStage:
    # Nothing may run out of time here: a fallback's answer is no score of the model.
    settings = TritonSettings(deadline_ms=PATIENCE_MS, breaker=BreakerSettings(failures=1_000))
    return ScoringStage(OneModel(TritonScorer(triton.grpc_url, CARD), lambda: CATALOGUE), settings, "GBP")


@pytest.fixture(scope="module")
def log() -> list[Event]:
    return events(SEED)


@pytest.fixture(scope="module")
def live(
    log: list[Event],
    own_topics: Topics,
    embedded_triton: EmbeddedTriton,
    tmp_path_factory: pytest.TempPathFactory,
) -> Outputs:
    """What came out of the live path."""
    topic = own_topics.create("strata", partitions=PARTITIONS, settings=topics.TOPICS[topics.EVENTS].settings())
    unwritten = Shop(own_topics.bootstrap_servers, tmp_path_factory.mktemp("strata"), topic, [])
    writer = Writer(unwritten.configuration(own_topics.name("strata-writer."), SPEED), topic)
    writer.write(Written(event.customer_id.encode(), encode(event)) for event in log)
    shop = unwritten._replace(ends=writer.ends)
    return shop.run(own_topics.name("strata."), SPEED, lambda: stage(embedded_triton))


def test_features_and_scores_of_a_thousand_customers_are_those_of_training(log: list[Event], live: Outputs) -> None:
    requests = [messages.decode_score_request(record.value or b"") for record in flat(live[topics.SCORE_REQUESTS])]
    asked = {request.request_id: request for request in requests if request.kind == "score"}
    scores = [messages.decode_score(record.value or b"") for record in flat(live[topics.SCORES])]
    assert [record.headers for record in flat(live[topics.DEAD_LETTERS])] == []
    assert {score.request_id for score in scores} == set(asked)
    assert not any(score.answer.fallback for score in scores)
    found = [asked[score.request_id] for score in scores]
    strata = Counter(request.customer_id.partition("-")[0] for request in found)
    customers = Counter(name.partition("-")[0] for name in {request.customer_id for request in found})
    assert customers == dict.fromkeys(STRATA, EACH)

    at = [request.as_of for request in found]
    of_live = tensors([profile_codec.decode(request.profile) for request in found], at, CATALOGUE)
    of_training = tensors([profile_codec.decode(each) for each in _as_training_sees(found, log)], at, CATALOGUE)
    apart = {spec.name: np.abs(of_live[spec.name] - of_training[spec.name]) for spec in FEATURES}
    outputs = OnnxScorer(FOLDER, CARD).run(of_training)
    raw = np.abs(_said(scores, "raw_churn") - outputs["raw_churn"])
    churn = np.abs(_said(scores, "churn") - outputs["churn"])
    money = np.array([[s.answer.expected_revenue_180d, s.answer.median_revenue_180d] for s in scores])
    revenue = np.abs(money - outputs["revenue"])

    print(f"\n{len(found)} questions of {sum(customers.values())} customers")
    for stratum in STRATA:
        rows = [row for row, request in enumerate(found) if request.customer_id.startswith(f"{stratum}-")]
        features = max(float(each[rows].max()) for each in apart.values())
        print(
            f"{stratum}: {customers[stratum]} customers, {strata[stratum]} questions, apart at most: "
            f"features {features:.1e}, raw churn {raw[rows].max():.1e}, revenue {revenue[rows].max():.3f}"
        )
    assert max(float(each.max()) for each in apart.values()) <= TOLERANCE
    assert raw.max() <= TOLERANCE
    assert churn.max() <= HALF_OF_LAST_DIGIT + TOLERANCE
    # Amounts are rounded to cents where they are answered.
    assert (revenue <= HALF_A_CENT + TOLERANCE * money).all()


def test_the_strata_hold_what_they_are_called_for(log: list[Event]) -> None:
    times: dict[str, list[int]] = {}
    for event in log:
        times.setdefault(event.customer_id, []).append(int(event.time))
    late = [name for name, own in times.items() if own != sorted(own)]
    assert len(late) > EACH / 2
    assert {name.partition("-")[0] for name in late} == {"late"}
    of = {stratum: [e for e in log if e.customer_id.startswith(f"{stratum}-")] for stratum in STRATA}
    assert sum(e.type == "return" for e in of["returns"]) > EACH
    assert Counter(e.customer_id for e in of["one_time"] if e.type == "purchase").most_common(1)[0][1] == 1
    assert max(i.quantity or 0 for e in of["wholesale"] for i in e.items) > 5_000
    assert not any(i.quantity or i.item_name for e in of["empty"] for i in e.items)


def _as_training_sees(found: list[ScoreRequest], log: list[Event]) -> list[bytes]:
    """The profile of each question, folded from the customer's events up to its offset, in order of time."""
    offsets = _offsets(log)
    profiles = []
    for request in found:
        past = [event for offset, event in offsets[request.customer_id] if offset <= request.last_offset]
        known = by_customer(event for event in past if int(event.time) <= request.as_of)[request.customer_id]
        made = customer_examples(known, [request.as_of + 1], request.as_of + 1, SETTINGS)
        profiles.append(next(example.profile for example in made if example.trigger is None))
    return profiles


def _offsets(log: list[Event]) -> dict[str, list[tuple[int, Event]]]:
    """Each customer's events with their offsets in the events topic."""
    ends = Counter[int]()
    found: dict[str, list[tuple[int, Event]]] = {}
    for event in log:
        partition = partition_for(event.customer_id.encode(), PARTITIONS)
        found.setdefault(event.customer_id, []).append((ends[partition], event))
        ends[partition] += 1
    return found


def _said(scores: list[Score], name: str) -> np.ndarray:
    return np.array([[getattr(score.answer, name)[horizon] for horizon in HORIZONS] for score in scores])
