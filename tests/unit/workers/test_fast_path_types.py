"""The compiled path takes carts, purchases and news of messages to the same bytes as the long way, and fires the same
timers before them."""

from random import Random
from typing import Any

import pytest
from confluent_kafka import Message

from stream.contracts.times import DAY_MS, HOUR_MS, MINUTE_MS
from stream.engine.partition import FEW_TIMERS
from stream.profiles import cart
from tests.unit.workers.ways import APPENDED, SETTINGS, START, Way, message, same

pytestmark = pytest.mark.usefixtures("compiled")

ITEM = '"items":[{"item_id":"mug","item_category":"k","price":2.5,"quantity":2}]'
CART = '"type":"cart","action":"add",' + ITEM
PURCHASE = '"type":"purchase","transaction_id":"t-%d",' + ITEM
SEVERAL = PURCHASE.replace("]", ',{"item_id":"pot","price":1.25,"quantity":3},{"item_id":"jug","price":0.1}]')
RETURN = '"type":"return","transaction_id":"t-3",' + ITEM
REVIEW = '"type":"review","review":{"rating":4,"text":"Holds tea."},' + ITEM
ENGAGEMENT = '"type":"engagement","engagement":{"action":"opened","channel":"email"}'
MOST_ITEMS = 32
"""Lines of a purchase that is plain."""
SOUND = {
    "put into the cart": CART,
    "quantity set": CART.replace("add", "set"),
    "taken out of the cart": CART.replace("add", "remove"),
    "nothing known of its price": CART.replace('"price":2.5,', ""),
    "without a category": CART.replace('"item_category":"k",', ""),
    "bought": PURCHASE,
    "bought without an order": PURCHASE.replace('"transaction_id":"t-%d",', ""),
    "bought under an empty order": PURCHASE.replace("t-%d", ""),
    "the same order again": PURCHASE.replace("t-%d", "t-1"),
    "an order in umlauts": PURCHASE.replace("t-%d", "t-ü-%d"),
    "bought for nothing": PURCHASE.replace("2.5", "0"),
    "bought in thousandths": PURCHASE.replace('"quantity":2', '"quantity":0.0015'),
    "more than a half float": PURCHASE.replace('"quantity":2', '"quantity":70000').replace("2.5", "7000"),
    "bought with an action": PURCHASE.replace('"type"', '"action":"set","type"'),
    "several bought": SEVERAL,
    "one in two lines": SEVERAL.replace("pot", "mug"),
    "one in two lines, the price of one": SEVERAL.replace("pot", "mug").replace('"price":2.5', '"price":0'),
    "given back": RETURN,
    "half of it given back": RETURN.replace('"quantity":2', '"quantity":1'),
    "given back before it came": RETURN.replace("t-3", "t-%d"),
    "given back without an order": RETURN.replace('"transaction_id":"t-3",', ""),
    "given back without a price": RETURN.replace('"price":2.5,', ""),
    "several given back": SEVERAL.replace("purchase", "return").replace("t-%d", "t-3"),
    "reviewed": REVIEW,
    "reviewed by halves": REVIEW.replace("4", "3.5"),
    "reviewed without a rating": REVIEW.replace('"rating":4,', ""),
    "opened": ENGAGEMENT,
    "clicked": ENGAGEMENT.replace("opened", "clicked"),
    "sent": ENGAGEMENT.replace("opened", "sent"),
    "delivered": ENGAGEMENT.replace("opened", "delivered"),
}
UNSOUND = {
    "cart cleared": CART.replace("add", "clear"),
    "cart cleared without items": '"type":"cart","action":"clear"',
    "unknown action": CART.replace("add", "steal"),
    "no action": CART.replace('"action":"add",', ""),
    "action is null": CART.replace('"add"', "null"),
    "cart without items": CART.replace(ITEM, '"items":[]'),
    "bought without a price": PURCHASE.replace('"price":2.5,', ""),
    "bought at a price of null": PURCHASE.replace("2.5", "null"),
    "bought without items": PURCHASE.replace("," + ITEM, ""),
    "order is a number": PURCHASE.replace('"t-%d"', "%d"),
    "long order": PURCHASE.replace("t-", "t" * 129),
    "other currency": PURCHASE + ',"currency":"USD"',
    "unknown currency": PURCHASE + ',"currency":"XYZ"',
    "too dear in sum": PURCHASE.replace('"price":2.5,"quantity":2', '"price":999999,"quantity":999999'),
    "as history": PURCHASE + ',"mode":"backfill"',
    "unsubscribed": ENGAGEMENT.replace("opened", "unsubscribed"),
    "unknown news": ENGAGEMENT.replace("opened", "burnt"),
    "news without action": ENGAGEMENT.replace('"action":"opened",', ""),
    "no news": '"type":"engagement"',
    "news that is a text": '"type":"engagement","engagement":"opened"',
    "news with items": ENGAGEMENT + "," + ITEM,
    "a view with news": ENGAGEMENT.replace('"type":"engagement"', '"type":"browse"') + "," + ITEM,
    "a view with broken news": '"type":"browse","engagement":{"action":7},' + ITEM,
    "a view with an unknown action": '"type":"browse","action":"steal",' + ITEM,
    "several looked at": SEVERAL.replace("purchase", "browse"),
    "several carted": SEVERAL.replace("purchase", "cart").replace('"type"', '"action":"add","type"'),
    "too many lines": PURCHASE.replace("]", ',{"item_id":"pot","price":1}' * MOST_ITEMS + "]"),
    "too dear together": SEVERAL.replace("2.5", "900000")
    .replace('"quantity":2', '"quantity":1000')
    .replace("1.25", "34e6"),
    "one of them without a price": SEVERAL.replace('"price":1.25,', ""),
    "one of them not believed": SEVERAL.replace("1.25", "-1"),
    "a comma too many": SEVERAL.replace("]", ",]"),
    "an order given back whole": '"type":"return","transaction_id":"t-3"',
    "an order given back whole, with no items": '"type":"return","transaction_id":"t-3","items":[]',
    "six stars": REVIEW.replace("4", "6"),
    "no stars": REVIEW.replace("4", "0.5"),
    "stars in words": REVIEW.replace("4", '"four"'),
    "reviewed without a review": REVIEW.replace('"review":{"rating":4,"text":"Holds tea."},', ""),
    "a review with an escape": REVIEW.replace("Holds tea.", "Holds\\ntea."),
    "a review of nothing": REVIEW.replace("," + ITEM, ""),
    "a view with a review": REVIEW.replace('"type":"review"', '"type":"browse"'),
}


