"""The features are finite, documented and blind to origin; the arrays score as scikit-learn does."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as fast
from hypothesis.extra.numpy import arrays
from sklearn.ensemble import GradientBoostingClassifier

from swe_rm.errors import CheckpointError, VerifierError
from swe_rm.trajectory import Labelled, Message, Task, Trajectory
from swe_rm.verifiers import features as f
from swe_rm.verifiers import forest
from tests.conftest import attempt
from tests.test_render import hostile_attempts

PATCH = """--- /dev/null
+++ b/repro.py
@@ -0,0 +1,2 @@
+import os
+# why
--- a/t/test_a.py
+++ b/t/test_a.py
@@ -1 +0,0 @@
-x
"""


def named(trajectory: Trajectory) -> dict[str, float]:
    return dict(zip(f.FEATURES, f.features(trajectory), strict=True))


@fast(max_examples=60, deadline=None)
@given(trajectory=hostile_attempts())
def test_every_attempt_has_finite_features(trajectory: Trajectory) -> None:
    assert np.isfinite(f.features(trajectory)).all()


def test_origin_is_never_looked_at() -> None:
    assert np.array_equal(f.features(attempt(policy="a")), f.features(attempt(policy="b")))


def test_each_feature_says_what_it_is() -> None:
    assert all(len(meaning) > 8 for meaning, _ in f.FEATURES.values())
    assert len({meaning for meaning, _ in f.FEATURES.values()}) == len(f.FEATURES)


def test_features_see_what_they_name() -> None:
    edit = Message(role="assistant", content="Unfortunately hard.\n```bash\nsed -i s/a/b/ tool.py\n```")
    run = Message(role="assistant", content="```bash\npython -m pytest\n```")
    failed = Message(role="tool", content="<returncode>1</returncode>\n<output>\n1 failed, 2 passed\n</output>")
    passed = Message(role="tool", content="<returncode>0</returncode>\n<output>\n3 passed\n</output>")
    end = Message(role="assistant", content="All tests pass, it is fixed.\n```bash\nsubmit\n```")
    base = attempt(patch=PATCH)
    seen = named(base.model_copy(update={"messages": (edit, failed, run, failed, run, passed, end)}))
    expected = {
        "turns": 4, "actions": 4, "edit_actions": 1, "test_runs": 2, "tests_after_edit": 2, "last_test": 1,
        "failed_tests": 0.5, "repeats": 0.25, "failures": 2 / 3, "submitted": 1, "final_claims": 2,
        "hedges": 0.25, "patch_files": 2, "patch_hunks": 2, "patch_added": 2, "patch_removed": 1,
        "patch_new_files": 1, "patch_tests": 1, "patch_scripts": 1, "patch_imports": 1, "patch_comments": 0.5,
        "patch_empty": 0, "end_passed": 1, "end_failed": 1,
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == pytest.approx(expected)
    bare = named(
        attempt().model_copy(
            update={"messages": (), "patch": "", "finished": False, "task": Task(instance_id="a__b-1")}
        )
    )
    assert bare["patch_empty"] == 1
    assert bare["finished"] == bare["actions"] == bare["last_test"] == 0


@fast(max_examples=25, deadline=None)
@given(data=arrays(np.float64, (40, 3), elements={"min_value": -5, "max_value": 5}))
def test_the_flat_forest_equals_scikit_learn(data: np.ndarray) -> None:
    labels = np.arange(40) % 2 == 0
    model = GradientBoostingClassifier(n_estimators=7, max_depth=3, random_state=0).fit(data, labels)
    assert forest._flatten(model).logits(data) == pytest.approx(model.decision_function(data), abs=1e-9)


def test_fitted_saved_and_loaded_it_tells_the_outcomes_apart(labelled_pool: list[Labelled], tmp_path: Path) -> None:
    made = f.Features.fit(labelled_pool, [1.0] * len(labelled_pool), version="7")
    made.save(tmp_path)
    loaded = f.Features.load(tmp_path)
    assert loaded.name == "features@7"
    trajectories = [item.trajectory for item in labelled_pool]
    assert [v.score for v in loaded(trajectories)] == [v.score for v in made(trajectories)]
    assert len(loaded.explain(trajectories[0])) == 5
    with pytest.raises(VerifierError, match="both outcomes"):
        f.Features.fit(labelled_pool[:1], [1.0], version="7")


def test_damaged_arrays_are_refused_and_nothing_is_unpickled(labelled_pool: list[Labelled], tmp_path: Path) -> None:
    f.Features.fit(labelled_pool, [1.0] * len(labelled_pool), version="7").save(tmp_path)
    card = json.loads((tmp_path / f.FILE).read_text())
    (tmp_path / f.FILE).write_text(json.dumps({**card, "columns": card["columns"][1:]}))
    with pytest.raises(CheckpointError, match="other features"):
        f.Features.load(tmp_path)
    (tmp_path / f.FILE).write_text(json.dumps(card))
    np.savez(tmp_path / f.ARRAYS, base=np.array([object()], dtype=object))
    with pytest.raises(CheckpointError, match=f.ARRAYS):
        f.Features.load(tmp_path)
    (tmp_path / f.ARRAYS).unlink()
    with pytest.raises(CheckpointError, match=f.ARRAYS):
        f.Features.load(tmp_path)
    (tmp_path / f.FILE).unlink()
    with pytest.raises(CheckpointError, match=f.FILE):
        f.Features.load(tmp_path)
