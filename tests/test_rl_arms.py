"""The runs of a plan: which are begun, which are known, what is said of those that fail."""

import fcntl
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from swe_rm.__main__ import main
from swe_rm.errors import SweRmError
from swe_rm.rl.arms import row, run_all
from swe_rm.rl.journal import Journal
from swe_rm.rl.plan import Plan

HERE = Path(__file__).parent
CONFIG = "name: base\nout: elsewhere\nworld: {world}\nreward: hybrid\nverifier: features\nbatches: 2\n"

TRAINER = """
import json, os, sys, time
from pathlib import Path
from swe_rm.rl.config import RLConfig
from swe_rm.rl.journal import Journal

config = RLConfig.load(Path(sys.argv[1]))
journal = Journal(config)
journal.begin()
with (config.out.parent.parent / "begun").open("a") as file:
    file.write(f"{config.name} {os.environ['OMP_NUM_THREADS']} {os.getpid()} {config.warm_folder.is_dir()}\\n")
if config.learning_rate == 0.5:
    print("swe-rm: the policy fell apart", file=sys.stderr)
    sys.exit(1)
if config.learning_rate == 0.25:
    os.kill(os.getpid(), 9)
time.sleep(60 if config.learning_rate == 0.125 else 0)
config.warm_folder.mkdir(exist_ok=True)
look = {"held_out_tasks": {"rate": 0.5}}
journal.finish({"name": config.name, "start": look, "final": look})
"""
"""In place of `rl train`: writes what it writes, and fails where its learning rate says so."""


@pytest.fixture
def trainer(tmp_path: Path) -> tuple[str, ...]:
    file = tmp_path / "trainer.py"
    file.write_text(TRAINER)
    return (sys.executable, str(file))


def plan(tmp_path: Path, world: Path, arms: dict[str, dict[str, Any]], **more: Any) -> Path:
    (tmp_path / "base.yaml").write_text(CONFIG.format(world=world))
    file = tmp_path / "plan.yaml"
    content = {"out": str(tmp_path / "runs"), "base": "base.yaml", "arms": arms, "seeds": [0, 1]}
    file.write_text(json.dumps(content | more))
    return file


ARMS: dict[str, dict[str, Any]] = {
    "outcomes": {"reward": "execution-based", "verifier": None},
    "both": {"evaluation.every": 7, "network": {"hidden": 32}},
}


def test_a_plan_is_an_arm_after_the_other_for_each_seed(tmp_path: Path, world: Path) -> None:
    found = Plan.load(plan(tmp_path, world, ARMS)).runs()
    assert [run.name for run in found] == ["outcomes/seed-0", "both/seed-0", "outcomes/seed-1", "both/seed-1"]
    one, other = found[0].config, found[3].config
    assert (one.reward, one.verifier, one.seed, other.reward, other.seed) == (
        "execution-based", None, 0, "hybrid", 1,
    )  # fmt: skip
    assert (other.evaluation.every, other.network.hidden, other.network.layers, one.batches) == (7, 32, 2, 2)
    assert len({run.config.digest() for run in found}) == len({run.config.out for run in found}) == 4
    assert {run.config.warm_folder.parent for run in found} == {tmp_path / "runs"}


@pytest.mark.parametrize(
    ("arms", "more", "reason"),
    [
        ({"a": {"reward": "execution-based"}}, {}, "arm a: .*base.yaml: .*uses no verifier"),
        ({"a": {"light": 1}}, {}, "arm a: .*base.yaml: light: Extra inputs"),
        ({"a": {"seed": 1}}, {}, "plan.yaml: arms: .*seed is the plan's to give"),
        ({"../a": {}}, {}, "plan.yaml: arms: .*a folder's"),
        ({"..": {}}, {}, "plan.yaml: arms: .*a folder's"),
        ({}, {}, "plan.yaml: arms: "),
        ({"a": {}}, {"seeds": [1, 1]}, "plan.yaml: seeds: .*twice"),
        ({"a": {}}, {"parallel": 0}, "plan.yaml: parallel: "),
        ({"a": {}}, {"base": "nowhere.yaml"}, "arm a: .*nowhere.yaml"),
    ],
)
def test_a_plan_that_is_wrong_is_one_line(
    arms: dict[str, Any], more: dict[str, Any], reason: str, tmp_path: Path, world: Path
) -> None:
    with pytest.raises(SweRmError, match=reason) as raised:
        Plan.load(plan(tmp_path, world, arms, **more)).runs()
    assert "\n" not in str(raised.value)


