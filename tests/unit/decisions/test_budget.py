"""Budgets: exact shares, bounded memory, and no day that starts anew."""

from hypothesis import given
from hypothesis import strategies as st

from stream.decisions.budget import DAYS_KEPT, Budget, partition_share


@given(st.integers(0, 10_000), st.integers(1, 100))
def test_partition_shares_add_up_to_the_budget_and_differ_by_one_at_most(total, partitions):
    shares = [partition_share(total, partition, partitions) for partition in range(partitions)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


@given(st.lists(st.integers(0, 40), max_size=60))
def test_memory_is_bounded_and_what_is_spent_of_a_kept_day_only_grows(days):
    budget = Budget()
    for day in days:
        before = budget.spent("churn_risk", day)
        budget.count("churn_risk", day)
        assert budget.spent("churn_risk", day) == before + 1
        assert len(budget.days) <= DAYS_KEPT
        assert budget.spent("second_purchase", day) == 0


def test_a_forgotten_day_counts_towards_the_oldest_kept():
    budget = Budget()
    for day in range(1, DAYS_KEPT + 2):
        budget.count("churn_risk", day)
    assert budget.spent("churn_risk", 1) == budget.spent("churn_risk", 2) == 1
    budget.count("churn_risk", 1)
    assert budget.spent("churn_risk", 2) == 2
