"""An alert raised through Kafka and Triton brings the model's own reasons, and they add up."""

import pytest

from serving.catalogue import Catalogue
from serving.client import TritonScorer
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import model_repository, read_model_card, version_folder
from serving.shop import SHOP_FILE, read_shop
from stream.configuration.settings import BreakerSettings, TritonSettings
from stream.contracts import codec as messages
from stream.contracts import topics
from stream.contracts.codec import encode
from stream.embedded.triton import EmbeddedTriton
from stream.testing.topics import Topics
from stream.workers.explaining import Explainer
from stream.workers.models import OneModel
from stream.workers.scoring import ScoringStage
from tests.chaos.input_log import PARTITIONS, Written
from tests.chaos.read_back import flat
from tests.chaos.writer import Writer
from tests.end_to_end.repeats import Shop, Speed
from tests.end_to_end.strata import events
from tests.unit.serving.recorded_shop import shop_items

SPEED = Speed(1, 25, 500, 200, 0.0)
PATIENCE_MS = 60_000
"""No question counts as a backlog here, and no explanation runs out of time."""

FOLDER = version_folder(model_repository())
CARD = read_model_card(FOLDER)
CATALOGUE = Catalogue.from_items(shop_items(), read_item_tower(FOLDER / ITEM_TOWER_FILE), read_shop(FOLDER / SHOP_FILE))


def test_an_alert_brings_the_model_s_reasons_and_they_add_up(
    own_topics: Topics, embedded_triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> None:
    topic = own_topics.create("why", partitions=PARTITIONS, settings=topics.TOPICS[topics.EVENTS].settings())
    unwritten = Shop(own_topics.bootstrap_servers, tmp_path_factory.mktemp("why"), topic, [])
    configuration = unwritten.configuration(own_topics.name("why-writer."), SPEED)
    writer = Writer(configuration, topic)
    few = {f"{stratum}-{number}" for stratum in ("one_time", "returns") for number in range(12)}
    writer.write(Written(e.customer_id.encode(), encode(e)) for e in events(seed=9) if e.customer_id in few)
    settings = TritonSettings(
        deadline_ms=PATIENCE_MS,
        reasons_deadline_ms=PATIENCE_MS,
        max_batch=4,
        in_flight=1,
        breaker=BreakerSettings(failures=1_000),
    )
    policies = configuration.policies.in_force(CARD)
    explainers: list[Explainer] = []

    def stage() -> ScoringStage:
        explainers.append(Explainer(lambda version, as_of: policies, settings))
        scorer = TritonScorer(embedded_triton.grpc_url, CARD)
        return ScoringStage(OneModel(scorer, lambda: CATALOGUE, CARD.reference), settings, "GBP", explainers[-1])

    made = unwritten._replace(ends=writer.ends).run(own_topics.name("why."), SPEED, stage)
    scores = [messages.decode_score(record.value or b"") for record in flat(made[topics.SCORES])]
    explained = [score for score in scores if score.answer.reasons]
    assert len(explained) == sum(explainer.explained for explainer in explainers)
    for score in explained:
        told = sum(reason.contribution for reason in score.answer.reasons)
        assert score.answer.reference_churn is not None
        assert told == pytest.approx(score.answer.raw_churn["90d"] - score.answer.reference_churn, abs=0.0005)
    published = [
        messages.decode_alert_event(record.value or b"").data
        for logical in (topics.ALERTS, topics.ALERTS_HOLDOUT)
        for record in flat(made[logical])
    ]
    raised = [alert for alert in published if alert.status == "raised"]
    by_model = [alert for alert in raised if alert.reasons_method != "rule"]
    print(f"\n{len(scores)} scores, {len(explained)} explained, {len(by_model)} of {len(raised)} alerts by the model")
    # The others stood in one batch with more than 256 rows' worth of customers to explain.
    assert len(raised) > 5
    assert len(by_model) >= 0.8 * len(raised)