def test_a_world_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rl", "arms", str(plan(tmp_path, tmp_path / "nowhere", ARMS))]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_what_is_finished_is_not_run_again(tmp_path: Path, world: Path, trainer: tuple[str, ...]) -> None:
    file = plan(tmp_path, world, ARMS, parallel=2, threads=3)
    told: list[str] = []
    found = run_all(Plan.load(file), told.append, trainer)
    assert [ran.job.name for ran in found if ran.result] == [run.name for run in Plan.load(file).runs()]
    begun = (tmp_path / "runs" / "begun").read_text().splitlines()
    assert sorted(line.split()[:2] for line in begun) == sorted([run.config.name, "3"] for (run, _), *_ in found)
    assert told[-1].endswith("held_out_tasks 50.0% -> 50.0%")

    more = Plan.load(file, ["seeds=[1,2]"])
    again = run_all(more, told.append, trainer)
    assert [ran.result for ran in again[:2]] == [ran.result for ran in found[2:]]
    assert len((tmp_path / "runs" / "begun").read_text().splitlines()) == 6
    assert (tmp_path / "runs" / "both" / "seed-2.yaml").is_file()


def test_runs_that_begin_alike_wait_for_the_one_that_makes_the_beginning(
    tmp_path: Path, world: Path, trainer: tuple[str, ...]
) -> None:
    arms = {"a": {}, "b": {"learning_rate": 0.1}, "c": {"step_limit": 7}}
    run_all(Plan.load(plan(tmp_path, world, arms, seeds=[0], parallel=3)), lambda _: None, trainer)
    begun = [line.split() for line in (tmp_path / "runs" / "begun").read_text().splitlines()]
    assert {name: warm for name, *_, warm in begun} == {"a-seed-0": "False", "b-seed-0": "True", "c-seed-0": "False"}


def test_a_run_that_fails_is_a_line_and_the_others_go_on(tmp_path: Path, world: Path, trainer: tuple[str, ...]) -> None:
    arms: dict[str, Any] = {"raises": {"learning_rate": 0.5}, "killed": {"learning_rate": 0.25}, "well": {}}
    file = plan(tmp_path, world, arms, seeds=[0])
    told: list[str] = []
    found = run_all(Plan.load(file), told.append, trainer)
    assert [ran.reason for ran in found] == ["the policy fell apart", "ended by signal 9", ""]
    assert [row(ran)["reason"] for ran in found] == [*(ran.reason for ran in found[:2]), None]
    assert [line for line in told if "FAILED" in line] == [
        "raises/seed-0: FAILED: the policy fell apart", "killed/seed-0: FAILED: ended by signal 9"
    ]  # fmt: skip
    changed = run_all(Plan.load(file, ["arms={well: {batches: 3}}"]), told.append, trainer)
    assert "holds a run of another config (differs in batches)" in changed[0].reason


def test_a_folder_in_which_somebody_works_is_left_alone(tmp_path: Path, world: Path, trainer: tuple[str, ...]) -> None:
    file = plan(tmp_path, world, ARMS, seeds=[0])
    held = tmp_path / "runs" / "both" / "seed-0.log"
    held.parent.mkdir(parents=True)
    with held.open("a") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        found = run_all(Plan.load(file), lambda _: None, trainer)
    assert [ran.reason.partition(" in ")[0] for ran in found] == ["", "another process is at work"]


