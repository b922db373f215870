"""Attempts through mini-swe-agent: written in its format, read by our sources, labelled by their tests, made again."""

import json
import os
import random
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from swe_rm.__main__ import main
from swe_rm.errors import RecordError, SweRmError
from swe_rm.playground import rollouts
from swe_rm.playground.actions import Options, options
from swe_rm.playground.attempts import Observation, attempt
from swe_rm.playground.checkouts import Checkouts
from swe_rm.playground.episode import Episode, episode
from swe_rm.playground.labelling import Label, Labeller
from swe_rm.playground.manifest import Manifest, claim
from swe_rm.playground.policies import POLICIES
from swe_rm.playground.rollouts import RolloutConfig, jobs, roll_out
from swe_rm.playground.sandbox import Limits, Ran, Sandbox, SandboxError, Scratch
from swe_rm.playground.world import PlaygroundTask, chosen, read_world
from swe_rm.sources import open_pile
from swe_rm.trajectory import Labelled, Outcome

pytest.importorskip("minisweagent", reason="the extra agents is not installed")


@pytest.fixture(scope="module")
def tasks(world: Path) -> list[PlaygroundTask]:
    return chosen(read_world(world), most=1)


@pytest.fixture(scope="module")
def runs(world: Path, tasks: list[PlaygroundTask], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rollouts") / "runs"
    done = roll_out(tasks, world, out, RolloutConfig(attempts=2))
    assert (done.wanted, done.made, done.there, done.failed) == (20, 20, 0, ())
    return out


def read(folder: Path) -> list[Labelled]:
    pile = open_pile([folder])
    found = list(pile.attempts())
    assert not pile.refusals
    return found


def test_every_attempt_is_read_with_its_issue_its_policy_and_its_outcome(
    runs: Path, tasks: list[PlaygroundTask]
) -> None:
    found = read(runs)
    assert len(found) == 20
    assert {item.trajectory.origin.policy for item in found} == {f"mini-SWE-agent+{name}" for name in POLICIES}
    assert {item.trajectory.origin.source for item in found} == {"mini-swe-agent"}
    statements = {task.instance_id: task.problem_statement for task in tasks}
    for item in found:
        assert item.trajectory.task.statement == statements[item.trajectory.task.instance_id]
        assert item.outcome is not Outcome.UNKNOWN
        assert item.trajectory.finished == bool(item.trajectory.patch)
    assert {item.outcome for item in found} == {Outcome.RESOLVED, Outcome.UNRESOLVED}


def test_the_same_config_gives_the_same_attempts(
    runs: Path, world: Path, tasks: list[PlaygroundTask], tmp_path: Path
) -> None:
    roll_out(tasks, world, tmp_path / "again", RolloutConfig(attempts=2), workers=2)
    first, again = ({item.trajectory.key: item for item in read(folder)} for folder in (runs, tmp_path / "again"))
    assert {key: (item.trajectory.content_hash, item.outcome) for key, item in first.items()} == {
        key: (item.trajectory.content_hash, item.outcome) for key, item in again.items()
    }
    assert len({item.trajectory.content_hash for item in first.values()}) > 10


def test_what_is_there_is_not_made_again(runs: Path, world: Path, tasks: list[PlaygroundTask]) -> None:
    config = RolloutConfig(attempts=2)
    gone = jobs(tasks, config)[3].file(runs)
    before = gone.stat().st_mtime_ns
    gone.with_name("report.json").unlink()
    done = roll_out(tasks, world, runs, config)
    assert (done.there, done.made) == (19, 1)
    assert gone.stat().st_mtime_ns > before
    assert len(read(runs)) == 20


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"seed": 77}, "made with seed 0, not 77; give another"),
        ({"step_limit": 3, "seed": 1}, "made with seed 0, not 1; step_limit 20, not 3; give another"),
        ({"limits": Limits(memory_mb=256)}, "made with memory_mb 512, not 256; give another"),
    ],
)
def test_a_folder_of_attempts_that_something_else_decided_is_refused(
    change: dict[str, Any], why: str, runs: Path, world: Path, tasks: list[PlaygroundTask]
) -> None:
    config = RolloutConfig(attempts=2).model_copy(update=change)
    with pytest.raises(SweRmError, match=re.escape(why)):
        roll_out(tasks, world, runs, config)


