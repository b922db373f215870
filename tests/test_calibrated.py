"""The verifier calibrated:DIR: fitted on verdicts, written as JSON, applied to the verifier it was fitted for only."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from swe_rm.calibrate import METHODS, Calibrator, Method, Per, PerGroup, cross_fitted, fit
from swe_rm.errors import RecordError, SweRmError, VerifierError
from swe_rm.trajectory import Labelled, Origin, Outcome, Task, Trajectory
from swe_rm.verdict import Verdict
from swe_rm.verifiers import calibrated, load_verifier

ATTEMPTS = [
    Labelled(
        trajectory=Trajectory(
            task=Task(instance_id=f"kiln-{number // 3}"),
            patch=f"+{number}",
            origin=Origin(source="made", policy="potter", attempt=str(number)),
        ),
        outcome=Outcome.RESOLVED if (number * 7) % 10 < 3 + number % 4 else Outcome.UNRESOLVED,
    )
    for number in range(60)
]
TRAJECTORIES = [item.trajectory for item in ATTEMPTS]


class Sure:
    """Too sure of itself: its scores lie near 0 and 1 whatever the outcome."""

    name = "sure@1"

    def __call__(self, trajectories: Sequence[Trajectory]) -> list[Verdict]:
        return [self.verdict(t, 0.05 + 0.9 * (int(t.origin.attempt) % 4 > 1)) for t in trajectories]

    def verdict(self, trajectory: Trajectory, score: float) -> Verdict:
        return Verdict(
            attempt_id=trajectory.attempt_id, score=score, raw_score=score, prompt_tokens=7, verifier=self.name
        )


class Other(Sure):
    name = "sure@2"


class Half(Sure):
    name = "sure@1+bfloat16"


def verdicts() -> dict[str, Verdict]:
    return {verdict.attempt_id: verdict for verdict in Sure()(TRAJECTORIES)}


def calibration(
    attempts: Sequence[Labelled] = ATTEMPTS,
    answers: dict[str, Verdict] | None = None,
    *,
    method: Method = "platt",
    spec: str = "features",
    per: Per | None = None,
) -> calibrated.Calibration:
    found = calibrated.examples(attempts, verdicts() if answers is None else answers, per)
    return calibrated.fitted(spec, "sure@1", method, found).calibration


def written(folder: Path, method: Method = "platt", spec: str = f"{__name__}:Sure") -> Path:
    calibrated.save(folder, calibration(method=method, spec=spec))
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_a_written_calibrator_scores_as_the_fitted_one(tmp_path: Path, method: Method) -> None:
    loaded = load_verifier(f"calibrated:{written(tmp_path / 'c', method)}")
    before = [verdict.score for verdict in Sure()(TRAJECTORIES)]
    map_ = fit(method, before, [item.outcome is Outcome.RESOLVED for item in ATTEMPTS])
    answers = loaded(TRAJECTORIES)
    assert [answer.score for answer in answers] == map_(before).tolist()
    assert [answer.raw_score for answer in answers] == before
    assert {answer.verifier for answer in answers} == {loaded.name} == {f"{method}(sure@1)@{map_.digest[:8]}"}
    assert {answer.prompt_tokens for answer in answers} == {7}


def test_the_file_says_what_calibration_did_out_of_fold(tmp_path: Path) -> None:
    made = calibration()
    scores = np.array([verdict.score for verdict in Sure()(TRAJECTORIES)])
    resolved = np.array([item.outcome is Outcome.RESOLVED for item in ATTEMPTS])
    held_out = cross_fitted("platt", scores, resolved, [t.task.fold(calibrated.FOLDS) for t in TRAJECTORIES])
    assert (made.tasks, made.calibrator.n) == (tuple(sorted({f"kiln-{n}" for n in range(20)})), 60)
    assert made.base_rate == resolved.mean()
    assert made.ece_before == pytest.approx(twin_ece(scores, resolved))
    assert made.ece_after == pytest.approx(twin_ece(held_out, resolved))
    assert twin_ece(held_out, resolved) < twin_ece(scores, resolved)


def twin_ece(scores: np.ndarray, resolved: np.ndarray) -> float:
    bins = [min(9, int(10 * score)) for score in scores]
    total = 0.0
    for number in range(10):
        inside = [i for i, found in enumerate(bins) if found == number]
        total += abs(sum(scores[i] - resolved[i] for i in inside))
    return total / len(scores)


def test_attempts_without_outcome_or_verdict_are_not_fitted_on() -> None:
    unknown = [item.model_copy(update={"outcome": Outcome.UNKNOWN}) for item in ATTEMPTS[:6]]
    found = verdicts()
    del found[ATTEMPTS[-1].trajectory.attempt_id]
    whole = calibration([*unknown, *ATTEMPTS[6:]], found)
    assert whole.calibrator.n == 53
    with pytest.raises(SweRmError, match="both outcomes"):
        calibration(unknown, found)


@pytest.mark.parametrize("per", ["policy", "source"])
def test_a_map_per_group_is_applied_by_whose_attempt_it_is(tmp_path: Path, per: Per) -> None:
    """Half the attempts are moved to another policy or source, of which all resolve; a third one is not fitted on."""

    def moved(item: Labelled, name: str) -> Labelled:
        origin = item.trajectory.origin.model_copy(update={per: name})
        return item.model_copy(update={"trajectory": item.trajectory.model_copy(update={"origin": origin})})

    pool = [
        moved(item, "weaver").model_copy(update={"outcome": Outcome.RESOLVED}) if number % 2 else item
        for number, item in enumerate(ATTEMPTS)
    ]
    answers = {verdict.attempt_id: verdict for verdict in Sure()([item.trajectory for item in pool])}
    made = calibration(pool, answers, spec=f"{__name__}:Sure", per=per)
    calibrated.save(tmp_path / "c", made)
    assert isinstance(made.calibrator, PerGroup)
    assert made.calibrator.groups.keys() == {"weaver", "potter" if per == "policy" else "made"}
    loaded = load_verifier(f"calibrated:{tmp_path / 'c'}")
    assert loaded.name == made.name
    item = ATTEMPTS[0]
    asked = [item.trajectory, moved(item, "weaver").trajectory, moved(item, "stranger").trajectory]
    (raw,) = {verdict.score for verdict in Sure()(asked)}
    own = made.calibrator.groups["potter" if per == "policy" else "made"]
    expected = [float(m([raw])[0]) for m in (own, made.calibrator.groups["weaver"], made.calibrator.pooled)]
    assert [verdict.score for verdict in loaded(asked)] == expected
    assert len(set(expected)) == 3
    assert [verdict.score for verdict in loaded(asked[::-1])] == expected[::-1]


def test_another_version_of_the_verifier_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "c", spec=f"{__name__}:Other")
    with pytest.raises(VerifierError, match=r"fitted for sure@1, but .*:Other is now sure@2"):
        load_verifier(f"calibrated:{folder}")


def test_the_same_weights_in_other_numbers_are_not_refused_and_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "c", spec=f"{__name__}:Half")
    assert load_verifier(f"calibrated:{folder}").name.startswith("platt(sure@1+bfloat16)@")
    map_of = calibrated.read(folder).calibrator
    assert calibrated.Calibrated(Half(), map_of, "kiln@3").name == "kiln@3+bfloat16"
    assert calibrated.Calibrated(Sure(), map_of, "kiln@3").name == "kiln@3"


def test_a_folder_with_a_calibrator_is_known_by_its_content(tmp_path: Path) -> None:
    folder = written(tmp_path / "c")
    assert load_verifier(str(folder)).name == load_verifier(f"calibrated:{folder}").name


def test_a_missing_calibrator_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"none/calibrator.json: No such file"):
        load_verifier(f"calibrated:{tmp_path / 'none'}")


@pytest.mark.parametrize("content", ["", "{", '{"swe_rm_calibrator": 1}', "\udcff"])
def test_a_damaged_calibrator_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "calibrator.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(RecordError, match=r"calibrator\.json") as caught:
        load_verifier(f"calibrated:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "c") / "calibrator.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"shell": "rm"}))
    with pytest.raises(RecordError, match="shell"):
        load_verifier(f"calibrated:{file.parent}")


def test_explain_asks_the_inner_verifier() -> None:
    class Talking(Sure):
        def explain(self, trajectory: Trajectory) -> list[str]:
            return [f"tried {trajectory.origin.attempt}"]

    map_ = Calibrator(method="platt", n=1)
    assert calibrated.Calibrated(Talking(), map_).explain(TRAJECTORIES[3]) == ["tried 3"]
    assert calibrated.Calibrated(Sure(), map_).explain(TRAJECTORIES[3]) == []
