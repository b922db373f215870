"""Two engines compared: the figures, the sample, and the exit codes of `swe-rm parity`."""

import inspect
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm import export
from swe_rm.__main__ import main
from swe_rm.errors import SweRmError
from swe_rm.parity import SAMPLE, TOLERANCE, Parity, compare, sample
from swe_rm.trajectory import Labelled, Outcome
from swe_rm.verbs.parity import parity
from swe_rm.verdict import Verdict
from tests.conftest import attempt

POOL = [
    Labelled(
        trajectory=attempt(f"acme__tool-{task}", number=number),
        outcome=Outcome.RESOLVED if number == 1 else Outcome.UNRESOLVED,
    )
    for task in range(4)
    for number in (1, 2, 3)
]


def verdicts(scores: Mapping[str, float], name: str, **more: Any) -> dict[str, Verdict]:
    return {id_: Verdict(attempt_id=id_, score=s, raw_score=s, verifier=name, **more) for id_, s in scores.items()}


def scores(seed: int = 1) -> dict[str, float]:
    dice = random.Random(seed)
    return {item.trajectory.attempt_id: dice.random() for item in POOL}


def told(a: Mapping[str, float], b: Mapping[str, float], **options: Any) -> Parity:
    return compare(POOL, verdicts(a, "a@1"), verdicts(b, "b@1"), names=("a@1", "b@1"), **options)


def test_one_engine_is_equal_to_itself() -> None:
    found = told(scores(), scores())
    assert (found.max_difference, found.mean_difference, found.bias) == (0.0, 0.0, 0.0)
    assert (found.n_compared, found.n_pairs, found.n_rank_flips, found.n_tasks, found.n_top_changes) == (
        12,
        12,
        0,
        4,
        0,
    )
    assert found.auc_a == found.auc_b
    assert found.is_within
    assert found.max_logprob_difference is None


def test_figures_of_a_pool_made_by_hand() -> None:
    ids = [item.trajectory.attempt_id for item in POOL]
    a = dict(zip(ids, [0.9, 0.5, 0.1] * 4, strict=True))
    b = {**a, ids[0]: 0.4, ids[5]: 0.2}
    found = told(a, b)
    assert found.max_difference == pytest.approx(0.5)
    assert found.mean_difference == pytest.approx(0.6 / 12)
    assert found.bias == pytest.approx(-0.4 / 12)
    assert (found.n_rank_flips, found.n_top_changes) == (1, 1)
    assert found.auc_a == 1.0
    assert found.auc_b == pytest.approx(1 - 4 / 32)
    assert [one.attempt_id for one in found.furthest[:2]] == [ids[0], ids[5]]
    assert not found.is_within
    assert "BEYOND the tolerance of 0.03" in "\n".join(found.lines())


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_flips_are_those_of_all_pairs(one: int, other: int) -> None:
    a, b = ({key: round(value, 1) for key, value in scores(seed).items()} for seed in (one, other))
    found = told(a, b)
    flips = 0
    for x in POOL:
        for y in POOL:
            if x.trajectory.task.instance_id == y.trajectory.task.instance_id:
                i, j = x.trajectory.attempt_id, y.trajectory.attempt_id
                flips += (a[i] < a[j]) and (b[i] > b[j])
    assert found.n_rank_flips == flips


def test_an_attempt_that_one_engine_gave_no_verdict_on_is_not_within() -> None:
    b = scores()
    b.pop(POOL[0].trajectory.attempt_id)
    found = told(scores(), b)
    assert (found.n_compared, found.n_unscored_a, found.n_unscored_b, found.is_within) == (11, 0, 1, False)
    nothing = told({}, {})
    assert (nothing.max_difference, nothing.is_within) == (None, False)
    assert nothing.lines()[-1] == "nothing to compare"


