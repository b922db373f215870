"""Rejection curves at the shares they are read at."""

import pytest

from tests.scoring_pools import Row, drawn, measured


def test_all_accepted_is_the_base_rate_and_what_picking_resolves() -> None:
    found = measured(drawn(20, 8))
    assert found.rejection is not None
    assert found.rejection.attempts[100] == pytest.approx(found.metrics.base_rate)
    assert found.rejection.tasks[100] == pytest.approx(found.metrics.rm_at_k[8])


def test_a_share_is_rounded_up_to_whole_attempts() -> None:
    rows = [Row(f"pump-{n}", "mill", n < 2, 1 - n / 10) for n in range(7)]
    found = measured(rows).rejection
    assert found is not None
    assert found.attempts[10] == found.tasks[10] == 1
    assert found.attempts[30] == pytest.approx(2 / 3)
    assert found.attempts[50] == pytest.approx(2 / 4)


def test_without_attempts_there_is_none() -> None:
    assert measured([]).rejection is None
