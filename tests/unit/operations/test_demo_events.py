"""What the demo sends: real orders of customers that no model was trained on, and the same every time."""

from importlib import resources
from pathlib import Path

import pytest

from serving.holdout import is_demo_customer
from stream.contracts.emission import Rejected
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.operations.convert import convert_online_retail
from stream.operations.demo_events import LIVE_DAYS, demo_events, sample
from stream.operations.observe import percentile
from stream.profiles.settings import ProfileSettings
from stream.profiles.validation import read_event

NOW = 1_750_000_000_000
RAW = Path(__file__).parents[3].parent / "shared" / "data" / "online_retail_ii_until_2011-06-08.parquet"


def test_the_sample_holds_real_orders_of_the_demos_customers_alone() -> None:
    events = list(sample())
    assert len(events) == 2_462
    assert all(is_demo_customer(event.customer_id) and not event.simulated for event in events)
    times = [to_epoch_ms(event.time) for event in events]
    assert times == sorted(times)
    assert times[-1] - times[0] > 500 * DAY_MS


def test_the_sample_is_small_and_says_whose_it_is() -> None:
    folder = resources.files("stream.operations") / "sample"
    assert sum(len(file.read_bytes()) for file in folder.iterdir()) < 1_000_000
    assert "10.24432/C5CG6D" in (folder / "README.md").read_text()
    assert "Attribution 4.0 International" in (folder / "LICENCE").read_text()


@pytest.mark.skipif(not RAW.exists(), reason="needs Online Retail II as parquet, which the project does not ship")
def test_the_sample_is_what_convert_makes_of_the_data_set(tmp_path: Path) -> None:
    convert_online_retail(RAW, tmp_path / "sample.jsonl.xz", is_demo_customer)
    shipped = resources.files("stream.operations") / "sample" / "online_retail_ii.jsonl.xz"
    assert (tmp_path / "sample.jsonl.xz").read_bytes() == shipped.read_bytes()


def test_it_is_the_same_every_time_and_every_simulated_event_says_so() -> None:
    first, second = demo_events(NOW), demo_events(NOW)
    assert first == second
    real = {event.event_id for event in sample()}
    for event in (*first.history, *first.live):
        assert event.simulated != (event.event_id in real)


def test_the_live_part_is_the_last_month() -> None:
    events = demo_events(NOW)
    assert events.live
    span = to_epoch_ms(events.live[-1].time) - to_epoch_ms(events.history[-1].time)
    assert span >= LIVE_DAYS * DAY_MS
    assert events.records == len(events.history) + len(events.live) + len(events.duplicates) + len(events.bad)
    assert sum(events.by_type().values()) == len(events.history) + len(events.live)


def test_every_bad_record_that_can_be_judged_alone_is_refused_with_its_code() -> None:
    for bad in demo_events(NOW).bad:
        if (
            bad.code == "too_late"
        ):  # Judged against the customer's newest event: the integration test of the demo sees it.
            read_event(bad.value, bad.key, (), NOW, ProfileSettings())
        elif bad.code != "unknown_currency":
            with pytest.raises(Rejected) as caught:
                read_event(bad.value, bad.key, (), NOW, ProfileSettings())
            assert caught.value.code == bad.code


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(range(1, 101), 0.99) == 99
    assert percentile([7], 0.99) == 7
    with pytest.raises(ValueError, match="percentile of nothing"):
        percentile([], 0.5)
