"""What a user may write after --verifier, and what is said to what does not exist."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from swe_rm import sources
from swe_rm.calibrate import Calibrator
from swe_rm.errors import CheckpointError, SweRmError, VerifierError
from swe_rm.trajectory import Labelled, Origin, Outcome, Task, Trajectory
from swe_rm.verdict import Verdict
from swe_rm.verifiers import CONTROLS, POOLED, SHIPPED, absolute_spec, known_verifiers, load_verifier, needs_pool
from swe_rm.verifiers.calibrated import Calibration, save
from swe_rm.verifiers.facts import FACTS
from swe_rm.verifiers.features import Features, FeaturesCard
from swe_rm.verifiers.forest import Forest
from swe_rm.verifiers.linear import Linear

POOL = [
    Labelled(
        trajectory=Trajectory(
            task=Task(instance_id=f"sluice-{number % 3}"),
            patch="+" * number,
            origin=Origin(source="made", policy=f"p{number % 2}", attempt=str(number)),
        ),
        outcome=Outcome.RESOLVED if number % 3 else Outcome.UNRESOLVED,
    )
    for number in range(12)
]
TRAJECTORIES = [item.trajectory for item in POOL]


class Half:
    name = "half@3"

    def __call__(self, trajectories: Sequence[Trajectory]) -> list[Verdict]:
        return [Verdict(attempt_id=t.attempt_id, score=0.5, raw_score=0.5, verifier=self.name) for t in trajectories]


class Demanding(Half):
    def __init__(self, size: int) -> None:
        self.size = size


half = Half()


def nameless(trajectories: Sequence[Trajectory]) -> list[Verdict]:
    return half(trajectories)


@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_answers_under_its_name_and_version(name: str) -> None:
    control = load_verifier(name, pool=POOL)
    assert control.name.startswith(f"{name}@")
    assert len(control(TRAJECTORIES)) == len(TRAJECTORIES)


@pytest.mark.parametrize("name", POOLED)
def test_controls_that_see_outcomes_need_a_pool_and_say_so(name: str, tmp_path: Path) -> None:
    assert needs_pool(name)
    assert needs_pool(f"mean:features,{name}")
    assert needs_pool("recorded:v.jsonl")
    map_ = Calibration(
        verifier=name, verifier_name=f"{name}@1", calibrator=Calibrator(method="platt", n=9), tasks=(), base_rate=0.5,
        ece_before=None, ece_after=None,
    )  # fmt: skip
    save(tmp_path, map_)
    assert needs_pool(str(tmp_path))
    assert needs_pool(f"calibrated:{tmp_path}")
    with pytest.raises(VerifierError, match=f"the control {name} is built from labelled attempts"):
        load_verifier(name)


@pytest.mark.parametrize("spec", ["default", "constant", "shortest", "mean:model,features", "runs/oracles"])
def test_others_need_no_pool(spec: str) -> None:
    assert not needs_pool(spec)


def test_a_mean_of_any_two() -> None:
    mean = load_verifier(f"mean:oracle,{__name__}:half", pool=POOL)
    scores = {verdict.attempt_id: verdict.score for verdict in mean(TRAJECTORIES)}
    assert [scores[t.attempt_id] for t in TRAJECTORIES] == [
        0.75 if item.outcome is Outcome.RESOLVED else 0.25 for item in POOL
    ]
    assert "half@3" in mean.name


@pytest.mark.parametrize("attribute", ["half", "Half"])
def test_an_object_or_class_of_the_users_own(attribute: str) -> None:
    assert load_verifier(f"{__name__}:{attribute}").name == "half@3"


def test_a_module_beside_the_user_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sluice_judge.py").write_text(
        "class Judge:\n    name = 'judge@1'\n    def __call__(self, trajectories):\n        return []\n"
    )
    monkeypatch.chdir(tmp_path)
    assert load_verifier("sluice_judge:Judge").name == "judge@1"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("no_such_module_here:Judge", "No module named"),
        (f"{__name__}:missing", "no attribute 'missing'"),
        (f"{__name__}:nameless", "not a verifier"),
        (f"{__name__}:POOL", "not a verifier"),
        (f"{__name__}:Demanding", "missing 1 required"),
    ],
)
def test_what_is_no_verifier_says_why(spec: str, reason: str) -> None:
    with pytest.raises(VerifierError, match=reason):
        load_verifier(spec)


@pytest.mark.parametrize("spec", ["magic", "", "recorded:", "mean:", "a b:c"])
def test_an_unknown_verifier_lists_what_there_is(spec: str) -> None:
    with pytest.raises(VerifierError, match="unknown verifier") as caught:
        load_verifier(spec)
    for known in known_verifiers():
        assert known in str(caught.value)


@pytest.mark.parametrize("spec", ["./nowhere", "runs/verifier", "/no/such/folder", "mean:constant,runs/verifier"])
def test_a_missing_checkpoint_is_named(spec: str) -> None:
    with pytest.raises(CheckpointError, match=f"{spec.split(',')[-1]}: no such checkpoint folder"):
        load_verifier(spec)


def test_recorded_verdicts(tmp_path: Path) -> None:
    file = tmp_path / "verdicts.jsonl"
    lines = [{"attempt_id": t.attempt_id, "score": 0.25, "verifier": "elsewhere@9"} for t in TRAJECTORIES]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    recorded = load_verifier(f"recorded:{file}")
    assert recorded.name == "elsewhere@9"
    assert {verdict.score for verdict in recorded(TRAJECTORIES)} == {0.25}


def test_an_empty_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=tmp_path.name):
        load_verifier(str(tmp_path))


def test_absolute_specs_load_the_same_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ckpt").mkdir()
    monkeypatch.chdir(tmp_path)
    here = tmp_path
    assert absolute_spec("ckpt") == f"{here}/ckpt"
    assert absolute_spec("mean:ckpt,features") == f"mean:{here}/ckpt,features"
    assert absolute_spec("calibrated:ckpt") == f"calibrated:{here}/ckpt"
    assert absolute_spec("recorded:v.jsonl") == f"recorded:{here}/v.jsonl"
    assert absolute_spec("my.module:Judge") == "my.module:Judge"


@pytest.mark.parametrize(
    "content", [None, "{", '{"default": {"members": []}}', '{"default": {"members": [{"folder": "model"}]}}']
)
def test_a_build_without_its_default_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    monkeypatch.setattr("swe_rm.verifiers.SHIPPED", tmp_path)
    if content is not None:
        (tmp_path / "verifiers.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"verifiers\.json"):
        load_verifier("default")


def forest(folder: Path, version: str, base: float) -> str:
    """A features verifier of one tree without a split and no weights: the same score for everything."""
    nodes = np.array([-1], dtype=np.int32)
    tree = Forest(base, np.array([0], dtype=np.int32), nodes, np.zeros(1), nodes, nodes, np.zeros(1))
    ranks = Linear(np.zeros((len(FACTS), 3)), np.zeros(len(FACTS)), base)
    Features(FeaturesCard(version=version, columns=tuple(FACTS)), tree, ranks).save(folder / version)
    return version


def test_default_is_what_its_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swe_rm.verifiers.SHIPPED", tmp_path)
    members = [{"folder": forest(tmp_path, name, base)} for name, base in (("low", -1.0), ("high", 1.0))]
    calibrator = {"method": "platt", "a": 1.0, "b": 1.0, "c": -1.0, "n": 10}
    found = []
    bent_members = [{**member, "calibrator": calibrator} for member in members]
    for document in (
        {"members": members[:1]},
        {"members": members},
        {"members": members, "calibrator": calibrator},
        {"members": bent_members},
        {"members": members, "calibrator": calibrator, "name": "blend@7"},
        {"members": [members[0], {**members[1], "weight": 3.0}]},
    ):
        others = {name: {"members": members[:1]} for name in ("model", "features")}
        (tmp_path / "verifiers.json").write_text(json.dumps({"default": document, **others}))
        found.append(load_verifier("default"))
    one, mean, bent, inside, named, uneven = found
    assert (one.name, mean.name) == ("features@low", "mean(features@low,features@high)")
    assert bent.name.startswith(f"platt({mean.name})@")
    assert named.name == named(TRAJECTORIES)[0].verifier == "blend@7"
    assert inside.name.startswith("mean(platt(features@low)@")
    scores = [verifier(TRAJECTORIES)[0].score for verifier in found]
    half, quarter = 1 / (1 + np.exp(1)), 1 / (1 + np.exp(2))
    assert scores == pytest.approx([half, 0.5, half, (quarter + 0.5) / 2, half, (half + 3 * (1 - half)) / 4])
    assert uneven.name == "mean(features@low,3*features@high)"


@pytest.mark.skipif(not (SHIPPED / "verifiers.json").is_file(), reason="the weights are not in this checkout yet")
def test_the_shipped_verifier_loads_and_never_calls_itself_default() -> None:
    pytest.importorskip("torch")
    verifier = load_verifier("default")
    assert "@" in verifier.name
    assert "default" not in verifier.name
    assert {verdict.attempt_id for verdict in verifier(TRAJECTORIES)} == {t.attempt_id for t in TRAJECTORIES}


@pytest.mark.skipif(not (SHIPPED / "model").is_dir(), reason="the weights are not in this checkout yet")
def test_the_shipped_model_gives_the_scores_it_was_shipped_with() -> None:
    """Every sixth example, scored when they were shipped; 1e-6 is what another order of summing in fp32 does."""
    pytest.importorskip("torch")
    shipped = json.loads((Path(__file__).parent / "golden" / "shipped_scores.json").read_text())
    attempts = sources.open_pile([Path(__file__).parents[1] / "examples"]).attempts()
    chosen = [item.trajectory for item in attempts if item.trajectory.attempt_id in shipped]
    found = {v.attempt_id: v.score for v in load_verifier(str(SHIPPED / "model"))(chosen)}
    assert found == pytest.approx(shipped, abs=2e-6)


def test_every_refusal_is_an_error_of_ours() -> None:
    assert issubclass(VerifierError, SweRmError)
    assert issubclass(CheckpointError, SweRmError)
