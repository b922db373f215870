"""Arms differ from the control where declared and nowhere else; cells are run once; a report says what was measured."""

import json
import shutil
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml

from swe_rm import export, output
from swe_rm.__main__ import main
from swe_rm.errors import RecordError, SweRmError, VerifierError
from swe_rm.evaluate import evaluate
from swe_rm.experiment import cell as cells
from swe_rm.experiment.cell import Cell, Result
from swe_rm.experiment.definition import (
    Definition,
    Experiment,
    PerValue,
    Profile,
    arms_per_value,
    experiment,
    known,
    load,
)
from swe_rm.experiment.findings import FIGURES, Findings, findings, of_each_arm
from swe_rm.experiment.report import _named_curves, draw, markdown
from swe_rm.experiment.running import _inputs, read_planned, run
from swe_rm.experiment.setting import Files, Setting, complete
from swe_rm.experiment.view import shown
from swe_rm.render import rendered_text
from swe_rm.sources import open_pile
from swe_rm.trajectory import Labelled, Message, Outcome, ToolCall
from swe_rm.verbs.experiment import Profiles
from swe_rm.verifiers.words import Words
from tests.conftest import attempt

for package in ("sklearn", "matplotlib"):
    pytest.importorskip(package, reason="the extra eval is not installed")

REQUIRED = {"data_scale", "positive_ratio", "policy_mixture", "source_composition", "context"}
PROFILES = get_args(Profile)
SMALL: dict[str, Any] = {
    "name": "small",
    "title": "Small",
    "question": "Is it small?",
    "varies": ["mix.sample.total"],
    "control": "more",
    "base": {"verifier": "words", "mix.sample.total": 40, "warmup": None},
    "arms": {"more": {}, "less": {"mix.sample.total": 20}},
    "axis": {"title": "attempts", "at": {"more": 40, "less": 20}},
    "claims": [{"text": "more is better", "source": "sense", "figure": "auc", "better": "more", "than": "less"}],
    "published": [{"arm": "more", "figure": "auc", "value": 0.7, "source": "nowhere"}],
}

FALLS = {"text": "it falls", "source": "nowhere", "figure": "rise_with_k", "negative": "less"}


def definition(**changes: Any) -> Definition:
    return Definition.model_validate({**SMALL, **changes})


@pytest.fixture(scope="module")
def pile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Attempts at 40 tasks of 4 repositories by two policies, whose logs say how they went."""
    file = tmp_path_factory.mktemp("pile") / "attempts.jsonl"

    def made() -> Any:
        for task in range(40):
            for policy in ("careful", "hasty"):
                for number in (1, 2, 3):
                    resolved = (7 * task + 3 * number + (policy == "hasty")) % 5 < 2
                    lies = (11 * task + number) % 4 == 0
                    said = f"Works, {task} is verified." if resolved != lies else f"Error {number} is strange."
                    patch = f"--- a/t.py\n+++ b/t.py\n@@ -1 +1 @@\n-x = 0\n+x = {task}{number}{policy}\n"
                    one = attempt(f"acme__tool-{task}", policy, number, 1 + task % 3, patch, said)
                    place = one.task.model_copy(update={"repo": f"acme/{'abcd'[task % 4]}", "statement": f"Bug {task}"})
                    outcome = Outcome.RESOLVED if resolved else Outcome.UNRESOLVED
                    one = one.model_copy(update={"task": place})
                    yield Labelled(trajectory=one, outcome=outcome, provenance="test")

    export.write(made(), file)
    return file


@pytest.fixture(scope="module")
def finished(pile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the small experiment."""
    out = tmp_path_factory.mktemp("runs")
    done = run(definition(), "cpu", Files(data=(pile,)), out, parallel=2, say=lambda _: None)
    assert [one.reason for one in done] == [""] * 6
    return out


# --- definitions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", known())
def test_the_experiments_that_ship_are_whole_in_every_profile(name: str, profile: Any) -> None:
    found = load(name)
    if profile not in found.profiles:
        with pytest.raises(SweRmError, match=f"{name}: is of profile .*, not {profile}"):
            experiment(found, profile)
        return
    more = {} if found.per_value is None else arms_per_value(found.per_value, ["a", "b"])
    made = experiment(found, profile, more)
    assert next(iter(made.settings)) == found.control
    assert len(made.settings) >= 2
    assert "small scale" in found.title or name == "data_scale_25k"
    assert found.axis is None or found.axis.at.keys() == found.arms.keys()
    if name.startswith("context"):
        read = {arm: setting.train.policy.max_tokens for arm, setting in made.settings.items()}
        steps = {setting.train.tokens_per_step / read[arm] for arm, setting in made.settings.items()}
        assert found.axis
        assert (found.axis.at, len(steps)) == (read, 1)


