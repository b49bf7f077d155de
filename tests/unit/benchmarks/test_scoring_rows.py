"""What is said of a setting adds up, and every setting is measured once."""

import pytest

from benchmarks.decisions import SHIPPED, Setting, scoring, settings
from benchmarks.model_time import ModelTime
from benchmarks.request_log import RequestLog
from benchmarks.watched import Measured

LOG = RequestLog("requests", "catalogue", 7, 9)


def test_each_setting_stands_beside_the_shipped_one_and_none_twice() -> None:
    found = settings((1, SHIPPED.max_batch), (1, SHIPPED.in_flight))
    assert found == [
        Setting(1, SHIPPED.in_flight),
        Setting(SHIPPED.max_batch, SHIPPED.in_flight),
        Setting(SHIPPED.max_batch, 1),
    ]


@pytest.mark.parametrize("instances", [1, 2])
def test_model_time_and_all_other_are_the_whole_time_of_a_customer(instances: int) -> None:
    # 100 customers in 4 calls and 2 runs, 50 ms of model and 12 ms of waiting; a run of twice that, and half the rate.
    first = Measured(500.0, 300.0, 10.0), ModelTime(100, 4, 2, 12_000_000, 50_000_000)
    second = Measured(250.0, 300.0, 12.0), ModelTime(100, 4, 2, 12_000_000, 100_000_000)
    one = scoring(Setting(64, 4), LOG, [first], instances)
    assert (one.model_us, one.other_us) == (500.0 / instances, 2_000.0 - 500.0 / instances)
    assert (one.joined, one.queue_ms) == (50.0, 3.0)
    both = scoring(Setting(64, 4), LOG, [first, second], instances)
    assert both.model_us + both.other_us == (2_000.0 + 4_000.0) / 2
    assert (both.range, both.runs, both.peak_rss_mib) == ((250.0, 500.0), 2, 12.0)


def test_a_run_is_what_the_server_did_between_two_looks() -> None:
    assert ModelTime(12, 4, 3, 20, 200).since(ModelTime(2, 1, 1, 5, 50)) == ModelTime(10, 3, 2, 15, 150)
