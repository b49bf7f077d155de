"""The hold-out: drawn fairly, and out of reach of whoever mails."""

from math import sqrt

import pytest

from stream.contracts import topics

CUSTOMERS = 2_000


def lives(shop, in_force, count):
    """Topics of every transition of some customers, each of whom has an alert raised, updated and resolved."""
    for number in range(count):
        customer = shop.regular(f"customer-{number}", in_force)
        raised = customer.asks(90, 0.85)
        records = [raised, customer.asks(91, 0.95), customer.asks(92, 0.1)]
        yield customer, records


def test_held_out_alerts_are_on_their_own_topic_from_the_first_transition_to_the_last(shop):
    for customer, records in lives(shop, shop.policies(holdout_share=0.5), 40):
        arm = records[0].alerts[0].experiment.arm
        written = {output.topic for output in customer.log}
        if arm == "holdout":
            assert topics.ALERTS not in written
            assert topics.ALERTS_OPEN not in written
        else:
            assert topics.ALERTS_HOLDOUT not in written
        assert [alert.experiment.arm for each in records for alert in each.alerts] == [arm] * 3


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_share_held_out_is_as_configured(shop, share):
    in_force = shop.policies(holdout_share=share)
    held_out = sum(
        bool(shop.regular(f"customer-{number}", in_force).asks(90, 0.85).of(topics.ALERTS_HOLDOUT))
        for number in range(CUSTOMERS)
    )
    # Four standard deviations: a fair draw fails once in 16,000 times, and this one is the same every time.
    assert abs(held_out - CUSTOMERS * share) < 4 * sqrt(CUSTOMERS * share * (1 - share))


@pytest.mark.parametrize(("share", "topic"), [(0.0, topics.ALERTS), (1.0, topics.ALERTS_HOLDOUT)])
def test_nobody_and_everybody_can_be_held_out(shop, share, topic):
    in_force = shop.policies(holdout_share=share)
    assert all(shop.regular(f"c{number}", in_force).asks(90, 0.85).of(topic) for number in range(20))


def test_a_customer_stays_in_the_arm_from_episode_to_episode(shop):
    in_force = shop.policies(holdout_share=0.5)
    for number in range(10):
        customer = shop.regular(f"c{number}", in_force)
        arms = []
        for day in (75, 106, 137):
            arms += [alert.experiment.arm for alert in customer.asks(day, 0.85).alerts]
            customer.asks(day + 1, 0.1)
        assert len(arms) == 3
        assert len(set(arms)) == 1


def test_another_salt_or_experiment_draws_anew(shop):
    def arms(**settings):
        in_force = shop.policies(holdout_share=0.5, **settings)
        return [shop.regular(f"c{n}", in_force).asks(90, 0.85).alerts[0].experiment.arm for n in range(40)]

    first = arms()
    assert arms() == first
    assert arms(salt_version="2") != first
    assert arms(experiment_id="other") != first


def test_both_arms_spend_the_budget(shop):
    in_force = shop.policies(holdout_share=1.0)
    customer = shop.regular(in_force=in_force)
    customer.asks(90, 0.85)
    assert customer.budget.spent("churn_risk", shop.at(90) // 86_400_000) == 1
