"""The policy over logged attempts learns as written out with loops, and as GSPO's loss says it should."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm.gspo import GRPO, GSPO, STD_FLOOR, group_advantages
from swe_rm.logged_policy import FOLDS, Choices, Learned, Plan, _picks, draw, held_out_tasks, learn
from swe_rm.metrics import Floats

PLAN = Plan(steps=25, seeds=3, batch=4, samples=5, learning_rate=0.2, seed=7)


def made(seed: int = 0, n_tasks: int = 9, d: int = 3) -> tuple[Choices, Floats, Floats]:
    """Groups of two to five attempts, some tasks with two groups; rewards; outcomes that the first trait shows."""
    dice = np.random.default_rng(seed)
    tasks = np.sort(np.concatenate([np.arange(n_tasks), dice.integers(0, n_tasks, 3)]))
    groups = np.repeat(np.arange(len(tasks)), dice.integers(2, 6, len(tasks)))
    directions = dice.standard_normal((len(groups), d))
    resolved = (directions[:, 0] + dice.standard_normal(len(groups)) > 0).astype(np.float64)
    return Choices(groups, tasks, directions), dice.random(len(groups)), resolved


def slow_learn(choices: Choices, rewards: Floats, watched: Floats, plan: Plan, seed: int) -> Floats:
    """One seed's curves, (watched, steps + 1), attempt by attempt."""
    members = [np.flatnonzero(choices.groups == group) for group in range(len(choices.tasks))]
    held = held_out_tasks(choices, plan, seed)[choices.tasks]
    taught, out = np.flatnonzero(~held), np.flatnonzero(held)
    rng = np.random.default_rng([plan.seed, seed, 1])
    weights = np.zeros(choices.directions.shape[1])
    curves = []
    for step in range(plan.steps + 1):
        chances = []
        for group in members:
            odds = [float(np.exp(weights @ choices.directions[one])) for one in group]
            chances.append([one / sum(odds) for one in odds])
        curves.append([
            np.mean([sum(p * column[a] for p, a in zip(chances[group], members[group], strict=True)) for group in out])
            for column in watched
        ])  # fmt: skip
        if step == plan.steps:
            break
        places, points = draw(rng, len(taught), plan)
        gradient = np.zeros_like(weights)
        for place, row in zip(places, points, strict=True):
            group = taught[place]
            mean = sum(p * choices.directions[one] for p, one in zip(chances[group], members[group], strict=True))
            picks = [int(np.searchsorted(np.cumsum(chances[group]), point, side="right")) for point in row]
            given = [rewards[members[group][min(pick, len(members[group]) - 1)]] for pick in picks]
            spread = np.std(given, ddof=1) + STD_FLOOR
            for pick, reward in zip(picks, given, strict=True):
                above = (reward - np.mean(given)) / spread
                gradient += above * (choices.directions[members[group][pick]] - mean)
        weights = weights + plan.learning_rate * gradient / (plan.batch * plan.samples)
    return np.array(curves).T


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_course_is_that_written_out(seed: int) -> None:
    choices, rewards, resolved = made(seed)
    watched = np.stack([resolved, rewards])
    found = learn(choices, rewards, watched, PLAN)
    for place in range(PLAN.seeds):
        slow = slow_learn(choices, rewards, watched, PLAN, place)
        assert found.curves[:, :, place] == pytest.approx(slow, abs=1e-5)  # chances are in single precision


def test_a_step_is_the_gradient_of_both_losses() -> None:
    choices, rewards, resolved = made(4)
    plan = PLAN.model_copy(update={"steps": 1, "seeds": 1})
    one_step = learn(choices, rewards, resolved[None], plan)
    held = held_out_tasks(choices, plan, 0)[choices.tasks]
    taught = np.flatnonzero(~held)
    places, points = draw(np.random.default_rng([plan.seed, 0, 1]), len(taught), plan)
    starts, sizes = choices.starts[taught[places]], np.bincount(choices.groups)[taught[places]]
    picks = starts[:, None] + (points * sizes[:, None]).astype(np.intp)  # before the first step all are as likely
    above = torch.tensor(group_advantages(rewards[picks]).reshape(-1))
    for objective in (GSPO, GRPO):
        weights = torch.zeros(choices.directions.shape[1], dtype=torch.float64, requires_grad=True)
        logits = torch.tensor(choices.directions) @ weights
        totals = torch.stack([logits[choices.groups == group].logsumexp(0) for group in range(len(choices.tasks))])
        logprobs = (logits - totals[choices.groups])[picks.reshape(-1)][:, None]
        objective(logprobs, logprobs.detach(), torch.ones(logprobs.shape), above).loss.backward()
        assert weights.grad is not None
        stepped = choices.chances(-plan.learning_rate * weights.grad.numpy()[None])
        assert one_step.chances == pytest.approx(stepped, abs=1e-6)