def test_a_folder_of_attempts_at_other_tasks_of_the_same_names_is_refused(
    runs: Path, world: Path, tasks: list[PlaygroundTask]
) -> None:
    config = RolloutConfig(attempts=2)
    other = tasks[1].model_copy(update={"test_patch": ""})
    with pytest.raises(SweRmError, match=f"another task named {other.instance_id}; give another --out"):
        roll_out([tasks[0], other], world, runs, config)
    moved = tasks[0].model_copy(update={"split": "held_out_tasks"})  # says nothing of the attempt
    assert roll_out([moved], world, runs, config).there == 10


def test_other_tasks_policies_and_more_attempts_go_on_in_the_same_folder(world: Path, tmp_path: Path) -> None:
    first, second, *_ = read_world(world).values()
    for tasks, policies, attempts, there, made in (
        ([first], ("hasty",), 1, 0, 1),
        ([second], ("hasty",), 1, 0, 1),
        ([first, second], ("hasty", "liar"), 2, 2, 6),
    ):
        config = RolloutConfig(policies=policies, attempts=attempts)
        done = roll_out(tasks, world, tmp_path / "out", config)
        assert (done.there, done.made, done.failed) == (there, made, ())
    with pytest.raises(SweRmError, match="another task named"):  # also one that this last call did not begin with
        roll_out([second.model_copy(update={"test_patch": ""})], world, tmp_path / "out", RolloutConfig())


def test_a_folder_that_does_not_say_what_decided_its_attempts_is_refused(
    world: Path, tasks: list[PlaygroundTask], tmp_path: Path
) -> None:
    config = RolloutConfig(attempts=1, policies=("hasty",))
    roll_out(tasks[:1], world, tmp_path / "out", config)
    manifest = tmp_path / "out" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"seed"', '"seeds"'))
    with pytest.raises(RecordError, match=r"manifest\.json: seed: no manifest of attempts"):
        roll_out(tasks[:1], world, tmp_path / "out", config)
    manifest.unlink()
    with pytest.raises(SweRmError, match=r"holds no manifest\.json that says"):
        roll_out(tasks[:1], world, tmp_path / "out", config)


def test_a_folder_of_attempts_that_other_code_decided_is_refused(
    world: Path, tasks: list[PlaygroundTask], tmp_path: Path
) -> None:
    config = RolloutConfig(attempts=1, policies=("hasty",))
    roll_out(tasks[:1], world, tmp_path / "out", config)
    manifest = tmp_path / "out" / "manifest.json"
    code = json.loads(manifest.read_text())["code"]
    manifest.write_text(manifest.read_text().replace(code, "0" * 16))
    with pytest.raises(SweRmError, match=f"were made with code of swe-rm {'0' * 16}, not {code}; give another --out"):
        roll_out(tasks[:1], world, tmp_path / "out", config)


def test_of_calls_that_begin_at_once_none_forgets_the_tasks_of_another(world: Path, tmp_path: Path) -> None:
    settings = Manifest(seed=0, step_limit=3, limits=Limits())
    tasks = list(read_world(world).values())
    tasks = [tasks[n % len(tasks)].model_copy(update={"instance_id": f"t{n}"}) for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda task: claim(tmp_path / "out", settings, [task]), tasks))
    written = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert written["tasks"].keys() == {task.instance_id for task in tasks}