def test_other_lengths_and_log_probabilities_are_seen() -> None:
    a = verdicts(scores(), "a@1", prompt_tokens=10, logprob_yes=-1.0, logprob_no=-0.5)
    b = verdicts(scores(), "b@1", prompt_tokens=11, logprob_yes=-1.25, logprob_no=-0.5)
    found = compare(POOL, a, b, names=("a@1", "b@1"))
    assert (found.n_other_tokens, found.max_logprob_difference) == (12, 0.25)
    assert "12 attempts were not read at the same length" in found.lines()


def test_unknown_outcomes_and_none_give_no_auc() -> None:
    unknown = [item.model_copy(update={"outcome": Outcome.UNKNOWN}) for item in POOL]
    found = compare(unknown, verdicts(scores(), "a@1"), verdicts(scores(), "b@1"), names=("a@1", "b@1"))
    assert (found.auc_a, found.auc_b) == (None, None)
    with pytest.raises(SweRmError, match="no attempt to compare"):
        compare([], {}, {}, names=("a@1", "b@1"))


@given(st.permutations(POOL), st.integers(1, 15))
def test_the_sample_does_not_depend_on_the_order_and_keeps_tasks_whole(order: list[Labelled], size: int) -> None:
    found = sample(order, size)
    assert found == sample(POOL, size)
    assert len(found) == min(size, len(POOL))
    tasks = [item.trajectory.task.instance_id for item in found]
    whole = [task for task in set(tasks) if tasks.count(task) == 3]
    assert len(whole) >= len(set(tasks)) - 1
    assert {item.trajectory.attempt_id for item in sample(POOL, max(1, size - 3))} <= {
        item.trajectory.attempt_id for item in found
    }


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> Path:
    export.write(POOL, tmp_path / "pool.jsonl")
    for name, shift in (("a", 0.0), ("near", 0.01), ("far", 0.2)):
        rows = [
            {"attempt_id": id_, "score": min(1.0, score * 0.7 + shift), "verifier": f"{name}@1"}
            for id_, score in scores().items()
        ]
        (tmp_path / f"{name}.jsonl.verdicts").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def run(files: Path, other: str, *more: str) -> int:
    a, b = (f"recorded:{files / name}.jsonl.verdicts" for name in ("a", other))
    return main(["parity", a, b, str(files / "pool.jsonl"), *more])


@pytest.mark.parametrize(("other", "code"), [("a", 0), ("near", 0), ("far", 1)])
def test_beyond_the_tolerance_the_exit_code_is_1(
    other: str, code: int, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(files, other) == code
    printed = capsys.readouterr().out
    assert ("within" if code == 0 else "BEYOND") in printed
    assert f"B {other}@1" in printed
    assert run(files, other, "--tolerance", "0.5") == 0
    assert run(files, "near", "--tolerance", "0.001") == 1


def test_json_holds_every_figure(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(files, "near", "--sample", "5", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_attempts"] == 5
    assert found["max_difference"] == pytest.approx(0.01)
    assert found["auc_a"] == found["auc_b"]
    out = files / "parity.json"
    assert run(files, "near", "--json", str(out)) == 0
    assert run(files, "near", "--json", str(out)) == 0, "one of ours is written anew"
    assert json.loads(out.read_text())["verifier_b"] == "near@1"


def test_an_attempt_without_a_verdict_is_exit_code_2(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = files / "a.jsonl.verdicts"
    lines = short.read_text().splitlines(keepends=True)
    (files / "short.jsonl.verdicts").write_text("".join(lines[1:]))
    assert run(files, "short") == 2
    assert "no verdict on" in capsys.readouterr().err


def test_nothing_to_read_is_exit_code_1(files: Path) -> None:
    (files / "empty").mkdir()
    assert main(["parity", "constant", "shortest", str(files / "empty")]) == 1


def test_the_commands_defaults_are_those_of_the_module() -> None:
    defaults = {name: parameter.default for name, parameter in inspect.signature(parity).parameters.items()}
    assert (defaults["sample"], defaults["tolerance"]) == (SAMPLE, TOLERANCE)
