"""Traits: what varies inside a group, whatever its scale, in directions that do not count a thing twice."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from swe_rm.logged_policy import Choices, Plan, learn
from swe_rm.traits import RIDGE, Traits, traits_of
from swe_rm.verifiers.facts import HABITS

GROUPS = np.repeat(np.arange(8), 4)
NO_CUT = np.full(len(GROUPS), np.nan)
NAMES = list(HABITS)


def facts(**columns: Any) -> Any:
    found = np.zeros((len(GROUPS), len(NAMES)))
    for name, values in columns.items():
        found[:, NAMES.index(name)] = values
    return found


def test_what_is_the_same_in_a_group_is_no_trait() -> None:
    dice = np.random.default_rng(0)
    found = traits_of(facts(turns=dice.random(32), issue_links=GROUPS), GROUPS, NO_CUT)
    assert found.names == ("turns",)
    assert found.about == ("agent turns",)
    assert np.abs(np.add.reduceat(found.values, np.arange(0, 32, 4), axis=0)).max() < 1e-9


@given(values=arrays.arrays(np.float64, 32, elements=st.integers(-5, 5).map(float)))
def test_traits_follow_the_order_and_not_the_scale(values: Any) -> None:
    one, other = (traits_of(facts(turns=column), GROUPS, NO_CUT) for column in (values, np.exp(values)))
    assert np.allclose(one.values, other.values)


def test_directions_are_uncorrelated_and_keep_what_traits_say() -> None:
    dice = np.random.default_rng(1)
    turns = dice.random(32)
    found = traits_of(facts(turns=turns, actions=turns + 0.01 * dice.random(32), edits=dice.random(32)), GROUPS, NO_CUT)
    moments = found.directions.T @ found.directions / 32
    assert np.abs(moments - np.diag(np.diag(moments))).max() < 1e-9
    variances = np.linalg.eigvalsh(found.values.T @ found.values / 32)
    assert np.allclose(np.sort(np.diag(moments)), np.sort(variances / (variances + RIDGE)))
    fitted = found.directions @ np.linalg.lstsq(found.directions, found.values, rcond=None)[0]
    assert np.allclose(fitted, found.values, atol=1e-6)


def test_a_policy_is_a_trait_where_groups_hold_several() -> None:
    policies = np.array(["otter", "heron"] * 16, dtype=np.object_)
    found: Traits = traits_of(facts(), GROUPS, NO_CUT, policies)
    assert found.names == ("policy heron", "policy otter")
    assert np.allclose(np.abs(found.values), 1)


def test_tokens_that_were_cut_are_a_trait_and_unknown_ones_none() -> None:
    cut = np.where(np.arange(32) % 4 == 0, 100.0, np.nan)
    assert traits_of(facts(), GROUPS, cut).names == ("cut",)


def test_attempts_that_do_not_differ_have_no_traits_and_teach_nothing() -> None:
    found = traits_of(facts(), GROUPS, NO_CUT)
    assert (found.names, found.directions.shape) == ((), (32, 0))
    choices, rewards = Choices(GROUPS, np.arange(8), found.directions), np.arange(32) % 4 / 4
    assert np.ptp(learn(choices, rewards, rewards[None], Plan(steps=3, seeds=2)).curves, axis=1).max() == 0