def record(offset: int, content: str, time: int, customer: str = "ann", appended: int = APPENDED) -> Message:
    """A record with an event of its own id."""
    numbered = content % offset if "%d" in content else content
    text = f'{{"event_id":"e-{offset}","time":{time},"customer_id":"{customer}",{numbered}}}'
    return message(offset, customer.encode(), text.encode(), appended=appended)


def around(content: str) -> list[Message]:
    """Events of every type, and ``content`` twice among them, a minute apart."""
    before = [CART, CART.replace("mug", "pot"), ENGAGEMENT, PURCHASE.replace("t-%d", "t-3"), CART]
    texts = [*before, content, content, *before, PURCHASE]
    return [record(offset, text, START + offset * MINUTE_MS) for offset, text in enumerate(texts)]


@pytest.mark.parametrize("name", SOUND)
def test_both_ways_make_the_same_of_every_plain_type(name: str) -> None:
    log = around(SOUND[name])
    assert same(log).taken == len(log)


@pytest.mark.parametrize("name", UNSOUND)
def test_what_is_not_plain_of_these_types_is_left_to_the_long_way(name: str) -> None:
    log = around(UNSOUND[name])
    assert same(log).taken == len(log) - 2


@pytest.mark.parametrize("seed", range(3))
def test_both_ways_make_the_same_of_a_long_history_of_every_type(seed: int) -> None:
    draw = Random(seed)
    contents = ['"type":"browse",' + ITEM] * 6 + [*SOUND.values()] + [CART] * 12 + [*UNSOUND.values()][:2]
    log: list[Message] = []
    for number in range(1_500):
        content = draw.choice(contents)
        content = content.replace("mug", f"item {draw.randrange(30)}").replace('"k"', f'"k {draw.randrange(20)}"')
        late = draw.choice([0] * 8 + [1, 30, 60 * 24]) * MINUTE_MS
        moment = START + number * 40 * MINUTE_MS - late
        log.append(record(number, content, moment, draw.choice(["ann", "ann", "ann", "bob"])))
        if draw.random() < 0.02:
            again = log[-draw.randint(1, min(10, len(log)))]
            log[-1] = message(number, again.key(), again.value())
    fast = same(log, commit_every=70)
    assert fast.taken > 1_300