def test_the_policies_that_are_named_for_the_playground_are_there() -> None:
    pool = (Path(__file__).parent / "playground_pool",)
    policies = {item.trajectory.origin.policy for item in open_pile(pool, ()).attempts()}
    for setting in experiment(load("policy_mixture"), "cpu").settings.values():
        for pattern in (setting.judged, *setting.mix.sample.policies):
            assert any(fnmatchcase(policy, pattern) for policy in policies), pattern


def test_an_experiment_of_the_playground_says_so_where_attempts_are_not_of_it(pile: Path, tmp_path: Path) -> None:
    with pytest.raises(SweRmError, match=r"meant for swe-rm playground rollout.*matches none of the policies"):
        run(load("policy_mixture"), "cpu", Files(data=(pile,)), tmp_path)


def test_patterns_in_another_order_are_a_difference() -> None:
    ordered = [{"careful": 0, "*": 1}, {"*": 1, "careful": 0}]
    arms = {name: {"mix.sample.policies": found} for name, found in zip(("more", "less"), ordered, strict=True)}
    noisy = {**arms, "less": {**arms["less"], "label_noise": 0.1}}
    with pytest.raises(SweRmError, match=r"less differs from more in mix\.sample\.policies\.\(order\), and only"):
        experiment(definition(arms=noisy, axis=None, varies=["label_noise"]), "cpu")
    assert len(experiment(definition(arms=arms, axis=None, varies=["mix.sample.policies"]), "cpu").settings) == 2


def test_the_docs_name_every_experiment() -> None:
    text = (Path(__file__).parents[1] / "docs" / "experiments.md").read_text()
    assert not [name for name in known() if f"`{name}`" not in text]


def test_the_required_experiments_are_there() -> None:
    assert set(known()) >= REQUIRED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"arms": {"more": {}, "less": {"mix.sample.total": 20, "label_noise": 0.1}}},
         "arm less differs from more in label_noise, and only mix.sample.total may vary"),
        ({"arms": {"more": {}, "less": {"mix.sample.total": 40}}}, "arms more and less are one"),
        ({"arms": {"more": {}, "less": {"train.epochs": 5}}, "varies": ["train.epochs"]},
         "arms more and less are one: words does not read what they differ in"),
        ({"base": {"mix.decontaminate": {"against": ["v.jsonl"]}}}, "mix.decontaminate is given at the run"),
        ({"base": {"train": {"seed": 7}}}, "train.seed is given at the run"),
        ({"base": {"train": 3}}, "train is a group of keys"),
        ({"arms": {"more": {}, "less": {"mix.seed": 3}}, "varies": ["mix.seed"]}, "mix.seed is given at the run"),
        ({"varies": ["mix.sample.total", "view"]}, "view may vary and does not"),
        ({"arms": {"more": {}}, "axis": None, "claims": []}, r"mix\.sample\.total may vary and does not"),
        ({"arms": {"more": {}, "less": {"mix.sample.totals": 20}}}, "arm less: mix.sample.totals: Extra inputs"),
        ({"arms": {"more": {}, "less": {"mix.rows.log": 20}}}, "mix.rows.log: rows is not a group of keys"),
        ({"base": {"light": 1}}, "arm more: light: Extra inputs"),
    ],
)  # fmt: skip
def test_an_experiment_whose_arms_differ_elsewhere_does_not_exist(changes: dict[str, Any], reason: str) -> None:
    experiment(definition(), "cpu")
    with pytest.raises(SweRmError, match=reason) as raised:
        experiment(definition(**changes), "cpu")
    assert "\n" not in str(raised.value)


def test_the_noun_itself_refuses_arms_that_differ_elsewhere() -> None:
    made = experiment(definition(), "cpu")
    other = made.settings["less"].model_copy(update={"view": "issue"})
    with pytest.raises(SweRmError, match="arm less differs from more in view, and only"):
        Experiment(definition=made.definition, profile="cpu", settings={**made.settings, "less": other})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seeds": [0, 1]}, "3 different seeds"),
        ({"seeds": [0, 1, 1]}, "3 different seeds"),
        ({"control": "most"}, "no arm most"),
        ({"name": "a b"}, "name"),
        ({"claims": [{**SMALL["claims"][0], "figure": "acu"}]}, "acu is not measured; there are auc, "),
        ({"claims": [{**SMALL["claims"][0], "better": "most"}]}, "there is no arm most"),
        ({"published": [{**SMALL["published"][0], "arm": "mor"}]}, "there is no arm mor"),
        ({"axis": {"title": "attempts", "at": {"most": 1}}}, "there is no arm most"),
        ({"axis": {"title": "attempts", "at": {"more": 1}}}, "axis: has no place for arm less"),
        ({"per_value": {"of": "repo", "key": "mix.sample.repos"}}, "axis: has no place for arms per value"),
        ({"claims": [{**SMALL["claims"][0], "than": None}]}, "the arms better and than, or the arm negative"),
        ({"claims": [{**SMALL["claims"][0], "negative": "more"}]}, "the arms better and than, or the arm negative"),
        ({"claims": [{**FALLS, "figure": "auc"}]}, "auc is never negative"),
        ({"claims": [{**FALLS, "negative": "most"}]}, "there is no arm most"),
    ],
)
def test_a_definition_that_is_wrong_is_one_line(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump({**SMALL, **changes}))
    with pytest.raises(SweRmError, match=reason) as raised:
        load(str(file))
    assert str(raised.value).startswith(str(file))
    assert "\n" not in str(raised.value)
    with pytest.raises(SweRmError, match="nothing: no experiment; there are calibration, context"):
        load("nothing")


