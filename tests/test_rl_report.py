"""What arms came to: intervals over seeds and tasks, runs read again, curves, verifiers beside what they taught."""

import json
import math
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm import spread
from swe_rm.__main__ import main
from swe_rm.errors import SweRmError
from swe_rm.report import document
from swe_rm.resampling import resample_weights
from swe_rm.rl import foretold
from swe_rm.rl.curves import MAX_DRAWN, draw, panels
from swe_rm.rl.outcome import ArmsOutcome, outcome
from swe_rm.rl.quality import judged
from swe_rm.rl.rates import area, rates
from swe_rm.rl.report_text import differences
from swe_rm.rl.runs import Seen, read_runs
from swe_rm.spread import Draws
from tests.report_pages import HOSTILE, Page, at, report
from tests.rl_runs import SPLITS, write_run


def seen(by_task: Sequence[tuple[int, int]], told: bool = True) -> Seen:
    """A look that saw (resolved, known) at each task."""
    resolved, known = (sum(pair[side] for pair in by_task) for side in (0, 1))
    named = {f"t{place}": pair for place, pair in enumerate(by_task)} if told else None
    habits = dict.fromkeys(("unknown", "edits_tests", "claims_falsely", "loops", "unfinished"), 0)
    return Seen(attempts=known, resolved=resolved, by_task=named, **habits)


def looks(dice: np.random.Generator, seeds: int, tasks: int, between: float, told: bool = True) -> list[list[Seen]]:
    """One look of each seed: rates of 0.5 on average that differ by 0.15 over tasks and by `between` over seeds."""
    hard, good = dice.normal(0, 0.15, tasks), dice.normal(0, between, seeds)
    return [[seen([(int(dice.random() < 0.5 + one + h), 1) for h in hard], told)] for one in good]


# --- intervals -------------------------------------------------------------------------------------------------------


def test_draws_of_tasks_are_what_repeating_the_tasks_gives() -> None:
    dice = np.random.default_rng(0)
    made = [[seen([(int(dice.integers(0, k + 1)), k) for k in (1, 2, 3, 4)]) for _ in range(2)] for _ in range(3)]
    found = rates(made)
    assert found.drawn is not None
    for number, weights in enumerate(resample_weights(4, spread.RESAMPLES, seed=0)[:50]):
        for seed, row in enumerate(made):
            for place, look in enumerate(row):
                assert look.by_task
                drawn = [pair for task, n in enumerate(weights) for pair in [look.by_task[f"t{task}"]] * int(n)]
                expected = sum(pair[0] for pair in drawn) / sum(pair[1] for pair in drawn)
                assert found.drawn[number, seed, place] == pytest.approx(expected)
                assert found.per_seed[seed, place] == look.resolved / look.known


def test_without_tasks_an_interval_is_students() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 12)
    found = Draws(values, None).figure()
    half = 2.201 * values.std(ddof=1) / math.sqrt(12)
    assert found.value == pytest.approx(values.mean())
    assert found.interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.004)


def test_a_draw_in_which_nothing_is_defined_does_not_narrow_an_interval() -> None:
    dice = np.random.default_rng(0)
    whole = rates(looks(dice, 3, 20, 0.1)).map(lambda values: values[..., 0])
    assert whole.drawn is not None
    drawn = whole.drawn.copy()
    drawn[7, 1] = np.nan
    bounds, less = whole.figure().interval, Draws(whole.per_seed, drawn, whole.n_tasks).figure().interval
    assert bounds
    assert less == pytest.approx(bounds, abs=0.005)
    assert Draws(whole.per_seed, np.full_like(drawn, np.nan), whole.n_tasks).figure().interval is None


@pytest.mark.parametrize(("seeds", "between"), [(3, 0.0), (5, 0.1)])
def test_an_interval_holds_the_truth_about_as_often_as_it_says(seeds: int, between: float) -> None:
    dice = np.random.default_rng(seeds)
    held = 0
    for _ in range(60):
        bounds = rates(looks(dice, seeds, 20, between)).map(lambda values: values[..., 0]).figure().interval
        held += bounds is not None and bounds[0] <= 0.5 <= bounds[1]
    assert held >= 53