def test_rewards_that_are_all_equal_teach_nothing() -> None:
    choices, rewards, resolved = made(1)
    found = learn(choices, np.full_like(rewards, 0.7), resolved[None], PLAN)
    assert np.ptp(found.curves, axis=1).max() < 1e-6


@given(seed=st.integers(0, 50), shift=st.floats(-3, 3), times=st.floats(0.5, 4))
@settings(max_examples=10)
def test_what_is_learnt_does_not_depend_on_a_rewards_scale(seed: int, shift: float, times: float) -> None:
    choices, rewards, resolved = made(seed)
    rewards = np.round(rewards, 1)
    plan = PLAN.model_copy(update={"steps": 5})
    found, other = (learn(choices, one, resolved[None], plan) for one in (rewards, shift + times * rewards))
    assert found.chances == pytest.approx(other.chances, abs=5e-3)  # the floor of the deviation is of a fixed size


def test_rewards_of_held_out_tasks_are_never_seen() -> None:
    choices, rewards, resolved = made(2)
    plan = PLAN.model_copy(update={"seeds": 1})
    held = held_out_tasks(choices, plan, 0)[choices.tasks][choices.groups]
    assert 0 < held.sum() < len(held)
    other = np.where(held, 1 - rewards, rewards)
    found, again = (learn(choices, one, resolved[None], plan) for one in (rewards, other))
    assert np.array_equal(found.curves, again.curves)
    assert not np.array_equal(found.curves, learn(choices, 1 - rewards, resolved[None], plan).curves)


def test_five_seeds_measure_every_task_once_and_more_seeds_change_no_course() -> None:
    choices, rewards, resolved = made(3, n_tasks=23)
    few, many = (
        learn(choices, rewards, resolved[None], PLAN.model_copy(update={"seeds": seeds})) for seeds in (2, 2 * FOLDS)
    )
    assert (many.held_out.sum(axis=0) == 2).all()
    assert (many.held_out[:FOLDS].sum(axis=0) == 1).all()
    assert few.curves == pytest.approx(many.curves[:, :, :2], abs=1e-5)


def test_attempts_are_taken_as_often_as_they_are_likely() -> None:
    choices = Choices(np.array([0, 0, 0, 1, 1]), np.array([0, 1]), np.array([[2.0], [0.0], [-1.0], [0.5], [0.0]]))
    plan = Plan(steps=1, seeds=1, batch=20_000, samples=2)
    chances = choices.chances(np.ones((1, 1)))
    assert chances.reshape(-1)[:3].tolist() == pytest.approx((np.exp([2, 0, -1]) / np.exp([2, 0, -1]).sum()).tolist())
    places, points = draw(np.random.default_rng(0), 2, plan)
    picks = _picks(choices, chances, places[None], points[None])[0]
    assert (choices.groups[picks] == places[:, None]).all()
    for group in (0, 1):
        counted = np.bincount(picks[places == group].reshape(-1), minlength=5)[choices.groups == group]
        assert counted / counted.sum() == pytest.approx(chances[0][choices.groups == group], abs=0.015)


def test_a_trait_that_shows_the_truth_is_learnt_where_it_was_not_taught() -> None:
    choices, _, resolved = made(5, n_tasks=40)
    found: Learned = learn(choices, resolved, resolved[None], PLAN.model_copy(update={"steps": 200, "seeds": 5}))
    before, after = found.curves[0].mean(axis=1)[[0, -1]]
    assert after > before + 0.15