def test_arms_may_be_made_of_what_a_pool_holds(pile: Path, tmp_path: Path) -> None:
    made = definition(
        varies=["mix.sample.repos"], control="all", arms={"all": {"mix.sample.repos": {"*": 1}}}, axis=None, claims=[],
        published=[], per_value={"of": "repo", "key": "mix.sample.repos", "at_least": 5}, base={
            "verifier": "words", "warmup": None, "mix.sample.total": 20},
    )  # fmt: skip
    done = run(made, "cpu", Files(data=(pile,)), tmp_path, parallel=2, say=lambda _: None)
    assert {one.reason for one in done} == {""}
    repos = {item.trajectory.attempt_id: item.trajectory.task.repo for item in open_pile([pile]).attempts()}
    drawn = {one.job.cell.arm: Counter(repos[i] for i in one.job.cell.attempts["train"]) for one in done}
    read = len(repos)
    held = {len(one.job.cell.attempts["held"]) for one in done}
    assert held == {read - sum(read_planned(tmp_path / "small").dropped.values()) - 20}  # all are accounted for
    assert drawn["only-acme-a"].keys() == {"acme/a"}
    assert drawn["without-acme-a"].keys() == {"acme/b", "acme/c", "acme/d"}
    assert drawn["all"].keys() == {"acme/a", "acme/b", "acme/c", "acme/d"}
    assert {sum(counts.values()) for counts in drawn.values()} == {20}


def test_values_with_marks_of_patterns_are_taken_as_they_are() -> None:
    wanted = PerValue(of="policy", key="mix.sample.policies")
    found = arms_per_value(wanted, ["careful [a*]", "hasty"])
    assert found["only-careful-a"] == {"mix.sample.policies": {"careful [[]a[*]]": 1}}
    assert fnmatchcase("careful [a*]", "careful [[]a[*]]")
    assert found["without-hasty"] == {"mix.sample.policies": {"hasty": 0, "*": 1}}
    with pytest.raises(SweRmError, match="make arms of one name"):
        arms_per_value(wanted, ["a/b", "a b"])


# --- what a cell trains on and is measured on -------------------------------------------------------------------------


def test_no_task_is_trained_and_measured_on_and_arms_are_measured_alike(pile: Path, finished: Path) -> None:
    tasks = {i.trajectory.attempt_id: i.trajectory.task.instance_id for i in open_pile([pile]).attempts()}
    told = [Cell.model_validate_json(file.read_bytes()) for file in (finished / "cells").glob("*.json")]
    assert len(told) == 6
    for one in told:
        train, held = ({tasks[name] for name in one.attempts[part]} for part in ("train", "held"))
        assert min(len(train), len(held)) > 5
        assert not train & held
    assert len({frozenset(one.attempts["held"]) for one in told}) == 1
    assert {len(one.attempts["train"]) for one in told} == {20, 40}
    by_seed = {(one.arm, one.seed): set(one.attempts["train"]) for one in told}
    assert by_seed["more", 0] != by_seed["more", 1]
    assert all(by_seed["less", seed] < by_seed["more", seed] for seed in range(3))  # a draw lies within a larger one


def cell_of(pile: Path, out: Path, **changes: Any) -> Cell:
    items = list(open_pile([pile]).attempts())
    ids = [item.trajectory.attempt_id for item in items]
    base = {"verifier": "words", "train": {"balance": "none"}, **changes}
    return Cell(
        name="x/a/seed-0", arm="a", digest="d", seed=0, setting=complete(base), files=Files(data=(pile,)),
        attempts={"train": tuple(ids[:120]), "held": tuple(ids[120:]), "calibrate": tuple(ids[60:120])}, out=out,
    )  # fmt: skip


def test_a_cell_measures_what_evaluate_does(pile: Path, tmp_path: Path) -> None:
    found = cells.run(cell_of(pile, tmp_path / "a"))
    items = {i.trajectory.attempt_id: i for i in open_pile([pile]).attempts()}
    held = [items[name] for name in cell_of(pile, tmp_path).attempts["held"]]
    train = [items[name] for name in cell_of(pile, tmp_path).attempts["train"]]
    verifier = Words.fit(train, [1.0] * len(train), section="tail", version="d")
    report = evaluate(held, verifier([item.trajectory for item in held]), resamples=40, with_controls=False)
    assert found.measured == report.measured
    assert (found.n_trained_on, found.verifier) == (120, "words-tail@d")