@pytest.mark.parametrize("seed", range(3))
def test_a_customer_who_fills_every_table_is_the_same_on_both_ways(seed: int) -> None:
    draw = Random(seed)
    contents = [SEVERAL, PURCHASE, SEVERAL, CART, REVIEW, '"type":"browse",' + ITEM, RETURN.replace("t-3", "t-%d")]
    whole = '"type":"return","transaction_id":"t-%d"'
    log: list[Message] = []
    moment = START
    for number in range(2_500):
        content = draw.choices([*contents, whole], [4, 2, 2, 2, 1, 3, 1, 0.2])[0]
        for item in ("mug", "pot", "jug"):
            content = content.replace(item, f"item {draw.randrange(400)}")
        order = number - draw.randrange(1, 20) if "return" in content else number
        content = content.replace('"k"', f'"k {draw.randrange(20)}"').replace("%d", str(order), 1)
        # Pauses of years too, after which all buckets of revenue are too old, and landmarks have moved.
        pause = draw.choice([0, 0, HOUR_MS // 7, HOUR_MS, DAY_MS, 6 * DAY_MS])
        moment += 800 * DAY_MS if number % 500 == 400 else pause
        late = draw.choice([0] * 9 + [MINUTE_MS, 30 * HOUR_MS])
        name = "a customer with rather a long name, as some have"
        log.append(record(number, content, moment - late, name, appended=moment))
    fast = same(log, commit_every=90)
    assert fast.taken > 2_000


def test_a_cart_of_many_items_is_the_same_on_both_ways() -> None:
    adds = [CART.replace("mug", f"item {number}") for number in range(cart.CAPACITY + 3)]
    removes = [text.replace("add", "remove") for text in adds]
    # The first item's row stays the first, and is the newest.
    texts = [*adds[: cart.CAPACITY], adds[0], *adds[cart.CAPACITY :], *removes, *adds]
    log = [record(offset, text, START + offset * MINUTE_MS) for offset, text in enumerate(texts)]
    assert same(log, commit_every=5).taken == len(log)


@pytest.mark.parametrize("late", [0, 1])
def test_the_last_word_on_an_item_is_the_same_on_both_ways(late: int) -> None:
    texts = [CART, CART.replace("add", "remove"), PURCHASE, CART, CART.replace('"quantity":2', '"quantity":3')]
    # All within a millisecond, or each before the one that came before it.
    log = [record(offset, text, START - late * offset) for offset, text in enumerate(texts)]
    assert same(log).taken == len(log)


def test_a_purchase_beyond_the_ring_and_the_baskets_is_the_same_on_both_ways() -> None:
    log = [record(offset, PURCHASE, START + offset * HOUR_MS) for offset in range(200)]
    assert same(log, commit_every=20).taken == len(log)


def asked(customers: int) -> list[Message]:
    """Each customer buys and is asked about, and buys again within the interval: a timer is set for its end."""
    return [record(offset, PURCHASE, START + offset, f"c{offset % customers:02}") for offset in range(2 * customers)]


@pytest.mark.parametrize("customers", [1, FEW_TIMERS, FEW_TIMERS + 1, 40])
def test_timers_fire_before_a_plain_event_on_both_ways(customers: int) -> None:
    log = asked(customers)
    log.append(record(len(log), CART, START + SETTINGS.ask_interval_ms + HOUR_MS, "c00"))
    fast = same(log)
    assert fast.partition.tally.timers == customers
    assert fast.taken == len(log) - (customers > FEW_TIMERS)


def test_a_silence_of_years_is_the_same_on_both_ways() -> None:
    log = asked(3)
    log += [record(len(log) + number, CART, START + number * 30 * DAY_MS, "ann") for number in range(1, 16)]
    fast = same(log)
    assert fast.partition.tally.timers > 9
    assert fast.taken == len(log)


def test_a_timer_that_fails_is_buried_before_a_plain_event_on_both_ways() -> None:
    log = asked(4)
    log += [record(len(log) + number, CART, START + HOUR_MS + number, "c01") for number in range(3)]
    ways = Way(True), Way(False)
    for way in ways:
        fire = way.processor.on_timer

        def fails(state: Any, due: int, context: Any, fire: Any = fire) -> Any:
            if state.customer_id == "c01":
                raise ArithmeticError("broken")
            return fire(state, due, context)

        way.processor.on_timer = fails  # type: ignore[method-assign]
        way.feed(log)
    fast, long = ways
    assert fast.commit() == long.commit()
    assert fast.partition.tally.dead > 0