def test_labels_come_out_the_same_by_the_verb(runs: Path, world: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    assert main(["playground", "label", str(runs), "--tasks", str(world), "--out", str(out)]) == 0
    rows = {row["attempt_id"]: row["resolved"] for row in map(json.loads, out.read_text().splitlines())}
    assert rows == {item.trajectory.attempt_id: item.outcome is Outcome.RESOLVED for item in read(runs)}


def test_the_verbs_make_and_roll_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, out = tmp_path / "made", tmp_path / "out"
    assert main(["playground", "make", "--out", str(made), "--per-package", "2", "--package", "jobyard"]) == 0
    assert "2 tasks (" in capsys.readouterr().err
    words = ["playground", "rollout", str(made), "--out", str(out), "--policy", "hasty", "--attempts", "1"]
    assert main(words) == 0
    assert re.search(r"hasty +│ [012] ", capsys.readouterr().out)
    assert len(read(out)) == 2
    for wrong in (["--policy", "bold"], ["--package", "lamps"], ["--split", "held_out_packages"]):
        assert main([*words, *wrong]) == 1
    assert main(["playground", "make", "--out", str(made)]) == 1
    assert "exists" in capsys.readouterr().err


def test_an_attempt_at_another_task_is_refused(runs: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    assert main(["playground", "make", "--out", str(made), "--per-package", "1", "--package", "jobyard"]) == 0
    assert main(["playground", "label", str(runs), "--tasks", str(made), "--out", str(tmp_path / "l.jsonl")]) == 1


def test_a_task_that_nothing_resolves_is_told_in_one_line(
    world: Path, tasks: list[PlaygroundTask], tmp_path: Path
) -> None:
    names = (*tasks[0].fail_to_pass, "tests.test_book.TestBook.test_nowhere")
    broken = tasks[0].model_copy(update={"fail_to_pass": names})
    done = roll_out([broken, tasks[1]], world, tmp_path, RolloutConfig(policies=("hasty",), attempts=2), workers=2)
    assert (done.made, done.failed) == (4, ())
    (line,) = done.broken
    assert line.startswith(f"{world / 'tasks.jsonl'}: {broken.instance_id}: the task is broken: of its own patch, ")
    outcomes = {item.trajectory.key: item.outcome for item in read(tmp_path)}
    assert {out is Outcome.UNKNOWN for key, out in outcomes.items() if key[0] == broken.instance_id} == {True}


class Failing(Sandbox):
    """A machine on which now and then a command cannot be run."""

    count = 0

    def run(self, within: Scratch, command: str) -> Ran:
        Failing.count += 1
        if Failing.count % 7 == 0:
            raise SandboxError("no more processes")
        return super().run(within, command)


def test_what_fails_by_our_fault_is_told_and_the_run_goes_on(
    world: Path, tasks: list[PlaygroundTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rollouts, "Sandbox", Failing)
        first = roll_out(tasks, world, tmp_path, RolloutConfig(attempts=1))
    assert first.failed
    assert all("no more processes" in line for line in first.failed)
    assert first.made + len(first.failed) == first.wanted
    unknown = [item for item in read(tmp_path) if item.outcome is Outcome.UNKNOWN]
    assert sum(counts.get("unknown", 0) for counts in first.outcomes.values()) == len(unknown)
    second = roll_out(tasks, world, tmp_path, RolloutConfig(attempts=1))
    assert (second.made, second.failed) == (len(first.failed), ())


def test_a_killed_run_leaves_nothing_behind_and_the_next_goes_on(
    world: Path, tasks: list[PlaygroundTask], tmp_path: Path
) -> None:
    """Killed without notice, with two processes at work: no folder of theirs is left, and what is there is whole."""
    room, out = tmp_path / "room", tmp_path / "out"
    room.mkdir()
    words = ["playground", "rollout", str(world), "--out", str(out), "--policy", "hasty", "--attempts", "20"]
    with subprocess.Popen(
        [sys.executable, "-m", "swe_rm", *words, "--tasks", "1", "--workers", "2"],
        env={**os.environ, "TMPDIR": str(room)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        while len(list(out.glob("*/*/report.json"))) < 3:
            assert process.poll() is None
            time.sleep(0.02)
        assert any(room.iterdir())
        process.kill()
        assert process.stdout is not None
        said = process.stdout.read()  # to its end: then no process is left that could write
    assert not any(room.iterdir())
    assert said.startswith(b"starting 2 workers")
    assert b"Traceback" not in said
    done = roll_out(tasks, world, out, RolloutConfig(policies=("hasty",), attempts=20))
    assert done.there >= 3
    assert (done.there + done.made, done.failed) == (40, ())
    assert len(read(out)) == 40


def test_a_report_of_what_is_unknown_says_so_in_swe_benchs_words(tmp_path: Path) -> None:
    judged = Label(outcome=Outcome.UNKNOWN, why="the machine is too slow")
    (said,) = rollouts.report("playground__jobyard-1", "diff", judged).values()
    assert (said["infra_failure"], said["infra_failure_reason"]) == (True, "the machine is too slow")


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="no such policy: bold"):
        RolloutConfig(policies=("bold",))


# --- what is offered -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkouts(world: Path) -> object:
    with Checkouts(world) as made:
        yield made


@pytest.fixture(scope="module")
def offers(world: Path, checkouts: Checkouts) -> list[tuple[PlaygroundTask, Options]]:
    return [(task, options(task, checkouts)) for task in read_world(world).values()]


def test_one_edit_is_the_fix_and_the_others_are_not(offers: list[tuple[PlaygroundTask, Options]]) -> None:
    for task, offered in offers:
        (fix,) = offered.by_role("fix")
        assert fix.patch == task.patch
        assert [one.number for one in offered.choices] == list(range(1, 9))
        assert len({one.patch for one in offered.choices}) == 8
        assert len(offered.by_role("tests")) <= 1
        assert "role" not in "".join(one.summary for one in offered.choices)
    assert len({offered.by_role("fix")[0].number for _, offered in offers}) > 1


def test_the_same_is_offered_each_time(offers: list[tuple[PlaygroundTask, Options]], checkouts: Checkouts) -> None:
    for task, offered in offers[::3]:
        assert options(task, checkouts) == offered


def test_each_edit_can_be_made_and_taken_back_and_the_issues_code_tells_the_fix(
    offers: list[tuple[PlaygroundTask, Options]], checkouts: Checkouts
) -> None:
    task, offered = next((task, offered) for task, offered in offers if offered.reproduction)
    with Sandbox() as sandbox, attempt(task, "anyone", checkouts, sandbox, step_limit=99) as made:
        assert made.step("", offered.reproduction).code == 1
        for choice in offered.choices:
            assert choice.summary.splitlines()[1][2:] in made.step("", choice.view).output
            assert made.step("I change it.", choice.make).code == 0
            if choice.role == "fix":
                assert made.step("", offered.reproduction).code == 0
            assert made.step("", offered.commands["undo"]).code == 0
        assert made.step("", "git status --short") == Observation("", 0)
        assert not made.is_over


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_hostile_policy_is_contained_and_the_next_attempt_goes_on(
    offers: list[tuple[PlaygroundTask, Options]], checkouts: Checkouts
) -> None:
    task, offered = offers[0]
    limits = Limits(cpu_seconds=1, wall_seconds=4, memory_mb=256, file_mb=1, disk_mb=4, processes=16)
    with Sandbox(limits) as sandbox:
        with attempt(task, "anyone", checkouts, sandbox) as made:
            assert made.step("", "kill -9 $$").code == -9
            assert made.step("", "sleep 60").code == -1
            assert "timed out after 4 seconds" in made.messages[-1]["content"]
            made.step("", "bomb() { bomb | bomb & }; bomb; sleep 1")
            made.step("", "rm -rf .git tests")
            made.step("", "for n in $(seq 9); do head -c 1000000 /dev/zero > f$n; done")
            assert "more than 4 MB written" in made.messages[-1]["content"]
            made.step("", offered.commands["submit"])
            assert not made.is_over
            assert Labeller(checkouts, sandbox).label(task, made.submission).outcome is Outcome.UNRESOLVED
        with attempt(task, "anyone", checkouts, sandbox) as made:
            made.step("", offered.by_role("fix")[0].make)
            made.step("", offered.commands["submit"])
            assert Labeller(checkouts, sandbox).label(task, made.submission).outcome is Outcome.RESOLVED


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_differs_from_attempt_to_attempt(policy: str, offers: list[tuple[PlaygroundTask, Options]]) -> None:
    def played(seed: int) -> list[str]:
        script = POLICIES[policy](offers[0][1], random.Random(seed))
        said = [next(script)]
        while said[-1].command != offers[0][1].commands["submit"] and len(said) < 20:
            said.append(script.send(Observation("FAILED (failures=1)\n", 1)))
        return [f"{say.words}\n{say.command}" for say in said]

    assert played(1) == played(1)
    assert len({tuple(played(seed)) for seed in range(8)}) > 3


# --- episodes --------------------------------------------------------------------------------------------------------


def test_an_episode_is_one_attempt_that_ends_when_it_is_handed_in(
    offers: list[tuple[PlaygroundTask, Options]], checkouts: Checkouts, tmp_path: Path
) -> None:
    task, offered = offers[0]
    fix = offered.by_role("fix")[0].number
    with Sandbox() as sandbox, episode(task, "small", offered, checkouts, sandbox) as made:
        assert made.opening.startswith(task.problem_statement)
        assert f"edit {fix}, " in made.opening
        assert {"test", "undo", "submit", "view 1", "edit 8"} < set(made.actions)
        assert made.step("fly away").startswith("[1]\nfly away: no such action")
        assert made.step(f"  view   {fix} \nbecause I think so").startswith("[0]\n")
        assert made.step(f"edit {fix}") == "[0]\n"
        assert not made.is_over
        made.step("submit")
        assert made.is_over
        with pytest.raises(ValueError, match="is over"):
            made.step("test")
        trajectory = made.trajectory("small", 3)
        file = tmp_path / "small_3" / task.instance_id / f"{task.instance_id}.traj.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(made.document()))
        judged = Labeller(checkouts, sandbox).label(task, made.submission)
    assert judged.outcome is Outcome.RESOLVED
    (item,) = read(tmp_path)
    assert item.trajectory == trajectory
    assert (trajectory.finished, trajectory.exit_status, trajectory.key[1:]) == (
        True, "Submitted", ("mini-SWE-agent+small", "small_3"),
    )  # fmt: skip
    assert [message.role for message in trajectory.messages][:3] == ["system", "user", "assistant"]


def test_an_episode_that_comes_to_its_limit_is_not_finished(
    offers: list[tuple[PlaygroundTask, Options]], checkouts: Checkouts
) -> None:
    task, offered = offers[0]
    with Sandbox() as sandbox, episode(task, "small", offered, checkouts, sandbox, step_limit=2) as made:
        for _ in range(3):
            assert not made.is_over
            made.step("view 1")
        assert made.is_over
        assert (made.submission, made.trajectory("small", 1).finished) == ("", False)
        assert made.trajectory("small", 1).exit_status == "LimitsExceeded"


def test_an_episode_shows_the_same_each_time(
    offers: list[tuple[PlaygroundTask, Options]], checkouts: Checkouts
) -> None:
    def shown() -> list[str]:
        with Sandbox() as sandbox, episode(task, "small", offered, checkouts, sandbox) as made:
            return [made.step(answer) for answer in ("test", "edit 1", "test", "edit 1", "undo", "view 2")]

    task, offered = offers[1]
    assert shown() == shown()
    assert isinstance(offered, Options)
    assert Episode.__doc__


def test_a_task_that_is_not_set_up_is_an_error(world: Path, tasks: list[PlaygroundTask], tmp_path: Path) -> None:
    broken = [task.model_copy(update={"base_commit": "0" * 40}) for task in tasks]
    with pytest.raises(SweRmError, match="git fetch failed"):
        roll_out(broken, world, tmp_path, RolloutConfig(attempts=1))


def test_the_episode_that_the_documentation_shows_runs(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[1] / "docs" / "playground.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "world").symlink_to(world)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "playground.md", "exec"), {})
    said = capsys.readouterr().out
    assert said.startswith(next(iter(read_world(world).values())).problem_statement)
    assert said.splitlines()[-1] in ("resolved", "unresolved")