def test_what_is_judged_noise_calibration_and_views(pile: Path, tmp_path: Path) -> None:
    plain = cells.run(cell_of(pile, tmp_path / "plain"))
    judged = cells.run(cell_of(pile, tmp_path / "judged", judged="care*"))
    assert judged.measured.policy_names == ("careful",)
    two = cells.run(cell_of(pile, tmp_path / "two", judged_per_task=2))
    assert {*Counter(two.measured.tasks).values()} == {2}
    assert {*two.measured.tasks} == {*plain.measured.tasks}
    assert {*two.measured.attempt_ids} < {*plain.measured.attempt_ids}
    some = cells.run(cell_of(pile, tmp_path / "some", judged_most=5))
    every = cells.run(cell_of(pile, tmp_path / "every"))
    tasks = some.measured.task_names
    assert 5 <= len(some.measured.resolved) < len(every.measured.resolved)
    assert tasks == tuple(name for name in every.measured.task_names if name in tasks)
    for name in tasks:  # tasks are whole
        assert _count(some, name) == _count(every, name)
    noisy = cells.run(cell_of(pile, tmp_path / "noisy", label_noise=0.5))
    assert noisy.resolved_share != plain.resolved_share
    assert noisy.measured.resolved == plain.measured.resolved  # what is measured on stays as it is
    calibrated = cells.run(cell_of(pile, tmp_path / "calibrated", calibrate="platt"))
    assert calibrated.measured.scores != plain.measured.scores
    order = np.argsort(plain.measured.scores, kind="stable")
    assert np.all(np.diff(np.asarray(calibrated.measured.scores)[order]) >= -1e-12)
    issue = cells.run(cell_of(pile, tmp_path / "issue", view="issue", verifier="features"))
    assert issue.measured.attempt_ids == plain.measured.attempt_ids
    by_task: dict[int, set[float]] = {}
    for task, value in zip(issue.measured.tasks, issue.measured.scores, strict=True):
        by_task.setdefault(task, set()).add(value)
    assert {len(values) for values in by_task.values()} == {1}  # the issue alone tells no two attempts apart


def _count(found: Result, task: str) -> int:
    return sum(found.measured.task_names[place] == task for place in found.measured.tasks)


def test_seeds_that_change_nothing_are_refused(pile: Path, tmp_path: Path) -> None:
    arms = {"more": {}, "less": {"calibrate": "platt"}}
    splits = {"by": "task", "folds": 3, "parts": {"train": [1], "held": [0], "calibrate": [2]}}
    base = {"verifier": "words", "warmup": None, "mix.splits": splits}
    idle = definition(base=base, arms=arms, varies=["calibrate"], axis=None)
    with pytest.raises(SweRmError, match="train on the same attempts"):
        run(idle, "cpu", Files(data=(pile,)), tmp_path)


def test_arms_that_would_be_measured_on_other_attempts_are_refused_before_any_runs(pile: Path, tmp_path: Path) -> None:
    other = definition(arms={"more": {}, "less": {"judged": "careful"}}, varies=["judged"], axis=None)
    with pytest.raises(SweRmError, match="measured on other attempts"):
        run(other, "cpu", Files(data=(pile,)), tmp_path)
    assert not (tmp_path / "cells").exists() or not list((tmp_path / "cells").glob("*/*"))


def test_one_experiment_is_run_by_one_process_at_a_time(pile: Path, tmp_path: Path) -> None:
    with (
        output.alone(tmp_path / "small", wait=False),
        pytest.raises(SweRmError, match="another process is at work there"),
    ):
        run(definition(), "cpu", Files(data=(pile,)), tmp_path)


def test_what_varies_is_not_set_for_all_and_somebody_must_be_judged(pile: Path, tmp_path: Path) -> None:
    with pytest.raises(SweRmError, match=r"small: mix\.sample\.total is what varies: no --set"):
        experiment(definition(), "cpu", changes={"mix.sample.total": 30})
    with pytest.raises(SweRmError, match=r"small/more/seed-0: judged: nobody\*: no attempt"):
        run(definition(), "cpu", Files(data=(pile,)), tmp_path, changes={"judged": "nobody*"}, say=lambda _: None)


