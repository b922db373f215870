"""Rates of policies and tasks against counting them one by one."""

from hypothesis import given
from hypothesis import strategies as st

from swe_rm.priors import Known, Rates, prior_auc

POOLS = st.lists(
    st.builds(Known, policy=st.sampled_from("abc"), task=st.sampled_from("xyz"), resolved=st.booleans()), max_size=15
)


def mean(values: list[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def counted(pool: list[Known], same: str, other: str, row: Known) -> float:
    """The rate of those like `row` in `same` and not in `other`; the twin of both priors."""
    found = [
        one.resolved for one in pool
        if getattr(one, same) == getattr(row, same) and getattr(one, other) != getattr(row, other)
    ]  # fmt: skip
    elsewhere = [one.resolved for one in pool if one.task != row.task]
    return next((rate for rate in (mean(found), mean(elsewhere)) if rate is not None), 0.5)


@given(POOLS)
def test_priors_are_the_rates_one_counts(pool: list[Known]) -> None:
    rates = Rates(pool)
    for row in [*pool, Known("new", "x", True), Known("a", "new", True)]:
        assert rates.policy_prior(row.policy, row.task) == counted(pool, "policy", "task", row)
        assert rates.task_prior(row.policy, row.task) == counted(pool, "task", "policy", row)
        own = mean([one.resolved for one in pool if one.policy == row.policy])
        assert rates.policy_rate(row.policy) == (0.5 if own is None else own)


def test_an_attempt_itself_tells_nothing_of_its_prior() -> None:
    pool = [Known("a", "x", True), Known("a", "y", False)]
    assert Rates(pool).policy_prior("a", "x") == 0.0
    assert prior_auc(pool, lambda rates, row: rates.policy_prior(row.policy, row.task)) == 0.0
    assert prior_auc(pool, lambda rates, row: rates.policy_rate(row.policy)) == 0.5
    assert prior_auc(pool[:1], lambda rates, row: 0.5) is None
