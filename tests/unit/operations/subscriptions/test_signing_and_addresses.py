"""Signatures are those of the Standard Webhooks specification; addresses that are not public are known in every
form."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.operations.subscriptions.addresses import ForbiddenAddress, is_public, public_socket
from stream.operations.subscriptions.http import UnusableTarget, checked
from stream.operations.subscriptions.signing import Signer, UnusableSecret

# The example of the specification's reference libraries.
SECRET, ID, AT, BODY = (
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    1614265330,
    (b'{"test": 2432232314}'),
)
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_it_signs_as_the_specification_says() -> None:
    assert Signer(SECRET).headers(ID, AT, BODY) == {
        "webhook-id": ID,
        "webhook-timestamp": str(AT),
        "webhook-signature": SIGNATURE,
    }


def test_while_a_secret_is_changed_both_sign() -> None:
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    assert Signer(f"{other} {SECRET}").sign(ID, AT, BODY).split(" ")[1] == SIGNATURE


@given(st.binary(max_size=40), st.integers(0, 2**33))
def test_every_part_of_a_message_is_signed(body: bytes, at: int) -> None:
    signer = Signer(SECRET)
    alike = [signer.sign(ID, at, body), signer.sign(ID, at + 1, body), signer.sign(ID + "x", at, body)]
    assert len({*alike, signer.sign(ID, at, body + b" ")}) == 4


@pytest.mark.parametrize(
    "secret", ["", "  ", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64", SECRET + " whsec_c2hvcnQ="]
)
def test_a_weak_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(UnusableSecret) as caught:
        Signer(secret)
    assert "openssl rand" in str(caught.value)
    assert not secret.removeprefix("whsec_").strip() or secret not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",  # noqa: S104
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "233.252.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:a00:1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
        "fc00::1",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_no_socket_is_made_for_an_address_that_is_not_public(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(ForbiddenAddress):
        public_socket((2, 1, 6, "", (address, 443)))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101"])
def test_public_addresses_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://shop.example/",
        "https://",
        "https:///path",
        "http://shop.example/",
        "https://user:password@shop.example/",
        "https://[::1/",
        "https://2130706433/",
        "https://127.1/",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(UnusableTarget):
        checked(url, allow_private=False)


def test_plain_http_has_to_be_allowed() -> None:
    assert str(checked("http://shop.example/hook?a=b", allow_private=True)) == "http://shop.example/hook?a=b"
    assert str(checked("https://shop.example/hook", allow_private=False)) == "https://shop.example/hook"