def test_records_that_cannot_be_read_are_told(pile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut, out = tmp_path / "cut.jsonl", tmp_path / "out"
    cut.write_text(pile.read_text()[:-40])
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    words = ["experiment", "run", str(tmp_path / "small.yaml"), "--data", str(cut), "--out", str(out)]
    assert main(words) == 2
    assert capsys.readouterr().err.count("cut.jsonl: line 240: broken JSON") == 1
    assert findings(out, definition()).refused == 1
    assert ", 1 records could not be read; left out" in markdown(findings(out, definition()))


def test_files_that_have_changed_are_one_line(pile: Path, tmp_path: Path) -> None:
    told = cell_of(pile, tmp_path / "a")
    fewer = tmp_path / "fewer.jsonl"
    fewer.write_text("".join(pile.read_text().splitlines(keepends=True)[1:]))
    file = tmp_path / "cell.json"
    file.write_text(told.model_copy(update={"files": Files(data=(fewer,))}).model_dump_json())
    assert cells.main([str(file)]) == 1
    with pytest.raises(SweRmError, match="x/a/seed-0: 1 of 240 attempts are gone: the files have changed"):
        cells.run(Cell.model_validate_json(file.read_bytes()))


def talk(said: str) -> Message:
    return Message(role="assistant", content=said, reasoning="I think.")


@pytest.mark.parametrize(
    ("view", "there", "gone"),
    [
        ("whole", ("the issue", "I think", "Well,", "ls -a", "a listing", "x = 1"), ()),
        ("issue", ("the issue",), ("I think", "ls -a", "a listing", "x = 1")),
        ("patch", ("the issue", "x = 1"), ("ls -a", "a listing")),
        ("log", ("the issue", "I think", "ls -a", "a listing"), ("x = 1",)),
        ("no_reasoning", ("the issue", "ls -a", "a listing", "x = 1"), ("I think", "Well,", "because")),
    ],
)
@pytest.mark.parametrize("as_call", [True, False])
def test_a_view_shows_what_it_says_and_nothing_else(
    view: Any, there: tuple[str, ...], gone: tuple[str, ...], as_call: bool
) -> None:
    call = ToolCall(name="bash", arguments=json.dumps({"thought": "because", "command": "ls -a"}))
    acting = talk("Well, I look.").model_copy(update={"tool_calls": (call,)})
    written = talk("Well, I look.\n```bash\nls -a\n```")
    one = attempt(patch="diff --git a/t.py b/t.py\n--- a/t.py\n+++ b/t.py\n@@ -1 +1 @@\n-x = 0\n+x = 1\n")
    log = (acting if as_call else written, Message(role="tool" if as_call else "user", content="a listing"))
    task = one.task.model_copy(update={"statement": "the issue"})
    text = rendered_text(shown(one.model_copy(update={"task": task, "messages": log}), view))
    assert [part for part in there if part not in text] == []
    assert [part for part in gone if part in text] == []


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_cell_is_run_once_by_whatever_experiment(pile: Path, finished: Path) -> None:
    files = Files(data=(pile,))
    before = {file: file.stat().st_mtime_ns for file in finished.rglob("result.json")}
    assert len(before) == 6
    told: list[str] = []
    run(definition(), "cpu", files, finished, say=told.append)
    assert [line.split(": ")[1] for line in told] == ["was finished already"] * 6
    other = definition(name="other", arms={"more": {}, "least": {"mix.sample.total": 10}}, axis=None, claims=[])
    told.clear()
    run(other, "cpu", files, finished, say=told.append)
    assert sum("was finished already" in line for line in told) == 3
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_the_same_experiment_with_other_settings_or_files_is_refused(
    pile: Path, finished: Path, tmp_path: Path
) -> None:
    told = r"holds small with other settings \(label_noise\); give another --out"
    with pytest.raises(SweRmError, match=told):
        run(definition(), "cpu", Files(data=(pile,)), finished, changes={"label_noise": 0.2}, say=lambda _: None)
    arms = definition(arms={"more": {}, "least": {"mix.sample.total": 10}}, axis=None, claims=[], seeds=[1, 2, 3])
    with pytest.raises(SweRmError, match=r"with other settings \(arms, seeds\)"):
        run(arms, "cpu", Files(data=(pile,)), finished, say=lambda _: None)
    fewer = tmp_path / "fewer.jsonl"
    fewer.write_text("".join(pile.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(SweRmError, match="holds small with other files; give another --out"):
        run(definition(), "cpu", Files(data=(fewer,)), finished, say=lambda _: None)
    with pytest.raises(SweRmError, match=r"small/more/seed-0: .*total"):
        run(definition(base={**SMALL["base"], "mix.sample.total": 4000}), "cpu", Files(data=(pile,)), tmp_path)


def test_a_damaged_plan_is_named_and_one_whose_arms_differ_elsewhere(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    plan = json.loads((finished / "small" / "experiment.json").read_text())
    (folder / "experiment.json").write_text("{")
    with pytest.raises(RecordError, match=r"experiment\.json: is no plan of a run: Invalid JSON"):
        read_planned(folder)
    (folder / "experiment.json").write_text(json.dumps({**plan, "read": "many"}))
    with pytest.raises(RecordError, match=r"experiment\.json: read: is no plan of a run: Input should be"):
        read_planned(folder)
    plan["experiment"]["settings"]["less"]["view"] = "issue"
    (folder / "experiment.json").write_text(json.dumps(plan))
    with pytest.raises(SweRmError, match="arm less differs from more in view, and only"):
        read_planned(folder)


def test_a_damaged_result_is_named(pile: Path, tmp_path: Path) -> None:
    told = cell_of(pile, tmp_path / "a")
    cells.run(told)
    (tmp_path / "a" / "result.json").write_text("{")
    with pytest.raises(RecordError, match=r"result\.json: is no result of a cell"):
        cells.result(told)
    cells.run(told.model_copy(update={"out": tmp_path / "b"}))
    with pytest.raises(RecordError, match="digest: is d, not e"):
        cells.result(told.model_copy(update={"out": tmp_path / "b", "digest": "e"}))


# --- reports ----------------------------------------------------------------------------------------------------------


def test_a_report_of_another_cells_result_is_refused(finished: Path, tmp_path: Path) -> None:
    out = shutil.copytree(finished, tmp_path / "out")
    one, other, *_ = read_planned(out / "small").cells
    shutil.copy(out / "cells" / other.digest / "result.json", out / "cells" / one.digest / "result.json")
    with pytest.raises(RecordError, match=rf"{one.digest}/result\.json: digest: is {other.digest}"):
        findings(out, definition())


def test_inputs_are_files_and_folders_by_names_that_tell_them_apart(pile: Path, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name / "pool").mkdir(parents=True)
        (tmp_path / name / "pool" / f"{name}.txt").write_text(name)
    one, other = tmp_path / "a" / "pool", tmp_path / "b" / "pool"
    (tmp_path / "c" / "a" / "pool").mkdir(parents=True)
    further = tmp_path / "c" / "a" / "pool"
    told = _inputs(Files(data=(pile, one, further), evaluation=(other,)).digests())
    assert [*told] == ["attempts.jsonl", f"{tmp_path.name}/a/pool", "c/a/pool", "b/pool"]
    assert len(set(told.values())) == 4


def test_a_report_says_what_was_measured(finished: Path) -> None:
    found = findings(finished, definition())
    assert [arm.name for arm in found.arms] == ["less", "more"]
    assert (found.control, found.varies, found.settings) == (
        "more", ("mix.sample.total",), {"more": {}, "less": {"mix.sample.total": 20}}
    )  # fmt: skip
    results = _results(finished)
    for arm in found.arms:
        assert arm.seeds == (0, 1, 2)
        for name in FIGURES:
            values = [value for value in arm.per_seed[name] if value is not None]
            if len(values) == 3:
                assert arm.metrics[name] == pytest.approx(np.mean(values))
            bounds = arm.intervals[name]
            assert bounds is None or bounds[0] <= (arm.metrics[name] or 0) <= bounds[1]
        mine = [results[arm.name, seed] for seed in arm.seeds]
        assert arm.per_seed["auc"] == pytest.approx([auc(one) for one in mine])
    less, more = found.arms
    assert less.differences["auc"].value == pytest.approx((less.metrics["auc"] or 0) - (more.metrics["auc"] or 0))
    assert more.differences == {}
    assert found.k == 6
    assert less.metrics["rm_at_k.widest"] == pytest.approx(less.rm_at_k[6].value)
    assert less.metrics["gain_at_k"] == pytest.approx((less.rm_at_k[6].value or 0) - (found.random_at_k or 0))


def _results(out: Path) -> dict[tuple[str, int], Result]:
    planned = read_planned(out / "small")
    return {(one.arm, one.seed): cells.read_result(out / "cells" / one.digest / "result.json") for one in planned.cells}


def auc(one: Result) -> float:
    """Wins over all pairs, one by one."""
    scores, resolved = one.measured.scores, one.measured.resolved
    pairs = [(a, b) for a, x in zip(scores, resolved, strict=True) if x
             for b, y in zip(scores, resolved, strict=True) if not y]  # fmt: skip
    return sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs)


REPORTS = Path(__file__).parents[1] / "experiments" / "reports"


@pytest.mark.parametrize("name", sorted({file.stem for file in REPORTS.glob("*.json")} & set(known())))
def test_the_reports_that_are_kept_are_what_their_figures_say(name: str, tmp_path: Path) -> None:
    found = Findings.model_validate_json((REPORTS / f"{name}.json").read_bytes())
    assert (REPORTS / f"{name}.md").read_text() == markdown(found)
    said = load(name)
    assert (found.title, found.question, found.axis, found.varies) == (
        said.title,
        said.question,
        said.axis,
        said.varies,
    )
    assert [one.claim for one in found.claims] == of_each_arm(said.claims, [arm.name for arm in found.arms])
    draw(found, tmp_path / "drawn.svg")
    drawn = (tmp_path / "drawn.svg").read_text()
    assert all(f">{arm.name}<" in drawn for arm in found.arms)


def test_of_many_curves_the_control_the_best_and_the_worst_are_named() -> None:
    found = Findings.model_validate_json((REPORTS / "source_composition.json").read_bytes())
    ends = {arm.name: arm.rm_at_k[found.k].value or 0 for arm in found.arms}
    named = _named_curves(found)
    assert found.control in named
    others = named - {found.control}
    assert {ends[name] for name in others} == {max(ends.values()), min(ends.values())}
    assert len(named) == 3 < len(ends)
    few = found.model_copy(update={"arms": found.arms[:3]})
    assert _named_curves(few) == {arm.name for arm in found.arms[:3]}


def test_a_claim_agrees_disagrees_or_is_not_told_apart(finished: Path, tmp_path: Path) -> None:
    (only,) = findings(finished, definition()).claims
    low, high = only.difference.interval  # type: ignore[union-attr,misc]
    expected = "agrees" if low > 0 else "disagrees" if high < 0 else "not told apart"
    assert only.standing == expected
    swapped = _with_scores(finished, tmp_path, {"more": good, "less": lambda r, s: 0.5})
    (sure,) = swapped.claims
    assert sure.standing == "agrees"
    swapped = _with_scores(finished, tmp_path, {"less": good, "more": lambda r, s: 0.5})
    assert swapped.claims[0].standing == "disagrees"


def test_a_claim_of_one_arm_is_held_against_0(finished: Path, tmp_path: Path) -> None:
    claimed = definition(claims=[FALLS, {**FALLS, "negative": "more"}])
    _with_scores(finished, tmp_path, {"less": lambda r, s: 0.9 * r, "more": lambda r, s: 0.9 * (1 - r)})
    rises, falls = findings(tmp_path, claimed).claims
    assert (rises.standing, falls.standing) == ("disagrees", "agrees")
    assert rises.difference
    assert rises.difference.value == pytest.approx(findings(tmp_path, claimed).arms[0].metrics["rise_with_k"])
    _with_scores(finished, tmp_path, dict.fromkeys(("more", "less"), lambda r, s: 0.5))
    assert {one.standing for one in findings(tmp_path, claimed).claims} == {"not told apart"}


def test_a_claim_of_a_pattern_is_one_of_each_arm_that_it_fits(finished: Path) -> None:
    claim = SMALL["claims"][0]
    made = definition(
        claims=[{**claim, "than": "le*"}, {**claim, "than": "only-*"}], axis=None,
        per_value={"of": "repo", "key": "mix.sample.repos"},
    )  # fmt: skip
    each = of_each_arm(made.claims, ["more", "less", "least"])
    assert [one.than for one in each] == ["less", "least", "only-*"]


def test_published_figures_over_k_stand_beside_those_of_that_k(finished: Path) -> None:
    published = [{"arm": "more", "figure": f"rm_at_k.{k}", "value": 0.5, "source": "it"} for k in (2, 9, "widest")]
    found = findings(finished, definition(published=published))
    rows = [line for line in markdown(found).splitlines() if line.endswith("| it |")]
    for row, k in zip(rows, (2, None, 6), strict=True):
        value = k and found.arms[1].rm_at_k[k].value
        told = f"K = {k}, random pick {found.random_at_k:.3f}" if k else "not measured, K is 6 at most"
        assert told in row
        assert f"| 0.5 | {'not' if value is None else f'{value:.3f} ['}" in row


def test_a_report_is_of_the_definition_that_is_given(finished: Path) -> None:
    words = {"title": "T", "question": "Q?", "claims": [], "published": [], "axis": None}
    found = findings(finished, definition(**words))
    assert (found.title, found.question, found.claims, found.axis) == ("T", "Q?", (), None)
    other = {"arms": {"more": {}, "less": {"label_noise": 0.1}}, "varies": ["label_noise"]}
    with pytest.raises(SweRmError, match=r"small: is a run of small with other varies, arms; give another --out"):
        findings(finished, definition(**other))


def good(resolved: bool, score: float) -> float:
    """A score that is right four times in five."""
    return 0.9 if resolved == bool(int(1e6 * score) % 5) else 0.1


def _with_scores(finished: Path, out: Path, scores: dict[str, Any]) -> Findings:
    """The report of a run in which each arm's scores follow from the outcome and the score."""
    for one in read_planned(finished / "small").cells:
        found = cells.read_result(finished / "cells" / one.digest / "result.json")
        measured = found.measured
        new = tuple(scores[one.arm](r, s) for r, s in zip(measured.resolved, measured.scores, strict=True))
        file = out / "cells" / one.digest / "result.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        changed = found.model_copy(update={"measured": measured.model_copy(update={"scores": new})})
        file.write_text(changed.model_dump_json())
    (out / "small").mkdir(exist_ok=True)
    (out / "small" / "experiment.json").write_bytes((finished / "small" / "experiment.json").read_bytes())
    return findings(out, definition())


def test_arms_that_were_measured_on_other_attempts_are_refused(finished: Path, tmp_path: Path) -> None:
    _with_scores(finished, tmp_path, dict.fromkeys(("more", "less"), lambda r, s: s))
    first = read_planned(finished / "small").cells[0].digest
    file = tmp_path / "cells" / first / "result.json"
    found = cells.read_result(file)
    flipped = tuple(not one for one in found.measured.resolved)
    file.write_text(
        found.model_copy(update={"measured": found.measured.model_copy(update={"resolved": flipped})}).model_dump_json()
    )
    with pytest.raises(SweRmError, match="was measured on other attempts than the rest"):
        findings(tmp_path, definition())
    file.unlink()
    left = findings(tmp_path, definition())
    assert left.missing == ("more/seed-0: is not finished",)
    assert {arm.name: arm.seeds for arm in left.arms} == {"less": (0, 1, 2), "more": (1, 2)}


def test_the_verbs(pile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(SMALL))
    out, reports = tmp_path / "runs", tmp_path / "reports"
    said = ["experiment", "run", str(file), "--data", str(pile), "--out", str(out), "--set", "train.balance=policy"]
    assert main([*said, "--json", "-"]) == 0
    assert len(json.loads(capsys.readouterr().out)["cells"]) == 6
    assert main(["experiment", "report", str(file), "--out", str(out), "--reports", str(reports)]) == 0
    content = json.loads((reports / "small.json").read_text())
    assert (content["control"], content["varies"]) == ("more", ["mix.sample.total"])
    for arm in content["arms"]:
        assert {"name", "seeds", "metrics", "intervals"} <= arm.keys()
        assert arm["metrics"].keys() == arm["intervals"].keys() == FIGURES.keys()
    text = (reports / "small.md").read_text()
    assert content["changes"] == {"train.balance": "policy"}
    assert "All arms, by --set: `train.balance`: policy." in text
    for part in ("# Small", "Is it small?", "| **more** |", "more is better", "nowhere", "`mix.sample.total`: 20"):
        assert part in text
    assert (reports / "small.svg").read_text().startswith("<?xml")
    capsys.readouterr()
    assert main(["experiment", "list", "--json"]) == 0
    assert {one["name"] for one in json.loads(capsys.readouterr().out)["experiments"]} >= REQUIRED
    assert main(["experiment", "list"]) == 0
    listed = capsys.readouterr().out
    for name in ("policy_mixture_logged", "source_composition_logged", "Varies: label_noise."):
        assert name in listed  # whole at any width
    assert main(["experiment", "report", "data_scale", "--out", str(out)]) == 1
    assert capsys.readouterr().err == f"swe-rm: {out}/data_scale: holds no run; swe-rm experiment run makes one\n"


@pytest.mark.parametrize("name", known())
def test_a_definition_that_is_shown_is_the_same_as_a_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["experiment", "show", name]) == 0
    (tmp_path / "mine.yaml").write_text(capsys.readouterr().out)
    assert load(str(tmp_path / "mine.yaml")) == load(name)


def test_settings_of_30b_are_shown_and_not_run(pile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert get_args(Profiles) == get_args(Profile)
    assert main(["experiment", "show", "loss", "--profile", "30b-a3b"]) == 0
    shown_ = yaml.safe_load(capsys.readouterr().out)
    settings = experiment(load("loss"), "30b-a3b").settings
    assert {arm: Setting.model_validate(content) for arm, content in shown_.items()} == settings
    words = ["experiment", "run", "loss", "--profile", "30b-a3b", "--data", str(pile), "--out", str(tmp_path)]
    assert main(words) == 1
    assert "30b-a3b is settings alone" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_language_model_goes_from_one_warm_up_through_every_arm(pile: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    tiny = {"hidden": 16, "layers": 1, "heads": 2, "kv_heads": 1, "head_dim": 8, "experts": 2, "expert_width": 8}
    policy = {"max_tokens": 128, "issue_cap": 24, "patch_cap": 32, "observation_cap": 16}
    common = {"policy": policy, "balance": "none", "tokens_per_row": 1024, "tokens_per_step": 2048, "epochs": 1}
    base = {
        "mix.sample.total": 24,
        "train": {**common},
        "warmup": {**common, "shape": tiny, "vocabulary_size": 300},
        "warmup_most": 30,
    }
    made = definition(base=base, arms={"more": {}, "less": {"mix.sample.total": 12}}, axis=None)
    told: list[str] = []
    done = run(made, "cpu", Files(data=(pile,)), tmp_path, parallel=2, say=told.append)
    assert [one.reason for one in done] == [""] * 6
    (warm,) = tmp_path.glob("warm-*")
    assert {one.job.cell.warm for one in done} == {warm}
    planned = read_planned(tmp_path / "small")
    assert {"numpy", "torch"} <= planned.versions.keys()
    assert planned.code
    (read,) = {one.job.cell.warmup_attempts for one in done}
    assert len(read) == 30
    tasks = {one.trajectory.attempt_id: one.trajectory.task.fold(3) for one in open_pile((pile,), ()).attempts()}
    training = sorted(one for one, fold in tasks.items() if fold != 0)
    assert sorted(read) == training[:30] != training
    assert not list((tmp_path / "cells").glob("*/model"))
    found = findings(tmp_path, made)
    assert all(arm.prompt_tokens and arm.prompt_tokens <= 128 for arm in found.arms)


def test_words_that_cannot_be_fitted_are_one_line(pile: Path, tmp_path: Path) -> None:
    with pytest.raises(VerifierError, match="cannot be fitted on the tail: ") as raised:
        cells.run(cell_of(pile, tmp_path / "a", view="issue"))
    assert "\n" not in str(raised.value)
