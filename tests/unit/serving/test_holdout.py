import hashlib

from serving.holdout import DEMO_SHARE, demo_customers, is_demo_customer, listed_hash


def test_the_rule_is_the_keyed_hash_below_the_share():
    for customer in map(str, range(12_346, 12_400)):
        digest = hashlib.sha256(b"tidemark-demo-v1:" + customer.encode()).hexdigest()
        assert is_demo_customer(customer) == (int(digest[:16], 16) / 2**64 < DEMO_SHARE)


def test_the_share_is_kept_on_many_customers():
    ids = [str(n) for n in range(20_000)]
    assert abs(len(demo_customers(ids)) / len(ids) - DEMO_SHARE) < 0.01


def test_a_listed_hash_can_be_checked_by_anyone():
    assert listed_hash("13085") == hashlib.sha256(b"13085").hexdigest()[:16]
