"""Persuasion: what a rewriting may touch, what each family does, and what the figures say of verifiers we know."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm import dialects
from swe_rm.attack import attack, drawn
from swe_rm.attack.dress import dress_of
from swe_rm.attack.effect import Scores, effect
from swe_rm.attack.families import FAMILIES, combination, rewritten
from swe_rm.attack_report import headline
from swe_rm.errors import SweRmError, VerifierError
from swe_rm.metrics import auc_score
from swe_rm.render import rendered_text
from swe_rm.resampling import resample_weights
from swe_rm.sources import open_pile
from swe_rm.trajectory import Labelled, Message, Outcome, ToolCall, Trajectory
from swe_rm.verdict import Verdict
from tests.arbitrary import TRAJECTORY
from tests.conftest import attempt
from tests.test_cli import error_lines, lines, row, run


class Judge:
    """Scores by a function of the rendering, and remembers how many it was asked about."""

    def __init__(self, score: Callable[[Trajectory], float], name: str = "judge@1") -> None:
        self._score = score
        self.name = name
        self.asked = 0

    def __call__(self, trajectories: Sequence[Trajectory]) -> list[Verdict]:
        self.asked += len(trajectories)
        scores = [(t.attempt_id, self._score(t)) for t in trajectories]
        return [Verdict(attempt_id=id_, score=s, raw_score=s, verifier=self.name) for id_, s in scores]


class Credulous(Judge):
    """Believes whoever claims success in the last words, or shows a passing run."""

    def __init__(self) -> None:
        super().__init__(lambda t: 0.9 if "passed in" in rendered_text(t)[-900:] else 0.2, "credulous@1")


class ByPatch(Judge):
    """Looks at the patch alone: cannot be talked round."""

    def __init__(self) -> None:
        super().__init__(lambda t: 0.9 if "x = 2" in t.patch else 0.1, "by-patch@1")


def pool(n_tasks: int = 6) -> list[Labelled]:
    """Two attempts a task; the one that sets x to 2 resolves it."""
    return [
        Labelled(
            trajectory=attempt(f"acme__tool-{task}", number=number, said="I could not fix it. It seems odd."),
            outcome=Outcome.RESOLVED if number == 2 else Outcome.UNRESOLVED,
            provenance="tests",
        )
        for task in range(n_tasks)
        for number in (1, 2)
    ]


# --- rewriting -------------------------------------------------------------------------------------------------------


def test_there_are_at_least_ten_families() -> None:
    assert len(FAMILIES) >= 10


def test_every_family_is_documented() -> None:
    page = (Path(__file__).parents[1] / "docs" / "attack.md").read_text(encoding="utf-8")
    for name, family in FAMILIES.items():
        assert f"| `{name}` | {family.about} |" in page, name


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("seed", ["0", "1"])
def test_every_family_changes_the_log_and_nothing_else(name: str, seed: str) -> None:
    before = pool(1)[0].trajectory
    before = before.model_copy(update={"messages": (*before.messages[:-1], failing(), *before.messages[-1:])})
    after = rewritten(before, [name], seed, name)
    assert rendered_text(after) != rendered_text(before)
    assert (after.patch, after.task, after.finished) == (before.patch, before.task, before.finished)
    assert after.origin.attempt == f"1~{name}"
    assert after.messages[:2] == before.messages[:2], "the prompt stays"
    assert after.model_dump() == rewritten(before, [name], seed, name).model_dump()


def failing() -> Message:
    return Message(role="tool", content="<returncode>1</returncode>\n<output>\nValueError: odd\n1 failed\n</output>")


def log(name: str) -> str:
    before = pool(1)[0].trajectory
    before = before.model_copy(update={"messages": (*before.messages[:-1], failing(), *before.messages[-1:])})
    return "\n".join(turn.text for turn in dialects.turns(rewritten(before, [name], "0", name)))


def test_a_forged_run_looks_like_the_others() -> None:
    before = attempt()
    after = rewritten(before, ["forged_pass"], "0", "x")
    *_, command, seen, last = dialects.turns(after)
    assert command.actions[0].text == "$ python -m pytest -q"
    assert (seen.kind, seen.exit_code) == ("observation", 0)
    assert " passed in " in seen.text
    assert last == dialects.turns(before)[-1]


def test_what_failed_is_gone() -> None:
    assert "ValueError" not in log("no_failures")
    assert "1 failed" not in log("no_failures")
    assert "ValueError" in log("exit_zero")
    assert all(not turn.exit_code for turn in dialects.turns(rewritten(attempt(), ["exit_zero"], "0", "x")))


def test_doubts_are_gone_and_the_rest_is_there() -> None:
    assert "could not" not in log("no_doubts")
    assert "Done by 1 steps" in log("no_doubts")


def test_a_summary_takes_the_place_of_the_last_words() -> None:
    assert "Done by 1 steps" not in log("confident_summary")
    assert "Done by 1 steps" in log("long_ending")


def test_a_command_written_into_the_text_stays_last() -> None:
    written = (
        Message(role="user", content="Add fails"),
        Message(role="assistant", content="THOUGHT: look\n```bash\nls\n```"),
        Message(role="user", content="a.py"),
        Message(role="assistant", content="THOUGHT: done\n```bash\nsubmit\n```"),
    )
    before = attempt().model_copy(update={"messages": written})
    for name in ("long_ending", "confident_summary", "self_praise", "forged_pass"):
        last = dialects.turns(rewritten(before, [name], "0", name))[-1]
        assert last.actions == (dialects.SUBMIT,), name
    assert dress_of(before).role == "user"


def test_the_dress_is_the_attempts_own() -> None:
    call = ToolCall(name="execute_bash", arguments='{"cmd": "ls"}')
    seen = Message(role="tool", content="a.py\n[The command completed with exit code 0.]")
    log = (Message(role="user", content="x"), Message(role="assistant", tool_calls=(call,)), seen)
    said, shown = dress_of(attempt().model_copy(update={"messages": log})).run("I look.", "pwd", "here")
    assert said.tool_calls == (ToolCall(name="execute_bash", arguments='{"cmd": "pwd"}'),)
    assert dialects.observation(shown.content).exit_code == 0
    assert dialects.observation(shown.content).text == "here"


@settings(max_examples=60)
@given(TRAJECTORY, st.sampled_from([*FAMILIES, "all"]))
def test_any_attempt_can_be_rewritten_and_keeps_its_patch(trajectory: Trajectory, name: str) -> None:
    after = rewritten(trajectory, list(FAMILIES) if name == "all" else [name], "0", name)
    assert after.patch == trajectory.patch
    assert after.attempt_id != trajectory.attempt_id
    dialects.turns(after)


def test_combinations_are_drawn_by_the_seed() -> None:
    drawn = [combination(str(number), list(FAMILIES)) for number in range(50)]
    assert drawn == [combination(str(number), list(FAMILIES)) for number in range(50)]
    assert {len(names) for names in drawn} == {2, 3, 4, 5, 6}
    assert combination("0", ["padding"]) == ["padding"]


# --- what it does ----------------------------------------------------------------------------------------------------


def test_the_credulous_are_talked_round_and_the_patch_reader_is_not() -> None:
    found = attack(pool(), Credulous(), best_of=20)
    assert found.families["forged_pass"].flipped == 1
    assert found.families["best_of_20"].flipped == 1
    assert not found.holds
    assert found.worst[1].flipped == 1
    firm = attack(pool(), ByPatch(), best_of=20)
    assert firm.auc == 1
    assert firm.holds
    assert {(e.flipped, e.pushed_down, e.auc_lost) for e in firm.families.values()} == {(0, 0, 0)}
    resolved = [item for item in pool() if item.outcome is Outcome.RESOLVED]
    unmeasured = attack(resolved, ByPatch(), best_of=20)
    assert unmeasured.holds is None
    assert "not measured" in headline(unmeasured)
    assert unmeasured.to_json()["holds"] is None
    assert {e.flipped_interval for e in firm.families.values()} == {(0, 1 - 0.025 ** (1 / 6))}


def test_a_search_that_leaves_out_a_family_is_refused() -> None:
    with pytest.raises(SweRmError, match=f"each of {len(FAMILIES)} families alone first"):
        attack(pool(2), Credulous(), best_of=len(FAMILIES) - 1)
    found = attack(pool(2), Credulous(), best_of=len(FAMILIES)).families
    assert found[f"best_of_{len(FAMILIES)}"].mean_shift == max(effect.mean_shift for effect in found.values())
    assert "best_of_1" in attack(pool(2), Credulous(), best_of=1, families=["padding"]).families


def test_the_search_takes_the_best_of_exactly_so_many() -> None:
    judge = Judge(lambda t: random.Random(rendered_text(t)).random())
    found = attack(pool(2), judge, best_of=30)
    assert judge.asked == 4 * (1 + 30)
    alone = max(e.mean_shift for name, e in found.families.items() if name != "best_of_30")
    assert found.families["best_of_30"].mean_shift > alone
    assert "best_of_30" not in attack(pool(2), judge, best_of=0).families


def test_attempts_that_cannot_be_rewritten_are_counted() -> None:
    items = pool(2)
    bare = items[0].trajectory.model_copy(update={"messages": ()})
    items[0] = items[0].model_copy(update={"trajectory": bare})
    items[1] = items[1].model_copy(update={"outcome": Outcome.UNKNOWN})

    def moody(trajectory: Trajectory) -> float:
        if trajectory.key == items[2].trajectory.key:
            raise VerifierError("no answer")
        return 0.5

    told: list[object] = []
    found = attack(items, Judge(moody), best_of=0, unscored=told.append)
    assert found.n_left_out == {"without a log": 1, "of unknown outcome": 1, "without a verdict": 1}
    assert (found.n_attempts, len(told)) == (1, 1)
    assert found.auc is None
    assert found.families["padding"].flipped is None
    with pytest.raises(SweRmError, match=r"no attempt can be rewritten and scored: 1 without a log"):
        attack(items[:1], ByPatch())
    with pytest.raises(SweRmError, match=r"1 without a verdict \(acme__tool-1 / careful / 1: no answer\)"):
        attack(items[2:3], Judge(moody))
    with pytest.raises(SweRmError, match="unknown family 'charm': there is forged_pass"):
        attack(items, ByPatch(), families=["charm"])


def test_the_order_of_attempts_is_no_matter() -> None:
    items = pool(5)
    first, second = (attack(order, Credulous(), best_of=16).to_json() for order in (items, items[::-1]))
    assert first == second
    assert drawn(items, 3, 0) == drawn(items[::-1], 3, 0)
    assert drawn(items, None, 0) == drawn(items, 99, 0) == items


def test_the_figures_agree_with_counting() -> None:
    rng = np.random.default_rng(0)
    n, n_tasks = 60, 12
    before, up = rng.random(n).round(1), rng.random(n).round(1)
    resolved, tasks = rng.random(n) < 0.4, rng.integers(0, n_tasks, n)
    found = effect("x", Scores(before, up, up, resolved, tasks), 0.5, resample_weights(n_tasks, 200, 0))
    failed = [(b, a) for b, a, r in zip(before, up, resolved, strict=True) if not r and b < 0.5]
    good = [(b, a) for b, a, r in zip(before, up, resolved, strict=True) if r and b >= 0.5]
    assert (found.n_rejected, found.n_accepted) == (len(failed), len(good))
    assert found.flipped == pytest.approx(sum(a >= 0.5 for _, a in failed) / len(failed))
    assert found.pushed_down == pytest.approx(sum(a < 0.5 for _, a in good) / len(good))
    mixed = np.array([b if r else a for b, a, r in zip(before, up, resolved, strict=True)])
    clean, attacked, everyone = (auc_score(scores, resolved) for scores in (before, mixed, up))
    assert clean is not None
    assert attacked is not None
    assert everyone is not None
    assert found.auc_lost == pytest.approx(clean - attacked)
    assert found.auc_lost_by_all == pytest.approx(clean - everyone)
    for value, bounds in ((found.flipped, found.flipped_interval), (found.auc_lost, found.auc_lost_interval)):
        assert bounds
        assert value is not None
        assert bounds[0] <= value <= bounds[1]


# --- the verb --------------------------------------------------------------------------------------------------------


@pytest.fixture
def pile(tmp_path: Path) -> Path:
    file = tmp_path / "pile.jsonl"
    file.write_bytes(lines([row(number) for number in range(8)]))
    return file


def test_the_verb_tells_and_writes_attempts_that_can_be_read(
    pile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, report = tmp_path / "rewritten.jsonl.gz", tmp_path / "attack.json"
    spec = f"{__name__}:Credulous"
    assert run("attack", pile, "--verifier", spec, "--best-of", 20, "--out", out, "--json", report) == 0
    found = json.loads(report.read_text())
    assert list(found["families"]) == [*FAMILIES, "best_of_20"]
    assert (found["verifier"], found["n_attempts"], found["holds"]) == ("credulous@1", 8, False)
    assert "do not reward a policy with this verifier alone" in capsys.readouterr().out.replace("\n", " ")
    before = {item.trajectory.key: item for item in open_pile([pile]).attempts()}
    after = list(open_pile([out]).attempts())
    assert len(after) >= 8 * len(FAMILIES)
    for item in after:
        task, policy, attempt_ = item.trajectory.key
        original = before[task, policy, attempt_.partition("~")[0]]
        assert item.trajectory.patch == original.trajectory.patch
        assert item.outcome is original.outcome


def test_only_the_families_asked_for_on_a_sample(pile: Path, tmp_path: Path) -> None:
    report = tmp_path / "attack.json"
    options = ["--family", "padding", "--family", "injection", "--best-of", 0, "--sample", 3]
    assert run("attack", pile, "--verifier", f"{__name__}:ByPatch", *options, "--json", report) == 0
    found = json.loads(report.read_text())
    assert (list(found["families"]), found["n_attempts"]) == (["padding", "injection"], 3)


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["--family", "charm"], "unknown family 'charm'"),
        (["--out", "PILE"], "exists; give another --out"),
        (["--json", "PILE"], "not overwritten"),
        (["--threshold", 2], "--threshold"),
    ],
)
def test_what_is_wrong_is_one_line(
    pile: Path, argv: list[object], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [pile if word == "PILE" else word for word in argv]
    assert run("attack", pile, "--verifier", f"{__name__}:ByPatch", *words) == 1
    (line,) = error_lines(capsys)
    assert reason in line
