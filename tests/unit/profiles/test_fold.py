"""One event at a time: duplicates, lateness, backfill, erasure, visitors, consent, carts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contracts.emission import Rejected
from stream.contracts.events import Consent, Engagement, Event, Item, Review
from stream.contracts.ids import item_hash
from stream.contracts.times import DAY_MS, HOUR_MS
from stream.profiles import codec, statistics
from stream.profiles.bound import EVENT_IDS
from stream.profiles.rings import affinities, cart_items, category_hash, interactions
from stream.profiles.settings import ProfileSettings
from stream.profiles.timers import due
from tests.unit.profiles.shop import SETTINGS, START, event, folded, histories, purchase, requests, step


@given(histories(), st.data())
def test_a_duplicate_changes_nothing(history: list[Event], data: st.DataObject) -> None:
    if not history:
        return
    profile = folded(history)
    before = codec.encode(profile)
    again = step(profile, data.draw(st.sampled_from(history)))
    assert again.outcome == "duplicate"
    assert again.request is None
    assert again.profile is profile
    assert codec.encode(profile) == before


def test_an_event_id_is_remembered_for_256_events() -> None:
    history = [event("browse", START + number, event_id=f"e-{number}") for number in range(EVENT_IDS + 1)]
    profile = folded(history)
    assert step(profile, history[1]).outcome == "duplicate"
    assert step(profile, history[0]).outcome == "folded"


def test_an_event_at_the_edge_of_the_lateness_is_folded_and_one_beyond_is_refused() -> None:
    newest = event("browse", START)
    edge = event("browse", START - SETTINGS.allowed_lateness_ms, event_id="edge")
    beyond = event("browse", START - SETTINGS.allowed_lateness_ms - 1, event_id="beyond")
    profile = folded([newest, edge])
    assert profile.browses == 2
    before = codec.encode(profile)
    with pytest.raises(Rejected) as refused:
        step(profile, beyond)
    assert (refused.value.code, refused.value.field) == ("too_late", "$.time")
    assert "re-drive" in refused.value.message
    assert codec.encode(profile) == before


def test_what_is_too_late_but_redriven_changes_totals_and_asks_nothing() -> None:
    profile = folded([purchase(START)])
    late = step(profile, purchase(START - 90 * DAY_MS, order="old"), redriven=True)
    assert late.request is None
    assert (profile.revenue_cents, statistics.frequency(profile)) == (2000, 2)
    assert profile.first_time == START - 90 * DAY_MS
    assert profile.last_time == START


def test_what_is_redriven_in_time_asks() -> None:
    assert step(None, purchase(START), redriven=True).request is not None


def test_a_backfill_asks_nothing_and_arms_nothing() -> None:
    history = [purchase(START + day * DAY_MS, order=f"{day}", mode="backfill") for day in range(5)]
    assert requests(history) == []
    profile = folded(history)
    assert due(profile) == 0
    assert statistics.frequency(profile) == 5
    assert folded([purchase(START - 400 * DAY_MS, order="old", mode="backfill")], profile).purchases == 6


def test_live_events_after_a_backfill_ask_again() -> None:
    history = [purchase(START, mode="backfill"), purchase(START + DAY_MS, order="2")]
    (asked,) = requests(history)
    assert asked.as_of == START + DAY_MS
    assert asked.mode == "live"


def test_an_unknown_currency_leaves_the_profile_as_it_was() -> None:
    profile = folded([purchase(START)])
    before = codec.encode(profile)
    with pytest.raises(Rejected) as refused:
        step(profile, purchase(START + 1, currency="XAU"))
    assert refused.value.code == "unknown_currency"
    assert codec.encode(profile) == before


def test_amounts_are_converted_by_the_rate_table() -> None:
    settings = ProfileSettings(currency="GBP", exchange_rates={"EUR": 0.85})
    item = Item("mug", price=10.0, quantity=2.0)
    profile = folded([purchase(START, item, currency="EUR"), purchase(START + 1, item, currency="GBP")], None, settings)
    assert profile.revenue_cents == 1700 + 2000


def test_erasure_leaves_nothing_and_tells() -> None:
    profile = folded([purchase(START)])
    erased = step(profile, event("erase", START + 1), 9)
    assert erased.profile is None
    assert erased.request is not None
    assert (erased.request.kind, erased.request.customer_id, erased.request.profile) == ("erase", "c-1", b"")
    assert step(None, event("erase", START)).request is not None


def test_an_erasure_is_never_too_late() -> None:
    assert step(folded([purchase(START)]), event("erase", START - 900 * DAY_MS)).profile is None


def test_a_visitor_asks_nothing_and_is_to_expire() -> None:
    visit: dict[str, Any] = {"customer_id": "", "anonymous_id": "v-1"}
    history = [purchase(START, **visit), event("browse", START + HOUR_MS, Item("mug"), **visit)]
    assert requests(history) == []
    profile = folded(history)
    assert profile.anonymous
    assert due(profile) == START + HOUR_MS + SETTINGS.anonymous_ttl_ms
    assert step(profile, event("erase", START + DAY_MS, **visit)) == (None, None, "folded")


def test_a_visitor_who_withdraws_consent_tells_nobody() -> None:
    denied = event("consent", customer_id="", anonymous_id="v-1", consent=Consent(marketing="denied"))
    assert step(None, denied).request is None


def test_a_visitor_whose_id_becomes_a_customer_no_longer_expires() -> None:
    history = [
        event("browse", START, customer_id="", anonymous_id="same"),
        event("browse", START + 1, customer_id="same"),
    ]
    profile = folded(history)
    assert not profile.anonymous
    assert due(profile) == 0


def test_identify_keeps_the_newest_link() -> None:
    history = [
        event("identify", START + 1, anonymous_id="v-2"),
        event("identify", START, anonymous_id="v-1"),
    ]
    assert folded(history).linked_visitor == item_hash("v-2")


def test_a_withdrawal_of_consent_is_told_once_and_stops_the_asking() -> None:
    denied = Consent(personalization="denied")
    history = [
        purchase(START),
        event("consent", START + DAY_MS, consent=denied),
        event("consent", START + 2 * DAY_MS, consent=denied),
        purchase(START + 3 * DAY_MS, order="2"),
    ]
    asked = requests(history)
    assert [one.kind for one in asked] == ["score", "consent"]
    assert (asked[1].personalization, asked[1].marketing) == (False, True)
    assert due(folded(history)) == 0


def test_consent_given_again_brings_the_asking_back() -> None:
    history = [
        purchase(START),
        event("consent", START + DAY_MS, consent=Consent(personalization="denied")),
        event("consent", START + 2 * DAY_MS, consent=Consent(personalization="granted")),
    ]
    assert due(folded(history)) > START + 2 * DAY_MS
    assert [one.kind for one in requests([*history, purchase(START + 3 * DAY_MS, order="2")])][-1] == "score"


def test_of_two_choices_in_one_millisecond_the_denial_wins() -> None:
    granted = event("consent", START, event_id="g", consent=Consent(marketing="granted"))
    denied = event("consent", START, event_id="d", consent=Consent(marketing="denied"))
    assert not folded([granted, denied]).marketing
    assert not folded([denied, granted]).marketing


def test_an_unsubscription_denies_marketing_and_requests_say_so() -> None:
    unsubscribed = event("engagement", START, engagement=Engagement("unsubscribed"))
    profile = folded([unsubscribed])
    assert not profile.marketing
    asked = step(profile, purchase(START + 1)).request
    assert asked is not None
    assert (asked.personalization, asked.marketing) == (True, False)


def test_messages_are_counted() -> None:
    actions = ("sent", "delivered", "opened", "clicked", "clicked")
    history = [
        event("engagement", START + place, event_id=f"{place}", engagement=Engagement(action))
        for place, action in enumerate(actions)
    ]
    profile = folded(history)
    assert (profile.messages_sent, profile.messages_opened, profile.messages_clicked) == (1, 1, 2)
    assert statistics.decayed_count(profile, "engagement", profile.last_time).quarter == pytest.approx(3, rel=1e-6)


def test_the_last_word_on_an_item_fills_the_cart() -> None:
    mug = Item("mug", price=2.5, quantity=3.0)
    history = [
        event("cart", START + 2, mug, action="set", event_id="b"),
        event("cart", START + 1, Item("mug", price=2.5, quantity=1.0), action="add", event_id="a"),
        event("cart", START + 3, Item("pan"), action="add", event_id="c"),
        event("cart", START + 4, Item("pan"), action="remove", event_id="d"),
    ]
    (left,) = cart_items(folded(history))
    assert (left.item_hash, left.quantity, left.price, left.time) == (item_hash("mug"), 3.0, 2.5, START + 2)


def test_buying_and_emptying_end_what_was_in_the_cart_before() -> None:
    add = event("cart", START, Item("mug"), action="add", event_id="a")
    later = event("cart", START + HOUR_MS, Item("pan"), action="add", event_id="b")
    for end in (purchase(START + 1), event("cart", START + 1, action="clear")):
        assert cart_items(folded([add, end])) == []
        assert [item.item_hash for item in cart_items(folded([later, add, end]))] == [item_hash("pan")]
        assert cart_items(folded([end, add])) == []


def test_a_full_cart_forgets_the_oldest_items() -> None:
    history = [event("cart", START + number, Item(f"{number}"), action="add") for number in range(20)]
    assert [item.item_hash for item in cart_items(folded(history))] == [item_hash(f"{n}") for n in range(4, 20)]


def test_a_review_is_an_opinion_and_an_interaction() -> None:
    history = [
        event("review", START + place, Item("mug"), review=Review(rating=rating))
        for place, rating in enumerate((1.0, 5.0, None))
    ]
    profile = folded(history)
    mean, weight = statistics.sentiment(profile, profile.last_time)
    assert (mean, weight) == (pytest.approx(3.0), pytest.approx(2.0))
    assert [one.quantity for one in interactions(profile)] == [0.0, 1.0, 5.0]
    assert statistics.sentiment(folded([purchase(START)]), START) == (0.0, 0.0)


def test_buying_leans_more_to_a_category_than_looking() -> None:
    history = [
        purchase(START, Item("mug", price=1.0, item_category="tea")),
        event("cart", START + 1, Item("pan", item_category="kitchen"), action="add"),
        event("browse", START + 2, Item("hat", item_category="clothes")),
    ]
    ranked = affinities(folded(history), START + 2)
    assert [row.category_hash for row in ranked] == [category_hash(name) for name in ("tea", "kitchen", "clothes")]


def test_a_tick_is_no_profile_s_business() -> None:
    with pytest.raises(ValueError, match="leave it to the engine"):
        step(None, event("tick"))


def test_lines_of_the_same_product_count_as_one() -> None:
    twice = purchase(START, Item("mug", price=1.0, quantity=2.0), Item("mug", price=4.0, item_category="tea"))
    profile = folded([twice])
    (one,) = interactions(profile)
    assert (one.quantity, one.price, profile.revenue_cents) == (3.0, 2.0, 600)


def test_events_without_their_content_change_only_the_counts() -> None:
    # Validation refuses them; the fold must not fall over them either.
    for type_ in ("consent", "engagement", "review"):
        assert folded([event(type_)]).last_time == START
