"""The verifier over a checkpoint: verdicts by id, whatever the batch."""

import math
from pathlib import Path

import pytest
import torch

from swe_rm.errors import CheckpointError, VerifierError
from swe_rm.render import LengthPolicy
from swe_rm.trajectory import Labelled
from swe_rm.verdict import by_id
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