def test_what_an_interval_is_over() -> None:
    dice = np.random.default_rng(0)
    kinds = {(seeds, told): rates(looks(dice, seeds, 12, 0.1, told)).map(lambda v: v[..., 0]) for seeds, told in
             ((1, False), (1, True), (3, False), (3, True))}  # fmt: skip
    over = {key: (draws.over, draws.figure().interval is None) for key, draws in kinds.items()}
    assert over == {
        (1, False): ("nothing", True), (1, True): ("tasks", False), (3, False): ("seeds", False),
        (3, True): ("seeds and tasks", False),
    }  # fmt: skip


@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=6), shift=st.floats(-1, 1))
def test_an_interval_moves_with_its_figure_and_holds_it(values: list[float], shift: float) -> None:
    one, other = (Draws(np.array(values) + by, None).figure() for by in (0.0, shift))
    assert (one.interval is None) == (other.interval is None)
    if one.interval and other.interval:
        assert other.interval == pytest.approx([bound + shift for bound in one.interval], abs=1e-9)
        assert one.interval[0] - 1e-9 <= (one.value or 0) <= one.interval[1] + 1e-9


def test_seeds_that_all_agree_have_no_interval_and_unknown_ones_no_figure() -> None:
    assert Draws(np.array([0.5, 0.5, 0.5]), None).figure().interval is None
    unknown = Draws(np.array([0.5, np.nan]), None).figure()
    assert (unknown.value, unknown.interval, unknown.per_seed) == (None, None, (0.5, None))
    lost = rates([[seen([(0, 0), (0, 0)])], [seen([(1, 1), (0, 1)])]]).map(lambda values: values[..., 0]).figure()
    assert (lost.value, lost.interval) == (None, None)


def test_a_difference_is_paired_by_seed_and_task() -> None:
    dice = np.random.default_rng(0)
    one = rates(looks(dice, 5, 40, 0.2)).map(lambda values: values[..., 0])
    more = np.array([0.01, 0.02, 0.03, 0.01, 0.03])
    better = Draws(one.per_seed + more, None if one.drawn is None else one.drawn + more, one.n_tasks)
    apart = better.minus(one).figure()
    assert apart.value == pytest.approx(0.02)
    assert apart.interval
    assert 0 < apart.interval[0] < apart.interval[1] < 0.04
    assert np.ptp(one.figure().interval or 0) > 0.1


def test_the_area_is_the_mean_height() -> None:
    assert area([0, 10, 40], np.array([0.0, 1.0, 0.0])) == pytest.approx(0.5)
    assert area([0, 1, 2], np.array([[0.2, 0.2, 0.2], [0.0, 0.5, 1.0]])) == pytest.approx([0.2, 0.5])
    assert area([7], np.array([0.3])) == 0.3


# --- runs that are read again ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three arms: one learns, one learns as well, one gets worse and edits tests."""
    out = tmp_path_factory.mktemp("arms") / "out"
    for seed in range(3):
        write_run(out / "good" / f"seed-{seed}", seed, (0.2, 0.5, 0.8), verifier="good@1")
        write_run(out / "also" / f"seed-{seed}", seed, (0.2, 0.5, 0.8), verifier="also@1")
        write_run(out / "bad" / f"seed-{seed}", seed, (0.2, 0.2, 0.05), habit=0.6, verifier="bad@1")
    return out


@pytest.fixture(scope="module")
def found(arms: Path) -> ArmsOutcome:
    return outcome(read_runs(arms))


def test_arms_are_told_with_what_they_did(arms: Path, found: ArmsOutcome) -> None:
    assert list(found.arms) == ["also", "bad", "good"]
    good = found.arms["good"]
    assert (good.seeds, good.verifier, good.reward) == ((0, 1, 2), "good@1", "execution-free")
    assert set(good.splits) == {*SPLITS, "batches"}
    tasks = good.splits["held_out_tasks"]
    assert (tasks.over, tasks.n_tasks, tasks.n_attempts, tasks.trained_on) == ("seeds and tasks", 12, 72, (0, 32, 64))
    results = [json.loads((arms / "good" / f"seed-{seed}" / "result.json").read_text()) for seed in range(3)]
    finals, starts = ([one[when]["held_out_tasks"]["rate"] for one in results] for when in ("final", "start"))
    assert tasks.final.per_seed == pytest.approx(finals)
    assert tasks.gain.value == pytest.approx(np.mean(finals) - np.mean(starts))
    assert tasks.area.value == pytest.approx(np.mean([one.value for one in tasks.curve] + [tasks.curve[1].value]))
    edited = [one["final"]["held_out_tasks"]["edits_tests"] / 24 for one in results]
    assert tasks.habits["edits_tests"].final.value == pytest.approx(np.mean(edited))
    assert found.settings == {"verifier": {"also": "also@1", "bad": "bad@1", "good": "good@1"}}


