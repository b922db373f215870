"""What verdicts cost and what that buys."""

import pytest

from swe_rm.errors import SweRmError
from tests.scoring_pools import Row, drawn, measured


def test_money_is_the_price_of_the_seconds_and_what_they_buy() -> None:
    rows = [
        Row("pump-0", "mill", True, 0.9, seconds=10),
        Row("pump-0", "mill", False, 0.1, seconds=20),
        Row("pump-1", "mill", True, 0.5),
        Row("pump-1", "mill", False, 0.5, seconds=30),
    ]
    found = measured(rows, price_per_hour=3.6).money
    assert found is not None
    assert found.per_1000_attempts == pytest.approx(1000 * 20 * 0.001)
    assert found.total == pytest.approx(4 * 20 * 0.001)
    assert found.resolved_tasks == pytest.approx(1.5)
    assert found.gained_tasks == pytest.approx(0.5)
    assert found.resolved_tasks_per_unit == pytest.approx(1.5 / 0.08)
    assert found.gained_tasks_per_unit == pytest.approx(0.5 / 0.08)


def test_without_seconds_there_is_no_price() -> None:
    found = measured(drawn(3, 2), price_per_hour=2.0).money
    assert found is not None
    assert found.per_1000_attempts is found.total is found.gained_tasks_per_unit is None
    assert measured(drawn(3, 2)).money is None


@pytest.mark.parametrize("price", [0, -1, float("nan")])
def test_a_price_is_above_zero(price: float) -> None:
    with pytest.raises(SweRmError, match="must be above 0"):
        measured(drawn(3, 2), price_per_hour=price)