def test_ending_the_plan_ends_its_runs(tmp_path: Path, world: Path, trainer: tuple[str, ...]) -> None:
    file = plan(tmp_path, world, {"slow": {"learning_rate": 0.125}}, seeds=[0])
    code = (
        "import signal, sys; from pathlib import Path; from swe_rm.rl import arms; from swe_rm.rl.plan import Plan\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        f"arms.run_all(Plan.load(Path({str(file)!r})), print, {trainer!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    begun = tmp_path / "runs" / "begun"
    while not begun.is_file() or not begun.read_text().endswith("\n"):
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert process.wait(30) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text().split()[2]), 0)


def test_the_verb_runs_rl_train_and_tells_how_it_ended(
    tmp_path: Path, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("trl")
    file = plan(tmp_path, world, {"a": {"verifier": str(tmp_path / "no-verifier"), "groups": 2}}, seeds=[0])
    assert main(["rl", "arms", str(file), "--json"]) == 1
    told = capsys.readouterr()
    (run,) = json.loads(told.out)["runs"]
    assert (run["arm"], run["seed"], run["result"]) == ("a", 0, None)
    assert "no-verifier" in run["reason"]
    assert "0 of 1 runs are finished, 1 failed" in told.err


def test_the_plan_that_ships_is_read_and_is_the_one_that_is_shown() -> None:
    (file,) = (HERE.parent / "configs" / "rl" / "plans").glob("*.yaml")
    assert [run.name for run in Plan.load(file).runs()][:3] == [
        "execution/seed-0",
        "execution-free/seed-0",
        "hybrid/seed-0",
    ]
    page = (HERE.parent / "docs" / "rl.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    defaults = Plan.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    assert Plan.model_validate(yaml.safe_load(shown)) == defaults


@pytest.mark.parametrize("name", ["run.json", "result.json"])
def test_a_run_whose_files_are_damaged_is_named_and_the_others_run(
    tmp_path: Path, world: Path, trainer: tuple[str, ...], name: str
) -> None:
    file = plan(tmp_path, world, {"both": {}}, seeds=[0, 1])
    damaged = tmp_path / "runs" / "both" / "seed-0" / name
    damaged.parent.mkdir(parents=True)
    damaged.write_text('{"digest": "')
    one, other = run_all(Plan.load(file), say=lambda line: None, train=trainer)
    assert (one.result, one.reason) == (None, f"{damaged}: is no JSON")
    assert other.result


def test_the_result_of_another_config_is_not_taken_for_this_ones(
    tmp_path: Path, world: Path, trainer: tuple[str, ...]
) -> None:
    file = plan(tmp_path, world, {"both": {}}, seeds=[0])
    foreign = tmp_path / "runs" / "both" / "seed-0" / "result.json"
    foreign.parent.mkdir(parents=True)
    foreign.write_text('{"digest": "of another"}')
    (one,) = run_all(Plan.load(file), say=lambda line: None, train=trainer)
    assert (one.result, one.reason) == (None, f"{foreign}: is the result of another config; give another out")


def test_the_log_of_a_run_that_goes_on_is_cut_to_whole_lines_of_what_was_saved(tmp_path: Path, world: Path) -> None:
    config = Plan.load(plan(tmp_path, world, {"both": {}}, seeds=[0])).runs()[0].config
    saved = config.out / "state" / "checkpoint-4"
    saved.mkdir(parents=True)
    (saved / "trainer_state.json").write_text("{}")
    log = config.out / "log.jsonl"
    lines = ['{"step": 2}', "3", "[]", '{"stop": 3}', '{"step": 4}', '{"step": 6}', '{"step"']
    log.write_text("\n".join(lines))
    journal = Journal(config)
    assert (journal.begin(), journal.resumed) == (saved, 4)
    assert journal.logged() == [{"step": 2}, {"step": 4}]
    log.write_bytes(b"\xff\n")
    with pytest.raises(SweRmError, match=r"log\.jsonl: is no text"):
        journal.begin()


def test_a_run_in_whose_folder_somebody_works_is_left_alone(tmp_path: Path, world: Path) -> None:
    config = Plan.load(plan(tmp_path, world, {"both": {}}, seeds=[0])).runs()[0].config
    with (
        Journal(config).alone(),
        pytest.raises(SweRmError, match="another process is at work there"),
        Journal(config).alone(),
    ):
        pass
    with Journal(config).alone():  # and is free again
        pass