def test_batches_are_told_in_stretches(arms: Path, found: ArmsOutcome) -> None:
    log = [json.loads(line) for line in (arms / "good" / "seed-1" / "log.jsonl").read_text().splitlines()]
    batches = [line for line in log if line["kind"] == "batch"]
    part = found.arms["good"].splits["batches"]
    assert (part.trained_on, part.over, part.n_tasks) == ((32, 64), "seeds", None)
    assert part.final.per_seed[1] == pytest.approx(sum(line["resolved"] for line in batches[4:]) / 32)
    assert found.arms["good"].reward_final.value == pytest.approx(0.5)


def test_a_difference_is_shown_or_is_said_not_to_be(found: ArmsOutcome) -> None:
    said = {str(one).partition(" [")[0].rstrip("+-.0123456789 "): one for one in found.differences}
    assert len(said) == len(found.differences) == 3 * 4 * 2
    assert said["held_out_tasks final: bad - good"].shown
    same = said["held_out_tasks final: also - good"]
    assert not same.shown
    assert str(same).endswith("no difference shown")
    mine, theirs = (found.arms[name].splits["held_out_tasks"].final for name in ("also", "good"))
    assert same.value == pytest.approx((mine.value or 0) - (theirs.value or 0))
    assert len(list(differences(found))) == 6


def test_only_seeds_that_both_have_are_compared(tmp_path: Path) -> None:
    for arm, seeds in (("a", (0, 1, 2)), ("b", (1, 2, 3)), ("c", (7,))):
        for seed in seeds:
            write_run(tmp_path / arm / f"seed-{seed}", seed)
    found = outcome(read_runs(tmp_path))
    assert {(one.one, one.other, one.seeds) for one in found.differences} == {("a", "b", (1, 2))}


def test_logs_that_tell_no_tasks_have_intervals_over_seeds(tmp_path: Path) -> None:
    for seed in range(3):
        file = write_run(tmp_path / "a" / f"seed-{seed}", seed) / "log.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for line in lines:
            for split in line.get("splits", {}).values():
                del split["by_task"], split["empty"]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    part = outcome(read_runs(tmp_path)).arms["a"].splits["held_out_tasks"]
    assert (part.over, part.n_tasks, part.habits["empty"].final.value) == ("seeds", None, None)
    assert part.final.interval


def test_what_is_not_finished_is_left_out_and_told(tmp_path: Path) -> None:
    write_run(tmp_path / "a" / "seed-0", 0)
    (write_run(tmp_path / "a" / "seed-1", 1) / "result.json").unlink()
    found = read_runs(tmp_path)
    assert [run.seed for run in found.arms["a"]] == [0]
    assert found.left_out == ["a/seed-1: left out, is not finished"]
    plan = tmp_path / "plan.yaml"
    plan.write_text(json.dumps({"out": str(tmp_path), "base": "b.yaml", "arms": {"a": {}, "b": {}}, "seeds": [0]}))
    planned = read_runs(plan)
    assert (list(planned.arms), planned.left_out) == (["a"], ["b/seed-0: left out, is not finished"])
    assert list(read_runs(tmp_path / "a" / "seed-0").arms) == ["seed-0"]


