"""The verifier over a checkpoint: verdicts by id, whatever the batch."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm import batch
from swe_rm.decoder import Tiles
from swe_rm.errors import CheckpointError, VerifierError
from swe_rm.render import LengthPolicy
from swe_rm.scoring import Unscored, score
from swe_rm.trajectory import Labelled
from swe_rm.verdict import Verdict, by_id
from swe_rm.verifiers.combined import Mean
from swe_rm.verifiers.local import Local
from tests.conftest import attempt


@pytest.fixture(scope="module")
def local(tiny_checkpoint: Path) -> Local:
    return Local(tiny_checkpoint)


def test_scores_are_p_yes_over_both_and_do_not_depend_on_company(local: Local, labelled_pool: list[Labelled]) -> None:
    trajectories = [item.trajectory for item in labelled_pool]
    together = by_id(trajectories, local(trajectories))
    for trajectory in trajectories[:6]:
        (alone,) = local([trajectory])
        found = together[trajectory.attempt_id]
        assert alone.score == pytest.approx(found.score, abs=1e-5)
        assert found.logprob_yes is not None
        assert found.logprob_no is not None
        yes, no = math.exp(found.logprob_yes), math.exp(found.logprob_no)
        assert found.score == found.raw_score == pytest.approx(yes / (yes + no), abs=1e-9)
        assert found.verdict_mass == pytest.approx(yes + no)
        assert found.verifier == local.name == "tiny@0"
        assert found.seconds
        assert found.prompt_tokens


def test_small_rows_give_the_same_scores(local: Local, tiny_checkpoint: Path, labelled_pool: list[Labelled]) -> None:
    trajectories = [item.trajectory for item in labelled_pool]
    narrow = by_id(trajectories, Local(tiny_checkpoint, row_tokens=1)(trajectories))
    for id_, verdict in by_id(trajectories, local(trajectories)).items():
        assert narrow[id_].score == pytest.approx(verdict.score, abs=1e-5)


@settings(max_examples=8, deadline=None)
@given(data=st.data(), row_tokens=st.integers(1, 3_000), share=st.booleans())
def test_order_batch_size_packing_and_sharing_change_no_score(
    local: Local,
    tiny_checkpoint: Path,
    labelled_pool: list[Labelled],
    data: st.DataObject,
    row_tokens: int,
    share: bool,
) -> None:
    order = data.draw(st.permutations([item.trajectory for item in labelled_pool]))
    chosen = order[: data.draw(st.integers(1, len(order)))]
    other = Local(tiny_checkpoint, row_tokens=row_tokens, share=share)
    found, wanted = by_id(chosen, other(chosen)), by_id(chosen, [local([t])[0] for t in chosen])
    assert all(found[id_].score == pytest.approx(wanted[id_].score, abs=1e-5) for id_ in found)
    assert ranked(found) == ranked(wanted)


def ranked(verdicts: dict[str, Verdict]) -> list[str]:
    """Ids by score; attempts of equal prompts tie, so scores that are one within 1e-6 are ordered by id."""
    return sorted(verdicts, key=lambda id_: (round(verdicts[id_].score, 6), id_))


def test_candidates_of_one_task_are_read_as_a_tree(tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The property above would hold too if nothing were ever shared."""
    policy = LengthPolicy(max_tokens=4_096, issue_cap=2_048, patch_cap=512)
    read: list[batch.Row] = []
    local = Local(tiny_checkpoint, policy=policy)
    answer = local._model.logprobs

    def noted(row: batch.Row, tiles: Tiles) -> list[tuple[float, float]]:
        read.append(row)
        return answer(row, tiles)

    monkeypatch.setattr(local._model, "logprobs", noted)
    siblings = [attempt(task="acme__tool-1", number=1, turns=12, policy=f"p{n}", patch=f"+{n}\n") for n in range(6)]
    shared = by_id(siblings, local(siblings))
    assert [len(row.parts) for row in read] == [7]
    alone = by_id(siblings, Local(tiny_checkpoint, policy=policy, share=False)(siblings))
    assert all(shared[id_].score == pytest.approx(alone[id_].score, abs=1e-5) for id_ in shared)


def test_an_attempt_that_does_not_fit_is_named_and_the_others_are_scored(
    tiny_checkpoint: Path, labelled_pool: list[Labelled], monkeypatch: pytest.MonkeyPatch
) -> None:
    local = Local(tiny_checkpoint, policy=LengthPolicy(max_tokens=4_096, issue_cap=512, patch_cap=512))
    trajectories = [item.trajectory for item in labelled_pool]
    tokens = {v.attempt_id: v.prompt_tokens or 0 for v in local(trajectories)}
    room = sorted(set(tokens.values()))[-2]
    answer = local._model.logprobs

    def cramped(row: batch.Row, tiles: Tiles) -> list[tuple[float, float]]:
        if len(row.token_ids) > room:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return answer(row, tiles)

    monkeypatch.setattr(local._model, "logprobs", cramped)
    lost: list[Unscored] = []
    found = score(trajectories, local, unscored=lost.append, chunk=len(trajectories))
    assert {id_ for id_, size in tokens.items() if size <= room} == found.keys()
    assert {failure.attempt_id for failure in lost} == tokens.keys() - found.keys()
    assert all("do not fit into memory" in failure.reason for failure in lost)
    assert 0 < len(lost) < len(trajectories)
    wrapped = Mean([local])
    again = score(trajectories, wrapped, unscored=lambda _: None)
    assert {verdict.verifier for verdict in again.values()} == {wrapped.name}
    assert again.keys() == found.keys()


def test_what_was_cut_is_reported_and_another_policy_may_cut_less(local: Local, tiny_checkpoint: Path) -> None:
    trajectory = attempt(turns=40)
    roomy = Local(tiny_checkpoint, policy=LengthPolicy(max_tokens=4_096, issue_cap=512, patch_cap=512))
    (short,), (long,) = local([trajectory]), roomy([trajectory])
    assert short.truncated_tokens
    assert long.truncated_tokens == 0
    assert f"read {short.prompt_tokens} tokens" in local.explain(trajectory)[0]


def test_a_model_that_answers_nan_gives_no_verdict(tiny_checkpoint: Path, labelled_pool: list[Labelled]) -> None:
    broken = Local(tiny_checkpoint)
    with torch.no_grad():
        broken._model.network.lm_head.weight.fill_(float("nan"))
    with pytest.raises(VerifierError, match="NaN"):
        broken([labelled_pool[0].trajectory])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        Local(tmp_path / "none")


def test_no_attempts_give_no_verdicts(local: Local) -> None:
    assert local([]) == []
