"""Scoring: one verdict an attempt, failures counted, and a killed run that resumes to every attempt exactly once."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm.errors import RecordError, SweRmError, VerifierError
from swe_rm.scored import GROUP, judged
from swe_rm.scoring import Tally, score, score_to_file, verdict_row
from swe_rm.trajectory import Labelled, Message, Origin, Task, Trajectory
from swe_rm.verdict import Verdict

KEYS = [
    "attempt_id", "content_hash", "instance_id", "policy", "attempt", "score", "raw_score", "logprob_yes",
    "logprob_no", "verdict_mass", "prompt_tokens", "truncated_tokens", "seconds", "verifier",
]  # fmt: skip
"""The command line contract, in its order."""


def attempts(count: int) -> list[Labelled]:
    return [
        Labelled(
            trajectory=Trajectory(
                task=Task(instance_id=f"lantern-{number // 4}", statement="The lamp stays on."),
                messages=(Message(role="assistant", content=f"try {number}"),),
                origin=Origin(source="made", policy="careful", attempt=str(number)),
            )
        )
        for number in range(count)
    ]


class Length:
    """A verifier for the tests: the score is a function of the text; fails on the attempts it is told to."""

    def __init__(self, name: str = "length@1", failing: Sequence[str] = ()) -> None:
        self.name = name
        self.failing = set(failing)
        self.seen: list[str] = []

    def __call__(self, trajectories: Sequence[Trajectory]) -> list[Verdict]:
        for trajectory in trajectories:
            if trajectory.origin.attempt in self.failing:
                raise VerifierError("the logits are NaN")
        self.seen += [trajectory.attempt_id for trajectory in trajectories]
        values = [1 / (2 + int(trajectory.origin.attempt)) for trajectory in trajectories]
        verdicts = [
            Verdict(attempt_id=t.attempt_id, score=v, raw_score=v, verifier=self.name)
            for t, v in zip(trajectories, values, strict=True)
        ]
        return verdicts[::-1]


class Compared(Length):
    """Gives each attempt its share among those at its task that it is shown with; fails where it sees one of these."""

    judges_together = True

    def __call__(self, trajectories: Sequence[Trajectory]) -> list[Verdict]:
        shown = Counter(t.task.instance_id for t in trajectories)
        shares = {t.attempt_id: 1 / shown[t.task.instance_id] for t in trajectories}
        alone = super().__call__(trajectories)
        return [v.model_copy(update={"score": shares[v.attempt_id]}) for v in alone]


def trajectories(count: int) -> list[Trajectory]:
    return [item.trajectory for item in attempts(count)]


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@settings(deadline=None)
@given(count=st.integers(0, 12), chunk=st.integers(1, 5), failing=st.sets(st.integers(0, 11)))
def test_score_agrees_with_one_by_one_and_counts_every_failure(count: int, chunk: int, failing: set[int]) -> None:
    given_ = trajectories(count)
    verifier = Length(failing=[str(number) for number in failing])
    lost: list[str] = []
    found = score(given_, verifier, unscored=lambda failure: lost.append(failure.attempt), chunk=chunk)
    twin = {t.attempt_id: verifier([t])[0] for t in given_ if int(t.origin.attempt) not in failing}
    assert found == twin
    assert lost == [str(number) for number in range(count) if number in failing]


@settings(deadline=None)
@given(order=st.permutations(range(14)), chunk=st.integers(1, 6), failing=st.none() | st.integers(0, 13))
def test_attempts_that_are_compared_are_seen_with_all_of_their_task(
    order: list[int], chunk: int, failing: int | None
) -> None:
    given_ = [trajectories(14)[number] for number in order]
    lost: list[str] = []
    verifier = Compared(failing=[str(failing)])
    found = score(given_, verifier, unscored=lambda failure: lost.append(failure.attempt), chunk=chunk)
    whole = {v.attempt_id: v.score for v in Compared()(given_)}
    assert {id_: verdict.score for id_, verdict in found.items()}.items() <= whole.items()
    assert {int(one) // 4 for one in lost} == (set() if failing is None else {failing // 4})
    assert len(found) + len(lost) == 14


@pytest.mark.parametrize("torn", [0, 1, 5, 14])
def test_a_killed_run_goes_on_with_whole_tasks_and_writes_each_attempt_once(tmp_path: Path, torn: int) -> None:
    mixed = attempts(14)
    random.Random(1).shuffle(mixed)
    twice = [*mixed, mixed[3]]
    out = tmp_path / "scores.jsonl"
    score_to_file(twice, Compared(), out, chunk=3)
    whole = rows(out)
    assert {row["attempt_id"]: row["score"] for row in whole} == {
        v.attempt_id: v.score for v in Compared()([item.trajectory for item in mixed])
    }
    out.write_bytes(b"".join(out.read_bytes().splitlines(keepends=True)[:torn]))
    again = score_to_file(twice, Compared(), out, resume=True, chunk=3)
    assert rows(out) == whole
    assert (again.read, again.scored, again.skipped) == (15, 14 - torn, torn + 1)


def test_a_pile_is_judged_by_whole_tasks_however_large_it_is() -> None:
    given_ = [*attempts(4 * GROUP)[::4], *attempts(4)[1:]]
    found = judged(given_, Compared(), unscored=lambda failure: pytest.fail(str(failure)))
    assert Counter(found.scores.tolist()) == {0.25: 4, 1.0: GROUP - 1}


def test_without_a_reporter_a_failure_is_raised_and_names_the_attempt() -> None:
    with pytest.raises(VerifierError, match="lantern-0 / careful / 2: the logits are NaN"):
        score(trajectories(4), Length(failing=["2"]))


def test_one_attempt_twice_is_refused() -> None:
    with pytest.raises(SweRmError, match="given twice"):
        score(trajectories(1) * 2, Length())


def test_a_verifier_that_forgets_or_invents_an_attempt_is_an_error() -> None:
    class Forgetful(Length):
        def __call__(self, trajectories: Sequence[Trajectory]) -> list[Verdict]:
            return super().__call__(trajectories)[1:]

    with pytest.raises(VerifierError, match="no verdict on 1 attempts"):
        score(trajectories(3), Forgetful())


def test_progress_adds_up() -> None:
    steps: list[int] = []
    score(trajectories(7), Length(), progress=steps.append, chunk=3)
    assert steps == [3, 3, 1]


def test_rows_have_exactly_the_keys_of_the_contract(tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    tally = score_to_file(attempts(5), Length(), out, chunk=2)
    assert tally == Tally(read=5, scored=5)
    assert [list(row) for row in rows(out)] == [KEYS] * 5
    assert [row["attempt_id"] for row in rows(out)] == [t.attempt_id for t in trajectories(5)]
    assert rows(out)[2] == verdict_row(trajectories(3)[2], Length()(trajectories(3)[2:])[0])


def test_an_existing_file_is_refused_without_resume(tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    out.write_text("mine\n")
    with pytest.raises(SweRmError, match=r"scores\.jsonl: exists; --resume"):
        score_to_file(attempts(1), Length(), out)
    assert out.read_text() == "mine\n"


def test_a_failing_attempt_loses_nothing_else_and_gets_its_score_on_resume(tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    first = score_to_file(attempts(9), Length(failing=["4"]), out, chunk=4)
    assert (first.scored, [failure.attempt for failure in first.unscored]) == (8, ["4"])
    second = score_to_file(attempts(9), Length(), out, resume=True, chunk=4)
    assert second == Tally(read=9, scored=1, skipped=8)
    assert sorted(str(row["attempt_id"]) for row in rows(out)) == sorted(t.attempt_id for t in trajectories(9))


def test_nothing_to_score_leaves_no_file(tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    assert score_to_file([], Length(), out) == Tally()
    assert not out.exists()


def test_another_verifier_is_refused_and_both_are_named(tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    score_to_file(attempts(2), Length(), out)
    before = out.read_bytes()
    with pytest.raises(VerifierError, match=r"written by length@1, this run is length@2"):
        score_to_file(attempts(4), Length("length@2"), out, resume=True)
    assert out.read_bytes() == before


@pytest.mark.parametrize("line", ['{"score": 1}', "[]", "torn in the middle"])
def test_a_file_of_something_else_is_not_resumed(tmp_path: Path, line: str) -> None:
    out = tmp_path / "scores.jsonl"
    out.write_text(line + "\n")
    with pytest.raises(RecordError, match=r"line 1: not a line of swe-rm score"):
        score_to_file(attempts(1), Length(), out, resume=True)


def test_a_file_with_one_attempt_twice_is_not_resumed(tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    score_to_file(attempts(1), Length(), out)
    out.write_bytes(out.read_bytes() * 2)
    with pytest.raises(RecordError, match=r"line 2: attempt .* stands there twice"):
        score_to_file(attempts(1), Length(), out, resume=True)


def test_two_runs_cannot_write_one_file(tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"

    class Meddling(Length):
        def __call__(self, trajectories: Sequence[Trajectory]) -> list[Verdict]:
            with pytest.raises(SweRmError, match="another run is writing it"):
                score_to_file(attempts(1), Length(), out, resume=True)
            return super().__call__(trajectories)

    assert score_to_file(attempts(2), Meddling(), out).scored == 2


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_run_cut_at_any_byte_resumes_to_every_attempt_once(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    out = tmp_path_factory.mktemp("cut") / "scores.jsonl"
    score_to_file(attempts(6), Length(), out, chunk=2)
    whole = out.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    out.write_bytes(whole[:cut])
    tally = score_to_file(attempts(6), Length(), out, resume=True, chunk=4)
    assert out.read_bytes() == whole
    assert tally.skipped == whole[:cut].count(b"\n")


KILLED_RUN = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_scoring import Length, attempts
from swe_rm.scoring import score_to_file

class Slow(Length):
    def __call__(self, trajectories):
        time.sleep(0.008)
        return super().__call__(trajectories)

score_to_file(attempts(400), Slow(), Path(sys.argv[1]), resume=True, chunk=3)
"""


def test_a_killed_process_resumes_to_every_attempt_once(tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    command = [sys.executable, "-c", KILLED_RUN, str(out), str(Path(__file__).parent)]
    chance = random.Random(7)
    for lines in sorted(chance.sample(range(1, 200), 4)):
        with subprocess.Popen(command) as process:
            while not out.exists() or out.read_bytes().count(b"\n") < lines:
                assert process.poll() is None, "the run ended before it was killed"
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.01))
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    assert 0 < out.read_bytes().count(b"\n") < 400
    subprocess.run(command, check=True)
    assert [row["attempt_id"] for row in rows(out)] == [t.attempt_id for t in trajectories(400)]
    assert len(rows(out)) == 400


def test_without_cutting_the_torn_line_the_file_would_be_broken(tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    score_to_file(attempts(2), Length(), out)
    torn = out.read_bytes()[:-20]
    joined = torn + json.dumps(verdict_row(trajectories(3)[2], Length()(trajectories(3)[2:])[0])).encode() + b"\n"
    out.write_bytes(joined)
    with pytest.raises(RecordError, match="line 2"):
        score_to_file(attempts(3), Length(), out, resume=True)