def note_anew(folder: Path, attempts: int, *differ: int) -> None:
    """Have a run's looks say how many attempts were made anew and went otherwise."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    looks = [line for line in lines if line["kind"] == "look"]
    for look, count in zip(looks, differ, strict=True):
        look |= {"anew": attempts, "differ": count}
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_attempts_that_went_otherwise_when_made_anew_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = {(arm, seed): write_run(tmp_path / arm / f"seed-{seed}", seed) for arm in "ab" for seed in range(2)}
    files = {name: tmp_path / f"r.{name}" for name in ("json", "html")}
    words = ["rl", "report", str(tmp_path), "--html", str(files["html"]), "--json", str(files["json"])]

    def told(line: str) -> list[Any]:
        assert main(words) == 0
        said = capsys.readouterr()
        assert line in said.out + said.err
        assert line in files["html"].read_text()
        content = json.loads(files["json"].read_text())
        return [content["anew"], *(content["arms"][arm]["anew"] for arm in "ab")]

    assert told("no log tells of attempts that were made anew") == [None, None, None]
    note_anew(runs["b", 1], 32, 0, 0, 0)
    found = {"attempts": 96, "differ": 0}
    assert told("of 96 attempts made anew with nothing remembered, 0 went otherwise") == [found, None, found]
    note_anew(runs["b", 0], 32, 0, 3, 14)
    note_anew(runs["a", 0], 8, 0, 0, 0)
    whole, *arms = told("of 216 attempts made anew with nothing remembered, 17 went otherwise: should be 0, b 17")
    assert whole == {"attempts": 216, "differ": 17}
    assert arms == [{"attempts": 24, "differ": 0}, {"attempts": 192, "differ": 17}]
    assert 'class="warnings"' in files["html"].read_text()


def test_a_log_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    log = write_run(tmp_path / "runs" / "a" / "seed-0", 0) / "log.jsonl"
    log.write_bytes(log.read_bytes() + b"\xff\xfe\n")
    with pytest.raises(SweRmError, match=r"log\.jsonl: is no text: invalid start byte"):
        read_runs(tmp_path / "runs")


def spoil(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("result.json", "{", "", "result.json: is no JSON"),
        ("result.json", '"digest": "', '"digest": "x', "result.json: digest: is not that"),
        ("run.json", '"config"', '"confug"', "run.json: config: Input should be"),
        ("run.json", '"every": 4', '"every": 0', "run.json: config.evaluation.every: Input should be"),
        ("log.jsonl", '"resolved"', '"resulved"', r"log.jsonl: line 1: splits.*resolved: Field required"),
        ("log.jsonl", "{", "", "log.jsonl: line 1: is no JSON"),
        ("log.jsonl", '"look"', '"lock"', "log.jsonl: has looks"),
        ("log.jsonl", '"held_out_tasks"', '"elsewhere"', "log.jsonl: has looks at other splits"),
        ("log.jsonl", '"resolved": ', '"resolved": 9', "log.jsonl: line 1: splits.*counts more than 12 attempts"),
        ("log.jsonl", '"loops": ', '"loops": -', "log.jsonl: line 1: splits.*greater than or equal to 0"),
        ("log.jsonl", "[1, 2]", "[3, 2]", "log.jsonl: line 1: splits.*counts more than"),
        ("log.jsonl", "[1, 2]", "[2, 2]", "log.jsonl: line 1: splits.*by_task: does not come to"),
        ("log.jsonl", '"splits": {', '"splits": {}, "more": {', "log.jsonl: line 1: splits: .*at least 1"),
    ],
)
def test_a_run_that_is_not_as_it_was_written_is_one_line(
    name: str, old: str, new: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_run(tmp_path / "a" / "seed-0", 0, (0.2, 0.5) if "lock" in new else (0.2, 0.5, 0.8))
    if "lock" in new:
        reason = "log.jsonl: has no look before and after"
    spoil(folder / name, old, new)
    assert main(["rl", "report", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(reason, line)


def test_a_damaged_run_is_left_out_with_a_line_and_the_others_are_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        write_run(tmp_path / "a" / f"seed-{seed}", seed)
    spoil(tmp_path / "a" / "seed-1" / "result.json", "{", "")
    assert main(["rl", "report", str(tmp_path), "--json", str(tmp_path / "told.json")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"a/seed-1: left out, .*result\.json: is no JSON", line)
    assert at(json.loads((tmp_path / "told.json").read_text()), "/arms/a/seeds") == [0, 2]


def test_runs_of_an_arm_that_differ_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "a" / "seed-0", 0)
    write_run(tmp_path / "a" / "seed-1", 1, learning_rate=0.5)
    with pytest.raises(SweRmError, match=r"seed-1 differs from .*seed-0 in learning_rate"):
        read_runs(tmp_path)
    write_run(tmp_path / "b" / "seed-0", 0)
    write_run(tmp_path / "b" / "seed-00", 0)
    with pytest.raises(SweRmError, match="two runs with seed 0"):
        read_runs(tmp_path / "b")
    write_run(tmp_path / "c" / "seed-0", 0)
    write_run(tmp_path / "c" / "seed-1", 1, (0.1, 0.2))
    with pytest.raises(SweRmError, match="was looked at otherwise"):
        read_runs(tmp_path / "c")
    with pytest.raises(SweRmError, match="holds no finished run"):
        read_runs(tmp_path / "nowhere")


def test_arms_that_were_looked_at_other_tasks_are_not_compared(tmp_path: Path) -> None:
    write_run(tmp_path / "a" / "seed-0", 0)
    log = write_run(tmp_path / "b" / "seed-0", 0) / "log.jsonl"
    log.write_text(log.read_text().replace("held_out_tasks-3", "held_out_tasks-33"))
    with pytest.raises(SweRmError, match="arms a and b were looked at other tasks of held_out_tasks"):
        outcome(read_runs(tmp_path))


# --- pages and pictures ----------------------------------------------------------------------------------------------


def test_the_page_says_what_the_document_says(
    arms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], prediction: Path, evaluated: list[str]
) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(arms, runs)
    for seed in range(3):
        write_run(runs / HOSTILE.translate({ord("/"): None, 0x1B: None}) / f"seed-{seed}", seed, verifier="fourth@1")
    words = ["rl", "report", str(runs), "--html", str(tmp_path / "r.html"), "--json", str(tmp_path / "r.json")]
    assert main([*words, "--svg", str(tmp_path / "r.svg"), "--prediction", str(prediction), *evaluated]) == 0
    page, told = Page((tmp_path / "r.html").read_text()), json.loads((tmp_path / "r.json").read_text())
    assert len(page.cited) > 200
    for cited in page.cited:
        value = at(told, cited.at)
        assert cited.value == ("" if value is None else repr(value))
    assert page.tags["script"] == 0
    assert page.tags["figure"] == 3
    assert len(set(page.ids)) == len(page.ids)
    assert "[red]mill[red]" in capsys.readouterr().out
    assert main([*words[:3], "--json", str(tmp_path / "r.json")]) == 0


def test_a_picture_stands_by_itself_and_draws_no_more_arms_than_can_be_told_apart(tmp_path: Path) -> None:
    for arm in range(MAX_DRAWN + 2):
        write_run(tmp_path / f"an arm of a long name, number {arm}" / "seed-0", 0)
    found = outcome(read_runs(tmp_path))
    draw(found, tmp_path / "r.svg")
    text = (tmp_path / "r.svg").read_text()
    drawn = Page(text)
    assert (drawn.tags["svg"], drawn.tags["polyline"]) == (1 + 3, MAX_DRAWN * 4)
    assert "href" not in text
    ends = [
        (float(x) + 7.5 * len(name), float(y))
        for x, y, name in re.findall(r'x="([^"]+)" y="([^"]+)">(an arm[^<]+)', text)
    ]
    (height,) = re.findall(r'viewBox="0 0 1260 (\d+)"', text)
    assert len(ends) == MAX_DRAWN
    assert all(x < 1260 and y < int(height) for x, y in ends)
    assert len({y for _, y in ends}) == 2
    assert [panel.title for panel in panels(found)] == ["training attempts", "held-out tasks", "held-out packages"]
    for points in re.findall(r'points="([^"]*)"', text):
        assert all(0 <= float(place) <= 3 * 420 for pair in points.split() for place in pair.split(","))


def test_many_pairs_are_counted(tmp_path: Path) -> None:
    for arm in range(8):
        write_run(tmp_path / f"arm{arm}" / "seed-0", 0)
    assert [line.partition(" of ")[2] for line in differences(outcome(read_runs(tmp_path)))] == [
        "28 pairs of arms are shown to differ"
    ] * 2


# --- verifiers beside what they taught -------------------------------------------------------------------------------


@pytest.fixture
def evaluated(tmp_path: Path) -> list[str]:
    """Options that name what `evaluate --json` wrote of two verifiers, one of which is the other with noise."""
    good = report(["good"])
    assert good.measured
    dice = np.random.default_rng(0)
    scores = tuple(float(min(1, max(0, s + dice.normal(0, 0.3)))) for s in good.measured.scores)
    noisy = document(good) | {"verifier": "bad@1", "measured": good.measured.model_copy(update={"scores": scores})}
    noisy["measured"] = noisy["measured"].model_dump(mode="json")
    words = []
    for name, content in (("good", document(good)), ("bad", noisy)):
        file = tmp_path / f"{name}.evaluated.json"
        file.write_bytes(orjson.dumps(content))
        words += ["--evaluated", str(file)]
    return words


def test_verifiers_are_compared_on_the_same_attempts(found: ArmsOutcome, evaluated: list[str]) -> None:
    rows, (pair,) = judged([Path(word) for word in evaluated[1::2]], found, resamples=400)
    assert [(row.verifier, row.arms, row.k) for row in rows] == [("good@1", ("good",), 4), ("bad@1", ("bad",), 4)]
    good, bad = rows
    assert set(pair.rm_at_k) == {2, 4}
    for k, apart in pair.rm_at_k.items():
        assert apart.difference == pytest.approx(good.rm_at_k[k] - bad.rm_at_k[k])
        assert apart.interval
        assert apart.interval[0] <= apart.difference <= apart.interval[1]
    assert pair.auc
    assert pair.auc.difference == pytest.approx((good.auc or 0) - (bad.auc or 0))
    assert pair.equivalent_at == ()
    file = Path(evaluated[1])
    with pytest.raises(SweRmError, match="two files are of one verifier"):
        judged([file, file], found)


def test_a_verifier_is_equivalent_to_itself(found: ArmsOutcome, evaluated: list[str], tmp_path: Path) -> None:
    content = json.loads(Path(evaluated[1]).read_text())
    other = tmp_path / "other.json"
    other.write_text(json.dumps(content | {"verifier": "twin@1"}))
    _, (pair,) = judged([Path(evaluated[1]), other], found, resamples=100)
    assert pair.equivalent_at == (2, 4)
    content["measured"]["resolved"][0] ^= True
    other.write_text(json.dumps(content | {"verifier": "twin@1"}))
    with pytest.raises(SweRmError, match="were measured on other attempts"):
        judged([Path(evaluated[1]), other], found, resamples=100)


@pytest.fixture
def prediction(tmp_path: Path) -> Path:
    """A prediction that foretells the order of the arms by `simulated` and not by `auc`."""
    rows = []
    for name, simulated, auc in (("good", 0.9, 0.7), ("also", 0.8, 0.6), ("bad", 0.1, 0.9), ("fourth", 0.5, 0.8)):
        part = {"simulated": simulated, "auc": auc, "auc_in_groups": auc, "ece": 0.2, "top": simulated, "more": 1}
        rows.append({"verifier": f"{name}@1", "task": part, "same_policy": part if name != "bad" else None})
    file = tmp_path / "prediction.json"
    file.write_text(json.dumps({"verifiers": rows, "agreements": {}}))
    return file


def test_some_arms_alone_in_the_order_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arm in "abc":
        write_run(tmp_path / "runs" / arm / "seed-0", 0, verifier=f"{arm}@1")
    assert main(["rl", "report", str(tmp_path / "runs"), "--arm", "c", "--arm", "a", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["arms"]) == ["c", "a"]
    assert main(["rl", "report", str(tmp_path / "runs"), "--arm", "d"]) == 1
    assert capsys.readouterr().err == "swe-rm: d: no arm with a finished run; there are a, b, c\n"


def test_which_figure_foretold_the_order(prediction: Path, tmp_path: Path) -> None:
    for arm, end in (("good", 0.95), ("also", 0.75), ("bad", 0.0), ("fourth", 0.4)):
        for seed in range(2):
            write_run(tmp_path / "runs" / arm / f"seed-{seed}", seed, (0.2, end), verifier=f"{arm}@1")
    write_run(tmp_path / "runs" / "both" / "seed-0", 0, reward="hybrid", verifier="good@1")
    told = foretold.foretold(prediction, outcome(read_runs(tmp_path / "runs")))
    rows = {(one.split, one.part, one.predictor): one for one in told}
    assert {(split, part) for split, part, _ in rows} == {("held_out_tasks", "task"), ("held_out_packages", "task")}
    mine = {name: rows["held_out_tasks", "task", name] for name in foretold.PREDICTORS}
    assert mine["simulated"].spearman == pytest.approx(1)
    assert mine["auc"].spearman == pytest.approx(-0.8)
    assert mine["auc"].behind_simulated == pytest.approx(1.8)
    assert (mine["ece"].spearman, mine["ece"].interval) == (None, None)
    assert mine["simulated"].behind_simulated is None
    for one in mine.values():
        assert one.n_verifiers == 4
        assert one.interval is None or one.interval[0] <= (one.spearman or 0) <= one.interval[1] + 1e-9


def test_verifiers_without_a_figure_or_a_split_are_left_out_before_they_are_counted(tmp_path: Path) -> None:
    figures = {name: {f"v{n}": n / 10 for n in range(5)} for name in foretold.PREDICTORS}
    found = {f"v{n}": [n / 5, n / 4] for n in range(5)}
    assert {one["n_verifiers"] for one in foretold.agreement(figures, found)} == {5}
    assert foretold.agreement(figures, found)[0]["spearman"] == pytest.approx(1)
    figures["auc"] |= {"v0": None, "v1": None}
    for one in foretold.agreement(figures, found):
        assert (one["n_verifiers"], one["spearman"], one["interval"], one["behind_interval"]) == (3, None, None, None)

    for n in range(5):
        write_run(tmp_path / "runs" / f"a{n}" / "seed-0", 0, (0.2, n / 5), verifier=f"v{n}")
    log = tmp_path / "runs" / "a0" / "seed-0" / "log.jsonl"
    records = [json.loads(line) for line in log.read_text().splitlines()]
    for record in records:
        record.get("splits", {}).pop("held_out_packages", None)
    log.write_text("".join(json.dumps(record) + "\n" for record in records))
    part = {"auc": 0.5, "auc_in_groups": 0.5, "ece": 0.1, "top": 0.5}
    rows = [{"verifier": f"v{n}", "task": {**part, "simulated": n / 5}, "same_policy": None} for n in range(5)]
    file = tmp_path / "prediction.json"
    file.write_text(json.dumps({"verifiers": rows}))
    told = foretold.foretold(file, outcome(read_runs(tmp_path / "runs")))
    assert {one.split: one.n_verifiers for one in told} == {"held_out_tasks": 5, "held_out_packages": 4}


def test_predictions_that_cannot_be_tested_are_one_line(prediction: Path, found: ArmsOutcome, tmp_path: Path) -> None:
    with pytest.raises(SweRmError, match="3 of its verifiers are the reward"):
        foretold.foretold(prediction, found)
    prediction.write_text(prediction.read_text().replace('"auc"', '"ouc"', 1))
    with pytest.raises(SweRmError, match=r"prediction.json: verifiers.0.task.auc: no prediction"):
        foretold.foretold(prediction, found)
    with pytest.raises(SweRmError, match=r"nowhere.json"):
        foretold.foretold(tmp_path / "nowhere.json", found)
    for arm in ("a", "b"):
        write_run(tmp_path / "runs" / arm / "seed-0", 0, verifier="good@1")
    with pytest.raises(SweRmError, match="arms a and b have one reward, good@1"):
        foretold.foretold(prediction_again(tmp_path), outcome(read_runs(tmp_path / "runs")))


def prediction_again(folder: Path) -> Path:
    part = {"simulated": 0.5, "auc": 0.5, "auc_in_groups": None, "ece": None, "top": 0.5}
    file = folder / "again.json"
    file.write_text(json.dumps({"verifiers": [{"verifier": "good@1", "task": part, "same_policy": None}]}))
    return file


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=8))
def test_spearman_is_the_correlation_of_middle_ranks(pairs: list[tuple[int, int]]) -> None:
    def ranks(values: list[int]) -> list[float]:
        return [
            sum(other < one for other in values) + (sum(other == one for other in values) + 1) / 2 for one in values
        ]

    columns: list[list[int]] = [list(column) for column in zip(*pairs, strict=True)]
    found = float(foretold.spearman(*(np.array(column, dtype=np.float64) for column in columns)))
    if any(len(set(column)) == 1 for column in columns):
        assert math.isnan(found)
    else:
        assert found == pytest.approx(float(np.corrcoef(*map(ranks, columns))[0, 1]))


def test_the_verb_tells_what_was_left_out(arms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rl", "report", str(arms), "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert list(told["arms"]) == ["also", "bad", "good"]
    for arm in ("a", "b\x1b[31m"):
        write_run(tmp_path / arm / "seed-0", 0)
    (write_run(tmp_path / "b\x1b[31m" / "seed-1", 1) / "result.json").unlink()
    assert main(["rl", "report", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert "seed-1: left out" in said.err
    assert "\x1b" not in said.out + said.err
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    assert main(["rl", "report", str(arms), "--html", str(tmp_path / "mine.html")]) == 1
