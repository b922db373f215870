"""A simulation tells leanings from noise, holds tasks out, counts what it leaves out, and says all of it in JSON."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from swe_rm.__main__ import main
from swe_rm.errors import SweRmError
from swe_rm.logged_policy import Plan
from swe_rm.metrics import Floats
from swe_rm.scored import Scored
from swe_rm.simulate import MIN_TASKS, Simulated, simulate
from swe_rm.simulation_report import headline, print_simulation
from swe_rm.trajectory import Outcome
from swe_rm.verifiers.facts import HABITS

QUICK = Plan(steps=120, seeds=5, batch=16)
NAMES = list(HABITS)


class World:
    """Attempts at 60 tasks by two policies, four each. A fact of the log shows the truth, another is a mere habit."""

    def __init__(self, n_tasks: int = 60) -> None:
        n = 8 * n_tasks
        dice = np.random.default_rng(11)
        self.truth, self.habit, self.noise = dice.standard_normal((3, n))
        self.resolved = dice.random(n) < logistic(1.5 * self.truth)
        self.facts = np.zeros((n, len(NAMES)))
        self.facts[:, NAMES.index("tests_after_edit")] = self.truth
        self.facts[:, NAMES.index("log_characters")] = self.habit
        self.tasks = np.repeat(np.arange(n_tasks), 8)
        self.policies = np.tile(np.repeat(["otter [a]", "otter [b]"], 4), n_tasks)

    def scored(self, scores: Floats) -> Scored:
        n = len(scores)
        named = {"repos": "", "sources": "made", "scaffolds": "made"}
        unknown = np.full(n, np.nan)
        return Scored(
            attempt_ids=np.array([f"a{place:04}" for place in range(n)], np.object_),
            tasks=np.array([f"t{task}" for task in self.tasks], np.object_),
            policies=np.array(self.policies, np.object_),
            attempts=np.array([str(place % 4) for place in range(n)], np.object_),
            **{name: np.array([value] * n, np.object_) for name, value in named.items()},
            outcomes=np.where(self.resolved, Outcome.RESOLVED, Outcome.UNRESOLVED).astype(np.object_),
            scores=scores, raw_scores=scores, verdict_mass=unknown, prompt_tokens=unknown, truncated_tokens=unknown,
            seconds=unknown, lengths=unknown, verifier="made@1",
        )  # fmt: skip

    def taught(self, scores: Floats, **options: Any) -> Simulated:
        return simulate(self.scored(scores), self.facts, plan=QUICK, **options)


def logistic(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-values)))


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def judged(world: World) -> dict[str, Simulated]:
    return {
        "sharp": world.taught(logistic(world.truth)),
        "noisy": world.taught(logistic(world.truth + 4 * world.noise)),
        "biased": world.taught(logistic(world.truth + 2.5 * world.habit)),
        "wrong": world.taught(logistic(-world.truth)),
        "constant": world.taught(np.full(len(world.truth), 0.5)),
    }


def test_noise_averages_out_and_a_leaning_does_not(judged: dict[str, Simulated]) -> None:
    noisy, biased = judged["noisy"].task, judged["biased"].task
    plain = noisy.beside.auc_in_groups, biased.beside.auc_in_groups
    assert plain == (pytest.approx(0.612, abs=0.001), pytest.approx(0.595, abs=0.001))  # hardly differ
    assert biased.beside.top > noisy.beside.top  # and the biased one picks better
    assert noisy.taught.final > biased.taught.final + 0.03
    assert judged["sharp"].task.taught.final > noisy.taught.final - 0.02
    assert judged["wrong"].task.taught.gain < -0.1


def test_the_lesson_is_named(judged: dict[str, Simulated]) -> None:
    first = judged["biased"].task.lessons[0]
    assert (first.trait, first.about) == ("log_characters", HABITS["log_characters"][0])
    assert first.shift > 0.5 > abs(first.shift_by_outcomes)
    assert judged["sharp"].task.lessons[0].trait == "tests_after_edit"


def test_scores_that_are_all_equal_leave_everything_as_it_was(world: World, judged: dict[str, Simulated]) -> None:
    taught = judged["constant"].task.taught
    assert taught.start == pytest.approx(world.resolved.mean())  # five seeds hold every task out once
    assert taught.gain == pytest.approx(0, abs=1e-6)
    assert "not shown to teach" in headline(judged["constant"])


def test_controls_are_trained_in_the_same_way(judged: dict[str, Simulated]) -> None:
    sharp = judged["sharp"].task
    assert sharp.controls.keys() == {"oracle", "policy_prior"}
    assert judged["sharp"].same_policy is not None
    assert judged["sharp"].same_policy.controls.keys() == {"oracle"}
    oracle = sharp.controls["oracle"]
    assert oracle.reward == oracle.resolve_rate
    assert oracle.gain > 0.1 > abs(sharp.controls["policy_prior"].gain)


def test_intervals_hold_the_figures_and_tell_help_from_harm(judged: dict[str, Simulated]) -> None:
    for found in judged.values():
        taught = found.task.taught
        for name, value in {"start": taught.start, "final": taught.final, "final_reward": taught.final_reward}.items():
            bounds = taught.intervals[name]
            assert bounds is not None
            assert bounds[0] <= value <= bounds[1]
    sharp, wrong = (judged[name].task.taught.intervals["gain"] for name in ("sharp", "wrong"))
    assert sharp is not None
    assert wrong is not None
    assert sharp[0] > 0 > wrong[1]
    assert "resolve LESS" in headline(judged["wrong"])


def test_what_each_task_came_to_adds_up_to_the_figures(judged: dict[str, Simulated]) -> None:
    for part in (judged["noisy"].task, judged["noisy"].same_policy):
        assert part is not None
        before, after = np.mean(list(part.taught.held_out.values()), axis=0)
        assert (before, after) == pytest.approx((part.taught.start, part.taught.final), abs=1e-6)
        curves = np.array([course.resolve_rate for course in part.per_seed])
        assert curves.shape == (QUICK.seeds, QUICK.steps + 1)
        assert curves.mean(axis=0) == pytest.approx(part.taught.resolve_rate, abs=1e-6)


def test_configurations_of_a_policy_are_one_policy_where_asked(world: World, judged: dict[str, Simulated]) -> None:
    exact, family = judged["sharp"].same_policy, world.taught(logistic(world.truth), policy="family").same_policy
    assert exact is not None
    assert family is not None
    assert (exact.n_groups, family.n_groups) == (120, 60)


def test_nothing_depends_on_the_order_of_the_attempts(world: World, judged: dict[str, Simulated]) -> None:
    order = np.random.default_rng(0).permutation(len(world.truth))
    shuffled = world.scored(logistic(world.truth + 4 * world.noise))[order]
    assert simulate(shuffled, world.facts[order], plan=QUICK) == judged["noisy"]


def test_another_reward_takes_the_place_of_the_scores(world: World, judged: dict[str, Simulated]) -> None:
    scores = logistic(world.truth + 2.5 * world.habit)
    hybrid = world.taught(scores, rewards=world.resolved + scores)
    assert hybrid.task.beside == judged["biased"].task.beside
    assert hybrid.task.controls == judged["biased"].task.controls
    assert hybrid.task.taught.final > judged["biased"].task.taught.final + 0.03
    assert max(hybrid.task.taught.reward) > 1
    assert world.taught(scores, rewards=scores) == judged["biased"]


def test_what_is_left_out_is_counted() -> None:
    world = World(12)
    scores = logistic(world.truth)
    scores[3] = np.nan
    scored = world.scored(scores)
    scored.outcomes[4:6] = Outcome.UNKNOWN
    scored.tasks[8] = "alone"
    found = simulate(scored, world.facts, plan=QUICK, trained_on=frozenset({"t1", "elsewhere"}))
    assert (found.n_unscored, found.n_unknown, found.task.n_attempts) == (1, 2, 96 - 4)
    assert found.warnings == (
        "the verifier was trained on 1 of these tasks: at others its scores are worse teachers",
        "attempts left out: 1 without a verdict",
        "attempts left out: 2 without a known outcome",
        "attempts left out: 1 alone at their task",
        "attempts at a task: 12 groups have both outcomes, and the figures rest on them alone",
        "one policy's attempts at a task: 20 groups have both outcomes, and the figures rest on them alone",
    )


def test_too_few_tasks_are_refused_and_too_few_repeats_said() -> None:
    few = World(MIN_TASKS - 1)
    with pytest.raises(SweRmError, match=f"fewer than {MIN_TASKS} tasks"):
        few.taught(logistic(few.truth))
    once = World(MIN_TASKS)
    once.policies = np.array([f"p{place % 8}" for place in range(len(once.truth))])
    found = once.taught(logistic(once.truth))
    assert found.same_policy is None
    assert found.to_json()["same_policy"] is None
    assert any("by one policy" in warning for warning in found.warnings)
    shown = io.StringIO()
    print_simulation(found, Console(file=shown, width=100))
    assert "one policy's" not in shown.getvalue()


# --- the command -----------------------------------------------------------------------------------------------------


def pond(folder: Path, n_tasks: int) -> Path:
    """Rows of four attempts a task; the longer the last words, the more often resolved."""
    rows = [
        {
            "source": "made", "policy": ["otter", "heron"][number % 2], "scaffold": "plain", "run": f"r{number % 4}",
            "instance_id": f"pond__reeds-{number // 4}", "repo": "pond/reeds", "label_source": "made",
            "messages": [
                {"role": "user", "content": "The reeds grow sideways."},
                {"role": "assistant", "content": f"I cut them, try {number}" + "!" * (number * 7 % 5)},
            ],
            "patch": "+" * (1 + number * 7 % 5), "resolved": number * 7 % 5 > 2,
        }
        for number in range(4 * n_tasks)
    ]  # fmt: skip
    file = folder / "pond.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_the_command_writes_curves_and_finals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attempts, verdicts = pond(tmp_path, 12), tmp_path / "verdicts.jsonl"
    verdicts.write_text(
        "".join(
            json.dumps({
                "instance_id": f"pond__reeds-{n // 4}", "policy": ["otter", "heron"][n % 2], "attempt": f"r{n % 4}",
                "score": 0.1 + n * 7 % 5 / 10, "verifier": "bangs@1",
            })
            + "\n"
            for n in range(48)
        )
    )  # fmt: skip
    out = tmp_path / "out.json"
    words = ["simulate", str(attempts), "--verdicts", str(verdicts), "--steps", "40", "--seeds", "5"]
    assert main([*words, "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert list(found)[:4] == ["verifier", "policy", "plan", "n_unscored"]
    assert (found["verifier"], len(found["resolve_rate"]), len(found["reward"])) == ("bangs@1", 41, 41)
    assert [len(course["resolve_rate"]) for course in found["per_seed"]] == [41] * 5
    assert found["intervals"].keys() == {"start", "final", "gain", "final_reward"}
    assert found["final"] > found["start"]
    assert found["same_policy"]["n_groups"] == 24
    shown = capsys.readouterr()
    assert "bangs@1: its scores would teach a policy to resolve more" in shown.out
    assert main([*words, "--json", str(out)]) == 0  # a document of ours is overwritten
    assert main(["simulate", str(attempts), "--verifier", "policy_prior", "--steps", "3", "--seeds", "2"]) == 0
    assert "policy_prior@1: its scores " in capsys.readouterr().out


def test_a_pool_that_leaves_no_choice_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(pond(tmp_path, 2)), "--verifier", "constant"]) == 1
    assert capsys.readouterr().err.strip().splitlines() == [
        f"swe-rm: fewer than {MIN_TASKS} tasks have two attempts with a verdict and a known outcome"
    ]
    assert main(["simulate", str(tmp_path), "--verifier", "oracle", "--verdicts", "x"]) == 1


def test_what_the_documentation_shows_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[1] / "docs" / "simulate.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(code, "simulate.md", "exec"), {})
    *advantages, curve = capsys.readouterr().out.splitlines()
    assert advantages[1].strip() == "[ 0.    0.    0.    0.  ]]"
    before, after = map(float, curve.strip("[]").split())
    assert after > before + 0.3
