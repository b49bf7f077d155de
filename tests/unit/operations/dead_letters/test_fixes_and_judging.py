"""A letter is put back as it was refused or mended: where today's validation takes it and that means something."""

import json

import pytest

from stream.contracts.codec import encode
from stream.contracts.dead_letters import VALUE_LIMIT
from stream.contracts.emission import DeadLetterCode, Origin
from stream.contracts.erasures import Erasure, erasure_key
from stream.contracts.headers import REDRIVEN, REDRIVEN_FROM, TICK
from stream.contracts.partitioning import partition_for
from stream.contracts.scores import ScoreRequest
from stream.operations.dead_letters.fixes import Change, FixFailed, Payload, Typed
from stream.operations.dead_letters.json_patch import InvalidPatch
from stream.operations.dead_letters.judging import Judge, NotRedrivable
from stream.operations.dead_letters.letters import Letter
from stream.profiles import codec
from stream.profiles.profile import Profile
from stream.profiles.settings import ProfileSettings
from stream.workers.erased import Erasures, Remembered
from tests.unit.operations.dead_letters.letters import EVENTS, NOW, REQUESTS, event, foreign, judge, letter

AS_IT_IS = Change()


def refused(each: Letter, fix: Change | Typed = AS_IT_IS, named: bool = False) -> tuple[str, str]:
    with pytest.raises(NotRedrivable) as caught:
        judge().judge(each, fix, NOW, named)
    return caught.value.code, str(caught.value)


def test_an_unchanged_letter_goes_back_byte_by_byte_to_the_partition_of_its_key() -> None:
    value = b' {"a": 1.50, ' + event()[1:]
    back = judge().judge(letter(value, "too_late", headers=[("x", b"1")]), AS_IT_IS, NOW, False)
    assert (back.topic, back.partition, back.key, back.value) == (EVENTS, partition_for(b"ada", 4), b"ada", value)
    assert back.headers == (("x", b"1"), (REDRIVEN, b"1"), (REDRIVEN_FROM, b"customer.events.v1:1:7"))


