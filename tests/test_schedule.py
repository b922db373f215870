"""Every example is shown as often as the epochs say, pairs stay together, and no process waits for another."""

import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm import schedule
from swe_rm.recipe import TrainConfig
from swe_rm.schedule import learning_rate, plan
from swe_rm.training_data import TrainingExample

NO, YES = 0, 1


def shaped(lengths: list[int]) -> list[TrainingExample]:
    return [TrainingExample(range(length), 0, 1.0) for length in lengths]


def config(**changes: object) -> TrainConfig:
    return TrainConfig.model_validate({"name": "t", "out": "x", "data": ["d"], **changes})


def attempts(n_tasks: int = 12, tries: int = 4) -> list[TrainingExample]:
    """Two policies; of each task's tries some are resolved."""
    return [
        TrainingExample(
            range(20 + 7 * number % 90), int((task + number) % 3 == 0), 1.0, f"task-{task}", "ab"[number % 2]
        )
        for task in range(n_tasks)
        for number in range(tries)
    ]


def test_best_fit_rows_are_fewer_fuller_and_another_order_each_epoch() -> None:
    lengths = [10 + (number * 37) % 390 for number in range(300)]
    settings = {"name": "t", "out": "x", "data": ["d"], "epochs": 2, "tokens_per_row": 400, "tokens_per_step": 400}
    plans = {
        packing: plan(shaped(lengths), TrainConfig.model_validate({**settings, "packing": packing}))
        for packing in ("in_order", "best_fit")
    }
    rows = {packing: [members for step in steps for members in step.rows] for packing, steps in plans.items()}
    assert len(rows["best_fit"]) < 0.9 * len(rows["in_order"])
    half = len(rows["best_fit"]) // 2
    assert rows["best_fit"][:half] != rows["best_fit"][half:]
    assert rows["best_fit"][0] != max(rows["best_fit"], key=lambda members: lengths[members[0]])


@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=40),
    epochs=st.sampled_from([0.5, 1, 2, 2.25]),
    seed=st.integers(0, 5),
    packing=st.sampled_from(["in_order", "best_fit"]),
)
def test_the_plan_shows_every_example_once_an_epoch(lengths: list[int], epochs: float, seed: int, packing: str) -> None:
    settings = {"epochs": epochs, "seed": seed, "packing": packing, "tokens_per_row": 400, "tokens_per_step": 800}
    run = TrainConfig.model_validate({"name": "t", "out": "x", "data": ["d"], **settings})
    steps = plan(shaped(lengths), run)
    shown = Counter(i for step in steps for members in step.rows for i in members)
    assert sum(shown.values()) == int(epochs) * len(lengths) + round((epochs % 1) * len(lengths))
    assert max(shown.values(), default=0) <= math.ceil(epochs)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert [step.tokens for step in steps] == [sum(lengths[i] for row in step.rows for i in row) for step in steps]
    assert all(step.tokens <= 800 for step in steps)
    assert all(sum(lengths[i] for i in members) <= 400 for step in steps for members in step.rows)


@given(steps=st.integers(1, 500))
def test_the_rate_rises_then_falls_to_a_tenth(steps: int) -> None:
    run = TrainConfig(name="t", out=Path("x"), data=(Path("d"),), learning_rate=2.0)
    rates = [learning_rate(step, steps, run) for step in range(1, steps + 1)]
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0 < min(rates) <= max(rates) <= 2.0
    if steps > 40:
        assert rates[-1] == pytest.approx(0.2)


@given(
    even=st.sampled_from([(), ("length",), ("policy",), ("length", "policy")]),
    weight=st.sampled_from([0.0, 1.0]),
    packing=st.sampled_from(["in_order", "best_fit"]),
    seed=st.integers(0, 3),
)
def test_balanced_and_paired_steps_show_every_example_once(
    even: tuple[str, ...], weight: float, packing: str, seed: int
) -> None:
    examples = attempts()
    changes = {"even": even, "pairwise_weight": weight, "packing": packing, "seed": seed}
    steps = plan(examples, config(epochs=2, tokens_per_row=200, tokens_per_step=600, **changes))
    shown = Counter(index for step in steps for index in step.members)
    assert shown == dict.fromkeys(range(len(examples)), 2)
    assert all(step.tokens <= 600 for step in steps)
    assert all(sum(len(examples[i].token_ids) for i in row) <= 200 for step in steps for row in step.rows)


def test_a_resolved_and_an_unresolved_attempt_at_one_task_come_in_one_step() -> None:
    examples = attempts()
    tasks = Counter(example.task for example in examples if example.verdict_id == YES)
    possible = sum(min(n, 4 - n) for n in tasks.values())
    settings = {"epochs": 1, "tokens_per_row": 200, "tokens_per_step": 400}
    found = {}
    for weight in (0.0, 1.0):
        steps = plan(examples, config(pairwise_weight=weight, **settings))
        found[weight] = sum(len(schedule.pairs(step.members, examples, YES)) for step in steps)
    assert found[1.0] >= possible > found[0.0]
    for step in plan(examples, config(pairwise_weight=1.0, **settings)):
        for good, bad in schedule.pairs(step.members, examples, YES):
            first, second = (examples[step.members[place]] for place in (good, bad))
            assert (first.task, first.verdict_id, second.verdict_id) == (second.task, YES, NO)


def test_examples_of_no_task_are_paired_with_none() -> None:
    examples = [TrainingExample(range(9), number % 2, 1.0) for number in range(8)]
    assert schedule.pairs(range(8), examples, YES) == []
    assert len(plan(examples, config(epochs=1, pairwise_weight=1.0))) == 1


def test_even_steps_show_each_policy_and_length_in_its_share() -> None:
    examples = [
        TrainingExample(range(100 if number % 2 else 20), 0, 1.0, policy="rare" if number < 40 else "common")
        for number in range(400)
    ]
    settings = {"epochs": 1, "tokens_per_row": 400, "tokens_per_step": 2_400}
    for even, least in ((("policy",), 2), ((), 0)):
        steps = plan(examples, config(even=even, **settings))[:-1]
        rare = [sum(examples[index].policy == "rare" for index in step.members) for step in steps]
        assert min(rare) >= least
        assert max(rare) - min(rare) >= (0 if even else 3)
    long = [
        sum(len(examples[index].token_ids) == 100 for index in step.members) / len(step.members)
        for step in plan(examples, config(even=("length",), **settings))[:-1]
    ]
    assert max(long) - min(long) < 0.12


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=20), processes=st.integers(1, 8))
def test_processes_get_equally_many_rows_and_each_row_is_read_once(lengths: list[int], processes: int) -> None:
    shares = schedule.shares(lengths, processes)
    assert len({len(share) for share in shares}) == 1
    assert sorted(row for share in shares for row in share if row >= 0) == list(range(len(lengths)))
    assert sum(row < 0 for share in shares for row in share) < processes
    firsts = [lengths[share[0]] for share in shares if share[0] >= 0]
    assert firsts == sorted(lengths, reverse=True)[: len(firsts)]


def test_an_empty_epoch_part_is_an_error_of_nobody() -> None:
    assert plan(shaped([5]), config(epochs=0.25)) == []
    assert math.isclose(learning_rate(1, 1, config(learning_rate=3.0)), 3.0)
