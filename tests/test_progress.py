"""The score after each turn: the same as scoring each partial log alone, live or not, and the last that of `score`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm import batch, cut_short, progress
from swe_rm.decoder import Kept, Tiles
from swe_rm.errors import VerifierError
from swe_rm.model import Backend
from swe_rm.render import LengthPolicy
from swe_rm.scoring import score
from swe_rm.trajectory import Labelled, Message, ToolCall, Trajectory
from swe_rm.verdict import Verdict, Verifier, by_id, following
from swe_rm.verifiers import load_verifier
from swe_rm.verifiers.by_log import ByLog
from swe_rm.verifiers.calibrated import Calibrated
from swe_rm.verifiers.combined import Mean
from swe_rm.verifiers.growing import Growing, _trunks
from swe_rm.verifiers.local import Local
from swe_rm.verifiers.recorded import Recorded
from swe_rm.verifiers.words import Words
from tests.arbitrary import TRAJECTORY
from tests.conftest import attempt
from tests.test_docs import blocks

ROOMY = LengthPolicy(max_tokens=4_096, issue_cap=512, patch_cap=512)


@pytest.fixture(scope="module")
def roomy(tiny_checkpoint: Path) -> Local:
    return Local(tiny_checkpoint, policy=ROOMY)


@pytest.fixture(scope="module")
def cramped(tiny_checkpoint: Path) -> Local:
    """Its 256 tokens hold no whole log, so that every state is cut elsewhere."""
    return Local(tiny_checkpoint)


@pytest.fixture(scope="module")
def blend(roomy: Local) -> Verifier:
    """Like the shipped default: members calibrated each, the mean once more, and another one for patches alone."""
    shipped, facts = shipped_facts()
    model = Calibrated(roomy, facts._calibrator)
    return ByLog(Calibrated(Mean([model, facts]), facts._calibrator, "blend@1"), shipped._patches)


def shipped_facts() -> tuple[ByLog, Calibrated]:
    """`features`, and what of it judges attempts with a log."""
    shipped = load_verifier("features")
    assert isinstance(shipped, ByLog)
    assert isinstance(shipped._logs, Calibrated)
    return shipped, shipped._logs


def one_by_one(trajectory: Trajectory, verifier: Verifier, every: int = 1) -> list[float]:
    """The slow, obvious twin: every state judged alone by the verifier as it is."""
    return [verifier([state])[0].score for _, state in progress.states(trajectory, every)]


def echoing(turns: int) -> Trajectory:
    """An attempt whose last turns print its patch, which is shown otherwise once the patch is known."""
    whole = attempt(turns=turns)
    return whole.model_copy(
        update={
            "messages": (
                *whole.messages[:-1],
                Message(role="assistant", content="First I say this."),
                Message(
                    role="assistant", content="Then that.", tool_calls=(ToolCall(name="bash", arguments="git diff"),)
                ),
                Message(role="tool", content=whole.patch),
                whole.messages[-1],
            )
        }
    )


@pytest.mark.parametrize("every", [1, 3, 50])
def test_the_last_score_is_that_of_the_whole_attempt_and_every_score_that_of_its_state(
    roomy: Local, cramped: Local, blend: Verifier, every: int
) -> None:
    for trajectory in (attempt(turns=7), echoing(6), attempt(turns=0)):
        exact = [load_verifier("features"), load_verifier("constant"), load_verifier("shortest")]
        for verifier, tolerance in [*((one, 0.0) for one in exact), (roomy, 1e-5), (cramped, 1e-5), (blend, 1e-5)]:
            curve = progress.curve(trajectory, verifier, every)
            assert [step.score for step in curve.steps] == pytest.approx(
                one_by_one(trajectory, verifier, every), abs=tolerance
            )
            whole = score([trajectory], verifier)[trajectory.attempt_id].score
            assert curve.steps[-1].score == pytest.approx(whole, abs=tolerance)
            assert curve.verifier == verifier.name
            turns = len(cut_short.turn_starts(trajectory))
            assert curve.points[-1][0] == curve.n_turns == turns
            assert [turn for turn, _ in curve.points] == [*range(every, turns, every), turns]


def test_what_grows_is_read_once(roomy: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """The property above would hold too if every state were read anew."""
    read: list[int] = []
    model = roomy._model
    answer = model.logprobs

    def noted(row: batch.Row, tiles: Any = None, kept: Any = None) -> list[tuple[float, float]]:
        answers = answer(row, tiles, kept)
        read.append(len(row.token_ids) - (kept.length if kept else 0))
        return answers

    monkeypatch.setattr(model, "logprobs", noted)
    trajectory = attempt(turns=12)
    anew = sum(roomy([state])[0].prompt_tokens or 0 for _, state in progress.states(trajectory))
    read.clear()
    progress.curve(trajectory, roomy)
    assert len(read) == 1
    assert sum(read) < 0.4 * anew
    read.clear()
    live(trajectory, roomy)
    assert len(read) == 13
    assert sum(read) < 0.4 * anew


def live(trajectory: Trajectory, verifier: Verifier) -> list[float]:
    """What a watcher says after each turn, told of the messages as they come."""
    watcher = progress.Watcher(trajectory.task, verifier)
    starts = cut_short.turn_starts(trajectory)
    watcher.add(*trajectory.messages[: starts[0]])
    *turns, last = progress.turns_of(trajectory)
    scores = [watcher.update(*messages).score for messages in turns]
    return [*scores, watcher.finish(trajectory.patch, *last, finished=trajectory.finished).score]


@settings(max_examples=25, deadline=None)
@given(trajectory=TRAJECTORY | st.builds(attempt, turns=st.integers(1, 9)) | st.builds(echoing, st.integers(1, 5)))
def test_a_watcher_says_after_each_turn_what_the_curve_has_there(
    roomy: Local, cramped: Local, trajectory: Trajectory
) -> None:
    if not cut_short.turn_starts(trajectory):
        return
    for verifier in (roomy, cramped, load_verifier("shortest")):
        points = [score for _, score in progress.curve(trajectory, verifier).points]
        assert live(trajectory, verifier) == pytest.approx(points, abs=1e-5)
        assert points == pytest.approx(one_by_one(trajectory, verifier), abs=1e-5)


def test_a_watcher_takes_single_messages_and_a_patch_in_the_making(blend: Verifier) -> None:
    trajectory = attempt(turns=3)
    watcher = progress.Watcher(trajectory.task, blend, trajectory.origin)
    for end in range(1, len(trajectory.messages)):
        found = watcher.update(trajectory.messages[end - 1])
        state = trajectory.model_copy(
            update={"messages": trajectory.messages[:end], "patch": "", "finished": False, "exit_status": ""}
        )
        (wanted,) = blend([state])
        assert (found.attempt_id, found.verifier) == (wanted.attempt_id, "blend@1")
        assert found.score == pytest.approx(wanted.score, abs=1e-5)
    with_patch = watcher.update(patch=trajectory.patch).score
    assert with_patch != pytest.approx(watcher.update().score, abs=1e-9)
    (whole,) = blend([trajectory])
    assert watcher.finish(trajectory.patch, trajectory.messages[-1]).score == pytest.approx(whole.score, abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(
    sequences=st.lists(st.lists(st.integers(5, 7), min_size=1, max_size=40), min_size=1, max_size=6),
    tokens=st.integers(1, 50),
    queries=st.none() | st.integers(1, 9),
    backend=st.sampled_from(["sdpa", "eager"]),
)
def test_what_is_kept_changes_no_answer(
    roomy: Local, sequences: list[list[int]], tokens: int, queries: int | None, backend: Backend
) -> None:
    """Sequences of three tokens that grow, shrink and part anywhere."""
    kept, model = Kept(), roomy._model
    model.attention = backend
    try:
        for sequence in sequences:
            row = batch.row([0], [sequence])
            kept.begin(sequence)
            assert 0 <= kept.length < len(sequence)
            (found,) = model.logprobs(row, Tiles(tokens, queries), kept)
            assert found == pytest.approx(model.logprobs(row)[0], abs=1e-5)
    finally:
        model.attention = None


def test_states_that_share_little_are_read_alone() -> None:
    def ids(*parts: tuple[int, int]) -> Any:
        import numpy as np

        return np.concatenate([np.full(length, value, np.int32) for value, length in parts])

    grown = [ids((1, 10), (2, 10 * n), (9, 3)) for n in range(1, 5)]
    other = ids((1, 10), (7, 40))
    found = [(trunk.members, trunk.ends) for trunk in _trunks([other, *grown])]
    assert found == [([4, 3, 2, 1], [52, 40, 30, 20]), ([0], [49])]


def test_what_does_not_fit_together_is_read_anew(roomy: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    model, trajectory = roomy._model, attempt(turns=9)
    wanted = progress.curve(trajectory, roomy).points
    answer = model.logprobs
    room = roomy([trajectory])[0].prompt_tokens or 0

    def cramped(row: batch.Row, tiles: Any = None, kept: Any = None) -> list[tuple[float, float]]:
        if len(row.token_ids) > room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return answer(row, tiles, kept)

    monkeypatch.setattr(model, "logprobs", cramped)
    found = progress.curve(trajectory, roomy).points
    assert [score for _, score in found] == pytest.approx([score for _, score in wanted], abs=1e-5)


def test_after_a_failure_a_watcher_remembers_nothing_wrong(roomy: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    trajectory = attempt(turns=3)
    watcher = progress.Watcher(trajectory.task, roomy)
    watcher.update(*trajectory.messages[:4])
    model, head = roomy._model, roomy._model.network.lm_head.weight.data.clone()
    model.network.lm_head.weight.data.fill_(float("nan"))
    try:
        with pytest.raises(VerifierError, match="NaN"):
            watcher.update(*trajectory.messages[4:6])
    finally:
        model.network.lm_head.weight.data.copy_(head)
    found = watcher.update(*trajectory.messages[6:8])
    (wanted,) = roomy([cut_short.after_turns(trajectory, 3)])
    assert found.score == pytest.approx(wanted.score, abs=1e-5)


def test_the_shipped_kinds_follow(tmp_path: Path, roomy: Local, labelled_pool: list[Labelled]) -> None:
    weights = [1.0] * len(labelled_pool)
    words = Words.fit(labelled_pool, weights, section="tail", version="1")
    assert following(words) is words
    assert isinstance(following(roomy), Growing)
    assert following(roomy) is not following(roomy)
    assert following(Mean([roomy, words])).name == Mean([roomy, words]).name
    assert [s for _, s in progress.curve(attempt(turns=4), words).points] == one_by_one(attempt(turns=4), words)


def test_recorded_verdicts_are_refused_however_they_are_wrapped(tmp_path: Path) -> None:
    file = tmp_path / "verdicts.jsonl"
    file.write_text('{"instance_id": "acme__tool-1", "policy": "careful", "attempt": "1", "score": 0.5}\n')
    recorded = Recorded(file)
    assert by_id([attempt()], recorded([attempt()]))
    shipped, facts = shipped_facts()
    mean, calibrated = Mean([shipped, recorded]), Calibrated(recorded, facts._calibrator)
    for verifier in (recorded, mean, calibrated, ByLog(recorded, shipped), ByLog(shipped, recorded)):
        with pytest.raises(VerifierError, match="of whole attempts"):
            progress.curve(attempt(), verifier)
        with pytest.raises(VerifierError, match="of whole attempts"):
            progress.Watcher(attempt().task, verifier)


def test_an_attempt_without_turns_has_no_curve() -> None:
    bare = attempt().model_copy(update={"messages": attempt().messages[:2]})
    assert progress.states(bare) == []
    with pytest.raises(VerifierError, match="no turn"):
        progress.curve(bare, load_verifier("constant"))


class Steps:
    """Says 0.1 more with every turn that ran a command which failed."""

    name = "steps@1"

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        return [
            Verdict(attempt_id=t.attempt_id, score=score, raw_score=score, verifier=self.name)
            for t in trajectories
            for score in [0.1 * sum("<returncode>1" in message.content for message in t.messages)]
        ]


def test_the_turns_that_moved_the_score_are_named() -> None:
    curve = progress.curve(attempt(turns=5), Steps())
    assert [step.score for step in curve.steps] == pytest.approx([0, 0.1, 0.1, 0.2, 0.2, 0.2])
    assert [(move.first, move.last) for move in curve.moved(9)] == [(2, 2), (4, 4)]
    assert [(move.first, move.last) for move in curve.moved(1)] == [(2, 2)]
    assert str(curve.moved(1)[0]) == "turn 2: +0.100  $ python -m pytest tests/test_1.py -> exit 1"
    coarse = progress.curve(attempt(turns=5), Steps(), every=2)
    assert str(coarse.moved(1)[0]).startswith("turns 3-4: +0.100")
    sizes = [step.characters for step in curve.steps]
    assert sizes == sorted(sizes)
    assert sizes[0] > 0
    assert [progress.every_for(n, 16) for n in (1, 16, 17, 32, 33)] == [1, 1, 2, 2, 3]


def test_what_a_turn_did_is_one_short_line() -> None:
    call = ToolCall(name="bash", arguments='{"command": "echo \\u001b[31m' + "long " * 100 + '\\n ls"}')
    messages = (Message(role="assistant", tool_calls=(call, call)), Message(role="tool", content="fine"))
    line = progress.did(attempt(), messages)
    assert len(line) <= progress.DID_LENGTH
    assert line.endswith("\N{HORIZONTAL ELLIPSIS} (and 1 more)")
    assert progress.did(attempt(), (Message(role="assistant", content="I am\ndone."),)) == "I am done."
    hostile = (Message(role="assistant", content="\x07\ud800 done"),)
    assert progress.did(attempt(), hostile) == "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} done"


def test_the_watcher_of_the_documentation_works(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("progress.md", "python")
    names: dict[str, Any] = {}
    exec(code, names)
    assert 0 < float(capsys.readouterr().out) < 1
    assert names["verdict"].score > 0