@pytest.mark.parametrize(
    ("broken", "change"),
    [
        (event(time=NOW // 1000), Change(expressions=["time=@*1000"])),
        (event(items=[{"item_id": "tea", "price": "12"}]), Change(expressions=["items[*].price=number(@)"])),
        (event(type="buy"), Change('{"type": "purchase"}')),
        (event(currency="XXX"), Change('[{"op": "remove", "path": "/currency"}]')),
        (event(items=[{"item_id": "tea", "price": float("nan")}]), Change(expressions=["items[0].price=1"])),
        (event(customer_id="eve"), Change(rekey=True)),
        (event(customer_id=None, anonymous_id="v"), Change(rekey=True)),
        (event(customer_id=13085), Change(expressions=["customer_id=text(@)"], rekey=True)),
    ],
)
def test_a_change_mends_what_validation_refuses(broken: bytes, change: Change) -> None:
    refused(letter(broken))
    back = judge().judge(letter(broken), change, NOW, False)
    mended = json.loads(back.value)
    assert back.key.decode() == mended.get("customer_id", mended.get("anonymous_id"))
    assert mended["event_id"] == "e1"


def test_settings_of_today_count() -> None:
    paid = letter(event(currency="EUR"), "unknown_currency")
    assert refused(paid)[0] == "unknown_currency"
    assert judge(exchange_rates={"EUR": 0.9}).judge(paid, AS_IT_IS, NOW, False).value == paid.value


def test_what_was_in_the_future_is_taken_when_its_time_has_come() -> None:
    ahead = letter(event(time=NOW), "in_future")
    with pytest.raises(NotRedrivable, match="ahead of the broker"):
        judge().judge(ahead, AS_IT_IS, NOW - 3_600_000, False)
    assert judge().judge(ahead, AS_IT_IS, NOW, False)


@pytest.mark.parametrize("code", ["fold_error", "stage_error", "too_large", "quarantined"])
def test_a_cause_that_nobody_can_see_has_to_be_named(code: DeadLetterCode) -> None:
    each = letter(event(), code)
    assert refused(each)[0] == "cause_elsewhere"
    assert judge().judge(each, AS_IT_IS, NOW, True).value == each.value


def test_a_timer_has_no_record_to_put_back() -> None:
    assert refused(letter(None, "fold_error", timestamp=0), named=True)[0] == "timer"


def test_a_record_without_a_value_is_no_timer() -> None:
    assert refused(letter(None, "not_json"))[0] == "not_json"


@pytest.mark.parametrize(
    ("value", "key"), [(b"x" * (VALUE_LIMIT + 1), b"ada"), (event(), b"k" * 20_000)], ids=["value", "key"]
)
def test_what_was_cut_cannot_be_put_back_whatever_is_typed(value: bytes, key: bytes) -> None:
    code, said = refused(letter(value, "too_large", key=key), Typed(Payload(b"ada", event(), ())), named=True)
    assert (code, "send it again from its source" in said) == ("cut", True)


def test_a_mended_record_over_what_letters_may_have_is_refused() -> None:
    large = event(items=[{"item_id": "tea", "price": 1, "item_name": "x" * VALUE_LIMIT}])
    assert refused(letter(event()), Typed(Payload(b"ada", large, ())))[0] == "too_large"


def test_a_stranger_and_another_topic_are_refused() -> None:
    assert refused(foreign(b"x"))[0] == "foreign"
    assert refused(letter(event(), origin=Origin("old.events", 0, 0)))[0] == "other_topic"


def test_a_tick_is_not_put_back() -> None:
    tick = encode({"event_id": "t", "type": "tick", "time": NOW})
    assert refused(letter(tick, "in_future", key=None, headers=[(TICK, b"1")]))[0] == "outdated"
    assert refused(letter(tick, "forged_tick"))[0] == "forged_tick"


@pytest.mark.parametrize("kind", ["erase", "consent"])
def test_an_erasure_or_a_withdrawal_that_decisions_failed_at_is_put_back_as_it_is(kind: str) -> None:
    value = encode(ScoreRequest(kind=kind, customer_id="ada", as_of=NOW, marketing=False))  # type: ignore[arg-type]
    each = letter(value, "fold_error", origin=Origin(REQUESTS, 0, 3))
    back = judge().judge(each, AS_IT_IS, NOW, True)
    assert (back.topic, back.partition, back.value) == (REQUESTS, partition_for(b"ada", 4), value)
    assert refused(each, Change('{"as_of": 1}'), named=True)[0] == "fix_failed"


@pytest.mark.parametrize(
    "request_of_then",
    [
        ScoreRequest(kind="tick", as_of=NOW),
        ScoreRequest(kind="consent", customer_id="ada", as_of=NOW, personalization=True, marketing=True),
        ScoreRequest(kind="score", customer_id="ada", as_of=NOW, profile=codec.encode(Profile(customer_id="ada"))),
    ],
    ids=lambda request: request.kind,
)
def test_a_request_that_tells_of_the_customer_of_then_is_not_put_back(request_of_then: ScoreRequest) -> None:
    key = None if request_of_then.kind == "tick" else b"ada"
    each = letter(encode(request_of_then), "fold_error", key=key, origin=Origin(REQUESTS, 0, 3))
    assert refused(each, named=True)[0] == "outdated"


@pytest.mark.parametrize(
    ("value", "change", "said"),
    [
        (b"{", Change("{}"), "not JSON"),
        (None, Change("{}"), "not JSON"),
        (b"[" * 100_000, Change("{}"), "not JSON"),
        (b'{"a": NaN}', Change('{"b": 1}'), "what comes out is not JSON"),
        (b'"\\ud800"', Change(expressions=["a=1"]), "leads nowhere"),
        (b'{"a": "\\ud800"}', Change('{"b": 1}'), "what comes out is not JSON"),
        (b"{}", Change('[{"op": "remove", "path": "/a"}]'), "there is nothing at /a"),
        (b"{}", Change(rekey=True), "names neither"),
    ],
)
def test_a_change_that_does_not_fit_leaves_the_letter_open(value: bytes | None, change: Change, said: str) -> None:
    with pytest.raises(FixFailed, match=said):
        change.apply(letter(value))
    assert refused(letter(value), change)[0] == "fix_failed"


@pytest.mark.parametrize(("patch", "said"), [("{", "is not JSON"), ("1", "an object"), ('[{"op": "x"}]', "op must be")])
def test_what_is_no_patch_is_refused(patch: str, said: str) -> None:
    with pytest.raises(InvalidPatch, match=said):
        Change(patch)


def test_a_change_says_what_it_is() -> None:
    assert Change('{"a": 1}', ["b=2"], True).described == '{"a": 1}; b=2; rekey'
    assert AS_IT_IS.described == ""


def test_a_letter_older_than_its_customer_s_erasure_is_not_put_back_whatever_it_is_mended_to() -> None:
    def judged(erased_at: int) -> Judge:
        gone = Erasure(role="profiles", topic_id="log", partition=3, offset=9, erased_at=erased_at)
        known = Erasures(b"s", "profiles", "log", [Remembered(erasure_key(b"s", "profiles", b"ada"), gone)])
        return Judge(EVENTS, REQUESTS, {EVENTS: 4, REQUESTS: 4}, ProfileSettings(), known)

    # Under another key, and on another partition: it is the customer that it would be about that counts.
    each = letter(event(), "wrong_key", key=b"somebody", timestamp=NOW - 5)
    mended = Typed(Payload(b"ada", event(), ()))
    assert getattr(judged(NOW - 5).refusal(each, mended, NOW), "code", "") == "erased"
    assert judged(NOW - 6).refusal(each, mended, NOW) is None
