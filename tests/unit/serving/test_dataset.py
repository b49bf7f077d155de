import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.catalogue import Catalogue
from serving.dataset import Example, by_customer, calendar_cutoffs, customer_examples, examples, leaks
from serving.features import tensors
from stream.contracts import codec as json_codec
from stream.contracts.emission import Origin
from stream.contracts.times import DAY_MS
from stream.profiles import codec
from stream.profiles.fold import fold
from stream.profiles.settings import ProfileSettings
from stream.profiles.timers import due, on_timer
from tests.unit.serving.recorded_shop import START, shop_events, shop_items

SETTINGS = ProfileSettings()
END = START + 560 * DAY_MS
CUTOFFS = [START + days * DAY_MS for days in range(100, 500, 50)]
CATALOGUE = Catalogue.from_items(shop_items())


def live_requests(events):
    """What the profiles role asks: state kept as bytes, timers fired in the order of time, requests sent as JSON."""
    states, asked = {}, []

    def keep(customer, profile, request):
        states[customer] = codec.encode(profile)
        if request is not None:
            asked.append(json_codec.decode_score_request(json_codec.encode(request)))

    for offset, event in enumerate([*events, None]):
        now = END if event is None else int(event.time)
        for customer in sorted(states):
            while 0 < (moment := due(profile := codec.decode(states[customer]))) <= now:
                keep(customer, *on_timer(profile, moment, Origin("customer.events.v1", 3, offset), SETTINGS))
        if event is not None:
            profile = codec.decode(states[event.customer_id]) if event.customer_id in states else None
            folded = fold(profile, event, now, Origin("customer.events.v1", 3, offset), SETTINGS)
            keep(event.customer_id, folded.profile, folded.request)
    return asked


def test_training_sees_the_very_features_that_the_live_path_asks_with():
    events = shop_events(customers=15)
    live = sorted(live_requests(events), key=lambda request: (request.customer_id, request.as_of))
    trained = sorted(
        (e for e in examples(by_customer(events), [], END, SETTINGS)), key=lambda e: (e.customer_id, e.as_of)
    )
    assert [(r.customer_id, r.as_of, r.trigger) for r in live] == [(e.customer_id, e.as_of, e.trigger) for e in trained]
    assert {"purchase", "silence", "return"} <= {request.trigger for request in live}
    from_live = tensors([codec.decode(r.profile) for r in live], [r.as_of for r in live], CATALOGUE)
    from_files = tensors([codec.decode(e.profile) for e in trained], [e.as_of for e in trained], CATALOGUE)
    assert all(np.array_equal(from_live[name], from_files[name]) for name in from_live)


def test_an_example_of_a_cutoff_knows_what_happened_before_it_only():
    histories = by_customer(shop_events(customers=6))
    for example in examples(histories, CUTOFFS, END, SETTINGS):
        if example.trigger is None:
            assert example.as_of + 1 in CUTOFFS
            known = [event for event in histories[example.customer_id] if event.time <= example.as_of]
            assert codec.decode(example.profile).last_time == known[-1].time


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1_000))
def test_the_dataset_does_not_leak(seed):
    histories = by_customer(shop_events(customers=4, seed=seed))
    found = list(examples(histories, CUTOFFS, END, SETTINGS))
    assert found
    assert list(leaks(found, histories, SETTINGS)) == []


def test_a_planted_leak_is_found():
    histories = by_customer(shop_events(customers=4))
    honest = [e for e in examples(histories, CUTOFFS, END, SETTINGS) if e.trigger is None and e.customer_id == "1"]
    tomorrow = Example(honest[0].customer_id, honest[0].as_of, honest[1].profile, None)
    assert tomorrow.profile != honest[0].profile
    assert list(leaks([*honest, tomorrow], histories, SETTINGS)) == [tomorrow]
    asked = [e for e in examples(histories, [], END, SETTINGS) if e.trigger == "purchase" and e.customer_id == "1"]
    planted = Example("1", asked[0].as_of, asked[3].profile, "purchase")
    assert list(leaks([*asked, planted], histories, SETTINGS)) == [planted]


def test_what_comes_after_until_changes_nothing():
    histories = by_customer(shop_events(customers=6))
    until = START + 300 * DAY_MS
    past = {customer: [e for e in events if e.time <= until] for customer, events in histories.items()}
    assert list(examples(histories, CUTOFFS[:3], until, SETTINGS)) == list(examples(past, CUTOFFS[:3], until, SETTINGS))


def test_customers_left_out_give_no_example():
    histories = by_customer(shop_events(customers=6))
    left = {e.customer_id for e in examples(histories, CUTOFFS, END, SETTINGS, without={"1", "4"})}
    assert left == set(histories) - {"1", "4"}


def test_a_history_loaded_as_backfill_is_sampled_like_a_live_one():
    events = shop_events(customers=3)
    loaded = shop_events(customers=3)
    for event in loaded:
        event.mode = "backfill"
    assert list(examples(by_customer(loaded), [], END, SETTINGS)) == list(
        examples(by_customer(events), [], END, SETTINGS)
    )


def test_anonymous_visitors_are_left_out():
    events = shop_events(customers=2)
    events[0].customer_id, events[0].anonymous_id = "", "visitor"
    assert set(by_customer(events)) <= {"0", "1"}


def test_a_cutoff_before_the_first_event_gives_no_example():
    events = by_customer(shop_events(customers=1))["0"]
    assert list(customer_examples(events, [START - DAY_MS], START - 1, SETTINGS)) == []


def test_calendar_cutoffs_are_midnights_counted_back_from_the_last():
    found = calendar_cutoffs(START, START + 30 * DAY_MS + 5, 14)
    assert found == [START + 2 * DAY_MS, START + 16 * DAY_MS, START + 30 * DAY_MS]
    assert calendar_cutoffs(START, START, 14) == [START]
